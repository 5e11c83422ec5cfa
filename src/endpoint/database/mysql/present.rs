//! What is there of ours, and how the tracked tables stand: two statements, asked at every poll.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mysql_async::{Row, Value as Wire};

use super::catalog::{quoted, schema_of};
use super::connection::{Connection, field_optional, field_text};
use super::install::VERSION;
use super::log::{self, Log};
use super::triggers::Installed;
use crate::endpoint::database::migrations::refuse_newer;
use crate::error::{Kind, Result};
use crate::model::{KeySource, Table};

/// Everything that is there of ours in this database, and what is recorded of it.
#[derive(Default)]
pub(super) struct Present {
    pub(super) tables: BTreeSet<String>,
    /// Those that write logs, under the logs' names.
    pub(super) procedures: BTreeMap<String, Procedure>,
    pub(super) triggers: Vec<Installed>,
    /// What is recorded of each collection, by its name.
    pub(super) collections: BTreeMap<String, Recorded>,
    /// The triggers as they were installed.
    pub(super) recorded: Vec<RecordedTrigger>,
    /// Logs that lack the row that says which they are (A11).
    pub(super) unmarked: BTreeSet<String>,
    /// There is the row that numbers the queue.
    pub(super) numbered: bool,
    /// The tracked tables as the catalog has them.
    standing: HashMap<(String, String), Standing>,
}

/// A procedure that writes a log.
pub(super) struct Procedure {
    /// What it does, if this user may see it.
    pub(super) body: Option<String>,
    /// `twinrow_capture_…@localhost`.
    pub(super) definer: String,
    /// Its definer is not known to be lost (A36).
    pub(super) sound: bool,
}

/// A tracked table as it was recorded.
pub(super) struct Recorded {
    pub(super) log: String,
    /// Counter and number it had then.
    pub(super) was: (Option<u64>, Option<u64>),
    /// Of its log and triggers.
    pub(super) version: i64,
}

/// A trigger as it was recorded.
pub(super) struct RecordedTrigger {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) collection: String,
    pub(super) body: String,
}

/// A tracked table as the catalog has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    pub(super) counter: Option<u64>,
    pub(super) table_id: Option<u64>,
    /// Its columns with their types, in order.
    columns: Vec<(String, String)>,
}

impl Present {
    /// How a table stands now.
    pub(super) fn now(&self, table: &Table, database: &str) -> Standing {
        let found = self.standing.get(&place(table, database));
        let mut standing = found.cloned().unwrap_or_default();
        if found.is_some() && table.key_source == KeySource::Generated {
            // MySQL says NULL of a counter that was never used.
            standing.counter = Some(standing.counter.unwrap_or(1));
        }
        standing
    }
}

impl Standing {
    /// The key columns of a table with their types; nothing if the table is not there.
    pub(super) fn keys(&self, table: &Table) -> String {
        let is_key = |name: &String| table.key_columns().any(|column| column.name == *name);
        let keys = self.columns.iter().filter(|(name, _)| is_key(name)).map(|(name, kind)| format!("{name} {kind}"));
        keys.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
    }
}

fn place(table: &Table, database: &str) -> (String, String) {
    (schema_of(&table.name, database).to_owned(), table.name.name.clone())
}

/// The names of our own tables that are there.
pub(super) async fn own(connection: &mut Connection) -> Result<BTreeSet<String>> {
    let database = connection.server.database.clone();
    let rows = connection.rows(sql!("tracking_objects"), vec![database.into()]).await?;
    rows.iter().map(|row| field_text(row, 0)).collect()
}

pub(super) async fn present(connection: &mut Connection, tables: &[Table]) -> Result<Present> {
    let mut present = seen(connection, tables).await?;
    recorded(connection, tables, &mut present).await?;
    Ok(present)
}

/// What the catalog shows, whatever is recorded, and by a program however new.
pub(super) async fn seen(connection: &mut Connection, tables: &[Table]) -> Result<Present> {
    let rows = match catalog(connection, tables).await {
        // Numbers of tables are for those with PROCESS. Others are not asked again.
        Err(error) if error.kind() == Kind::Denied && connection.sees_numbers() => {
            connection.sees_no_numbers();
            catalog(connection, tables).await?
        }
        other => other?,
    };
    let mut present = Present::default();
    for row in &rows {
        present.take(row)?;
    }
    present.triggers.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    Ok(present)
}

/// One statement on the catalog: ours, and the tracked tables.
async fn catalog(connection: &mut Connection, tables: &[Table]) -> Result<Vec<Row>> {
    let database = connection.server.database.clone();
    let mut text = sql!("tracking_inspect").trim_end().to_owned();
    let ours = format!("%{}.`twinrow\\_log\\_%", quoted(&database).replace('_', "\\_").replace('%', "\\%"));
    let named = || Wire::from(database.as_str());
    let mut params = vec![named(), named(), Wire::from(ours), named()];
    let places: BTreeSet<(String, String)> = tables.iter().map(|table| place(table, &database)).collect();
    let json = |places: &mut dyn Iterator<Item = &(String, String)>| {
        let set: Vec<serde_json::Value> = places.map(|(schema, name)| serde_json::json!([schema, name])).collect();
        Wire::from(serde_json::Value::from(set).to_string())
    };
    if connection.server.flavour.mariadb {
        // It looks into one table if it is told which, and else into every one of the server's.
        for (schema, name) in &places {
            text.push_str("\nunion all\n");
            text.push_str(sql!("tracking_table_mariadb").trim_end());
            params.extend([schema, name, schema, name].map(|text| Wire::from(text.as_str())));
        }
    } else if !places.is_empty() {
        text.push_str("\nunion all\n");
        text.push_str(sql!("tracking_tables_mysql").trim_end());
        params.extend([json(&mut places.iter()), json(&mut places.iter())]);
    }
    // InnoDB spells other names in an encoding of its own.
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    // The number says more than the counter, but is asked for only where there is none.
    let uncounted = tables.iter().filter(|table| table.key_source != KeySource::Generated && plain(&table.name.name));
    let uncounted: BTreeSet<(String, String)> =
        uncounted.map(|table| place(table, &database)).filter(|(s, _)| plain(s)).collect();
    if !uncounted.is_empty() && connection.sees_numbers() {
        text.push_str("\nunion all\n");
        let mariadb = connection.server.flavour.mariadb;
        text.push_str(if mariadb { sql!("tracking_numbers_mariadb") } else { sql!("tracking_numbers_mysql") }.trim_end());
        params.push(json(&mut uncounted.iter()));
    }
    connection.rows(&text, params).await
}

/// One statement on our own tables: what was recorded, and which logs are not the ones that were.
async fn recorded(connection: &mut Connection, tables: &[Table], present: &mut Present) -> Result<()> {
    if !present.tables.contains("twinrow_collection") || !present.tables.contains("twinrow_trigger") {
        return Ok(());
    }
    // The first version did not record it.
    let versioned = present.tables.contains("twinrow_version");
    let mut text = if versioned { sql!("tracking_recorded") } else { sql!("tracking_recorded_1") }.trim_end().to_owned();
    if present.tables.contains("twinrow_drain") {
        text.push_str("\nunion all\n");
        text.push_str(sql!("drain_read").trim_end());
    }
    let logs = tables.iter().map(|table| Log::of(table, &connection.server.database).name);
    for log in logs.filter(|log| present.tables.contains(log)).collect::<BTreeSet<_>>() {
        text.push_str("\nunion all\n");
        text.push_str(&sql!("tracking_unmarked").trim_end().replace("{log}", &log));
    }
    for row in &connection.rows(&text, Vec::new()).await.map_err(log::missing)? {
        present.take(row)?;
    }
    Ok(())
}

impl Present {
    /// One row of these statements; the first column says what it is about.
    fn take(&mut self, row: &Row) -> Result<()> {
        let text = |at| field_text(row, at);
        let number = |at| Ok::<_, crate::error::Error>(field_optional(row, at)?.and_then(|text| text.parse::<u64>().ok()));
        match text(0)?.as_str() {
            "table" => _ = self.tables.insert(text(1)?),
            "procedure" => {
                let procedure = Procedure { body: field_optional(row, 2)?, definer: text(3)?, sound: true };
                self.procedures.insert(text(1)?, procedure);
            }
            "trigger" => self.triggers.push(Installed::read(row, 1)?),
            "counter" => self.standing.entry((text(1)?, text(2)?)).or_default().counter = number(3)?,
            "column" => {
                let columns = &mut self.standing.entry((text(1)?, text(2)?)).or_default().columns;
                columns.push((text(3)?, text(4)?));
            }
            "number" => self.standing.entry((text(1)?, text(2)?)).or_default().table_id = number(3)?,
            "collection" => {
                let version = log::number(row, 5)?;
                refuse_newer(version, VERSION)?;
                self.collections.insert(text(1)?, Recorded { log: text(2)?, was: (number(3)?, number(4)?), version });
            }
            "recorded" => {
                let (schema, name, collection, body) = (text(1)?, text(2)?, text(3)?, text(4)?);
                self.recorded.push(RecordedTrigger { schema, name, collection, body });
            }
            "numbered" => self.numbered = true,
            "unmarked" => _ = self.unmarked.insert(text(1)?),
            _ => {}
        }
        Ok(())
    }
}
