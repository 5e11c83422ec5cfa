//! What the catalog says of a table: from the catalog, never from its data.

use rusqlite::{Connection, Row, params};

use super::session::fault;
use super::value;
use crate::endpoint::Born;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::{Column, ForeignKey, KeySource, Table, TableName};

/// Collations every SQLite has. Others are functions of the application's.
const COLLATIONS: [&str; 3] = ["BINARY", "NOCASE", "RTRIM"];

/// A table, and what only this engine needs to know of it.
pub(super) struct Shape {
    pub(super) table: Table,
    /// The key's collations, in its order.
    pub(super) collations: Vec<String>,
    /// Every unique key a REPLACE may delete rows by, the primary key first.
    pub(super) uniques: Vec<Vec<Part>>,
    /// The columns (indexes) that an index begins with.
    pub(super) leading: Vec<usize>,
    /// A name under which the rowid can be had; `None` for WITHOUT ROWID.
    pub(super) rowid: Option<&'static str>,
}

/// A column of a unique key and how the key compares it.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) column: usize,
    pub(super) collation: String,
}

/// An identifier, quoted.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The tables of these names, or all a user could sync.
pub(super) fn describe(connection: &Connection, names: Option<&[TableName]>) -> Result<Vec<Table>> {
    let all = listed(connection)?;
    let Some(names) = names else {
        return all.iter().map(|listed| Ok(shape_of(connection, listed)?.table)).collect();
    };
    let one = |name: &TableName| match all.iter().find(|listed| listed.name == name.name) {
        Some(listed) => Ok(shape_of(connection, listed)?.table),
        None => Err(missing(name, &all)),
    };
    names.iter().map(one).collect()
}

/// See [`Endpoint::born`](crate::endpoint::Endpoint). Columns have no numbers here, and no statement defines one in another way:
/// but a table that was made anew may have another type under the name.
pub(super) fn born(connection: &Connection, tables: &[TableName]) -> Result<Vec<Vec<Born>>> {
    let read = |row: &Row<'_>| Ok(Born::new(row.get(0)?, None, &row.get::<_, String>(1)?));
    tables.iter().map(|table| rows(connection, sql!("catalog_columns"), Some(&table.name), read)).collect()
}

fn missing(name: &TableName, all: &[Listed]) -> Error {
    let error = Error::new(ErrorKind::Schema, format!("there is no table {name}"));
    let near = all.iter().map(|listed| (strsim::jaro_winkler(&listed.name, &name.name), &listed.name));
    match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((score, near)) if score > 0.7 => error.hint(format!("did you mean {near}?")),
        _ => error,
    }
}

/// The shape of one table, or `None` if there is none of that name.
pub(super) fn shape(connection: &Connection, name: &TableName) -> Result<Option<Shape>> {
    let found = named(connection, &name.name)?.filter(|listed| listed.name == name.name);
    found.map(|listed| shape_of(connection, &listed)).transpose()
}

/// Whether the table itself says what becomes of a row that breaks one of its unique keys: another row is deleted, or
/// the statement does nothing. (What NOT NULL does on its own is no matter: no other row is touched.)
pub(super) fn gives_way(connection: &Connection, name: &TableName) -> Result<bool> {
    let made = rows(connection, sql!("catalog_definition"), Some(&name.name), |row| row.get::<_, String>(0))?;
    Ok(made.iter().any(|sql| has_conflict_clause(sql)))
}

fn has_conflict_clause(definition: &str) -> bool {
    let definition = definition.to_ascii_lowercase();
    let between = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',');
    let words: Vec<&str> = definition.split(between).filter(|word| !word.is_empty()).collect();
    let clause = |four: &[&str]| matches!(four, [what, "on", "conflict", "replace" | "ignore"] if *what != "null");
    words.windows(4).any(clause)
}

struct Listed {
    name: String,
    class: String,
    without_rowid: bool,
}

impl Listed {
    fn read(row: &Row<'_>) -> rusqlite::Result<Listed> {
        Ok(Listed { name: row.get(0)?, class: row.get(1)?, without_rowid: row.get(2)? })
    }
}

fn listed(connection: &Connection) -> Result<Vec<Listed>> {
    rows(connection, sql!("catalog_tables"), None, Listed::read)
}

/// The table of this name, in upper or lower case.
fn named(connection: &Connection, name: &str) -> Result<Option<Listed>> {
    Ok(rows(connection, sql!("catalog_table"), Some(name), Listed::read)?.pop())
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    name: Option<&str>,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    let found = match name {
        Some(name) => statement.query_map(params![name], read),
        None => statement.query_map([], read),
    };
    found.and_then(Iterator::collect).map_err(fault)
}

fn shape_of(connection: &Connection, listed: &Listed) -> Result<Shape> {
    let (mut columns, primary) = columns(connection, listed)?;
    let indexes = indexes(connection, &listed.name)?;
    let taken = |name: &&str| columns.iter().any(|column: &Column| column.name.eq_ignore_ascii_case(name));
    let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(|name| !taken(name)).filter(|_| !listed.without_rowid);

    // The key is the rowid under another name: exactly INTEGER, and no index of its own.
    let alias = match primary.as_slice() {
        [one] if !listed.without_rowid && !indexes.iter().any(|index| index.primary) => Some(*one),
        _ => None,
    };
    alias.into_iter().for_each(|at| columns[at].numbered = true);
    let mut uniques = key_parts(&primary, alias, &indexes);
    let mut candidates = indexes.iter().filter(|index| index.unique && index.whole && !index.primary);
    let (key, collations) = match uniques.first() {
        Some(primary) => (primary.iter().map(|part| part.column).collect(), collations(primary)),
        // A73: a unique key without NULLs is as good.
        None => match candidates.clone().find(|index| index.parts.iter().all(|part| !columns[part.column].nullable)) {
            Some(index) => (index.parts.iter().map(|part| part.column).collect::<Vec<_>>(), collations(&index.parts)),
            None => (Vec::new(), Vec::new()),
        },
    };
    uniques.extend(candidates.by_ref().map(|index| index.parts.clone()));
    let blind_spots = blind_spots(&columns, &key, alias, listed, &indexes);
    let refused = refused(connection, listed, &columns, &key, &indexes)?;
    let mut leading: Vec<usize> = indexes.iter().filter(|index| index.whole).map(|index| index.parts[0].column).collect();
    leading.extend(alias);
    let table = Table {
        name: TableName { schema: String::new(), name: listed.name.clone() },
        key_source: key_source(connection, listed, &columns, &key, alias)?,
        uniques: other_uniques(&uniques, &key),
        foreign_keys: foreign_keys(connection, &listed.name)?,
        columns,
        key,
        blind_spots,
        refused,
    };
    Ok(Shape { table, collations, uniques, leading, rowid })
}

fn collations(parts: &[Part]) -> Vec<String> {
    parts.iter().map(|part| part.collation.clone()).collect()
}

/// The columns, and the indexes of those of the primary key in its order.
fn columns(connection: &Connection, listed: &Listed) -> Result<(Vec<Column>, Vec<usize>)> {
    let read = |row: &Row<'_>| {
        let native: String = row.get(1)?;
        let (required, has_default, hidden): (bool, bool, i64) = (row.get(2)?, row.get(3)?, row.get(5)?);
        let column = Column {
            name: row.get(0)?,
            kind: value::kind(&native),
            native,
            nullable: !required,
            computed: hidden != 0,
            has_default,
            numbered: false,
        };
        Ok((column, row.get::<_, u32>(4)?))
    };
    let found = rows(connection, sql!("catalog_columns"), Some(&listed.name), read)?;
    let mut primary: Vec<(u32, usize)> =
        found.iter().enumerate().filter(|(_, (_, place))| *place > 0).map(|(i, (_, place))| (*place, i)).collect();
    primary.sort_unstable();
    let primary: Vec<usize> = primary.into_iter().map(|(_, i)| i).collect();
    let mut columns: Vec<Column> = found.into_iter().map(|(column, _)| column).collect();
    // Only there does PRIMARY KEY mean NOT NULL; elsewhere SQLite keeps an old mistake for old files.
    if listed.without_rowid {
        primary.iter().for_each(|i| columns[*i].nullable = false);
    }
    if let [one] = primary.as_slice()
        && columns[*one].native.eq_ignore_ascii_case("integer")
    {
        columns[*one].nullable = false;
        columns[*one].has_default = true;
    }
    Ok((columns, primary))
}

struct Index {
    name: String,
    unique: bool,
    primary: bool,
    /// Over plain columns and all rows.
    whole: bool,
    parts: Vec<Part>,
    collations: Vec<String>,
}

fn indexes(connection: &Connection, table: &str) -> Result<Vec<Index>> {
    let read = |row: &Row<'_>| {
        let origin: String = row.get(2)?;
        Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?, origin == "pk", row.get::<_, bool>(3)?))
    };
    let listed = rows(connection, sql!("catalog_indexes"), Some(table), read)?;
    let sql = sql!("catalog_index_columns");
    let one = |(name, unique, primary, partial): (String, bool, bool, bool)| {
        let parts = rows(connection, sql, Some(&name), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)))?;
        let plain: Vec<Part> = parts
            .iter()
            .filter_map(|(column, collation)| {
                Some(Part { column: usize::try_from(*column).ok()?, collation: collation.clone().unwrap_or_default() })
            })
            .collect();
        let whole = !partial && plain.len() == parts.len() && !plain.is_empty();
        let collations = parts.into_iter().filter_map(|(_, collation)| collation).collect();
        Ok(Index { name, unique, primary, whole, parts: plain, collations })
    };
    listed.into_iter().map(one).collect()
}

/// The primary key as a unique key, or nothing.
fn key_parts(primary: &[usize], alias: Option<usize>, indexes: &[Index]) -> Vec<Vec<Part>> {
    if let Some(column) = alias {
        return vec![vec![Part { column, collation: "BINARY".to_owned() }]];
    }
    if primary.is_empty() {
        return Vec::new();
    }
    let collation = |column: usize| {
        let of = indexes.iter().filter(|index| index.primary).flat_map(|index| &index.parts);
        of.into_iter().find(|part| part.column == column).map_or_else(|| "BINARY".to_owned(), |part| part.collation.clone())
    };
    vec![primary.iter().map(|column| Part { column: *column, collation: collation(*column) }).collect()]
}

fn other_uniques(uniques: &[Vec<Part>], key: &[usize]) -> Vec<Vec<usize>> {
    let columns = |parts: &Vec<Part>| parts.iter().map(|part| part.column).collect::<Vec<_>>();
    uniques.iter().map(columns).filter(|columns| columns != key).collect()
}

fn blind_spots(columns: &[Column], key: &[usize], alias: Option<usize>, listed: &Listed, indexes: &[Index]) -> Vec<String> {
    let mut spots = Vec::new();
    for index in indexes.iter().filter(|index| index.unique && !index.whole) {
        spots.push(format!(
            "rows that INSERT OR REPLACE deletes by the unique index {} are not seen: it has a WHERE or an expression",
            index.name
        ));
    }
    if !listed.without_rowid && alias.is_none() {
        let nullable = key.iter().map(|i| &columns[*i]).filter(|column| column.nullable);
        let names: Vec<&str> = nullable.map(|column| column.name.as_str()).collect();
        if !names.is_empty() {
            let names = names.join(" or ");
            spots.push(format!("rows without {names} are not synced: SQLite lets a primary key be NULL"));
        }
    }
    spots
}

fn refused(
    connection: &Connection,
    listed: &Listed,
    columns: &[Column],
    key: &[usize],
    indexes: &[Index],
) -> Result<Option<String>> {
    match listed.class.as_str() {
        "view" => return Ok(Some("a view has no change triggers; sync the tables under it".to_owned())),
        "virtual" => return Ok(Some("a virtual table can't have triggers".to_owned())),
        _ => {}
    }
    if key.is_empty() {
        return Ok(Some("nothing tells its rows apart: add a primary key, or a unique key without NULLs".to_owned()));
    }
    let mut used: Vec<String> = indexes.iter().flat_map(|index| index.collations.iter().cloned()).collect();
    for column in key.iter().map(|i| &columns[*i]) {
        let (_, collation, ..) =
            connection.column_metadata(Some("main"), listed.name.as_str(), column.name.as_str()).map_err(fault)?;
        used.extend(collation.map(|name| name.to_string_lossy().into_owned()));
    }
    let foreign = used.iter().find(|name| !COLLATIONS.iter().any(|known| known.eq_ignore_ascii_case(name)));
    Ok(foreign.map(|name| format!("its indexes use the collation {name}, which only the application has")))
}

fn key_source(
    connection: &Connection,
    listed: &Listed,
    columns: &[Column],
    key: &[usize],
    alias: Option<usize>,
) -> Result<KeySource> {
    if let Some(alias) = alias {
        let name = columns[alias].name.as_str();
        let (.., autoincrement) = connection.column_metadata(Some("main"), listed.name.as_str(), name).map_err(fault)?;
        return Ok(if autoincrement { KeySource::Generated } else { KeySource::GeneratedReused });
    }
    let by_default = !key.is_empty() && key.iter().all(|i| columns[*i].has_default);
    Ok(if by_default { KeySource::Default } else { KeySource::Given })
}

fn foreign_keys(connection: &Connection, table: &str) -> Result<Vec<ForeignKey>> {
    let read = |row: &Row<'_>| {
        let acts = |i| row.get::<_, String>(i).map(|action| action != "NO ACTION" && action != "RESTRICT");
        let names: (i64, String, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok((names, acts(4)? || acts(5)?))
    };
    let parts = rows(connection, sql!("catalog_foreign_keys"), Some(table), read)?;
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    for ((id, parent, from, to), cascades) in parts {
        if keys.last().is_none_or(|(last, _)| *last != id) {
            let references = TableName { schema: String::new(), name: parent };
            keys.push((id, ForeignKey { columns: Vec::new(), references, referenced: Vec::new(), cascades }));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(from);
            key.referenced.extend(to);
        }
    }
    for (_, key) in &mut keys {
        resolve_parent(connection, key)?;
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// The foreign keys by which deleting a row of this table deletes rows that refer to it, each with its table.
pub(super) fn cascades_to(connection: &Connection, parent: &str) -> Result<Vec<(String, ForeignKey)>> {
    type Part = (String, i64, String, Option<String>);
    let read = |row: &Row<'_>| Ok::<Part, _>((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let parts = rows(connection, sql!("catalog_cascades"), Some(parent), read)?;
    let mut keys: Vec<((String, i64), ForeignKey)> = Vec::new();
    for (child, id, from, to) in parts {
        let place = (child, id);
        if keys.last().is_none_or(|(last, _)| *last != place) {
            let references = TableName { schema: String::new(), name: parent.to_owned() };
            keys.push((place, ForeignKey { columns: Vec::new(), references, referenced: Vec::new(), cascades: true }));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(from);
            key.referenced.extend(to);
        }
    }
    for (_, key) in &mut keys {
        resolve_parent(connection, key)?;
    }
    Ok(keys.into_iter().map(|((child, _), key)| (child, key)).collect())
}

/// The parent's name as its own catalog entry spells it, and its key where none was named.
fn resolve_parent(connection: &Connection, key: &mut ForeignKey) -> Result<()> {
    let Some(parent) = named(connection, &key.references.name)? else { return Ok(()) };
    key.references.name.clone_from(&parent.name);
    if key.referenced.is_empty() {
        let (columns, primary) = columns(connection, &parent)?;
        key.referenced = primary.iter().map(|i| columns[*i].name.clone()).collect();
    }
    Ok(())
}
