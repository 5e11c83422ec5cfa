//! What is installed: Twinrow's own tables, a log per tracked table, and triggers that write it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::Mysql;
use super::catalog::{qualified, quoted};
use super::connection::{Connection, field_text};
use super::install::{IN_DOUBT, PREAMBLE, Step, VERSION, plan, reset, step, upgrade};
use super::log::{self, Log, Stand};
use super::named::Named;
use super::present::{own, present, seen};
use super::rights::{self, Login};
use super::triggers::Installed;
use crate::endpoint::{Finding, Need, Rights, Tracking};
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Position, Table, TableName};

/// How often a definition statement is tried, 2 s each, before the one in the way is named.
const TRIES_MAX: u32 = 5;

/// What was seen of the tracked tables before: the greatest counters, for one that falls was reset by TRUNCATE
/// (A12), and the key columns (A30).
#[derive(Default)]
pub(super) struct Watch(Mutex<HashMap<String, u64>>, Mutex<HashMap<String, String>>);

impl Watch {
    /// Whether the counter fell since it was last seen.
    fn fell(&self, collection: &str, now: u64) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let most = seen.entry(collection.to_owned()).or_default();
        let fell = now < *most;
        *most = now.max(*most);
        fell
    }

    /// Whether the key columns are others than when they were first seen.
    fn rekeyed(&self, collection: &str, now: &str) -> bool {
        let mut seen = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(collection.to_owned()).or_insert_with(|| now.to_owned()) != now
    }

    fn forget(&self, collection: &str) {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).remove(collection);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(collection);
    }
}

/// Runs a definition statement, giving way to the application: after a second, then again later (A33).
async fn define(connection: &mut Connection, step: &Step) -> Result<()> {
    for attempt in 0..TRIES_MAX {
        match connection.run(&step.sql).await {
            Err(error) if error.kind() == Kind::Retry && attempt + 1 < TRIES_MAX => {
                tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
            }
            Err(error) if error.kind() == Kind::Retry => {
                let who = blockers(connection, &step.table).await;
                let why = format!("{}.{} is in use by {who}: nothing was changed on it", step.table.0, step.table.1);
                return Err(Error::new(Kind::Retry, why).hint("twinrow install, when it is less busy").source(error));
            }
            other => return other.context(if step.what.is_empty() { "installing".to_owned() } else { step.what.clone() }),
        }
    }
    Ok(())
}

/// Runs an installation; returns what it did.
async fn run(connection: &mut Connection, steps: Vec<Step>) -> Result<Vec<String>> {
    let mut done = Vec::new();
    for step in steps {
        define(connection, &step).await?;
        if !step.what.is_empty() {
            done.push(step.what);
        }
    }
    Ok(done)
}

async fn blockers(connection: &mut Connection, table: &(String, String)) -> String {
    let sql = connection.server.flavour.blockers();
    let params = if sql.contains('?') { vec![table.0.as_str().into(), table.1.as_str().into()] } else { Vec::new() };
    let rows = connection.rows(sql, params).await.unwrap_or_default();
    let sessions: Vec<String> = rows.iter().filter_map(|row| field_text(row, 0).ok()).collect();
    if sessions.is_empty() { "a session we may not see".to_owned() } else { format!("session {}", sessions.join(", ")) }
}

/// Row triggers do not run where rows arrive by replication (A19).
async fn refuse_replica(connection: &mut Connection) -> Result<()> {
    let why = "this server is a replica or read-only: triggers do not run for what replication brings";
    let refused = || Error::new(Kind::Config, why).hint("connect to the server where the application writes");
    let rows = connection.rows(sql!("session_read_only"), Vec::new()).await?;
    if rows.first().map(|row| field_text(row, 0)).transpose()?.is_some_and(|text| text != "0" && text != "OFF") {
        return Err(refused());
    }
    // Needs a right of its own; without it, read_only has to do.
    match connection.text_rows("show replica status").await {
        Ok(rows) if !rows.is_empty() => Err(refused()),
        _ => Ok(()),
    }
}

impl Mysql {
    /// Its turn to install or to remove in this database: two at a time would make the same things, or half of them (A32, A69).
    async fn turn(&self) -> Result<Option<Named>> {
        Named::installing(&self.pool).await.context(self.place())
    }
}

async fn end(turn: Option<Named>) {
    if let Some(turn) = turn {
        turn.let_go().await;
    }
}

#[async_trait]
impl Tracking for Mysql {
    async fn script(&self, tables: &[Table], home: bool) -> Result<String> {
        let mut connection = self.connection().await?;
        let steps = plan(&mut connection, tables, home).await.context(self.place())?.steps;
        if steps.is_empty() {
            return Ok(String::new());
        }
        let end = |sql: String| match sql.contains("; end") {
            // The client must not end the statement where a part of it ends.
            true => format!("delimiter ;;\n{sql};;\ndelimiter ;\n"),
            false => format!("{sql};\n"),
        };
        let statements: Vec<String> = steps.into_iter().map(|step| end(step.sql)).collect();
        Ok(format!("{PREAMBLE}\n{}", statements.join("\n")))
    }

    async fn upgrade(&self, home: bool) -> Result<Vec<String>> {
        let mut connection = self.connection().await?;
        if upgrade(&mut connection, home).await.context(self.place())?.is_empty() {
            return Ok(Vec::new());
        }
        drop(connection);
        let turn = self.turn().await?;
        let mut connection = self.connection().await?;
        let steps = upgrade(&mut connection, home).await.context(self.place())?;
        let done = run(&mut connection, steps).await.context(self.place())?;
        end(turn).await;
        Ok(done)
    }

    async fn install(&self, tables: &[Table], home: bool) -> Result<Vec<String>> {
        let mut connection = self.connection().await?;
        refuse_replica(&mut connection).await.context(self.place())?;
        if plan(&mut connection, tables, home).await.context(self.place())?.steps.is_empty() {
            return Ok(Vec::new());
        }
        // It would be idle meanwhile, and the server hangs up.
        drop(connection);
        let turn = self.turn().await?;
        let mut connection = self.connection().await?;
        let plan = plan(&mut connection, tables, home).await.context(self.place())?;
        rights::refuse_install(&mut connection, &plan.triggers).await.context(self.place())?;
        let done = run(&mut connection, plan.steps).await.context(self.place())?;
        end(turn).await;
        if !done.is_empty() {
            tables.iter().for_each(|table| self.watch.forget(&table.name.to_string()));
        }
        Ok(done)
    }

    async fn rights(&self, needs: &[Need]) -> Result<Rights> {
        rights::rights(&mut self.connection().await?, needs).await.context(self.place())
    }

    async fn inspect(&self, tables: &[Table]) -> Result<Vec<Finding>> {
        let mut connection = self.connection().await?;
        let mut findings = Vec::new();
        let database = connection.server.database.clone();
        let present = present(&mut connection, tables).await.context(self.place())?;
        for table in tables {
            let name = table.name.to_string();
            let (standing, log) = (present.now(table, &database), Log::of(table, &database));
            let keys = standing.keys(table);
            let older = present.collections.get(&name).is_some_and(|recorded| recorded.version < VERSION);
            let mut problems = super::triggers::problems(table, older, &present.recorded, &present.triggers, &connection.server);
            if !present.tables.contains(&log.name) {
                problems.push("its log is missing".to_owned());
            } else if present.unmarked.contains(&log.name) {
                problems.push("its log was emptied or made again".to_owned());
            } else if connection.server.flavour.one_writer()
                && !older
                && !super::triggers::writes(&log, &database, present.procedures.get(&log.name))
            {
                problems.push("the procedure that writes its log is missing or was altered".to_owned());
            }
            if !present.numbered && present.collections.contains_key(&name) {
                problems.push("the row that numbers the queue of changes is missing".to_owned());
            }
            let mut replaced = super::triggers::all_gone(table, &present.triggers, &connection.server);
            match present.collections.get(&name) {
                Some(recorded) if recorded.log != log.name => problems.push("its key has changed".to_owned()),
                Some(_) if self.watch.rekeyed(&name, &keys) => {
                    problems.push("its key columns have changed".to_owned());
                }
                Some(recorded) if reset(recorded.was, &standing) => {
                    replaced = true;
                    problems.push("it was truncated or replaced".to_owned());
                }
                Some(_) if standing.counter.is_some_and(|now| self.watch.fell(&name, now)) => {
                    problems.push("it was truncated".to_owned());
                }
                Some(_) => {}
                None => {
                    // Uninstalled, which says nothing of the table.
                    replaced = table.key_source.reuses();
                    problems.push("it is not tracked".to_owned());
                }
            }
            let gap = !problems.is_empty() || present.collections.get(&name).is_some_and(|recorded| recorded.version == IN_DOUBT);
            if older {
                problems.push("its tracking is of an older version".to_owned());
            }
            if !problems.is_empty() {
                findings.push(Finding { table: table.name.clone(), problem: problems.join("; "), gap, replaced });
            }
        }
        Ok(findings)
    }

    async fn may_uninstall(&self, integration: Option<&str>, tables: &[TableName]) -> Result<()> {
        super::removable::check(&mut self.connection().await?, integration, tables).await.context(self.place())
    }

    async fn uninstall(&self, integration: Option<&str>, tables: &[TableName]) -> Result<Vec<String>> {
        let turn = self.turn().await.map_err(|error| error.hint(super::super::UNINSTALL))?;
        let mut connection = self.connection().await?;
        let removed = match integration {
            None => uninstall_all(&mut connection).await,
            Some(integration) => uninstall_some(&mut connection, integration, tables).await,
        };
        end(turn).await;
        removed.context(self.place())
    }

    async fn register(&self, integration: &str, tables: &[Table]) -> Result<Vec<Position>> {
        let mut connection = self.connection().await?;
        let mut positions = Vec::with_capacity(tables.len());
        for table in tables {
            let log = Log::of(table, &connection.server.database);
            positions.push(log::register(&mut connection, integration, &log).await.context(self.place())?);
        }
        Ok(positions)
    }

    async fn renew(&self, integration: &str, cursors: &[(Table, Position)]) -> Result<Vec<Option<Position>>> {
        let mut connection = self.connection().await?;
        let mut renewed = Vec::with_capacity(cursors.len());
        for (table, since) in cursors {
            let log = Log::of(table, &connection.server.database);
            let (epoch, stand) = (log::epoch(&mut connection, &log).await.context(self.place())?, Stand::parse(since)?);
            let whole =
                stand.epoch == epoch && log::registered(&mut connection, integration, &log).await.context(self.place())?;
            renewed.push(match whole {
                true => None,
                false => Some(log::register(&mut connection, integration, &log).await.context(self.place())?),
            });
        }
        Ok(renewed)
    }
}

/// Triggers, then tables, then the account: at no moment does a trigger lack what it needs (A69).
async fn uninstall_all(connection: &mut Connection) -> Result<Vec<String>> {
    let database = connection.server.database.clone();
    let mut removed = Vec::new();
    let present = seen(connection, &[]).await?;
    for trigger in &present.triggers {
        drop_trigger(connection, trigger, &mut removed).await?;
    }
    for procedure in present.procedures.into_keys() {
        drop_procedure(connection, &database, &procedure, &mut removed).await?;
    }
    for table in own(connection).await? {
        drop_table(connection, &database, &table, &mut removed).await?;
    }
    if let Some(account) = Login::read(connection).await?.capture(&database) {
        define(connection, &step(format!("drop user if exists {account}"), String::new(), &database, "")).await?;
    }
    Ok(removed)
}

async fn uninstall_some(connection: &mut Connection, integration: &str, tables: &[TableName]) -> Result<Vec<String>> {
    let database = connection.server.database.clone();
    let mut removed = Vec::new();
    let registered = "select 1 from information_schema.tables where table_schema = ? and table_name = 'twinrow_consumer'";
    if connection.rows(registered, vec![database.as_str().into()]).await?.is_empty() {
        return Ok(removed);
    }
    for table in tables {
        let name = table.to_string();
        let sql = sql!("consumer_delete");
        let done = connection.write(sql, vec![name.as_str().into(), integration.into()]).await.map_err(log::missing)?;
        if done.affected > 0 {
            removed.push(format!("{integration} no longer reads the log of {name}"));
        }
        let rows = connection.rows(sql!("consumer_list"), vec![name.as_str().into()]).await?;
        if !rows.is_empty() {
            log::prune(connection, &name).await?;
            continue;
        }
        let mut names = BTreeSet::new();
        for row in connection.rows(sql!("trigger_read"), vec![name.as_str().into()]).await? {
            names.insert((field_text(&row, 0)?, field_text(&row, 1)?));
        }
        let triggers = seen(connection, &[]).await?.triggers;
        for trigger in triggers.iter().filter(|trigger| names.contains(&(trigger.schema.clone(), trigger.name.clone()))) {
            drop_trigger(connection, trigger, &mut removed).await?;
        }
        connection.write(sql!("trigger_delete"), vec![name.as_str().into()]).await?;
        let rows = connection.rows(sql!("collection_read"), vec![name.as_str().into()]).await?;
        for row in rows {
            let log = field_text(&row, 0)?;
            if connection.server.flavour.one_writer() {
                drop_procedure(connection, &database, &log, &mut removed).await?;
            }
            drop_table(connection, &database, &log, &mut removed).await?;
        }
        connection.write(sql!("collection_delete"), vec![name.as_str().into()]).await?;
        connection.write(sql!("queue_delete"), vec![name.as_str().into()]).await?;
    }
    Ok(removed)
}

async fn drop_trigger(connection: &mut Connection, trigger: &Installed, removed: &mut Vec<String>) -> Result<()> {
    let name = format!("{}.{}", quoted(&trigger.schema), quoted(&trigger.name));
    let what = format!("removed trigger {} of {}", trigger.name, trigger.table);
    define(connection, &step(format!("drop trigger if exists {name}"), what.clone(), &trigger.schema, &trigger.table)).await?;
    removed.push(what);
    Ok(())
}

async fn drop_procedure(connection: &mut Connection, database: &str, name: &str, removed: &mut Vec<String>) -> Result<()> {
    let what = format!("removed procedure {name}");
    let sql = format!("drop procedure if exists {}.{}", quoted(database), quoted(name));
    define(connection, &step(sql, what.clone(), database, name)).await?;
    removed.push(what);
    Ok(())
}

async fn drop_table(connection: &mut Connection, database: &str, table: &str, removed: &mut Vec<String>) -> Result<()> {
    let name = qualified(&TableName { schema: database.to_owned(), name: table.to_owned() }, database);
    let what = format!("removed table {table}");
    define(connection, &step(format!("drop table if exists {name}"), what.clone(), database, table)).await?;
    removed.push(what);
    Ok(())
}
