//! The plan of an installation: what is there, what is missing, and the statements that make up for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mysql_async::Value as Wire;

use super::catalog::{quoted, schema_of};
use super::connection::{Connection, field_optional, field_text};
use super::log::{self, Log, short_hash};
use super::triggers::{Installed, Trigger, wanted};
use crate::error::{Error, Kind, Result};
use crate::model::{KeySource, Table};

const ENDPOINT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/mysql/endpoint.sql"));
const STATE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/mysql/state.sql"));
const LOG: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/mysql/log.sql"));

/// What a script sets first, as our own connections do: a trigger keeps the modes it was created under (A59).
pub(super) const PREAMBLE: &str = "set names utf8mb4 collate utf8mb4_bin;\n\
    set session sql_mode = 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO';\n\
    set session lock_wait_timeout = 2;\n";

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
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Everything that is there of ours in this database.
pub(super) struct Present {
    pub(super) tables: BTreeSet<String>,
    /// Those that write logs, under the logs' names.
    pub(super) procedures: BTreeSet<String>,
    pub(super) triggers: Vec<Installed>,
    /// Name of the collection, its log, and the counter and number of the table when it was recorded.
    pub(super) collections: BTreeMap<String, (String, Option<u64>, Option<u64>)>,
    /// Where the tracked tables stand now.
    pub(super) now: HashMap<String, Standing>,
    /// The triggers as they were recorded.
    recorded: BTreeSet<(String, String, String)>,
}

/// A tracked table as the catalog has it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    exists: bool,
    pub(super) counter: Option<u64>,
    table_id: Option<u64>,
}

pub(super) async fn present(connection: &mut Connection, tables: &[Table]) -> Result<Present> {
    let database = connection.server.database.clone();
    let sql = "select table_name from information_schema.tables where table_schema = ? and table_name like 'twinrow\\_%'";
    let rows = connection.rows(sql, vec![database.as_str().into()]).await?;
    let mine = rows.iter().map(|row| field_text(row, 0)).collect::<Result<BTreeSet<_>>>()?;
    let procedures = procedures(connection).await?;
    let triggers = super::triggers::installed(connection).await?;
    let mut collections = BTreeMap::new();
    let mut recorded = BTreeSet::new();
    if mine.contains("twinrow_collection") && mine.contains("twinrow_trigger") {
        for row in connection.rows("select name, log, auto_increment, table_id from twinrow_collection", Vec::new()).await? {
            let number = |at| Ok::<_, Error>(field_optional(&row, at)?.and_then(|text| text.parse().ok()));
            collections.insert(field_text(&row, 0)?, (field_text(&row, 1)?, number(2)?, number(3)?));
        }
        for row in connection.rows("select schema_name, name, collection from twinrow_trigger", Vec::new()).await? {
            recorded.insert((field_text(&row, 0)?, field_text(&row, 1)?, field_text(&row, 2)?));
        }
    }
    let now = standing(connection, tables).await?;
    Ok(Present { tables: mine, procedures, triggers, collections, now, recorded })
}

pub(super) async fn procedures(connection: &mut Connection) -> Result<BTreeSet<String>> {
    let sql =
        "select routine_name from information_schema.routines where routine_schema = ? and routine_name like 'twinrow\\_log\\_%'";
    let database = connection.server.database.clone();
    let rows = connection.rows(sql, vec![database.into()]).await?;
    rows.iter().map(|row| field_text(row, 0)).collect()
}

/// Counter and number of each table. The number says more, but needs PROCESS and a search through the
/// dictionary, so it is asked for only where there is no counter.
async fn standing(connection: &mut Connection, tables: &[Table]) -> Result<HashMap<String, Standing>> {
    let database = connection.server.database.clone();
    let json = |tables: &[&Table]| {
        let names: Vec<[&str; 2]> = tables.iter().map(|table| [schema_of(&table.name, &database), &table.name.name]).collect();
        Wire::from(serde_json::Value::from(names.iter().map(|pair| pair.to_vec()).collect::<Vec<_>>()).to_string())
    };
    let pair =
        "json_table(?, '$[*]' columns (s longtext path '$[0]' error on error, n longtext path '$[1]' error on error)) as a";
    let sql = format!(
        "select a.s, a.n, t.auto_increment from {pair} straight_join information_schema.tables as t \
         on t.table_schema = a.s and t.table_name = a.n"
    );
    let mut found: HashMap<(String, String), Standing> = HashMap::new();
    let all: Vec<&Table> = tables.iter().collect();
    for row in connection.rows(&sql, vec![json(&all)]).await? {
        let counter = field_optional(&row, 2)?.and_then(|text| text.parse().ok());
        found.insert((field_text(&row, 0)?, field_text(&row, 1)?), Standing { exists: true, counter, table_id: None });
    }
    // InnoDB spells other names in an encoding of its own.
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let uncounted = |table: &&Table| table.key_source != KeySource::Generated && plain(&table.name.name) && plain(&database);
    let asked: Vec<&Table> = tables.iter().filter(uncounted).collect();
    if !asked.is_empty() {
        let ids = connection.server.flavour.table_ids();
        let sql = format!("select a.s, a.n, i.table_id from {pair} join {ids} as i on i.name = concat(a.s, '/', a.n)");
        match connection.rows(&sql, vec![json(&asked)]).await {
            Ok(rows) => {
                for row in rows {
                    let id = field_optional(&row, 2)?.and_then(|text| text.parse().ok());
                    if let Some(standing) = found.get_mut(&(field_text(&row, 0)?, field_text(&row, 1)?)) {
                        standing.table_id = id;
                    }
                }
            }
            Err(error) if error.kind() == Kind::Denied => {}
            Err(error) => return Err(error),
        }
    }
    let of = |table: &Table| {
        let key = (schema_of(&table.name, &database).to_owned(), table.name.name.clone());
        let mut standing = found.get(&key).copied().unwrap_or_default();
        if standing.exists && table.key_source == KeySource::Generated {
            // MySQL says NULL of a counter that was never used.
            standing.counter = Some(standing.counter.unwrap_or(1));
        }
        (table.name.to_string(), standing)
    };
    Ok(tables.iter().map(of).collect())
}

/// Who the triggers are created as: the account of their own where the installer may create it, else the installer.
pub(super) async fn definer(connection: &mut Connection) -> Result<Option<String>> {
    let sql = "select privilege_type, is_grantable from information_schema.user_privileges \
               where grantee = concat('''', replace(current_user(), '@', '''@'''), '''')";
    let mut held = BTreeMap::new();
    for row in connection.rows(sql, Vec::new()).await? {
        held.insert(field_text(&row, 0)?, field_text(&row, 1)? == "YES");
    }
    let grantable = |right: &str| held.get(right).copied().unwrap_or(false);
    let definer = ["SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER"].iter().any(|right| held.contains_key(*right));
    let may = held.contains_key("CREATE USER") && definer && ["SELECT", "INSERT", "TRIGGER"].into_iter().all(grantable);
    Ok(may.then(|| capture_account(&connection.server.database)))
}

/// All that is missing, in order: tables, and then a table at a time its log and its triggers.
pub(super) async fn plan(connection: &mut Connection, tables: &[Table], home: bool) -> Result<Vec<Step>> {
    for table in tables {
        if let Some(why) = &table.refused {
            return Err(Error::new(Kind::Config, format!("{} can't be tracked: {why}", table.name)));
        }
    }
    let present = present(connection, tables).await?;
    let definer = definer(connection).await?;
    let database = connection.server.database.clone();
    let mut steps = Vec::new();
    for script in [Some(ENDPOINT), home.then_some(STATE)].into_iter().flatten() {
        own_tables(script, &present, &database, &mut steps);
    }
    let triggers = wanted(connection, tables).await?;
    let mut account_made = false;
    for table in tables {
        let mut of_table = Vec::new();
        log_steps(connection, table, &present, &mut of_table).await?;
        let log = Log::of(table, &database);
        if connection.server.flavour.one_writer() && !present.procedures.contains(&log.name) {
            let sql = super::triggers::procedure(&log, &database, definer.as_deref());
            of_table.push(step(
                sql,
                format!("created the procedure that writes the log of {}", table.name),
                &database,
                &log.name,
            ));
        }
        let mine: Vec<&Trigger> = triggers.iter().filter(|trigger| trigger.collection == table.name.to_string()).collect();
        let missing = mine.iter().any(|trigger| !present.triggers.iter().any(|installed| installed.is(trigger)));
        if let (Some(account), true) = (&definer, missing || !of_table.is_empty()) {
            if !account_made {
                steps.push(step(format!("create user if not exists {account} account lock"), String::new(), &database, ""));
                account_made = true;
            }
            of_table.extend(grants(account, &mine, &log, connection.server.flavour.one_writer(), &database));
        }
        trigger_steps(&mine, &present, definer.as_deref(), &database, &mut of_table);
        register_steps(table, &present, !of_table.is_empty(), &database, &mut of_table);
        steps.extend(of_table);
    }
    Ok(steps)
}

pub(super) fn step(sql: String, what: String, schema: &str, table: &str) -> Step {
    Step { sql, what, table: (schema.to_owned(), table.to_owned()) }
}

fn own_tables(script: &str, present: &Present, database: &str, steps: &mut Vec<Step>) {
    let code: Vec<&str> = script.lines().filter(|line| !line.starts_with("--")).collect();
    for statement in code.join("\n").split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        let table = statement.split_whitespace().find(|word| word.starts_with("twinrow_")).unwrap_or_default();
        if present.tables.contains(table) {
            continue;
        }
        let what = if statement.starts_with("create") { format!("created table {table}") } else { String::new() };
        let sql = statement.replacen(table, &format!("{}.{}", quoted(database), quoted(table)), 1);
        steps.push(step(sql, what, database, table));
    }
}

/// The log, with the row that says which log it is (A11).
async fn log_steps(connection: &mut Connection, table: &Table, present: &Present, steps: &mut Vec<Step>) -> Result<()> {
    let database = connection.server.database.clone();
    let log = Log::of(table, &database);
    let name = format!("{}.{}", quoted(&database), quoted(&log.name));
    let there = present.tables.contains(&log.name);
    if !there {
        let comment: String = format!("changes of {}", table.name).chars().take(1000).collect();
        let sql = LOG.replace("{log}", &name).replace("{columns}", &log.columns()).replace("{comment}", &literal(&comment));
        steps.push(step(sql.trim().to_owned(), format!("created the log of {}", table.name), &database, &log.name));
    }
    if !there || log::epoch(connection, &log).await.is_err() {
        let what = if there { format!("marked the log of {} as a new one", table.name) } else { String::new() };
        // Before all other rows, so that it is the first one read.
        let sql = format!("insert into {name} (op, origin) values ('E', uuid())");
        if there {
            steps.push(step(format!("delete from {name}"), String::new(), &database, &log.name));
        }
        steps.push(step(sql, what, &database, &log.name));
    }
    Ok(())
}

fn grants(account: &str, triggers: &[&Trigger], log: &Log, procedure: bool, database: &str) -> Vec<Step> {
    let on = format!("{}.{}", quoted(database), quoted(&log.name));
    let mut steps = vec![step(format!("grant insert on {on} to {account}"), String::new(), database, &log.name)];
    if procedure {
        steps.push(step(format!("grant execute on procedure {on} to {account}"), String::new(), database, &log.name));
    }
    let mut done = BTreeSet::new();
    for trigger in triggers {
        let on = format!("{}.{}", quoted(&trigger.schema), quoted(&trigger.table));
        if done.insert(on.clone()) {
            steps.push(step(format!("grant trigger on {on} to {account}"), String::new(), &trigger.schema, &trigger.table));
        }
        for ((schema, name), columns) in &trigger.reads {
            let on = format!("{}.{}", quoted(schema), quoted(name));
            let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
            let sql = format!("grant select ({}) on {on} to {account}", columns.join(", "));
            if done.insert(sql.clone()) {
                steps.push(step(sql, String::new(), schema, name));
            }
        }
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
        let key = (trigger.schema.clone(), name.clone(), trigger.collection.clone());
        if !present.recorded.contains(&key) {
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
    let standing = present.now.get(&name).copied().unwrap_or_default();
    let recorded = present.collections.get(&name);
    let same = recorded.is_some_and(|(old, counter, id)| *old == log && !reset((*counter, *id), standing));
    if same && !changed {
        return;
    }
    let number = |value: Option<u64>| value.map_or_else(|| "null".to_owned(), |value| value.to_string());
    let sql = format!(
        "insert into {}.twinrow_collection (name, n, log, table_id, auto_increment) values ({}, 0, {}, {}, {}) \
         on duplicate key update log = {}, table_id = {}, auto_increment = {}",
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
pub(super) fn reset((counter, id): (Option<u64>, Option<u64>), now: Standing) -> bool {
    let fell = counter.zip(now.counter).is_some_and(|(then, now)| now < then);
    fell || id.zip(now.table_id).is_some_and(|(then, now)| now != then)
}
