//! The plan of an installation: what is there, what is missing, and the statements that make up for it.

use std::collections::{BTreeSet, HashMap};

use super::catalog::{describe, quoted};
use super::connection::{Connection, Server, field_text};
use super::grants::Object;
use super::log::{self, Log, short_hash};
use super::present::{Present, RecordedTrigger, Standing, own, present};
use super::rights::{self, Login};
use super::triggers::{Trigger, wanted};
use crate::endpoint::database::migrations::Part;
use crate::error::{Error, Kind, Result};
use crate::model::{Table, TableName};

macro_rules! migration {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/mysql/", $name, ".sql"))
    };
}

/// The version of a table's log and triggers; a greater one is not ours to touch (F15).
pub(super) const VERSION: i64 = 4;
/// In its place while a table's tracking is being repaired.
pub(super) const IN_DOUBT: i64 = 0;

/// The migrations of our own tables, oldest first. What was released is never changed: a change is a
/// further one. Each statement creates a table, a column or a first row, and is left out where that is there.
const ENDPOINT: [&str; 3] = [migration!("endpoint_1"), migration!("endpoint_2"), migration!("endpoint_3")];
const STATE: [&str; 4] = [migration!("state_1"), migration!("state_2"), migration!("state_3"), migration!("state_4")];
const LOG: &str = migration!("log");

/// What a script sets first, as our own connections do: a trigger keeps the modes it was created under (A59).
pub(super) const PREAMBLE: &str = migration!("preamble");

/// One statement of an installation.
pub(super) struct Step {
    pub(super) sql: String,
    /// What it does, for people; empty for what belongs to the step before.
    pub(super) what: String,
    /// The table whose lock it takes.
    pub(super) table: (String, String),
}

/// The account our triggers run as, so that nobody else needs rights on the logs and dropping the installer's
/// own account breaks nothing (A34, A36).
pub(super) fn capture_account(database: &str) -> String {
    format!("'twinrow_capture_{}'@'localhost'", short_hash(database))
}

/// A text as an SQL literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The parts of our own tables, with their migrations and how many of those this database has had.
async fn parts(connection: &mut Connection, present: &BTreeSet<String>, home: bool) -> Result<Vec<Part>> {
    let mut recorded = HashMap::new();
    if present.contains("twinrow_version") {
        for row in connection.rows(sql!("version_read"), Vec::new()).await? {
            recorded.insert(field_text(&row, 0)?, log::number(&row, 1)?);
        }
    }
    let all: [(&str, &str, &'static [&'static str]); 2] =
        [("endpoint", "twinrow_fence", &ENDPOINT), ("state", "twinrow_pair", &STATE)];
    let mut parts = Vec::new();
    for (name, table, migrations) in all {
        parts.push(Part::found(name, migrations, recorded.get(name).copied(), present.contains(table))?);
    }
    parts.truncate(1 + usize::from(home));
    Ok(parts)
}

/// What brings our own tables to this program's version, if an older one has made them.
pub(super) async fn upgrade(connection: &mut Connection, home: bool) -> Result<Vec<Step>> {
    let present = own(connection).await?;
    let parts = parts(connection, &present, home).await?;
    if !parts.iter().any(Part::outdated) {
        return Ok(Vec::new());
    }
    let columns = own_columns(connection).await?;
    let numbered = is_numbered(connection, &present).await?;
    Ok(own_tables(&connection.server.database, &parts, &present, &columns, numbered))
}

/// What an installation would do.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// The triggers that will be made.
    pub(super) triggers: Vec<Trigger>,
}

/// All that is missing, in order: tables, and then a table at a time its log and its triggers.
pub(super) async fn plan(connection: &mut Connection, tables: &[Table], home: bool) -> Result<Plan> {
    // As they are now: until a trigger that names a lost key column is made again, the application can't write (A30).
    let names: Vec<TableName> = tables.iter().map(|table| table.name.clone()).collect();
    let tables = &describe(connection, Some(&names)).await?;
    for table in tables {
        if let Some(why) = &table.refused {
            return Err(Error::new(Kind::Config, format!("{} can't be tracked: {why}", table.name)));
        }
    }
    let mut present = present(connection, tables).await?;
    let definers = present.triggers.iter().map(|trigger| &trigger.definer);
    let definers = definers.chain(present.procedures.values().map(|procedure| &procedure.definer)).cloned().collect();
    let lost = rights::lost(connection, definers).await?;
    present.triggers.iter_mut().for_each(|trigger| trigger.sound &= !lost.contains(&trigger.definer));
    present.procedures.values_mut().for_each(|procedure| procedure.sound = !lost.contains(&procedure.definer));
    let login = Login::read(connection).await?;
    let database = connection.server.database.clone();
    let definer = login.capture(&database);
    let parts = parts(connection, &present.tables, home).await?;
    let columns = own_columns(connection).await?;
    let numbered = is_numbered(connection, &present.tables).await?;
    let mut steps = own_tables(&database, &parts, &present.tables, &columns, numbered);
    let triggers = wanted(connection, tables).await?;
    present.refuse_blind(&login, tables, &triggers, &connection.server)?;
    let mut account_made = false;
    for table in tables {
        let mut of_table = Vec::new();
        let mine: Vec<&Trigger> = triggers.iter().filter(|trigger| trigger.collection == table.name.to_string()).collect();
        let gap = present.gap(table, &mine, &Log::of(table, &database).name, &connection.server);
        if gap {
            of_table.push(doubt(&table.name, &database));
        }
        log_steps(table, &present, &columns, &database, &mut of_table);
        let log = Log::of(table, &database);
        let procedure = present.procedures.get(&log.name);
        if connection.server.flavour.one_writer() && !super::triggers::writes(&log, &database, procedure) {
            let sql = super::triggers::procedure(&log, &database, definer.as_deref(), procedure.is_some());
            let what = format!("made the procedure that writes the log of {}", table.name);
            of_table.push(step(sql, what, &database, &log.name));
        }
        let missing = mine.iter().any(|trigger| !present.triggers.iter().any(|installed| installed.is(trigger)));
        if let (Some(account), true) = (&definer, missing || !of_table.is_empty()) {
            if !account_made {
                steps.push(step(format!("create user if not exists {account} account lock"), String::new(), &database, ""));
                account_made = true;
            }
            of_table.extend(grants(account, &mine, &log, connection.server.flavour.one_writer(), &database));
        }
        trigger_steps(&mine, &present, definer.as_deref(), &database, &mut of_table);
        if gap {
            // A mark, for a compare by everyone who reads the log.
            let sql = format!("insert into {}.{} (op) values ('T')", quoted(&database), quoted(&log.name));
            of_table.push(step(sql, String::new(), &database, &log.name));
        }
        register_steps(table, &present, !of_table.is_empty(), &database, &mut of_table);
        steps.extend(of_table);
    }
    let missing = |trigger: &Trigger| !present.triggers.iter().any(|installed| installed.is(trigger));
    let triggers = triggers.into_iter().filter(missing).collect();
    Ok(Plan { steps, triggers })
}

impl Present {
    /// What is recorded as installed and not seen for want of a right is not missing.
    fn refuse_blind(&self, login: &Login, tables: &[Table], triggers: &[Trigger], server: &Server) -> Result<()> {
        for table in tables.iter().filter(|table| self.collections.contains_key(&table.name.to_string())) {
            let mine: Vec<&Trigger> = triggers.iter().filter(|trigger| trigger.collection == table.name.to_string()).collect();
            let procedure = Object::Procedure(server.database.clone(), Log::of(table, &server.database).name);
            login.refuse_blind(&mine, server.flavour.one_writer().then_some(&procedure))?;
        }
        Ok(())
    }

    /// Whether changes of this table may be missing in its log, which stays.
    fn gap(&self, table: &Table, wanted: &[&Trigger], log: &str, server: &Server) -> bool {
        let name = table.name.to_string();
        let Some(recorded) = self.collections.get(&name) else { return false };
        if recorded.log != log || !self.tables.contains(log) {
            return false;
        }
        let there = |old: &RecordedTrigger| self.triggers.iter().any(|new| new.schema == old.schema && new.name == old.name);
        let gone = |old: &RecordedTrigger| old.collection == name && !there(old);
        let altered = || wanted.iter().any(|trigger| !self.triggers.iter().any(|installed| installed.is(trigger)));
        let procedure = || {
            let writes = |log: &Log| super::triggers::writes(log, &server.database, self.procedures.get(&log.name));
            server.flavour.one_writer() && !writes(&Log::of(table, &server.database))
        };
        let standing = self.now(table, &server.database);
        recorded.version == IN_DOUBT
            || self.recorded.iter().any(gone)
            || reset(recorded.was, &standing)
            || recorded.version == VERSION && (altered() || procedure())
    }
}

/// Until the repair is finished, whoever finds it half done knows that there was a gap: each of these statements is
/// committed by itself.
fn doubt(table: &TableName, database: &str) -> Step {
    let name = literal(&table.to_string());
    let sql = format!("update {}.twinrow_collection set version = {IN_DOUBT} where name = {name}", quoted(database));
    step(sql, String::new(), database, "twinrow_collection")
}

pub(super) fn step(sql: String, what: String, schema: &str, table: &str) -> Step {
    Step { sql, what, table: (schema.to_owned(), table.to_owned()) }
}

/// The columns of our own tables, each behind its table's name.
async fn own_columns(connection: &mut Connection) -> Result<BTreeSet<String>> {
    let database = connection.server.database.clone();
    let rows = connection.rows(sql!("tracking_columns"), vec![database.as_str().into()]).await?;
    rows.iter().map(|row| field_text(row, 0)).collect()
}

/// Whether there is the row that numbers the queue.
async fn is_numbered(connection: &mut Connection, present: &BTreeSet<String>) -> Result<bool> {
    Ok(present.contains("twinrow_drain") && !connection.rows(sql!("drain_read"), Vec::new()).await?.is_empty())
}

/// What is missing of our own tables: definition statements commit by themselves, so each says what it makes.
fn own_tables(
    database: &str,
    parts: &[Part],
    present: &BTreeSet<String>,
    columns: &BTreeSet<String>,
    numbered: bool,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in parts {
        let before = steps.len();
        for statement in part.migrations.iter().flat_map(|script| statements(script)) {
            let words: Vec<&str> = statement.split_whitespace().collect();
            let table = words.iter().copied().find(|word| word.starts_with("twinrow_")).unwrap_or_default();
            let column = words.iter().position(|word| *word == "column").and_then(|at| words.get(at + 1));
            let there = match (column, words[0]) {
                (Some(column), _) => columns.contains(&format!("{table} {column}")),
                (None, "insert") => numbered,
                (None, _) => present.contains(table),
            };
            if !there {
                let what = match (column, words[0]) {
                    (Some(column), _) => format!("added column {column} to table {table}"),
                    (None, "create") => format!("created table {table}"),
                    (None, _) => String::new(),
                };
                let sql = match words[0] {
                    "insert" => first_row(database),
                    _ => statement.replacen(table, &format!("{}.{}", quoted(database), quoted(table)), 1),
                };
                steps.push(step(sql, what, database, table));
            }
        }
        let now = part.current();
        if !part.settled() || steps.len() > before {
            let version =
                format!("replace into {}.twinrow_version (part, version) values ('{}', {now})", quoted(database), part.name);
            steps.push(step(version, String::new(), database, "twinrow_version"));
        }
    }
    steps
}

/// In place of the migration's own text, which is right for a queue that never gave out a number.
fn first_row(database: &str) -> String {
    statements(sql!("drain_insert")).concat().replace("{database}", &quoted(database))
}

/// The statements of a migration.
fn statements(script: &str) -> Vec<String> {
    let code: Vec<&str> = script.lines().filter(|line| !line.starts_with("--")).collect();
    let code = code.join("\n");
    code.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}

/// The log, with the row that says which log it is (A11). One of an older version does not note who wrote (version 4): the column is
/// there before anything writes it.
fn log_steps(table: &Table, present: &Present, columns: &BTreeSet<String>, database: &str, steps: &mut Vec<Step>) {
    let log = Log::of(table, database);
    let name = format!("{}.{}", quoted(database), quoted(&log.name));
    let there = present.tables.contains(&log.name);
    if !there {
        let comment: String = format!("changes of {}", table.name).chars().take(1000).collect();
        let sql = LOG.replace("{log}", &name).replace("{columns}", &log.columns()).replace("{comment}", &literal(&comment));
        steps.push(step(sql.trim().to_owned(), format!("created the log of {}", table.name), database, &log.name));
    } else if !columns.contains(&format!("{} writer", log.name)) {
        let sql = format!("alter table {name} add column writer bigint unsigned");
        steps.push(step(sql, format!("added column writer to the log of {}", table.name), database, &log.name));
    }
    if !there || present.unmarked.contains(&log.name) {
        let what = if there { format!("marked the log of {} as a new one", table.name) } else { String::new() };
        // The first row, whatever was written meanwhile by triggers that waited for their log.
        let sql = format!("insert into {name} (seq, op, origin) values (0, 'E', uuid())");
        steps.push(step(sql, what, database, &log.name));
    }
}

fn grants(account: &str, triggers: &[&Trigger], log: &Log, procedure: bool, database: &str) -> Vec<Step> {
    let on = format!("{}.{}", quoted(database), quoted(&log.name));
    let mut steps = vec![step(format!("grant insert on {on} to {account}"), String::new(), database, &log.name)];
    if procedure {
        steps.push(step(format!("grant execute on procedure {on} to {account}"), String::new(), database, &log.name));
    }
    // On the whole database: a right on a table stays behind when the table gets another name, its triggers do not, and
    // every write to it would fail.
    let read = triggers.iter().flat_map(|trigger| trigger.reads.keys().map(|(schema, _)| schema));
    let schemas: BTreeSet<&String> = triggers.iter().map(|trigger| &trigger.schema).chain(read).collect();
    for schema in schemas {
        let sql = format!("grant select, trigger on {} to {account}", Object::Database(schema.clone()).sql());
        steps.push(step(sql, String::new(), schema, ""));
    }
    steps
}

/// The new trigger first, then the old one goes: what both log is logged twice, and nothing not at all (A32).
fn trigger_steps(wanted: &[&Trigger], present: &Present, definer: Option<&str>, database: &str, steps: &mut Vec<Step>) {
    let mut kept = BTreeSet::new();
    for trigger in wanted {
        let name = match present.triggers.iter().find(|installed| installed.is(trigger)) {
            Some(installed) => installed.name.clone(),
            None => {
                let taken =
                    |name: &str| present.triggers.iter().any(|other| other.schema == trigger.schema && other.name == name);
                let name = (1..).map(|i| trigger.name(i)).find(|name| !taken(name)).unwrap_or_default();
                let what = format!("created trigger {name} on {}", trigger.table);
                steps.push(step(trigger.create(&name, definer), what, &trigger.schema, &trigger.table));
                name
            }
        };
        let same =
            |old: &RecordedTrigger| (&old.schema, &old.name, &old.collection) == (&trigger.schema, &name, &trigger.collection);
        if !present.recorded.iter().any(same) {
            steps.push(step(record(trigger, &name, database), String::new(), database, "twinrow_trigger"));
        }
        kept.insert((trigger.schema.clone(), name));
    }
    let prefixes: BTreeSet<(&str, String)> = wanted.iter().map(|trigger| (trigger.schema.as_str(), trigger.prefix())).collect();
    for old in &present.triggers {
        let ours = prefixes.iter().any(|(schema, prefix)| old.schema == *schema && old.name.starts_with(prefix));
        if ours && !kept.contains(&(old.schema.clone(), old.name.clone())) {
            let name = format!("{}.{}", quoted(&old.schema), quoted(&old.name));
            let what = format!("removed trigger {}, which is not as it should be", old.name);
            steps.push(step(format!("drop trigger if exists {name}"), what, &old.schema, &old.table));
            steps.push(step(forget(&old.schema, &old.name, database), String::new(), database, "twinrow_trigger"));
        }
    }
    forget_lost(wanted, present, &kept, database, steps);
}

/// Triggers that were recorded and are gone, with their table or otherwise, and whose place another one has taken: nobody
/// need look for them any more.
fn forget_lost(wanted: &[&Trigger], present: &Present, kept: &BTreeSet<(String, String)>, database: &str, steps: &mut Vec<Step>) {
    let Some(collection) = wanted.first().map(|trigger| &trigger.collection) else { return };
    for RecordedTrigger { schema, name, .. } in present.recorded.iter().filter(|recorded| recorded.collection == *collection) {
        let there = present.triggers.iter().any(|other| other.schema == *schema && other.name == *name);
        if !there && !kept.contains(&(schema.clone(), name.clone())) {
            steps.push(step(forget(schema, name, database), String::new(), database, "twinrow_trigger"));
        }
    }
}

fn record(trigger: &Trigger, name: &str, database: &str) -> String {
    let fields = [&trigger.schema, name, &trigger.table, &trigger.collection, &trigger.body].map(|text: &str| literal(text));
    format!(
        "replace into {}.twinrow_trigger (schema_name, name, table_name, collection, body) values ({})",
        quoted(database),
        fields.join(", ")
    )
}

fn forget(schema: &str, name: &str, database: &str) -> String {
    format!(
        "delete from {}.twinrow_trigger where schema_name = {} and name = {}",
        quoted(database),
        literal(schema),
        literal(name)
    )
}

/// The row of the collection: new, of another log, or with the counter as it is after a repair.
fn register_steps(table: &Table, present: &Present, changed: bool, database: &str, steps: &mut Vec<Step>) {
    let name = table.name.to_string();
    let log = Log::of(table, database).name;
    let standing = present.now(table, database);
    let recorded = present.collections.get(&name);
    let same =
        recorded.is_some_and(|recorded| recorded.log == log && recorded.version == VERSION && !reset(recorded.was, &standing));
    if same && !changed {
        return;
    }
    let number = |value: Option<u64>| value.map_or_else(|| "null".to_owned(), |value| value.to_string());
    let sql = format!(
        "insert into {}.twinrow_collection (name, n, log, table_id, auto_increment, version) values ({}, 0, {}, {}, {}, {VERSION}) \
         on duplicate key update log = {}, table_id = {}, auto_increment = {}, version = {VERSION}",
        quoted(database),
        literal(&name),
        literal(&log),
        number(standing.table_id),
        number(standing.counter),
        literal(&log),
        number(standing.table_id),
        number(standing.counter)
    );
    steps.push(step(sql, format!("recorded {name}"), database, "twinrow_collection"));
}

/// Whether a table was emptied or replaced since its counter and number were recorded.
pub(super) fn reset((counter, id): (Option<u64>, Option<u64>), now: &Standing) -> bool {
    let fell = counter.zip(now.counter).is_some_and(|(then, now)| now < then);
    fell || id.zip(now.table_id).is_some_and(|(then, now)| now != then)
}
