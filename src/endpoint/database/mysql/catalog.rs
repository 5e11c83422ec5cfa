//! What tables there are, from `information_schema`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use mysql_async::{Row, Value as Wire};

use super::connection::{Connection, field_optional, field_text};
use super::value::{self, Declared};
use crate::endpoint::Born;
use crate::error::{Error, Kind as Failure, Result};
use crate::model::{Column, ForeignKey, KeySource, Table, TableName, hex};

/// So many tables are asked about in one statement.
const AT_ONCE: usize = 50;

/// The database a table is in: its own, or that of the connection.
pub(super) fn schema_of<'a>(name: &'a TableName, database: &'a str) -> &'a str {
    if name.schema.is_empty() { database } else { &name.schema }
}

/// A name quoted; a backtick in it is doubled.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A table quoted, with its database.
pub(super) fn qualified(name: &TableName, database: &str) -> String {
    format!("{}.{}", quoted(schema_of(name, database)), quoted(&name.name))
}

/// A foreign key with what it does to rows of the child, which no trigger of the child sees (A13).
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) child: (String, String),
    pub(super) columns: Vec<String>,
    pub(super) parent: (String, String),
    pub(super) referenced: Vec<String>,
    pub(super) on_delete: String,
    pub(super) on_update: String,
}

impl Reference {
    /// Whether a rule changes rows of the child.
    pub(super) fn changes(rule: &str) -> bool {
        matches!(rule, "CASCADE" | "SET NULL" | "SET DEFAULT")
    }
}

/// The named tables, or all of the connection's database.
pub(super) async fn describe(connection: &mut Connection, names: Option<&[TableName]>) -> Result<Vec<Table>> {
    connection.forget_indexes();
    let database = connection.server.database.clone();
    let Some(names) = names else {
        let tables = schema(connection, &database, None).await?;
        return Ok(tables.into_values().filter(|table| !table.name.name.starts_with("twinrow_")).collect());
    };
    let mut schemas: BTreeMap<&str, Vec<&TableName>> = BTreeMap::new();
    for name in names {
        schemas.entry(schema_of(name, &database)).or_default().push(name);
    }
    let mut found = HashMap::new();
    for (at, asked) in schemas {
        let only: HashSet<&str> = asked.iter().map(|name| name.name.as_str()).collect();
        let mut tables = schema(connection, at, Some(&only)).await?;
        for name in asked {
            match tables.remove(&name.name) {
                Some(table) => found.insert(name.clone(), Table { name: name.clone(), ..table }),
                None => return Err(missing(connection, at, name).await),
            };
        }
    }
    Ok(names.iter().filter_map(|name| found.get(name).cloned()).collect())
}

/// See [`Endpoint::born`](crate::endpoint::Endpoint). Columns have no numbers here.
pub(super) async fn born(connection: &mut Connection, tables: &[TableName]) -> Result<Vec<Vec<Born>>> {
    let database = connection.server.database.clone();
    let mut born: Vec<BTreeMap<u64, Born>> = vec![BTreeMap::new(); tables.len()];
    // (Each is named by itself: MariaDB looks into one table if it is told which, and else into every one.)
    for (at, some) in tables.chunks(AT_ONCE).enumerate() {
        let sql = vec![sql!("catalog_born").trim_end(); some.len()].join("\nunion all\n");
        let places = (at * AT_ONCE..).zip(some);
        let params = places.flat_map(|(place, name)| [place.to_string(), schema_of(name, &database).into(), name.name.clone()]);
        for row in connection.rows(&sql, params.map(Wire::from).collect()).await? {
            let place: usize = field_text(&row, 0)?.parse().unwrap_or(usize::MAX);
            let number = field_text(&row, 1)?.parse().unwrap_or(u64::MAX);
            let words = (3..6).map(|at| field_optional(&row, at).map(Option::unwrap_or_default)).collect::<Result<Vec<_>>>()?;
            let column = Born::new(field_text(&row, 2)?, None, &words.join(" "));
            born.get_mut(place).map(|columns| columns.insert(number, column));
        }
    }
    Ok(born.into_iter().map(|columns| columns.into_values().collect()).collect())
}

async fn missing(connection: &mut Connection, schema: &str, name: &TableName) -> Error {
    let error = Error::new(Failure::Schema, format!("there is no table {name}"));
    let sql = sql!("catalog_names");
    let Ok(rows) = connection.rows(sql, vec![schema.into()]).await else { return error };
    let others = rows.iter().filter_map(|row| field_text(row, 0).ok());
    let nearest = others.map(|other| (strsim::damerau_levenshtein(&other, &name.name), other)).min();
    match nearest {
        Some((distance, other)) if distance <= 1 + name.name.len() / 3 => error.hint(format!("did you mean {other}?")),
        _ => error,
    }
}

async fn schema(connection: &mut Connection, schema: &str, only: Option<&HashSet<&str>>) -> Result<BTreeMap<String, Table>> {
    let database = connection.server.database.clone();
    let wanted = |name: &str| only.is_none_or(|only| only.contains(name));
    let json = json_columns(connection, schema).await?;
    let mut tables = BTreeMap::new();
    let sql = sql!("catalog_tables");
    for row in connection.rows(sql, vec![schema.into()]).await? {
        let name = field_text(&row, 0)?;
        if wanted(&name) {
            tables.insert(name.clone(), empty_table(&row, name, schema, &database)?);
        }
    }
    let sql = sql!("catalog_columns");
    let mut facts: HashMap<String, Vec<Facts>> = HashMap::new();
    for row in connection.rows(sql, vec![schema.into()]).await? {
        let name = field_text(&row, 0)?;
        if let Some(table) = tables.get_mut(&name) {
            let (column, fact) = column(&row, &json)?;
            table.columns.push(column);
            facts.entry(name).or_default().push(fact);
        }
    }
    for (name, unique) in uniques(connection, schema).await? {
        if let Some(table) = tables.get_mut(&name) {
            add_unique(table, unique);
        }
    }
    let assigned = assigned_by_trigger(connection, schema).await?;
    let references = references(connection, schema).await?;
    for (name, table) in &mut tables {
        settle(table, facts.get(name).map_or(&[], Vec::as_slice), &assigned);
    }
    for reference in references {
        if let Some(table) = tables.get_mut(&reference.child.1) {
            add_reference(table, reference, &database);
        }
    }
    let cascade_triggers = connection.server.flavour.cascade_triggers();
    tables.values_mut().for_each(|table| blind_spots(table, cascade_triggers));
    Ok(tables)
}

/// What of a column only decides who assigns the key.
struct Facts {
    auto_increment: bool,
    default_expression: bool,
}

fn empty_table(row: &Row, name: String, schema: &str, database: &str) -> Result<Table> {
    let engine = field_optional(row, 2)?.unwrap_or_default();
    let refused = if field_text(row, 1)?.contains("VIEW") {
        Some("it is a view: sync the tables it reads".to_owned())
    } else if engine != "InnoDB" {
        // A log row and its change must commit together (A49).
        Some(format!("its engine is {engine}, which has no transactions: alter table {} engine = InnoDB", quoted(&name)))
    } else {
        None
    };
    let mut blind_spots = Vec::new();
    if field_optional(row, 3)?.is_some_and(|options| options.contains("partitioned")) {
        blind_spots.push("ALTER TABLE ... DROP, TRUNCATE or EXCHANGE PARTITION fires no trigger".to_owned());
    }
    let schema = if schema == database { String::new() } else { schema.to_owned() };
    Ok(Table {
        name: TableName { schema, name },
        columns: Vec::new(),
        key: Vec::new(),
        key_source: KeySource::Given,
        uniques: Vec::new(),
        foreign_keys: Vec::new(),
        blind_spots,
        refused,
    })
}

fn column(row: &Row, json: &BTreeSet<(String, String)>) -> Result<(Column, Facts)> {
    let (table, name) = (field_text(row, 0)?, field_text(row, 1)?);
    let (base, full, extra) = (field_text(row, 2)?, field_text(row, 3)?, field_text(row, 6)?.to_uppercase());
    let default = field_optional(row, 5)?;
    let number = |at| Ok(field_optional(row, at)?.and_then(|text| text.parse::<u64>().ok()));
    let small = |at| Ok::<_, Error>(number(at)?.and_then(|value: u64| u32::try_from(value).ok()));
    let charset = field_optional(row, 11)?;
    let declared = Declared {
        base: &base,
        full: &full,
        length: number(7)?,
        precision: small(8)?,
        scale: small(9)?,
        digits: small(10)?.unwrap_or(0).min(6) as u8,
        charset: charset.as_deref(),
        json: json.contains(&(table, name.clone())),
    };
    let kind = value::kind(&declared);
    let native = match (&charset, field_optional(row, 12)?) {
        (Some(charset), Some(collation)) => format!("{full} character set {charset} collate {collation}"),
        _ => full.clone(),
    };
    let nullable = field_text(row, 4)? == "YES";
    let auto_increment = extra.contains("AUTO_INCREMENT");
    let default_expression = extra.contains("DEFAULT_GENERATED") || default.as_deref().is_some_and(|text| text.ends_with("()"));
    let column = Column {
        name,
        kind,
        native,
        nullable,
        computed: extra.contains("VIRTUAL GENERATED") || extra.contains("STORED GENERATED") || extra.contains("PERSISTENT"),
        has_default: nullable || auto_increment || default.is_some() || default_expression,
        numbered: auto_increment,
    };
    Ok((column, Facts { auto_increment, default_expression }))
}

/// MariaDB's JSON columns: a text with a check.
async fn json_columns(connection: &mut Connection, schema: &str) -> Result<BTreeSet<(String, String)>> {
    let mut columns = BTreeSet::new();
    if !connection.server.flavour.mariadb {
        return Ok(columns);
    }
    let sql = sql!("catalog_json_mariadb");
    for row in connection.rows(sql, vec![schema.into()]).await? {
        let clause = field_text(&row, 1)?;
        if let Some(name) = clause.strip_prefix("json_valid(`").and_then(|rest| rest.strip_suffix("`)")) {
            columns.insert((field_text(&row, 0)?, name.replace("``", "`")));
        }
    }
    Ok(columns)
}

struct Unique {
    primary: bool,
    columns: Vec<String>,
    nullable: bool,
    whole: bool,
}

/// The name of the index that holds the table's key.
pub(super) async fn key_index(connection: &mut Connection, table: &Table) -> Result<String> {
    let sql = sql!("catalog_key_index");
    let database = connection.server.database.clone();
    let params = vec![schema_of(&table.name, &database).into(), table.name.name.as_str().into()];
    let columns: Vec<String> = table.key_columns().map(|column| hex(column.name.as_bytes()).to_uppercase()).collect();
    for row in connection.rows(sql, params).await? {
        if field_text(&row, 1)? == columns.join(",") {
            return field_text(&row, 0);
        }
    }
    Err(Error::new(Failure::Schema, format!("the key of {} has no index any more", table.name)).hint("twinrow check"))
}

async fn uniques(connection: &mut Connection, schema: &str) -> Result<Vec<(String, Unique)>> {
    let sql = sql!("catalog_uniques");
    let mut all: Vec<(String, String, Unique)> = Vec::new();
    for row in connection.rows(sql, vec![schema.into()]).await? {
        let (table, index) = (field_text(&row, 0)?, field_text(&row, 1)?);
        if all.last().is_none_or(|(last, name, _)| (last, name) != (&table, &index)) {
            let unique = Unique { primary: index == "PRIMARY", columns: Vec::new(), nullable: false, whole: true };
            all.push((table, index, unique));
        }
        let Some((_, _, unique)) = all.last_mut() else { continue };
        unique.nullable |= field_text(&row, 3)? == "YES";
        unique.whole &= field_optional(&row, 4)?.is_none();
        match field_optional(&row, 2)? {
            Some(column) => unique.columns.push(column),
            // An index on an expression.
            None => unique.whole = false,
        }
    }
    Ok(all.into_iter().map(|(table, _, unique)| (table, unique)).collect())
}

fn add_unique(table: &mut Table, unique: Unique) {
    let columns: Option<Vec<usize>> = unique.columns.iter().map(|name| table.column(name)).collect();
    let Some(columns) = columns.filter(|_| unique.whole) else { return };
    if table.key.is_empty() && (unique.primary || !unique.nullable) {
        table.key = columns;
    } else {
        table.uniques.push(columns);
    }
}

/// Bodies of BEFORE INSERT triggers, as far as the user may see them.
async fn assigned_by_trigger(connection: &mut Connection, schema: &str) -> Result<Vec<(String, String)>> {
    let sql = sql!("catalog_key_triggers");
    let rows = connection.rows(sql, vec![schema.into()]).await?;
    rows.iter().map(|row| Ok((field_text(row, 0)?, field_text(row, 1)?))).collect()
}

/// Who assigns the key, and whether there is one.
fn settle(table: &mut Table, facts: &[Facts], triggers: &[(String, String)]) {
    if table.key.is_empty() && table.refused.is_none() {
        table.refused = Some("it has no primary key and no unique key without NULLs: add one".into());
    }
    let any = |test: fn(&Facts) -> bool| table.key.iter().any(|at| facts.get(*at).is_some_and(test));
    let counted = any(|fact| fact.auto_increment);
    let stamped = |at: &usize| {
        let name = table.columns[*at].name.to_lowercase();
        let names = |body: &str| body.contains(&format!("new.{name}")) || body.contains(&format!("new.`{name}`"));
        triggers.iter().any(|(of, body)| *of == table.name.name && names(body))
    };
    let by_trigger: Vec<usize> = table.key.iter().copied().filter(stamped).collect();
    for at in &by_trigger {
        table.columns[*at].has_default = true;
        table.columns[*at].numbered |= !counted;
    }
    table.key_source = if counted {
        KeySource::Generated
    } else if !by_trigger.is_empty() {
        KeySource::Trigger
    } else if any(|fact| fact.default_expression) {
        KeySource::Default
    } else {
        KeySource::Given
    };
}

/// The foreign keys whose child is in `schema`.
pub(super) async fn references(connection: &mut Connection, schema: &str) -> Result<Vec<Reference>> {
    let sql = sql!("catalog_foreign_keys");
    let mut all: Vec<(String, Reference)> = Vec::new();
    for row in connection.rows(sql, vec![Wire::from(schema)]).await? {
        let (table, constraint) = (field_text(&row, 0)?, field_text(&row, 1)?);
        if all.last().is_none_or(|(name, last)| (name, &last.child.1) != (&constraint, &table)) {
            let reference = Reference {
                child: (schema.to_owned(), table),
                columns: Vec::new(),
                parent: (field_text(&row, 3)?, field_text(&row, 4)?),
                referenced: Vec::new(),
                on_delete: field_text(&row, 6)?,
                on_update: field_text(&row, 7)?,
            };
            all.push((constraint, reference));
        }
        if let Some((_, reference)) = all.last_mut() {
            reference.columns.push(field_text(&row, 2)?);
            reference.referenced.push(field_text(&row, 5)?);
        }
    }
    Ok(all.into_iter().map(|(_, reference)| reference).collect())
}

fn add_reference(table: &mut Table, reference: Reference, database: &str) {
    let (schema, name) = reference.parent;
    let schema = if schema == database { String::new() } else { schema };
    table.foreign_keys.push(ForeignKey {
        columns: reference.columns,
        references: TableName { schema, name },
        referenced: reference.referenced,
        cascades: Reference::changes(&reference.on_delete) || Reference::changes(&reference.on_update),
    });
}

fn blind_spots(table: &mut Table, cascade_triggers: bool) {
    let parents = table.foreign_keys.iter().filter(|key| key.cascades).map(|key| key.references.to_string());
    let parents: Vec<String> = parents.collect();
    if !parents.is_empty() {
        let also = if cascade_triggers { ", whatever enable_cascade_triggers says" } else { "" };
        table.blind_spots.push(format!(
            "cascades from {} fire no trigger here: triggers on the parent log the rows they reach{also}",
            parents.join(", ")
        ));
    }
    table.blind_spots.push("TRUNCATE fires no trigger: it is noticed by the table's number and counter".to_owned());
}
