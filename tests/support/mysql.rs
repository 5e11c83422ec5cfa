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
    own: "twinrow_",
    statements: "sql/mysql",
};

/// A database and one connection of the application's.
pub struct MysqlLab {
    pub name: String,
    /// Which server it is on.
    pub variable: String,
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

/// A fresh database on the MariaDB server of `./test --matrix`.
pub async fn mariadb118() -> Result<Arc<dyn Lab>, String> {
    Ok(Arc::new(MysqlLab::new("TWINROW_TEST_MARIADB118").await?))
}

impl MysqlLab {
    pub async fn new(variable: &str) -> Result<MysqlLab, String> {
        let lab = MysqlLab::on(std::env::var(variable).map_err(|_| format!("{variable} is not set"))?).await?;
        Ok(MysqlLab { variable: variable.to_owned(), ..lab })
    }

    /// A fresh database on this server.
    pub async fn on(server: String) -> Result<MysqlLab, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("tw_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut root = Conn::from_url(&server).await.map_err(|error| error.to_string())?;
        root.query_drop(format!("create database {name}")).await.map_err(|error| error.to_string())?;
        let app = Mutex::new(connect(&server, &name).await);
        Ok(MysqlLab { name, variable: String::new(), server, app })
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
             union all select concat('account ', d.user) from mysql.db as d where replace(d.db, '\\\\', '') = '{0}' and d.user like 'twinrow%' \
             union all select distinct concat('grants of ', t.user) from mysql.tables_priv as t where t.db = '{0}'",
            self.name
        );
        self.user_rows(&sql).await.into_iter().flatten().flatten().collect()
    }

    async fn definitions(&self) -> BTreeSet<String> {
        let sql = format!(
            "select concat_ws(' ', 'column', table_name, ordinal_position, column_name, column_type, is_nullable, column_default, extra, collation_name) \
               from information_schema.columns where table_schema = '{0}' and table_name like 'twinrow%' \
             union all select concat_ws(' ', 'index', table_name, index_name, non_unique, seq_in_index, column_name) \
               from information_schema.statistics where table_schema = '{0}' and table_name like 'twinrow%' \
             union all select concat_ws(' ', 'table', table_name, engine, table_collation, table_comment) \
               from information_schema.tables where table_schema = '{0}' and table_name like 'twinrow%' \
             union all select concat_ws(' ', 'trigger', substring_index(trigger_name, '_', 3), action_timing, event_manipulation, event_object_table, trim(trailing ';' from action_statement), sql_mode, definer) \
               from information_schema.triggers where trigger_schema = '{0}' and trigger_name like 'twinrow%' \
             union all select concat_ws(' ', 'procedure', routine_name, trim(trailing ';' from routine_definition), sql_mode, definer) \
               from information_schema.routines where routine_schema = '{0}' and routine_name like 'twinrow%' \
             union all select concat_ws(' ', 'grant', user, table_name, table_priv, column_priv) from mysql.tables_priv where db = '{0}' and table_name like 'twinrow%' \
             union all select concat_ws(' ', 'grant', user, select_priv, trigger_priv) from mysql.db where replace(db, '\\\\', '') = '{0}' and user like 'twinrow%' \
             union all select concat_ws(' ', 'grant', user, routine_name, proc_priv) from mysql.procs_priv where db = '{0}' \
             union all select concat_ws(' ', 'recorded', substring_index(name, '_', 3), table_name, collection, body) from twinrow_trigger \
             union all select concat_ws(' ', 'version', part, version) from twinrow_version \
             union all select concat_ws(' ', 'collection', name, log, version) from twinrow_collection",
            self.name
        );
        self.user_rows(&sql).await.into_iter().flatten().flatten().collect()
    }

    async fn frozen(&self) -> Vec<String> {
        let one = async |sql: String| self.user_rows(&sql).await[0][0].clone().unwrap();
        let log = one("select log from twinrow_collection where name = 'item'".to_owned()).await;
        let trigger = one("select name from twinrow_trigger where collection = 'item' limit 1".to_owned()).await;
        let definer = format!("select definer from information_schema.triggers where trigger_schema = '{}' limit 1", self.name);
        let definer = one(definer).await;
        let procedures = format!("select 1 from information_schema.routines where routine_schema = '{}'", self.name);
        let one_writer = !self.user_rows(&procedures).await.is_empty();
        let script = if one_writer { include_str!("frozen/mariadb_1.sql") } else { include_str!("frozen/mysql_1.sql") };
        let script = script
            .replace("{database}", &self.name)
            .replace("{log}", &log)
            .replace("{hash}", trigger.split('_').nth(1).unwrap())
            .replace("{account}", definer.split('@').next().unwrap());
        vec![script]
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

    async fn rows_read(&self, table: &str) -> Option<u64> {
        let (count, told) = if self.try_user("set global userstat = 1").await.is_ok() {
            ("rows_read", "information_schema.table_statistics where table_schema = database() and table_name")
        } else {
            ("count_fetch", "performance_schema.table_io_waits_summary_by_table where object_schema = database() and object_name")
        };
        let rows = self.user_rows(&format!("select coalesce(sum({count}), 0) from {told} = '{table}'")).await;
        rows[0][0].as_deref()?.parse().ok()
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
