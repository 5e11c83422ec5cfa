//! SQLite: a file in a directory of its own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::types::ValueRef;
use tokio_rusqlite::Connection;
use twinrow::endpoint::database::sqlite::tracking_names;
use twinrow::endpoint::{Endpoint, Tls};
use twinrow::model::TableName;

use super::{Damage, Dialect, Lab, Rows, UserTransaction};

const DIALECT: Dialect = Dialect {
    generated_key: "integer primary key autoincrement",
    text: "text",
    quote: '"',
    concurrent_writers: false,
    upsert: "on conflict (id) do update set name = excluded.name",
    replace: Some("insert or replace into"),
    // A trigger of SQLite's can't change the row it fires for before it is stored.
    trigger_key: &[],
    own: "twinrow_",
    statements: "sql/sqlite",
};

/// A database file and one connection of the application's.
pub struct SqliteLab {
    dir: Mutex<Option<tempfile::TempDir>>,
    path: String,
    app: Connection,
}

/// A fresh, empty database in WAL mode, as most applications have it.
pub async fn lab() -> Result<Arc<dyn Lab>, String> {
    Ok(Arc::new(SqliteLab::new("wal").await?))
}

/// As [`lab`], in SQLite's default journal mode: readers and writers exclude each other.
pub async fn rollback_journal() -> Result<Arc<dyn Lab>, String> {
    Ok(Arc::new(SqliteLab::new("delete").await?))
}

impl SqliteLab {
    /// A fresh, empty database with this journal mode.
    pub async fn new(journal: &str) -> Result<SqliteLab, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let path = dir.path().join("app.db");
        Ok(SqliteLab { dir: Mutex::new(Some(dir)), ..SqliteLab::at(&path, journal).await? })
    }

    /// A database with this journal mode in this file.
    pub async fn at(path: &std::path::Path, journal: &str) -> Result<SqliteLab, String> {
        let path = path.to_string_lossy().into_owned();
        let app = connect(&path).await;
        execute(&app, &format!("pragma journal_mode = {journal}")).await.map_err(|error| format!("journal mode: {error}"))?;
        execute(&app, "pragma foreign_keys = on").await?;
        Ok(SqliteLab { dir: Mutex::new(None), path, app })
    }
}

async fn connect(path: &str) -> Connection {
    let connection = Connection::open(path).await.unwrap();
    // A queue for the one writer's place is not fair.
    connection.call(|c| c.busy_timeout(Duration::from_secs(60))).await.unwrap();
    connection
}

async fn execute(connection: &Connection, sql: &str) -> Result<(), String> {
    let sql = sql.to_owned();
    connection
        .call(move |c| {
            let mut statement = c.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok::<_, rusqlite::Error>(())
        })
        .await
        .map_err(|error| error.to_string())
}

async fn select(connection: &Connection, sql: &str) -> Rows {
    try_select(connection, sql).await.unwrap()
}

async fn try_select(connection: &Connection, sql: &str) -> Result<Rows, String> {
    let sql = sql.to_owned();
    let read = move |c: &mut rusqlite::Connection| {
        let mut statement = c.prepare(&sql)?;
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| (0..columns).map(|i| row.get_ref(i).map(text)).collect())?;
        rows.collect::<Result<Rows, rusqlite::Error>>()
    };
    connection.call(read).await.map_err(|error| error.to_string())
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(value.to_string()),
        ValueRef::Real(value) => Some(value.to_string()),
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Some(bytes.iter().map(|b| format!("{b:02x}")).collect()),
    }
}

#[async_trait]
impl Lab for SqliteLab {
    fn url(&self) -> String {
        format!("sqlite:{}", self.path)
    }

    async fn endpoint(&self) -> Arc<dyn Endpoint> {
        twinrow::endpoint::open("lab", &self.url(), &Tls::default()).await.unwrap()
    }

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    fn table(&self, name: &str) -> TableName {
        TableName { schema: String::new(), name: name.to_owned() }
    }

    async fn try_user(&self, sql: &str) -> Result<(), String> {
        execute(&self.app, sql).await
    }

    async fn script(&self, sql: &str) {
        let sql = sql.to_owned();
        self.app.call(move |c| c.execute_batch(&sql)).await.unwrap();
    }

    async fn user_rows(&self, sql: &str) -> Rows {
        select(&self.app, sql).await
    }

    async fn open(&self) -> Box<dyn UserTransaction> {
        let connection = connect(&self.path).await;
        execute(&connection, "begin immediate").await.unwrap();
        Box::new(Open(connection))
    }

    async fn noticed(&self, sql: &str) -> Vec<Option<String>> {
        self.user(sql).await;
        self.user_rows("select last_insert_rowid(), changes()").await.remove(0)
    }

    async fn catalog(&self) -> BTreeSet<String> {
        let rows =
            self.user_rows("select type || ' ' || name from sqlite_master where name not like 'sqlite\\_%' escape '\\'").await;
        rows.into_iter().flatten().flatten().collect()
    }

    async fn definitions(&self) -> BTreeSet<String> {
        let sql = "select coalesce(sql, name) from sqlite_master where name like '%twinrow%' \
             union all select 'version ' || part || version from twinrow_version \
             union all select name || log || version from twinrow_collection";
        self.user_rows(sql).await.into_iter().flatten().flatten().collect()
    }

    async fn frozen(&self) -> Vec<String> {
        let scripts =
            [include_str!("frozen/sqlite_1.sql"), include_str!("frozen/sqlite_2.sql"), include_str!("frozen/sqlite_3.sql")];
        scripts.map(str::to_owned).into()
    }

    async fn damage(&self, table: &str, damage: Damage) {
        let names = tracking_names(&self.table(table));
        match damage {
            Damage::TriggerDropped => self.user(&format!("drop trigger {}", names.trigger("au"))).await,
            Damage::TriggerAltered => {
                self.user(&format!("drop trigger {}", names.trigger("ad"))).await;
                let quoted = DIALECT.quoted(table);
                self.user(&format!("create trigger {} after delete on {quoted} begin select 1; end", names.trigger("ad"))).await;
            }
            Damage::LogRecreated => {
                let create = self.user_rows(&format!("select sql from sqlite_master where name = '{}'", names.log)).await;
                let create = create[0][0].clone().unwrap();
                self.user(&format!("drop table {}", names.log)).await;
                self.user(&create).await;
            }
            Damage::LogDropped => self.user(&format!("drop table {}", names.log)).await,
        }
    }

    async fn close(&self) {
        self.dir.lock().unwrap().take();
    }
}

struct Open(Connection);

#[async_trait]
impl UserTransaction for Open {
    async fn try_run(&mut self, sql: &str) -> Result<(), String> {
        execute(&self.0, sql).await
    }

    async fn try_rows(&mut self, sql: &str) -> Result<Rows, String> {
        try_select(&self.0, sql).await
    }

    async fn commit(self: Box<Self>) {
        execute(&self.0, "commit").await.unwrap();
    }

    async fn rollback(self: Box<Self>) {
        execute(&self.0, "rollback").await.unwrap();
    }
}
