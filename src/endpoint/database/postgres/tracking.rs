//! Installing, checking and removing what Twinrow keeps in the database.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row as Answer;

use super::Postgres;
use super::catalog::{describe, literal, quote};
use super::install::{Base, Step, VERSION, log_fits, table_step};
use super::log::{collection_name, mark};
use super::position::{Cursor, Snapshot};
use super::rights;
use super::session::Conn;
use super::window::start;
use crate::endpoint::database::migrations::refuse_newer;
use crate::endpoint::{Finding, Need, Rights, Tracking};
use crate::error::{Context, Error, Kind as ErrorKind, Result};
use crate::model::{Position, Table, TableName};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../../sql/postgres/", $name, ".sql"))
    };
}

/// How often a table that is in use is tried.
const ATTEMPTS_MAX: u32 = 5;
/// The pause after the first failure; doubled each time.
const PAUSE: Duration = Duration::from_millis(200);

/// The tracking of one table as the catalog has it, against what was recorded when it was made.
struct Tracked {
    version: i64,
    table_then: i64,
    table_now: i64,
    key: Vec<String>,
    definition: [Vec<String>; 2],
    log: bool,
}

impl Tracked {
    fn of(row: &Answer) -> (String, Tracked) {
        let tracked = Tracked {
            version: row.get(1),
            table_then: row.get(2),
            table_now: row.get(3),
            key: row.get(4),
            definition: [row.get(5), row.get(6)],
            log: row.get(7),
        };
        (row.get(0), tracked)
    }

    /// What is wrong, and whether changes may have been missed.
    fn problem(&self, table: &Table) -> Option<(String, bool)> {
        let [then, now] = &self.definition;
        let part = |i: usize| (then.get(i).map_or("", String::as_str), now.get(i).map_or("", String::as_str));
        let changed = |i: usize| part(i).0 != part(i).1;
        if self.table_now == 0 {
            return Some(("the table is gone".into(), true));
        }
        if self.table_now != self.table_then {
            return Some(("another table has its name now".into(), true));
        }
        if !self.log {
            return Some(("its change log was dropped or made again".into(), true));
        }
        if changed(2) || !self.key.iter().eq(table.key_columns().map(|column| &column.name)) {
            return Some(("its key, its partitions or its inheritance have changed".into(), true));
        }
        if changed(0) {
            return Some((triggers_problem(part(0)), true));
        }
        // The first version did not record the last part.
        if changed(1) || then.len() > 4 && changed(4) {
            return Some(("its capture function is missing or was altered, or its key columns were exchanged".into(), true));
        }
        if changed(3) {
            return Some(("its change log was altered".into(), true));
        }
        (self.version < VERSION).then(|| ("its tracking is of an older version".into(), false))
    }
}

/// `trigger zz_twinrow_… is disabled`: from the lists of then and now, a trigger a line.
fn triggers_problem((then, now): (&str, &str)) -> String {
    let Some(line) = then.lines().find(|line| !now.lines().any(|other| other == *line)) else {
        return "there is a trigger that should not be there".into();
    };
    let word = |line: &str, at: usize| line.split(' ').nth(at).unwrap_or_default().to_owned();
    let name = word(line, 0);
    match now.lines().find(|other| word(other, 0) == name && word(other, 2) == word(line, 2)) {
        None => format!("trigger {name} is missing or does something else"),
        Some(other) if word(other, 1) == "D" => format!("trigger {name} is disabled"),
        Some(other) if word(other, 1) != word(line, 1) => format!("trigger {name} fires in other modes than it was made for"),
        Some(_) => format!("trigger {name} was altered"),
    }
}

impl Postgres {
    /// Its turn to install or to remove in this database, as long as the answer lives: two at a time would make the same things, or
    /// half of them (A32, A69).
    async fn turn(&self) -> Result<Conn> {
        super::advisory::installing(&self.shared.server).await.context(self.named())
    }

    /// Where the logs of these tables stand at this moment.
    async fn now(&self, conn: &mut Conn, tables: &[Table]) -> Result<Vec<Cursor>> {
        let facts = self.shared.server.facts().await?;
        let names: Vec<String> = tables.iter().map(|table| collection_name(&table.name)).collect();
        let rows = conn.query(sql!("window_open"), &[&names]).await.context(self.named())?;
        let mut cursors = Vec::with_capacity(names.len());
        for (table, name) in tables.iter().zip(&names) {
            let row = rows.iter().find(|row| row.get::<_, Option<&str>>(1) == Some(name));
            let row = row.ok_or_else(|| {
                Error::new(ErrorKind::Tracking, format!("{} is not tracked", table.name)).hint("twinrow install")
            })?;
            let moment = Snapshot::parse(row.get(0))
                .ok_or_else(|| Error::new(ErrorKind::Internal, "the server's snapshot can't be read"))?;
            cursors.push(start(row.get(2), &facts, &moment));
        }
        Ok(cursors)
    }

    /// The steps that are missing.
    async fn steps(&self, conn: &mut Conn, tables: &[Table], home: bool) -> Result<Vec<Step>> {
        let version = self.shared.server.facts().await?.version;
        let base = Base::read(conn, version).await?;
        let mut steps = Vec::new();
        if !base.complete(home)? {
            steps.push(base.step(home)?);
        }
        let found = if base.has("collection") { inspected(conn, tables).await? } else { HashMap::new() };
        let names: Vec<TableName> = tables.iter().map(|table| table.name.clone()).collect();
        for described in describe(conn, Some(&names)).await? {
            let table = &described.table;
            if let Some(why) = &table.refused {
                return Err(Error::new(ErrorKind::Schema, format!("{} can't be tracked: {why}", table.name)));
            }
            let known = found.get(&collection_name(&table.name));
            let gap = match known.map(|known| known.problem(table)) {
                Some(None) => continue,
                Some(Some((_, gap))) => gap,
                None => false,
            };
            let existing = triggers(conn, &format!("{}(_|$)", mark(&table.name))).await?;
            let existing: Vec<(String, String)> = existing.into_iter().map(|(target, trigger, _)| (target, trigger)).collect();
            let keep_log = base.schema
                && known.is_some_and(|known| known.log && known.definition[0].get(3) == known.definition[1].get(3))
                && log_fits(conn, table).await?;
            steps.push(table_step(&described, &existing, if keep_log { Some(gap) } else { None }, &base));
        }
        Ok(steps)
    }

    async fn run_step(&self, conn: &mut Conn, step: &Step) -> Result<()> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            let Err(error) = conn.batch(&step.script()).await else { return Ok(()) };
            conn.rollback_now().await?;
            // Another installation in the cluster may be making or dropping the role we share.
            let again = error.kind() == ErrorKind::Retry
                || (step.table.is_none()
                    && matches!(error.kind(), ErrorKind::Schema | ErrorKind::Rejected | ErrorKind::Duplicate));
            if !again || attempt >= ATTEMPTS_MAX {
                return Err(self.blocked(conn, step, error).await);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }

    /// Says who is in the way.
    async fn blocked(&self, conn: &mut Conn, step: &Step, error: Error) -> Error {
        let Some(table) = &step.table else { return error };
        if error.kind() != ErrorKind::Retry {
            return error.context(format!("tracking {table}"));
        }
        let rows = conn.query(sql!("tracking_blockers"), &[table]).await;
        let who: Option<String> = rows.ok().and_then(|rows| rows.first().and_then(|row| row.get(0)));
        let who = who.unwrap_or_else(|| "a process that has just let go".into());
        Error::new(ErrorKind::Retry, format!("{table} is in use by {who}: it was waited for {ATTEMPTS_MAX} times 2 s"))
            .source(error)
            .hint("twinrow install")
    }
}

/// Lets the next one install.
async fn end(mut turn: Conn) {
    // A connection that is lost has let go of it too.
    let _ = turn.rollback_now().await;
}

/// What is recorded and what is there, by the table's quoted name.
async fn inspected(conn: &mut Conn, tables: &[Table]) -> Result<HashMap<String, Tracked>> {
    let names: Vec<String> = tables.iter().map(|table| collection_name(&table.name)).collect();
    let sql = sql!("tracking_inspect").replace("{definition}", sql!("tracking_definition"));
    let found: HashMap<String, Tracked> = conn.query(&sql, &[&names]).await?.iter().map(Tracked::of).collect();
    found.values().try_for_each(|tracked| refuse_newer(tracked.version, VERSION))?;
    Ok(found)
}

/// Our triggers whose mark matches: table, name, schema-and-table.
async fn triggers(conn: &mut Conn, mark: &str) -> Result<Vec<(String, String, TableName)>> {
    let rows = conn.query(sql!("tracking_objects"), &[&mark]).await?;
    // A partition's trigger goes with its parent's.
    let own = rows.iter().filter(|row| row.get(2));
    Ok(own.map(|row| (row.get(0), row.get(1), TableName { schema: row.get(3), name: row.get(4) })).collect())
}

#[async_trait]
impl Tracking for Postgres {
    async fn script(&self, tables: &[Table], home: bool) -> Result<String> {
        let mut conn = self.connect().await?;
        let steps = self.steps(&mut conn, tables, home).await.context(self.named())?;
        Ok(steps.iter().map(Step::script).collect::<Vec<_>>().join("\n"))
    }

    async fn upgrade(&self, home: bool) -> Result<Vec<String>> {
        let mut conn = self.connect().await?;
        let version = self.shared.server.facts().await?.version;
        let base = Base::read(&mut conn, version).await.context(self.named())?;
        if !base.outdated(home).context(self.named())? {
            return Ok(Vec::new());
        }
        let turn = self.turn().await?;
        let base = Base::read(&mut conn, version).await.context(self.named())?;
        let mut done = Vec::new();
        if base.outdated(home).context(self.named())? {
            let step = base.step(home)?;
            self.run_step(&mut conn, &step).await.context(self.named())?;
            done.push(step.done);
        }
        end(turn).await;
        Ok(done)
    }

    async fn install(&self, tables: &[Table], home: bool) -> Result<Vec<String>> {
        let mut conn = self.connect().await?;
        let mut done = Vec::new();
        if self.steps(&mut conn, tables, home).await.context(self.named())?.is_empty() {
            return Ok(done);
        }
        let turn = self.turn().await?;
        for step in self.steps(&mut conn, tables, home).await.context(self.named())? {
            self.run_step(&mut conn, &step).await.context(self.named())?;
            done.push(step.done);
        }
        end(turn).await;
        Ok(done)
    }

    async fn rights(&self, needs: &[Need]) -> Result<Rights> {
        let mut conn = self.connect().await?;
        let missing = rights::missing(&mut conn, needs).await.context(self.named())?;
        Ok(Rights { missing, warnings: rights::fixed_keys(&mut conn, needs).await.context(self.named())? })
    }

    async fn inspect(&self, tables: &[Table]) -> Result<Vec<Finding>> {
        let mut conn = self.connect().await?;
        let found = match inspected(&mut conn, tables).await {
            // Nothing of ours is there.
            Err(error) if error.kind() == ErrorKind::Schema => HashMap::new(),
            other => other.context(self.named())?,
        };
        let finding = |table: &Table| {
            let tracked = found.get(&collection_name(&table.name));
            let (problem, gap) = match tracked {
                None => ("it is not tracked".into(), true),
                Some(tracked) => tracked.problem(table)?,
            };
            let replaced = match tracked {
                Some(tracked) => tracked.table_now != tracked.table_then,
                // Uninstalled, which says nothing of the table.
                None => table.key_source.reuses(),
            };
            if replaced {
                // It has a sequence of its own; the other's may well be there still.
                self.shared.forget(&table.name);
            }
            Some(Finding { table: table.name.clone(), problem, gap, replaced })
        };
        Ok(tables.iter().filter_map(finding).collect())
    }

    async fn may_uninstall(&self, integration: Option<&str>, tables: &[TableName]) -> Result<()> {
        super::removable::check(&mut self.connect().await?, integration, tables).await.context(self.named())
    }

    async fn uninstall(&self, integration: Option<&str>, tables: &[TableName]) -> Result<Vec<String>> {
        let turn = self.turn().await.map_err(|error| error.hint(super::super::UNINSTALL))?;
        let mut conn = self.connect().await?;
        let removed = match integration {
            None => self.uninstall_all(&mut conn).await,
            Some(integration) => self.uninstall_one(&mut conn, integration, tables).await,
        };
        end(turn).await;
        removed.context(self.named())
    }

    async fn register(&self, integration: &str, tables: &[Table]) -> Result<Vec<Position>> {
        self.shared.is_ours(integration);
        let mut conn = self.connect().await?;
        let names: Vec<String> = tables.iter().map(|table| collection_name(&table.name)).collect();
        let positions: Vec<String> = self.now(&mut conn, tables).await?.into_iter().map(|now| now.position().0).collect();
        conn.query(sql!("consumer_register"), &[&integration, &names, &positions]).await?;
        let registered = conn.query(sql!("consumer_read"), &[&integration, &names]).await?;
        let registered: HashMap<String, String> = registered.iter().map(|row| (row.get(0), row.get(1))).collect();
        let position = |name: &String| registered.get(name).cloned().map(Position);
        names
            .iter()
            .map(|name| position(name).ok_or_else(|| Error::new(ErrorKind::Internal, "a consumer was not registered")))
            .collect()
    }

    async fn renew(&self, integration: &str, cursors: &[(Table, Position)]) -> Result<Vec<Option<Position>>> {
        let mut conn = self.connect().await?;
        let tables: Vec<Table> = cursors.iter().map(|(table, _)| table.clone()).collect();
        let now = self.now(&mut conn, &tables).await?;
        let names: Vec<String> = tables.iter().map(|table| collection_name(&table.name)).collect();
        let registered = conn.query(sql!("consumer_read"), &[&integration, &names]).await?;
        let registered: HashSet<String> = registered.iter().map(|row| row.get(0)).collect();
        let mut renewed = Vec::with_capacity(cursors.len());
        for ((table, since), now) in cursors.iter().zip(now) {
            let then = Cursor::parse(since)?;
            // Another cluster is not for us to decide about. Another history of this one, since a standby took over, is as
            // good as another log, once the fences have been found to agree (A65, rule 17).
            let same = (&then.epoch, &then.timeline) == (&now.epoch, &now.timeline);
            let whole = same && registered.contains(&collection_name(&table.name));
            let position = (then.system == now.system && !whole).then(|| now.position());
            if let Some(Position(position)) = &position {
                let (names, positions) = (vec![collection_name(&table.name)], vec![position.clone()]);
                conn.query(sql!("consumer_write"), &[&integration, &names, &positions]).await?;
            }
            renewed.push(position);
        }
        Ok(renewed)
    }
}

impl Postgres {
    async fn run(&self, conn: &mut Conn, table: Option<String>, sql: String, done: &str) -> Result<()> {
        self.run_step(conn, &Step { done: done.to_owned(), table, sql }).await
    }

    /// Triggers first: as long as one is there, what it calls must be there too (A69).
    async fn drop_triggers(&self, conn: &mut Conn, mark: &str) -> Result<Vec<String>> {
        let mut by_table: Vec<(String, TableName, String)> = Vec::new();
        for (target, trigger, name) in triggers(conn, mark).await? {
            let sql = format!("drop trigger if exists {} on {target};\n", quote(&trigger));
            match by_table.last_mut() {
                Some((last, _, statements)) if *last == target => statements.push_str(&sql),
                _ => by_table.push((target, name, sql)),
            }
        }
        let mut done = Vec::new();
        for (target, name, sql) in by_table {
            self.run(conn, Some(target), sql, "").await?;
            done.push(format!("removed the triggers of {name}"));
        }
        Ok(done)
    }

    async fn uninstall_all(&self, conn: &mut Conn) -> Result<Vec<String>> {
        let mut done = self.drop_triggers(conn, "").await?;
        if self.drop_schema(conn).await? {
            done.push("removed schema twinrow".into());
        }
        Ok(done)
    }

    /// The schema with all in it, and the role if no other database needs it.
    async fn drop_schema(&self, conn: &mut Conn) -> Result<bool> {
        if conn.query("select from pg_catalog.pg_namespace where nspname = 'twinrow'", &[]).await?.is_empty() {
            return Ok(false);
        }
        self.run(conn, None, "drop schema if exists twinrow cascade;\n".into(), "").await?;
        self.shared.forget_all();
        if let Err(error) = conn.batch("drop role if exists twinrow_capture").await {
            // Another database's functions run as it, or it is another user's.
            tracing::debug!(%error, "role twinrow_capture stays");
        }
        Ok(true)
    }

    async fn uninstall_one(&self, conn: &mut Conn, integration: &str, tables: &[TableName]) -> Result<Vec<String>> {
        if conn
            .query("select from pg_catalog.pg_class where oid = pg_catalog.to_regclass('twinrow.consumer')", &[])
            .await?
            .is_empty()
        {
            return Ok(Vec::new());
        }
        let mut done = Vec::new();
        for table in tables {
            let name = collection_name(table);
            let gone = "delete from twinrow.consumer where integration = $1::text and name = $2::text returning name";
            if !conn.query(gone, &[&integration, &name]).await?.is_empty() {
                done.push(format!("{integration} no longer reads {table}"));
            }
            let used = "select from twinrow.consumer where name = $1::text limit 1";
            if conn.query(used, &[&name]).await?.is_empty() {
                let mark = mark(table);
                done.extend(self.drop_triggers(conn, &format!("{mark}(_|$)")).await?);
                let sql = format!(
                    "drop function if exists twinrow.capture_{mark}();\ndrop table if exists twinrow.log_{mark};\n\
                     delete from twinrow.collection where name = {};\n",
                    literal(&name)
                );
                self.run(conn, Some(name), sql, "").await?;
                done.push(format!("removed the change log of {table}"));
            }
        }
        Ok(done)
    }
}
