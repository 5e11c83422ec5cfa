//! The triggers of a tracked table, and of the tables whose cascades reach it.
//!
//! A trigger of a tracked table only writes keys, into typed columns, without a condition, a conversion or a handler: it
//! can't fail where the application's statement would not (A42). One on a parent also reads its children: where it can't,
//! it writes a mark instead, and the whole collection is compared.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{Reference, key_index, quoted, references, schema_of};
use super::connection::{Connection, Server, field_text};
use super::grants::Object;
use super::log::{Log, short_hash};
use super::present::{Procedure, RecordedTrigger};
use super::replaced::WRITER;
use super::value::logged;
use crate::error::Result;
use crate::model::{Column, Table};

const PROCEDURE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/mysql/procedure.sql"));
const TRIGGER: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/mysql/trigger.sql"));

/// Parents of parents are followed this far.
const DEPTH_MAX: usize = 8;

/// A trigger as it should be.
#[derive(Clone, Debug)]
pub(super) struct Trigger {
    pub(super) schema: String,
    /// The table it is on: the tracked one, or one whose cascades reach it.
    pub(super) table: String,
    /// The tracked table whose log it writes.
    pub(super) collection: String,
    /// `after insert`.
    pub(super) event: &'static str,
    pub(super) body: String,
    /// What it reads, by table: its definer needs these rights and no more.
    pub(super) reads: BTreeMap<(String, String), BTreeSet<String>>,
    /// The log it writes.
    pub(super) log: String,
    /// The hash in its name: of the tracked table, so that its triggers are found again.
    hash: String,
}

impl Trigger {
    pub(super) fn on(&self) -> Object {
        Object::Table(self.schema.clone(), self.table.clone())
    }

    /// The columns its definer must be able to read, by table.
    pub(super) fn reads(&self) -> impl Iterator<Item = (Object, Vec<String>)> {
        self.reads
            .iter()
            .map(|((schema, name), columns)| (Object::Table(schema.clone(), name.clone()), columns.iter().cloned().collect()))
    }

    /// What the names of all triggers for this collection begin with.
    pub(super) fn prefix(&self) -> String {
        format!("twinrow_{}_", self.hash)
    }

    /// A name that says which table it serves and which body it has; the `i`th of that body.
    pub(super) fn name(&self, i: usize) -> String {
        let letters: String = self.event.split(' ').filter_map(|word| word.chars().next()).collect();
        let again = if i == 1 { String::new() } else { format!("_{i}") };
        format!("{}{letters}_{}{again}", self.prefix(), short_hash(&format!("{}\0{}\0{}", self.schema, self.table, self.body)))
    }

    pub(super) fn create(&self, name: &str, definer: Option<&str>) -> String {
        let table = format!("{}.{}", quoted(&self.schema), quoted(&self.table));
        let named = format!("{}.{}", quoted(&self.schema), quoted(name));
        let sql = TRIGGER.replace("{definer}", definer.unwrap_or("current_user")).replace("{trigger}", &named);
        sql.replace("{event}", self.event).replace("{table}", &table).replace("{body}", &self.body).trim().to_owned()
    }
}

/// A trigger as it is.
#[derive(Clone, Debug)]
pub(super) struct Installed {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) table: String,
    event: String,
    body: String,
    /// `twinrow_capture_…@localhost`.
    pub(super) definer: String,
    /// Created under strict modes (A59), and not known to have lost its definer (A36).
    pub(super) sound: bool,
}

impl Installed {
    /// From a row of the catalog, its columns from `at` on.
    pub(super) fn read(row: &mysql_async::Row, at: usize) -> Result<Installed> {
        let text = |i| field_text(row, at + i);
        Ok(Installed {
            schema: text(0)?,
            name: text(1)?,
            table: text(2)?,
            event: text(3)?,
            // Run from a script, MySQL keeps the semicolon.
            body: text(4)?.trim().trim_end_matches(';').to_owned(),
            sound: text(5)?.contains("STRICT_ALL_TABLES"),
            definer: text(6)?,
        })
    }

    /// Whether it does what `trigger` should, under whatever name.
    pub(super) fn is(&self, trigger: &Trigger) -> bool {
        self.sound
            && (&self.schema, &self.table, &self.body) == (&trigger.schema, &trigger.table, &trigger.body)
            && self.event == trigger.event
    }
}

/// What is wrong with the triggers of one table. Those of an `older` version are as they should be if they are as
/// they were recorded.
pub(super) fn problems(
    table: &Table,
    older: bool,
    recorded: &[RecordedTrigger],
    installed: &[Installed],
    server: &Server,
) -> Vec<String> {
    let mut problems = Vec::new();
    let collection = table.name.to_string();
    for trigger in own(table, server).into_iter().filter(|_| !older) {
        if !installed.iter().any(|other| other.is(&trigger)) {
            let there = installed.iter().any(|other| other.name == trigger.name(1) && other.schema == trigger.schema);
            let how = if there { "is not as it was installed" } else { "is missing" };
            problems.push(format!("its trigger {} {how}", trigger.event));
        }
    }
    for old in recorded {
        let alive = |other: &Installed| (&other.schema, &other.name, &other.body) == (&old.schema, &old.name, &old.body);
        if old.collection == collection && !installed.iter().any(alive) {
            problems.push(format!("trigger {} is missing or altered", old.name));
        }
    }
    problems.truncate(1);
    problems
}

/// Whether a table has none of its triggers: a table takes them with it when it is dropped, and another may
/// stand under its name.
pub(super) fn all_gone(table: &Table, installed: &[Installed], server: &Server) -> bool {
    own(table, server).iter().all(|trigger| installed.iter().all(|other| !other.is(trigger)))
}

/// All triggers these tables need.
pub(super) async fn wanted(connection: &mut Connection, tables: &[Table]) -> Result<Vec<Trigger>> {
    let database = connection.server.database.clone();
    let mut schemas: BTreeSet<String> = tables.iter().map(|table| schema_of(&table.name, &database).to_owned()).collect();
    schemas.insert(database.clone());
    let mut all = Vec::new();
    for schema in schemas {
        all.extend(references(connection, &schema).await?);
    }
    let mut triggers = Vec::new();
    for table in tables {
        triggers.extend(own(table, &connection.server));
        let paths = paths(table, &all, &connection.server);
        if !paths.is_empty() {
            let child = Child { table, primary: key_index(connection, table).await? == "PRIMARY" };
            triggers.extend(cascades(&child, &paths, &connection.server));
        }
    }
    Ok(triggers)
}

/// The three triggers of a tracked table.
fn own(table: &Table, server: &Server) -> Vec<Trigger> {
    let database = &server.database;
    let log = Log::of(table, database);
    let columns: Vec<&Column> = table.key_columns().collect();
    let side = |row: &str| -> Vec<String> {
        columns.iter().map(|column| logged(column, &format!("{row}.{}", quoted(&column.name)))).collect()
    };
    let none = || vec!["null".to_owned(); columns.len()];
    let trigger = |event, op: char, old: Vec<String>, new: Vec<String>| {
        let body = if server.flavour.one_writer() {
            format!("call {}.{} ('{op}', {})", quoted(database), quoted(&log.name), [old, new].concat().join(", "))
        } else {
            let into = into(&log, database, columns.len(), &['o', 'n']);
            format!("insert into {into} values ('{op}', @twinrow_origin, {WRITER}, {})", [old, new].concat().join(", "))
        };
        Trigger { body, reads: reads_of(table, database), ..empty(table, database, event) }
    };
    vec![
        trigger("after insert", 'I', none(), side("new")),
        trigger("after update", 'U', side("old"), side("new")),
        trigger("after delete", 'D', side("old"), none()),
    ]
}

/// The procedure that writes a log, where the triggers must share one; `replace`: one that is there.
pub(super) fn procedure(log: &Log, database: &str, definer: Option<&str>, replace: bool) -> String {
    let name = format!("{}.{}", quoted(database), quoted(&log.name));
    let columns = log.typed_columns();
    let parameters = columns.iter().map(|(name, kind)| format!(", p_{name} {kind}"));
    let list = |prefix: &str| columns.iter().map(|(name, _)| format!("{prefix}{name}")).collect::<Vec<_>>().join(", ");
    let sql = PROCEDURE.replace("{create}", if replace { "create or replace" } else { "create" });
    let sql = sql.replace("{definer}", definer.unwrap_or("current_user")).replace("{procedure}", &name);
    let sql = sql.replace("{parameters}", &format!("p_op char(1){}", parameters.collect::<String>()));
    let sql = sql.replace("{log}", &name).replace("{columns}", &list("")).replace("{values}", &list("p_"));
    sql.replace("{writer}", WRITER).trim().to_owned()
}

/// Whether the procedure does what it should, as far as this user may see what it does.
pub(super) fn writes(log: &Log, database: &str, found: Option<&Procedure>) -> bool {
    let wanted = procedure(log, database, None, false);
    let wanted = wanted.split_once("modifies sql data").map_or("", |(_, body)| body.trim());
    let same = |body: &String| body.trim().trim_end_matches(';') == wanted;
    found.is_some_and(|procedure| procedure.sound && procedure.body.as_ref().is_none_or(same))
}

fn empty(table: &Table, database: &str, event: &'static str) -> Trigger {
    let schema = schema_of(&table.name, database).to_owned();
    let hash = short_hash(&format!("{schema}\0{}", table.name.name));
    let (name, collection, log) = (table.name.name.clone(), table.name.to_string(), Log::of(table, database).name);
    Trigger { schema, table: name, collection, event, body: String::new(), reads: BTreeMap::new(), log, hash }
}

fn reads_of(table: &Table, database: &str) -> BTreeMap<(String, String), BTreeSet<String>> {
    let name = (schema_of(&table.name, database).to_owned(), table.name.name.clone());
    BTreeMap::from([(name, table.key_columns().map(|column| column.name.clone()).collect())])
}

/// `` `db`.`log` (op, origin, writer, o1, n1) ``.
fn into(log: &Log, database: &str, width: usize, letters: &[char]) -> String {
    let columns: Vec<String> = letters.iter().flat_map(|letter| (1..=width).map(move |i| format!("{letter}{i}"))).collect();
    let columns = if columns.is_empty() { String::new() } else { format!(", {}", columns.join(", ")) };
    format!("{}.{} (op, origin, writer{columns})", quoted(database), quoted(&log.name))
}

/// Triggers on the tables whose cascades reach this one (A13).
///
/// InnoDB carries out CASCADE and SET NULL itself, and the child's triggers stay silent. So before the parent's row goes, a
/// trigger on the parent writes the keys of the rows that will go with it into their log: the parent's row is locked by
/// then, and what the statement undoes undoes the entries. The children are locked too, before the first of them is written down,
/// for an entry about a row gets its number while the row is locked, and so do those of whoever has it just now (rule 6). It costs the
/// parent's statement one look into the index that every foreign key has, and one at each child. Where the way down is a circle, or there are
/// several on which a new key comes further down than to the children, only a mark is written: compare the whole
/// collection. With `foreign_key_checks = 0` nothing cascades, and nothing is logged.
fn cascades(child: &Child<'_>, paths: &[(Vec<&Reference>, bool)], server: &Server) -> Vec<Trigger> {
    let moves = |parent: &(String, String)| {
        let from = |path: &[&Reference]| path.last().is_some_and(|top| top.parent == *parent) && gives_key(child.table, path);
        paths.iter().filter(|(path, _)| from(path)).count()
    };
    let mut triggers = Vec::new();
    for (path, circle) in paths {
        let several = path.len() > 1 && path.last().is_some_and(|top| moves(&top.parent) > 1);
        triggers.extend(on_delete(child, path, *circle, server));
        triggers.extend(on_update(child, path, *circle || several, server));
    }
    triggers.sort_by(|a, b| (&a.schema, &a.table, a.event, &a.body).cmp(&(&b.schema, &b.table, b.event, &b.body)));
    triggers.dedup_by(|a, b| (&a.schema, &a.table, a.event, &a.body) == (&b.schema, &b.table, b.event, &b.body));
    triggers
}

/// A tracked table that cascades reach.
struct Child<'a> {
    table: &'a Table,
    /// Its key is the primary key, by which InnoDB stores its rows.
    primary: bool,
}

impl Child<'_> {
    /// Its rows, as `t0` has them, once more by the key: the index of a foreign key often has all that is asked of `t0`, and then a
    /// share lock is on its entry alone, which whoever changes another column of the row does not touch.
    fn rows(&self, database: &str) -> String {
        let name = (schema_of(&self.table.name, database).to_owned(), self.table.name.name.clone());
        let index = if self.primary { " force index (primary)" } else { "" };
        let on: Vec<String> = self.table.key_columns().map(|column| quoted(&column.name)).collect();
        let on: Vec<String> = on.iter().map(|column| format!("k.{column} = t0.{column}")).collect();
        format!("straight_join {} as k{index} on {}", named(&name), on.join(" and "))
    }
}

/// The ways down to a table, lowest foreign key first, and whether each is a circle.
fn paths<'a>(table: &Table, all: &'a [Reference], server: &Server) -> Vec<(Vec<&'a Reference>, bool)> {
    let start = (schema_of(&table.name, &server.database).to_owned(), table.name.name.clone());
    let mut open: Vec<Vec<&Reference>> = all.iter().filter(|link| link.child == start).map(|link| vec![link]).collect();
    let mut paths = Vec::new();
    while let Some(path) = open.pop() {
        let Some(top) = path.last() else { continue };
        let circle = top.parent == start || path.iter().rev().skip(1).any(|link| link.parent == top.parent);
        if !circle && path.len() < DEPTH_MAX {
            let above = all.iter().filter(|link| link.child == top.parent);
            open.extend(above.map(|link| path.iter().copied().chain([link]).collect()));
        }
        paths.push((path, circle));
    }
    paths
}

/// A row of the last parent is deleted. Every link but the lowest must delete, the lowest may set NULL.
fn on_delete(child: &Child<'_>, path: &[&Reference], circle: bool, server: &Server) -> Option<Trigger> {
    let (lowest, above) = path.split_first()?;
    let reaches = Reference::changes(&lowest.on_delete) && above.iter().all(|link| link.on_delete == "CASCADE");
    if !reaches {
        return None;
    }
    let op = if lowest.on_delete == "CASCADE" { 'D' } else { 'U' };
    let condition = "@@foreign_key_checks = 1";
    Some(on_parent(child, path, "before delete", if circle { 'T' } else { op }, condition, server))
}

/// The referenced columns of the last parent get new values. `mark`: what that does to the keys, nobody can tell.
fn on_update(child: &Child<'_>, path: &[&Reference], mark: bool, server: &Server) -> Option<Trigger> {
    let top = path.last()?;
    if !hands_on(path) {
        return None;
    }
    // A new value goes further down only where a child's foreign key is itself referred to.
    let goes_on = path.windows(2).all(|pair| pair[0].referenced.iter().any(|column| pair[1].columns.contains(column)));
    if !goes_on {
        return None;
    }
    let changed: Vec<String> = top
        .referenced
        .iter()
        .map(|column| format!("not (cast(old.{0} as binary) <=> cast(new.{0} as binary))", quoted(column)))
        .collect();
    let condition = format!("@@foreign_key_checks = 1 and ({})", changed.join(" or "));
    let unknown = gives_key(child.table, path) && path.iter().any(|link| link.on_update != "CASCADE");
    let op = if mark || unknown { 'T' } else { 'U' };
    Some(on_parent(child, path, "before update", op, &condition, server))
}

/// Whether an update goes all the way down.
fn hands_on(path: &[&Reference]) -> bool {
    path.iter().all(|link| Reference::changes(&link.on_update))
}

/// Whether it can change keys of the tracked table.
fn gives_key(table: &Table, path: &[&Reference]) -> bool {
    hands_on(path) && table.key_columns().any(|column| handed_down(path, &column.name).is_some())
}

/// The column of the last parent whose new value this one of the tracked table takes.
fn handed_down<'a>(path: &[&'a Reference], column: &str) -> Option<&'a str> {
    let (lowest, above) = path.split_first()?;
    above.iter().try_fold(referenced(lowest, column)?, |name, link| referenced(link, name))
}

fn referenced<'a>(link: &'a Reference, column: &str) -> Option<&'a str> {
    let at = link.columns.iter().position(|name| name == column)?;
    link.referenced.get(at).map(String::as_str)
}

fn on_parent(child: &Child<'_>, path: &[&Reference], event: &'static str, op: char, condition: &str, server: &Server) -> Trigger {
    let table = child.table;
    let top = path[path.len() - 1];
    let columns: Vec<&Column> = table.key_columns().collect();
    let kept: Vec<String> = columns.iter().map(|column| logged(column, &format!("t0.{}", quoted(&column.name)))).collect();
    let moved = columns.iter().zip(&kept).map(|(column, kept)| {
        // A foreign key that is part of the key takes the parent's new value.
        let taken = handed_down(path, &column.name).filter(|_| event == "before update");
        taken.map_or_else(|| kept.clone(), |above| logged(column, &format!("new.{}", quoted(above))))
    });
    let none = vec!["null".to_owned(); columns.len()];
    let (old, new) = match op {
        'D' => (kept, none),
        'U' => (kept.clone(), moved.collect()),
        _ => (none.clone(), none),
    };
    // What may yet be skipped is a hint.
    let op = match op {
        'D' => 'C',
        'U' if old != new => 'M',
        op => op,
    };
    let database = &server.database;
    let (children, limit) = if op == 'T' { (String::new(), " limit 1") } else { (format!(" {}", child.rows(database)), "") };
    let rows = format!("from {}{children} where {condition} and {}{limit} lock in share mode", tables(path), joined(path));
    let log = Log::of(table, database);
    let body = if server.flavour.one_writer() {
        let values: Vec<String> = [old, new].concat();
        let nothing = ", null".repeat(values.len());
        let named: Vec<String> = values.iter().enumerate().map(|(i, value)| format!("{value} as c{i}")).collect();
        let given: Vec<String> = (0..values.len()).map(|i| format!("r.c{i}")).collect();
        let procedure = format!("{}.{}", quoted(database), quoted(&log.name));
        let mark = format!("if {condition} then call {procedure} ('T'{nothing}); end if");
        let each = given.join(", ");
        or_mark(&mark, &format!("for r in (select {} {rows}) do call {procedure} ('{op}', {each}); end for", named.join(", ")))
    } else {
        let mark = into(&log, database, 0, &[]);
        let mark = format!("insert into {mark} select 'T', @twinrow_origin, {WRITER} from dual where {condition}");
        let into = into(&log, database, columns.len(), &['o', 'n']);
        // Buffered: numbers are given out in blocks, and none may be before all rows are locked.
        let select = format!("select sql_buffer_result '{op}', @twinrow_origin, {WRITER}, {}", [old, new].concat().join(", "));
        or_mark(&mark, &format!("insert into {into} {select} {rows}"))
    };
    Trigger {
        schema: top.parent.0.clone(),
        table: top.parent.1.clone(),
        body,
        reads: reads_on(path, &columns),
        ..empty(table, database, event)
    }
}

/// What says that a child can't be read: it got another name or was dropped, with its schema (1146, 1049, 1100 under LOCK TABLES),
/// a column of it was (1054), or its primary key (1176), or the account may not read it any more where it is in another database (1142, 1143, 1044).
/// Nothing else is caught: after a deadlock there is no transaction to go on with.
const UNREADABLE: &str = "1146, 1049, 1100, 1054, 1176, 1142, 1143, 1044";

/// A statement of the application's never fails because a child is not what it was (I5): nobody knows then which rows went along, and the
/// mark says so.
fn or_mark(mark: &str, statement: &str) -> String {
    format!("begin declare exit handler for {UNREADABLE} {mark}; {statement}; end")
}

fn named(table: &(String, String)) -> String {
    format!("{}.{}", quoted(&table.0), quoted(&table.1))
}

/// The tracked table as `t0`, and every table between it and the parent.
fn tables(path: &[&Reference]) -> String {
    let between = path[..path.len() - 1].iter().enumerate();
    between.fold(format!("{} as t0", named(&path[0].child)), |all, (i, link)| {
        format!("{all} join {} as t{}", named(&link.parent), i + 1)
    })
}

/// Each foreign key of the way, the last one with the parent's old row.
fn joined(path: &[&Reference]) -> String {
    let mut on = Vec::new();
    for (i, link) in path.iter().enumerate() {
        let parent = if i + 1 == path.len() { "old".to_owned() } else { format!("t{}", i + 1) };
        for (column, referenced) in link.columns.iter().zip(&link.referenced) {
            on.push(format!("t{i}.{} = {parent}.{}", quoted(column), quoted(referenced)));
        }
    }
    on.join(" and ")
}

fn reads_on(path: &[&Reference], key: &[&Column]) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut reads: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    reads.entry(path[0].child.clone()).or_default().extend(key.iter().map(|column| column.name.clone()));
    for link in path {
        reads.entry(link.child.clone()).or_default().extend(link.columns.iter().cloned());
        reads.entry(link.parent.clone()).or_default().extend(link.referenced.iter().cloned());
    }
    reads
}
