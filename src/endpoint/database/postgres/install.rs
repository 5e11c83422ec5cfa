//! What an installation is made of: transactions of statements, filled in from `migrations/postgres`.

use std::collections::HashMap;

use super::catalog::{Described, literal, log_type, quote, quote_table};
use super::log::{collection_name, log_name, mark};
use super::session::Conn;
use crate::endpoint::database::migrations::Part;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::{Column, Kind, Table};

macro_rules! migration {
    ($name:literal) => {
        include_str!(concat!("../../../../migrations/postgres/", $name, ".sql"))
    };
}

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../../sql/postgres/", $name, ".sql"))
    };
}

/// The version of a table's log, function and triggers; a greater one is not ours to touch (F15).
pub(super) const VERSION: i64 = 3;
/// Tables of the endpoint and of the state.
const ENDPOINT_TABLES: [&str; 7] = ["version", "fence", "receipt", "collection", "consumer", "edge", "move"];
const STATE_TABLES: [&str; 13] =
    ["lease", "seen", "link", "cursor", "pair", "work", "conflict", "scan", "brake", "brake_window", "intent", "run", "setting"];

/// The migrations of our own tables, oldest first. What was released is never changed: a change is a
/// further one. Each can be run again.
const ENDPOINT: [&str; 4] =
    [migration!("endpoint_1"), migration!("endpoint_2"), migration!("endpoint_3"), migration!("endpoint_4")];
const STATE: [&str; 5] =
    [migration!("state_1"), migration!("state_2"), migration!("state_3"), migration!("state_4"), migration!("state_5")];

/// One transaction of an installation.
pub(super) struct Step {
    /// What was done, afterwards.
    pub(super) done: String,
    /// The table it needs for itself, quoted.
    pub(super) table: Option<String>,
    pub(super) sql: String,
}

impl Step {
    /// The transaction as it is run and printed. It gives up rather than make the application queue
    /// behind it (A33), and names resolve as in our own sessions.
    pub(super) fn script(&self) -> String {
        format!("begin;\nset local lock_timeout = '1s';\nset local search_path = '';\n{}commit;\n", self.sql)
    }
}

/// What this user may do, and what is there.
pub(super) struct Base {
    pub(super) schema: bool,
    tables: Vec<String>,
    functions: bool,
    capture_role: bool,
    superuser: bool,
    user: String,
    versions: HashMap<String, i64>,
}

impl Base {
    /// # Errors
    /// [`ErrorKind::Tracking`] if a newer program has been at our tables.
    pub(super) async fn read(conn: &mut Conn, server: i64) -> Result<Base> {
        let rows = conn.query(sql!("tracking_base"), &[]).await?;
        let row = rows.first().ok_or_else(|| Error::new(ErrorKind::Internal, "the server does not know its own user"))?;
        let (superuser, creates, exists, member): (bool, bool, bool, bool) = (row.get(3), row.get(4), row.get(5), row.get(6));
        // From version 16 on, a role that another made can't be taken.
        let capture_role = superuser || member || (creates && (!exists || server < 160_000));
        let mut base = Base {
            schema: row.get(0),
            tables: row.get(1),
            functions: row.get(2),
            capture_role,
            superuser,
            user: row.get(7),
            versions: HashMap::new(),
        };
        if base.has("version") {
            let rows = conn.query(sql!("version_read"), &[]).await?;
            base.versions = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        }
        base.parts(true)?;
        Ok(base)
    }

    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.iter().any(|there| there == table)
    }

    fn whole(&self, home: bool) -> bool {
        let has = |tables: &[&str]| tables.iter().all(|table| self.has(table));
        self.schema && self.functions && has(&ENDPOINT_TABLES) && (!home || has(&STATE_TABLES))
    }

    fn parts(&self, home: bool) -> Result<Vec<Part>> {
        let recorded = |part: &str| self.versions.get(part).copied();
        let mut parts = vec![Part::found("endpoint", &ENDPOINT, recorded("endpoint"), self.has("fence"))?];
        if home {
            parts.push(Part::found("state", &STATE, recorded("state"), self.has("pair"))?);
        }
        Ok(parts)
    }

    pub(super) fn complete(&self, home: bool) -> Result<bool> {
        Ok(self.whole(home) && self.parts(home)?.iter().all(Part::settled))
    }

    /// Whether an older program has made them.
    pub(super) fn outdated(&self, home: bool) -> Result<bool> {
        Ok(self.parts(home)?.iter().any(Part::outdated))
    }

    pub(super) fn step(&self, home: bool) -> Result<Step> {
        let mut sql = String::new();
        if self.capture_role {
            sql.push_str(migration!("role"));
            if !self.superuser {
                sql.push_str(&format!("grant twinrow_capture to {};\n", quote(&self.user)));
            }
        }
        sql.push_str(migration!("schema"));
        let mut recorded = String::new();
        for part in self.parts(home)? {
            // Each can be run again: where something is missing, all of them are.
            let had = if self.whole(home) { part.had } else { 0 };
            part.migrations.iter().skip(usize::try_from(had).unwrap_or(0)).for_each(|migration| sql.push_str(migration));
            let version = sql!("version_write").replace("{part}", part.name);
            recorded.push_str(&version.replace("{version}", &part.current().to_string()));
        }
        sql.push_str(&recorded);
        if self.capture_role {
            sql.push_str(migration!("role_grants"));
        }
        let user = quote(&self.user);
        sql.push_str(&format!(
            "grant usage on schema twinrow to {user};\ngrant select, insert, update, delete on all tables in schema twinrow to {user};\n"
        ));
        let done = match self.outdated(home)? {
            true => "brought the tables of schema twinrow up to date",
            false => "made schema twinrow and its tables",
        };
        Ok(Step { done: done.into(), table: None, sql })
    }
}

/// The statements that make the tracking of a table, whatever of it exists. `keep`: the log stays; and whether
/// it may lack changes, of which a mark in it tells everyone who reads it.
pub(super) fn table_step(described: &Described, existing: &[(String, String)], keep: Option<bool>, base: &Base) -> Step {
    let table = &described.table;
    let name = quote_table(&table.name);
    let (mark, log) = (mark(&table.name), log_name(&table.name));
    let fill = |template: &str, target: &str| fill(template, described, target);
    let mut sql = String::new();
    for (target, trigger) in existing {
        sql.push_str(&format!("drop trigger if exists {} on {target};\n", quote(trigger)));
    }
    if keep.is_none() {
        sql.push_str(&format!("drop table if exists twinrow.{log};\n"));
        sql.push_str(&fill(migration!("log"), &name));
    }
    let capture = if described.partitioned { migration!("capture_partitioned") } else { migration!("capture") };
    sql.push_str(&fill(capture, &name));
    if base.capture_role {
        let rights = if described.partitioned { "select, insert, delete" } else { "insert" };
        sql.push_str(&format!(
            "grant {rights} on twinrow.{log} to twinrow_capture;\nalter function twinrow.capture_{mark}() owner to twinrow_capture;\n"
        ));
    }
    sql.push_str(&format!("grant select, insert, delete on twinrow.{log} to {};\n", quote(&base.user)));
    if described.by_row {
        sql.push_str(&fill(migration!("triggers_row"), &name));
        // Partitions get their triggers from their parent; inheritance children don't.
        if described.partitioned {
            sql.push_str(&fill(migration!("triggers_partitioned"), &name));
        } else {
            described.members.iter().for_each(|member| sql.push_str(&fill(migration!("triggers_row"), member)));
        }
        sql.push_str(&fill(migration!("triggers_member"), &name));
        described.members.iter().for_each(|member| sql.push_str(&fill(migration!("triggers_member"), member)));
    } else {
        sql.push_str(&fill(migration!("triggers_statement"), &name));
    }
    if keep == Some(true) {
        sql.push_str(&format!("insert into twinrow.{log} (op) values ('T');\n"));
    }
    let key: Vec<String> = table.key_columns().map(|column| literal(&column.name)).collect();
    let values = [
        ("{name}", literal(&collection_name(&table.name))),
        ("{regclass}", literal(&name)),
        ("{log}", literal(&log)),
        ("{key}", format!("array[{}]::text[]", key.join(", "))),
        ("{version}", VERSION.to_string()),
    ];
    sql.push_str(&values.iter().fold(migration!("collection").to_owned(), |sql, (from, to)| sql.replace(from, to)));
    sql.push_str(&format!(
        "update twinrow.collection c set definition = d.definition from (\n{}) d where d.name = c.name and c.name = {};\n",
        sql!("tracking_definition"),
        literal(&collection_name(&table.name))
    ));
    Step { done: format!("tracking {}", table.name), table: Some(name), sql }
}

/// Puts a table's names and key columns into a template. Names go in last: they may look like anything.
fn fill(template: &str, described: &Described, target: &str) -> String {
    let table = &described.table;
    let columns: Vec<&Column> = table.key_columns().collect();
    let list = |make: &dyn Fn(usize, &Column) -> String, separator: &str| {
        columns.iter().enumerate().map(|(i, column)| make(i + 1, column)).collect::<Vec<_>>().join(separator)
    };
    let logged = |column: &Column| log_type(&column.kind).unwrap_or("text");
    let kinds = |prefix: char| list(&|i, column| format!("{prefix}{i} {}", logged(column)), ", ");
    let names = |prefix: &str| list(&|i, _| format!("{prefix}{i}"), ", ");
    let lost = |row: &str| list(&|i, _| format!("{row}.o{i} is null"), " or ");
    let op = |op: char| format!("case when {} then 'T' else '{op}' end", lost("k"));
    let same = list(&|i, _| format!("a.o{i} = b.o{i}"), " and ");
    let keys_and = |more: &str, rows: &str| {
        let gone = list(&|_, column| format!("null::{} as {}", logged(column), quote(&column.name)), ", ");
        let parts = list(&|i, column| format!("{} as o{i}", captured(column)), ", ");
        format!("(select {more}k.* from (select {gone}) gone cross join lateral (select {parts} from {rows}) k)")
    };
    let keys = |rows: &str| keys_and("", rows);
    let places = |rows: &str| keys_and("row_number() over () as place, ", rows);
    let replacements = [
        ("{columns}", format!("{}, {}", kinds('o'), kinds('n'))),
        ("{log}", log_name(&table.name)),
        ("{mark}", mark(&table.name)),
        ("{o}", names("o")),
        ("{n}", names("n")),
        ("{l_o}", names("l.o")),
        ("{left}", list(&|i, _| format!("case when {same} then b.o{i} else a.o{i} end"), ", ")),
        ("{moved}", list(&|i, _| format!("case when not ({same}) then b.o{i} end"), ", ")),
        ("{a_lost}", lost("a")),
        ("{b_lost}", lost("b")),
        ("{I}", op('I')),
        ("{U}", op('U')),
        ("{D}", op('D')),
        ("{new_rows}", keys("new_rows")),
        ("{old_rows}", keys("old_rows")),
        ("{new_places}", places("new_rows")),
        ("{old_places}", places("old_rows")),
        ("{new}", keys("(select new.*) new_row")),
        ("{old}", keys("(select old.*) old_row")),
        ("{same}", same.clone()),
        ("{parted}", parted(described)),
        ("{table}", target.to_owned()),
    ];
    let mut out = String::with_capacity(template.len() * 2);
    let mut rest = template;
    // One pass, so that nothing is looked for in what was put in.
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match replacements.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, text)) => {
                out.push_str(text);
                rest = &rest[name.len()..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Whether an update changes what decides where a row of a partitioned table is. Texts by their bytes: what the server prints of it in
/// a dump must mean the same where no operator but its own is found.
fn parted(described: &Described) -> String {
    let changed = |name: &String| {
        let column = described.table.column(name).map(|at| &described.table.columns[at]);
        let bytes = if column.is_some_and(is_text) { "::text collate \"C\"" } else { "" };
        format!("old.{0}{bytes} is distinct from new.{0}{bytes}", quote(name))
    };
    described.parted_by.iter().map(changed).collect::<Vec<_>>().join(" or ")
}

fn is_text(column: &Column) -> bool {
    matches!(column.kind, Kind::Text { .. } | Kind::Enum(_))
}

/// A key column as it goes into the log: texts by their bytes, whatever the column's collation calls
/// equal (C6); the rest in a wider type of its own. Whatever the column's type has become, it parses (A30).
fn captured(column: &Column) -> String {
    let name = quote(&column.name);
    match is_text(column) {
        true => format!("{name}::text collate \"C\""),
        false => format!("twinrow.key_part({name}, null::{})", log_type(&column.kind).unwrap_or("text")),
    }
}

/// Whether the log there is has columns for this key.
pub(super) async fn log_fits(conn: &mut Conn, table: &Table) -> Result<bool> {
    let rows = conn.query(sql!("tracking_log_columns"), &[&log_name(&table.name)]).await?;
    let there: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let full = |kind: &Kind| match log_type(kind)? {
        "timestamp" => Some("timestamp without time zone"),
        "timestamptz" => Some("timestamp with time zone"),
        "time" => Some("time without time zone"),
        other => other.split(' ').next().filter(|first| *first == "text").or(Some(other)),
    };
    Ok(there.iter().map(|there| Some(there.as_str())).eq(table.key_columns().map(|column| full(&column.kind))))
}
