//! MySQL and MariaDB: a database of its own on a shared server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value as Wire};
use tokio::sync::{Mutex, MutexGuard};
use twinrow::endpoint::Endpoint;
use twinrow::endpoint::database::mysql::Mysql;
use twinrow::model::TableName;

use super::{Damage, Dialect, Lab, Rows, UserTransaction};

const DIALECT: Dialect = Dialect {
    generated_key: "bigint auto_increment primary key",
    text: "varchar(191)",
    quote: '`',
    concurrent_writers: true,
    upsert: "on duplicate key update name = values(name)",
    replace: Some("replace into"),
    trigger_key: &[
        "create trigger stamp before insert on stamped for each row set new.id = concat('made-by-trigger-', new.name)",
    ],
    statements: "sql/mysql",
};

/// A database and one connection of the application's.
pub struct MysqlLab {
    pub name: String,
    server: String,
    app: Mutex<Conn>,
}

/// A fresh database on the MySQL server.
pub async fn mysql() -> Result<Arc<dyn Lab>, String> {
    Ok(Arc::new(MysqlLab::new("TWINROW_TEST_MYSQL").await?))
}

/// A fresh database on the MariaDB server.
pub async fn mariadb() -> Result<Arc<dyn Lab>, String> {
    Ok(Arc::new(MysqlLab::new("TWINROW_TEST_MARIADB").await?))
}

impl MysqlLab {
    pub async fn new(variable: &str) -> Result<MysqlLab, String> {
        MysqlLab::on(std::env::var(variable).map_err(|_| format!("{variable} is not set"))?).await
    }

    /// A fresh database on this server.
    pub async fn on(server: String) -> Result<MysqlLab, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("tw_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut root = Conn::from_url(&server).await.map_err(|error| error.to_string())?;
        root.query_drop(format!("create database {name}")).await.map_err(|error| error.to_string())?;
        let app = Mutex::new(connect(&server, &name).await);
        Ok(MysqlLab { name, server, app })
    }

    /// The application's own connection; made again if the server was away.
    async fn app(&self) -> MutexGuard<'_, Conn> {
        let mut app = self.app.lock().await;
        if app.ping().await.is_err() {
            *app = self.connect().await;
        }
        app
    }

    /// Another connection of the application's, with whatever settings it makes.
    pub async fn connect(&self) -> Conn {
        connect(&self.server, &self.name).await
    }

    /// The database's URL for another user.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        let mut url = url::Url::parse(&self.url()).unwrap();
        url.set_username(user).unwrap();
        url.set_password(Some(password)).unwrap();
        url.to_string()
    }
}

async fn connect(server: &str, database: &str) -> Conn {
    let mut url = url::Url::parse(server).unwrap();
    url.set_path(database);
    Conn::from_url(url.as_str()).await.unwrap()
}

/// Every value as text.
pub async fn select(conn: &mut Conn, sql: &str) -> Rows {
    let rows: Vec<Row> = conn.query(sql).await.unwrap();
    rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect()
}

fn text(value: Wire) -> Option<String> {
    match value {
        Wire::NULL => None,
        Wire::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

#[async_trait]
impl Lab for MysqlLab {
    fn url(&self) -> String {
        let mut url = url::Url::parse(&self.server).unwrap();
        url.set_path(&self.name);
        url.to_string()
    }

    async fn endpoint(&self) -> Arc<dyn Endpoint> {
        Arc::new(Mysql::open(&self.url(), "lab").unwrap())
    }

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    fn table(&self, name: &str) -> TableName {
        TableName { schema: String::new(), name: name.to_owned() }
    }

    async fn try_user(&self, sql: &str) -> Result<(), String> {
        self.app().await.query_drop(sql).await.map_err(|error| error.to_string())
    }

    async fn script(&self, sql: &str) {
        let mut conn = self.connect().await;
        conn.query_drop(sql).await.unwrap();
    }

    async fn user_rows(&self, sql: &str) -> Rows {
        select(&mut *self.app().await, sql).await
    }

    async fn open(&self) -> Box<dyn UserTransaction> {
        let mut conn = self.connect().await;
        conn.query_drop("start transaction").await.unwrap();
        Box::new(Open(conn))
    }

    async fn noticed(&self, sql: &str) -> Vec<Option<String>> {
        let mut conn = self.app.lock().await;
        conn.query_drop(sql).await.unwrap();
        let mut seen = vec![
            conn.last_insert_id().map(|id| id.to_string()),
            Some(conn.affected_rows().to_string()),
            Some(conn.info().into_owned()),
            Some(conn.get_warnings().to_string()),
        ];
        seen.extend(select(&mut conn, "select row_count(), last_insert_id(), @@identity").await.remove(0));
        seen
    }

    async fn catalog(&self) -> BTreeSet<String> {
        let sql = format!(
            "select concat('table ', table_name) from information_schema.tables where table_schema = '{0}' \
             union all select concat('trigger ', trigger_name) from information_schema.triggers where trigger_schema = '{0}' \
             union all select concat('procedure ', routine_name) from information_schema.routines where routine_schema = '{0}' \
             union all select concat('account ', d.user) from mysql.db as d where d.db = '{0}' and d.user like 'twinrow%' \
             union all select distinct concat('grants of ', t.user) from mysql.tables_priv as t where t.db = '{0}'",
            self.name
        );
        self.user_rows(&sql).await.into_iter().flatten().flatten().collect()
    }

    async fn damage(&self, table: &str, damage: Damage) {
        let log = self.user_rows(&format!("select log from twinrow_collection where name = '{table}'")).await;
        let log = log[0][0].clone().unwrap();
        let triggers = format!(
            "select trigger_name from information_schema.triggers where trigger_schema = '{}' \
             and event_object_table = '{table}' and event_manipulation = 'DELETE' and trigger_name like 'twinrow%'",
            self.name
        );
        match damage {
            Damage::TriggerDropped | Damage::TriggerAltered => {
                let trigger = self.user_rows(&triggers).await[0][0].clone().unwrap();
                self.user(&format!("drop trigger `{trigger}`")).await;
                if damage == Damage::TriggerAltered {
                    let table = DIALECT.quoted(table);
                    self.user(&format!("create trigger `{trigger}` after delete on {table} for each row set @nothing = 1")).await;
                }
            }
            Damage::LogRecreated => {
                self.user(&format!("create table keep like `{log}`")).await;
                self.user(&format!("drop table `{log}`")).await;
                self.user(&format!("rename table keep to `{log}`")).await;
            }
            Damage::LogDropped => self.user(&format!("drop table `{log}`")).await,
        }
    }

    async fn close(&self) {
        self.user(&format!("drop database {}", self.name)).await;
        let users = self.user_rows(&format!("select distinct user from mysql.tables_priv where db = '{}'", self.name)).await;
        for user in users.into_iter().flatten().flatten() {
            self.user(&format!("drop user if exists '{user}'@'localhost'")).await;
        }
    }
}

struct Open(Conn);

#[async_trait]
impl UserTransaction for Open {
    async fn try_run(&mut self, sql: &str) -> Result<(), String> {
        self.0.query_drop(sql).await.map_err(|error| error.to_string())
    }

    async fn try_rows(&mut self, sql: &str) -> Result<Rows, String> {
        let rows: Vec<Row> = self.0.query(sql).await.map_err(|error| error.to_string())?;
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
    }

    async fn commit(mut self: Box<Self>) {
        self.0.query_drop("commit").await.unwrap();
    }

    async fn rollback(mut self: Box<Self>) {
        self.0.query_drop("rollback").await.unwrap();
    }
}
