//! What we install in a file: our own tables, and for each tracked table a log and five triggers.

use std::collections::{BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::Sqlite;
use super::catalog::{self, Shape, quoted};
use super::log::Log;
use super::rows::column;
use super::session::{Writer, fault};
use crate::endpoint::database::migrations::{Part, refuse_newer};
use crate::endpoint::database::name_hash;
use crate::endpoint::{Finding, Tracking};
use crate::error::{Context as _, Error, Kind, Result};
use crate::model::{Position, Table, TableName};

macro_rules! migration {
    ($name:literal) => {
        include_str!(concat!("../../../../migrations/sqlite/", $name, ".sql"))
    };
}

/// Of the triggers and logs: an older one is replaced, a newer one not ours to touch (F15).
const VERSION: i64 = 4;

/// The migrations of our own tables, oldest first. What was released is never changed: a change is a
/// further one.
const ENDPOINT: [&str; 3] = [migration!("endpoint_1"), migration!("endpoint_2"), migration!("endpoint_3")];
const STATE: [&str; 4] = [migration!("state_1"), migration!("state_2"), migration!("state_3"), migration!("state_4")];
const LOG: &str = migration!("log");
const TRIGGERS: &str = migration!("triggers");
const PROBE: &str = migration!("probe");

/// The names of a table's log and triggers.
pub struct Names {
    /// The log.
    pub log: String,
    hash: String,
}

/// The names of this table's log and triggers (A57).
pub fn tracking_names(table: &TableName) -> Names {
    let hash = name_hash(table);
    Names { log: format!("twinrow_log_{hash}"), hash }
}

impl Names {
    /// A trigger's name by the moment it fires: `bi`, `bu`, `ai`, `au`, `ad`.
    pub fn trigger(&self, moment: &str) -> String {
        format!("{}_{moment}", self.trigger_prefix())
    }

    fn trigger_prefix(&self) -> String {
        format!("twinrow_{}", self.hash)
    }

    /// The log's columns for the parts of the old and the new key.
    pub(super) fn parts(&self, parts: usize) -> String {
        format!("{}, {}", numbered("o", parts), numbered("n", parts))
    }
}

fn numbered(letter: &str, parts: usize) -> String {
    (1..=parts).map(|n| format!("{letter}{n}")).collect::<Vec<_>>().join(", ")
}

/// What should stand in the catalog for one table: the log's script, and each trigger by name.
struct Wanted {
    names: Names,
    log: String,
    triggers: Vec<(String, String)>,
}

impl Wanted {
    fn of(shape: &Shape) -> Wanted {
        let (table, names) = (&shape.table, tracking_names(&shape.table.name));
        let parts = table.key.len();
        let keys = |row: &str| table.key_columns().map(|c| format!("{row}.{}", quoted(&c.name))).collect::<Vec<_>>().join(", ");
        let mut words = vec![
            ("trigger", names.trigger_prefix()),
            ("log", names.log.clone()),
            ("name", literal(&table.name.name)),
            ("table", quoted(&table.name.name)),
            ("parts", names.parts(parts)),
            ("olds", numbered("o", parts)),
            ("news", numbered("n", parts)),
            ("key", keys("t")),
            ("old", keys("old")),
            ("new", keys("new")),
        ];
        let probes = |update: bool| {
            let one = |unique: &Vec<catalog::Part>| {
                // Which row is about to take the place: where it is a new one, under the key it asks for.
                let by = keys(if update { "old" } else { "new" });
                let taken = [words.as_slice(), &[("by", by), ("taken", taken(shape, unique, update))]].concat();
                filled(&code(PROBE), &taken)
            };
            shape.uniques.iter().map(one).collect::<Vec<_>>().join("; ")
        };
        let (insert, update) = (probes(false), probes(true));
        words.extend([("insert_probes", insert), ("update_probes", update), ("of", of(shape))]);
        let trigger = |line: &str| {
            let sql = filled(line.trim_end_matches(';'), &words);
            let name = sql.split_whitespace().nth(2).unwrap_or_default().to_owned();
            (name, sql)
        };
        let triggers = TRIGGERS.lines().filter(|line| line.starts_with("create ")).map(trigger).collect();
        Wanted { log: filled(&code(LOG), &words), triggers, names }
    }

    fn log_table(&self) -> &str {
        self.log.lines().find(|line| line.starts_with("create ")).unwrap_or_default().trim_end_matches(';')
    }
}

/// The condition under which a row `t` is in the way of the new one by this unique key. Compared as
/// the key compares. For an update, the row itself is not.
fn taken(shape: &Shape, unique: &[catalog::Part], update: bool) -> String {
    let table = &shape.table;
    let equal = |part: &catalog::Part| {
        let name = &table.columns[part.column].name;
        format!("{} = new.{} collate {}", column(table, part.column), quoted(name), part.collation)
    };
    let mut condition = unique.iter().map(equal).collect::<Vec<_>>().join(" and ");
    if update {
        let same = |(i, collation): (&usize, &String)| {
            format!("{} is old.{} collate {collation}", column(table, *i), quoted(&table.columns[*i].name))
        };
        let itself = table.key.iter().zip(&shape.collations).map(same).collect::<Vec<_>>().join(" and ");
        condition = format!("{condition} and not ({itself})");
    }
    condition
}

/// Which updates may put a row in another's place: ` of …`, those that name a column of a unique key. Of a computed column none
/// names it, so there it is all of them.
fn of(shape: &Shape) -> String {
    let columns = &shape.table.columns;
    let used: BTreeSet<usize> = shape.uniques.iter().flatten().map(|part| part.column).collect();
    if used.iter().any(|column| columns[*column].computed) {
        return String::new();
    }
    let mut names: Vec<String> = used.iter().map(|column| quoted(&columns[*column].name)).collect();
    if used.iter().any(|column| columns[*column].numbered) {
        // The other names of such a key.
        names.extend(["rowid", "_rowid_", "oid"].map(str::to_owned));
    }
    format!(" of {}", names.join(", "))
}

/// A template with `{word}`s filled in, in one pass: what is filled in may hold braces itself.
fn filled(template: &str, words: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(template.len() * 2);
    for part in template.split('{') {
        match part.split_once('}').map(|(word, rest)| (words.iter().find(|(name, _)| *name == word), rest)) {
            Some((Some((_, value)), rest)) => out.extend([value.as_str(), rest]),
            _ => out.push_str(part),
        }
    }
    out
}

/// A template without its comments.
fn code(template: &str) -> String {
    let lines: Vec<&str> = template.lines().filter(|line| !line.starts_with("--")).collect();
    lines.join("\n")
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// One transaction of an installation.
struct Step {
    /// The table it is about; none: our own tables.
    table: Option<Table>,
    did: Vec<String>,
    sql: String,
}

/// The schema as the file holds it: each object's type and text by its name.
fn catalog_of(connection: &Connection) -> Result<HashMap<String, (String, String)>> {
    let mut statement =
        connection.prepare_cached("select name, type, coalesce(sql, '') from main.sqlite_master").map_err(fault)?;
    let objects = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).map_err(fault)?;
    objects.collect::<rusqlite::Result<_>>().map_err(fault)
}

/// The names of the triggers on a table.
fn triggers_on(connection: &Connection, table: &TableName) -> Result<HashSet<String>> {
    let sql = "select name from main.sqlite_master where type = 'trigger' and tbl_name = ?1 collate nocase";
    let mut statement = connection.prepare_cached(sql).map_err(fault)?;
    let names = statement.query_map([&table.name], |row| row.get(0)).map_err(fault)?;
    names.collect::<rusqlite::Result<_>>().map_err(fault)
}

/// Whether the catalog holds what `wanted` creates. SQLite writes the first words its own way.
fn holds(catalog: &HashMap<String, (String, String)>, name: &str, wanted: &str) -> bool {
    let body = |sql: &str| sql.splitn(3, ' ').nth(2).map(str::to_owned);
    catalog.get(name).is_some_and(|(_, sql)| body(sql) == body(wanted))
}

fn plan(connection: &Connection, tables: &[Table], home: bool) -> Result<Vec<Step>> {
    let catalog = catalog_of(connection)?;
    let mut steps: Vec<Step> = own_tables(&parts(connection, &catalog, home)?, &catalog).into_iter().collect();
    let versions = versions(connection, &catalog)?;
    for table in tables {
        let shape = catalog::shape(connection, &table.name)?
            .ok_or_else(|| Error::new(Kind::Schema, format!("there is no table {}", table.name)))?;
        if let Some(reason) = &shape.table.refused {
            return Err(Error::new(Kind::Schema, format!("{} can't be tracked: {reason}", table.name)));
        }
        steps.extend(plan_table(connection, &shape, &catalog, &versions)?);
    }
    Ok(steps)
}

fn plan_table(
    connection: &Connection,
    shape: &Shape,
    catalog: &HashMap<String, (String, String)>,
    versions: &HashMap<String, i64>,
) -> Result<Option<Step>> {
    let (table, wanted) = (&shape.table, Wanted::of(shape));
    let version = versions.get(&table.name.name);
    let log = version.is_some()
        && holds(catalog, &wanted.names.log, wanted.log_table())
        && Log::of(connection, &table.name).map(|_| true).or_else(|error| match error.kind() {
            Kind::Tracking => Ok(false),
            _ => Err(error),
        })?;
    let triggers = wanted.triggers.iter().all(|(name, sql)| holds(catalog, name, sql));
    if log && triggers && version == Some(&VERSION) {
        return Ok(None);
    }
    let mut sql: String = wanted.triggers.iter().map(|(name, _)| format!("drop trigger if exists {name};\n")).collect();
    let mut did = Vec::new();
    // What is repaired may have missed changes: the log says so to everyone who reads it.
    let gap = log && !triggers && version == Some(&VERSION);
    if !log {
        did.push(format!("made the change log of {}", table.name));
        sql.push_str(&wanted.log);
        sql.push('\n');
    }
    did.push(format!("made the triggers on {}", table.name));
    wanted.triggers.iter().for_each(|(_, trigger)| sql.push_str(&format!("{trigger};\n")));
    if gap {
        sql.push_str(&format!("insert into {} (op) values ('T');\n", wanted.names.log));
    }
    sql.push_str(&format!("update twinrow_collection set version = {VERSION} where name = {};\n", literal(&table.name.name)));
    Ok(Some(Step { table: Some(table.clone()), did, sql }))
}

/// The two parts of our own tables, with their migrations and how many of those this file has had.
fn parts(connection: &Connection, catalog: &HashMap<String, (String, String)>, home: bool) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let all: [(&str, &str, &'static [&'static str]); 2] =
        [("endpoint", "twinrow_fence", &ENDPOINT), ("state", "twinrow_pair", &STATE)];
    for (name, table, migrations) in all {
        let mut recorded = None;
        if catalog.contains_key("twinrow_version") {
            let mut statement = connection.prepare_cached(sql!("version_read")).map_err(fault)?;
            recorded = statement.query_row([name], |row| row.get(0)).optional().map_err(fault)?;
        }
        parts.push(Part::found(name, migrations, recorded, catalog.contains_key(table))?);
    }
    parts.truncate(1 + usize::from(home));
    Ok(parts)
}

/// What is missing of our own tables.
fn own_tables(parts: &[Part], catalog: &HashMap<String, (String, String)>) -> Option<Step> {
    let mut step = Step { table: None, did: Vec::new(), sql: String::new() };
    for part in parts {
        for (did, sql) in part.migrations.iter().flat_map(|script| missing(script, catalog)) {
            step.did.push(did);
            step.sql.push_str(&sql);
        }
        let now = part.current();
        if !part.settled() || !step.sql.is_empty() {
            step.sql
                .push_str(&format!("insert or replace into twinrow_version (part, version) values ('{}', {now});\n", part.name));
        }
    }
    (!step.sql.is_empty()).then_some(step)
}

/// The statements of a script whose table, index or column is not there, with what each does.
fn missing(script: &str, catalog: &HashMap<String, (String, String)>) -> Vec<(String, String)> {
    let needed = |statement: &str| {
        let words: Vec<&str> = statement.split_whitespace().collect();
        let did = match words[..] {
            ["alter", "table", table, "add", "column", column, ..] => {
                // SQLite writes an added column into the text of its table.
                let there = catalog.get(table).is_some_and(|(_, made)| made.contains(&format!(" {column} ")));
                (!there).then(|| format!("added column {column} to {table}"))?
            }
            _ => {
                let name = statement.split_once("if not exists ")?.1.split_whitespace().next()?;
                (!catalog.contains_key(name)).then(|| format!("created {name}"))?
            }
        };
        Some((did, format!("{};\n", statement.trim())))
    };
    code(script).split(';').filter_map(needed).collect()
}

fn versions(connection: &Connection, catalog: &HashMap<String, (String, String)>) -> Result<HashMap<String, i64>> {
    if !catalog.contains_key("twinrow_collection") {
        return Ok(HashMap::new());
    }
    let mut statement = connection.prepare_cached(sql!("collection_list")).map_err(fault)?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(fault)?;
    let found: HashMap<String, i64> = found.collect::<rusqlite::Result<_>>().map_err(fault)?;
    found.values().try_for_each(|version| refuse_newer(*version, VERSION))?;
    Ok(found)
}

/// What is not as it should be with these tables.
fn findings(connection: &Connection, tables: &[TableName]) -> Result<Vec<Finding>> {
    let catalog = catalog_of(connection)?;
    let versions = versions(connection, &catalog)?;
    let mut findings = Vec::new();
    for table in tables {
        let shape = catalog::shape(connection, table)?;
        let wanted = shape.as_ref().map(Wanted::of);
        // A table takes its triggers with it, dropped or renamed.
        let version = versions.get(&table.name);
        let there = triggers_on(connection, table)?;
        let replaced = match (&shape, &wanted) {
            // Uninstalled, which says nothing of the table.
            (Some(shape), _) if version.is_none() => shape.table.key_source.reuses(),
            (_, Some(wanted)) => wanted.triggers.iter().all(|(name, _)| !there.contains(name)),
            _ => true,
        };
        let mut found = |problem: String, gap| findings.push(Finding { table: table.clone(), problem, gap, replaced });
        let Some(wanted) = wanted else {
            found("the table is gone".to_owned(), true);
            continue;
        };
        match version {
            None => {
                found("the table is not tracked".to_owned(), true);
                continue;
            }
            Some(&VERSION) => {}
            Some(_) => found("its tracking is of an older version".to_owned(), false),
        }
        if !holds(&catalog, &wanted.names.log, wanted.log_table()) {
            found(format!("its change log {} is gone or has another key", wanted.names.log), true);
        } else if let Err(error) = Log::of(connection, table) {
            found(error.message().to_owned(), true);
        }
        for (name, sql) in &wanted.triggers {
            if !catalog.contains_key(name) {
                found(format!("trigger {name} is gone"), true);
            } else if !holds(&catalog, name, sql) {
                found(format!("trigger {name} is not as it was made, or the table's keys have changed"), true);
            }
        }
    }
    Ok(findings)
}

impl Sqlite {
    /// Runs an installation; returns what it did.
    async fn run(&self, steps: Vec<Step>, home: bool) -> Result<Vec<String>> {
        let mut did = Vec::new();
        for step in steps {
            // Milliseconds each: the application waits no longer than for any other writer (A33).
            did.extend(self.step(step, home).await.context("install")?);
        }
        Ok(did)
    }

    /// Planned anew once it is our turn to write: another process may have done the same meanwhile (A32).
    async fn step(&self, step: Step, home: bool) -> Result<Vec<String>> {
        let mut writer = Writer::unfenced(&self.pool).await?;
        let work = move |connection: &Connection| {
            let mut did = Vec::new();
            for step in plan(connection, step.table.as_slice(), home)? {
                connection.execute_batch(&step.sql).map_err(fault)?;
                did.extend(step.did);
            }
            Ok(did)
        };
        let did = writer.run(work).await?;
        writer.commit().await?;
        Ok(did)
    }
}

/// What was done stays done; the rest is done by the same command.
fn again(error: Error) -> Error {
    if error.kind() == Kind::Retry { error.hint("twinrow install") } else { error }
}

#[async_trait]
impl Tracking for Sqlite {
    async fn script(&self, tables: &[Table], home: bool) -> Result<String> {
        let tables = tables.to_vec();
        let steps = self.pool.connect().await?.read(move |connection| plan(connection, &tables, home)).await?;
        let transaction = |step: &Step| format!("begin immediate;\n{}commit;\n", step.sql);
        Ok(steps.iter().map(transaction).collect::<Vec<_>>().join("\n"))
    }

    async fn upgrade(&self, home: bool) -> Result<Vec<String>> {
        let outdated = move |connection: &Connection| {
            let catalog = catalog_of(connection)?;
            let parts = parts(connection, &catalog, home)?;
            Ok(if parts.iter().any(Part::outdated) { own_tables(&parts, &catalog) } else { None })
        };
        let step = self.pool.connect().await?.read(outdated).await?;
        self.run(step.into_iter().collect(), home).await
    }

    async fn install(&self, tables: &[Table], home: bool) -> Result<Vec<String>> {
        let tables = tables.to_vec();
        let steps = self.pool.connect().await?.read(move |connection| plan(connection, &tables, home)).await?;
        self.run(steps, home).await.map_err(again)
    }

    async fn inspect(&self, tables: &[Table]) -> Result<Vec<Finding>> {
        let tables: Vec<TableName> = tables.iter().map(|table| table.name.clone()).collect();
        let known = self.inspected();
        let read = move |connection: &Connection| {
            // One page: any change of any definition counts it up.
            let version: i64 = connection.query_row("pragma main.schema_version", [], |row| row.get(0)).map_err(fault)?;
            match known {
                Some(known) if known.version == version && known.tables == tables => Ok(known),
                _ => Ok(Inspected { findings: findings(connection, &tables)?, version, tables }),
            }
        };
        let inspected = self.pool.connect().await?.read(read).await?;
        let findings = inspected.findings.clone();
        // What is found wrong may be repaired without a change of definition.
        self.set_inspected(findings.is_empty().then_some(inspected));
        Ok(findings)
    }

    async fn uninstall(&self, integration: Option<&str>, tables: &[TableName]) -> Result<Vec<String>> {
        let (integration, tables) = (integration.map(str::to_owned), tables.to_vec());
        let mut writer = Writer::unfenced(&self.pool).await?;
        let remove = move |connection: &Connection| match integration {
            None => remove_all(connection),
            Some(integration) => remove_consumer(connection, &integration, &tables),
        };
        let removed = writer.run(remove).await.context("uninstall")?;
        writer.commit().await?;
        Ok(removed)
    }

    async fn register(&self, integration: &str, tables: &[Table]) -> Result<Vec<Position>> {
        let (integration, tables) = (integration.to_owned(), tables.to_vec());
        let mut writer = Writer::unfenced(&self.pool).await?;
        let register = move |connection: &Connection| {
            let one = |table: &Table| {
                let log = Log::of(connection, &table.name)?;
                let name = &table.name.name;
                connection.execute(sql!("consumer_register"), params![name, integration, log.end]).map_err(fault)?;
                let place = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
                let seq = connection.query_row(sql!("consumer_read"), params![name, integration], place).map_err(fault)?;
                Ok(log.position(seq))
            };
            tables.iter().map(one).collect::<Result<Vec<Position>>>()
        };
        let positions = writer.run(register).await.context("register")?;
        writer.commit().await?;
        Ok(positions)
    }

    async fn renew(&self, integration: &str, cursors: &[(Table, Position)]) -> Result<Vec<Option<Position>>> {
        let (integration, cursors) = (integration.to_owned(), cursors.to_vec());
        let mut writer = Writer::unfenced(&self.pool).await?;
        let renew = move |connection: &Connection| {
            cursors.iter().map(|(table, since)| renew(connection, &integration, &table.name, since)).collect::<Result<Vec<_>>>()
        };
        let renewed = writer.run(renew).await.context("renew")?;
        writer.commit().await?;
        Ok(renewed)
    }
}

/// Registers a consumer anew whose position was taken on another log than there is, or whose entries are gone.
fn renew(connection: &Connection, integration: &str, table: &TableName, since: &Position) -> Result<Option<Position>> {
    let log = Log::of(connection, table)?;
    let unread = log.place(table, since).map(|place| Ok::<_, Error>(place >= super::consumer::pruned(connection, table)?));
    let place = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let registered =
        connection.query_row(sql!("consumer_read"), params![table.name, integration], place).optional().map_err(fault)?;
    if let Ok(whole) = unread
        && whole?
        && registered.is_some()
    {
        return Ok(None);
    }
    connection.execute(sql!("consumer_register"), params![table.name, integration, log.end]).map_err(fault)?;
    connection.execute(sql!("consumer_move"), params![table.name, integration, log.end]).map_err(fault)?;
    Ok(Some(log.position(log.end)))
}

/// What [`Tracking::inspect`] found, and for which definitions.
#[derive(Clone)]
pub(super) struct Inspected {
    version: i64,
    tables: Vec<TableName>,
    findings: Vec<Finding>,
}

/// Triggers first: a trigger without its log makes the application's writes fail (A69).
fn remove_all(connection: &Connection) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    let catalog = catalog_of(connection)?;
    for class in ["trigger", "table"] {
        let mut ours: Vec<&String> = catalog
            .iter()
            .filter(|(name, (found, _))| found == class && name.starts_with("twinrow_"))
            .map(|(name, _)| name)
            .collect();
        ours.sort();
        for name in ours {
            connection.execute_batch(&format!("drop {class} main.{}", quoted(name))).map_err(fault)?;
            removed.push(format!("dropped {class} {name}"));
        }
    }
    Ok(removed)
}

fn remove_consumer(connection: &Connection, integration: &str, tables: &[TableName]) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    let catalog = catalog_of(connection)?;
    for table in tables {
        let name = &table.name;
        if catalog.contains_key("twinrow_consumer") {
            let count = connection.execute(sql!("consumer_delete"), params![name, integration]).map_err(fault)?;
            if count > 0 {
                removed.push(format!("{integration} reads {name} no more"));
            }
            let least: Option<i64> = connection
                .query_row(sql!("consumer_least"), params![name], |row| row.get(0))
                .optional()
                .map_err(fault)?
                .flatten();
            if least.is_some() {
                continue;
            }
        }
        let names = tracking_names(table);
        for moment in ["bi", "bu", "ai", "au", "ad"] {
            let trigger = names.trigger(moment);
            if catalog.contains_key(&trigger) {
                connection.execute_batch(&format!("drop trigger main.{trigger}")).map_err(fault)?;
                removed.push(format!("dropped trigger {trigger}"));
            }
        }
        if catalog.contains_key(&names.log) {
            connection.execute_batch(&format!("drop table main.{}", names.log)).map_err(fault)?;
            removed.push(format!("dropped table {}", names.log));
        }
        if catalog.contains_key("twinrow_collection") {
            connection.execute(sql!("collection_delete"), params![name]).map_err(fault)?;
        }
    }
    Ok(removed)
}
