//! Backups of whole databases, as a DBA makes them: taken, put back, used as a clone.

use std::path::PathBuf;
use std::sync::Arc;

use crate::support::{Lab, postgres};

/// A copy of a database as it was.
pub struct Backup {
    lab: Arc<dyn Lab>,
    /// SQLite: a file's path; PostgreSQL and MySQL: another database of the same server.
    copy: String,
}

/// Which engine's tools are used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Engine {
    Postgres,
    Mysql,
    Sqlite,
}

fn engine(lab: &Arc<dyn Lab>) -> Engine {
    match lab.dialect().statements {
        "sql/postgres" => Engine::Postgres,
        "sql/mysql" => Engine::Mysql,
        _ => Engine::Sqlite,
    }
}

/// The name of the database in its URL.
fn database(lab: &Arc<dyn Lab>) -> String {
    url::Url::parse(&lab.url()).unwrap().path().trim_start_matches('/').to_owned()
}

fn file(lab: &Arc<dyn Lab>) -> PathBuf {
    lab.url().trim_start_matches("sqlite:").into()
}

/// Statements of a DBA, on no database in particular.
async fn dba(lab: &Arc<dyn Lab>, statements: &[String]) {
    let mut url = url::Url::parse(&lab.url()).unwrap();
    url.set_path("postgres");
    let client = postgres::connect(url.as_str()).await.unwrap();
    for sql in statements {
        client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", postgres::cause(&error)));
    }
}

/// PostgreSQL copies only what nobody is connected to.
fn alone(name: &str) -> String {
    format!("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{name}'")
}

/// A database's tables: the application's first, so that what their triggers log is overwritten after them.
async fn tables(lab: &Arc<dyn Lab>) -> Vec<String> {
    let sql = "select table_name as name from information_schema.tables where table_schema = database() and table_type = 'BASE TABLE' \
         order by table_name like 'twinrow%', table_name";
    lab.user_rows(sql).await.into_iter().map(|row| row[0].clone().unwrap()).collect()
}

impl Backup {
    /// Taken while nobody writes.
    pub async fn of(lab: &Arc<dyn Lab>) -> Backup {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let copy = match engine(lab) {
            Engine::Sqlite => format!("{}.copy{n}", file(lab).display()),
            Engine::Postgres | Engine::Mysql => format!("{}_copy{n}", database(lab)),
        };
        match engine(lab) {
            Engine::Sqlite => {
                lab.user_rows("pragma wal_checkpoint(truncate)").await;
                std::fs::copy(file(lab), &copy).unwrap();
            }
            Engine::Postgres => {
                let name = database(lab);
                dba(lab, &[alone(&name), format!("create database {copy} template {name}")]).await;
            }
            Engine::Mysql => {
                let mut script = format!("create database {copy};");
                for table in tables(lab).await {
                    script.push_str(&format!("create table {copy}.`{table}` as select * from `{table}`;"));
                }
                lab.script(&script).await;
            }
        }
        Backup { lab: lab.clone(), copy }
    }

    /// Puts everything back as it was.
    pub async fn restore(&self) {
        let (lab, copy) = (&self.lab, &self.copy);
        match engine(lab) {
            Engine::Sqlite => put_back(&file(lab), copy),
            Engine::Postgres => {
                let name = database(lab);
                dba(lab, &[format!("drop database {name} with (force)"), format!("create database {name} template {copy}")])
                    .await;
            }
            Engine::Mysql => {
                // The counters of generated keys stay where they are: a dump has them too.
                let mut script = "set foreign_key_checks = 0;".to_owned();
                for table in tables(lab).await {
                    script.push_str(&format!("delete from `{table}`; insert into `{table}` select * from {copy}.`{table}`;"));
                }
                lab.script(&script).await;
            }
        }
    }

    /// Where the copy is, for those who use it as a database.
    pub fn url(&self) -> String {
        match engine(&self.lab) {
            Engine::Sqlite => format!("sqlite:{}", self.copy),
            Engine::Postgres | Engine::Mysql => {
                let mut url = url::Url::parse(&self.lab.url()).unwrap();
                url.set_path(&self.copy);
                url.to_string()
            }
        }
    }

    /// Drops the copy.
    pub async fn close(self) {
        match engine(&self.lab) {
            Engine::Sqlite => std::fs::remove_file(&self.copy).unwrap(),
            Engine::Postgres => dba(&self.lab, &[format!("drop database {} with (force)", self.copy)]).await,
            Engine::Mysql => self.lab.user(&format!("drop database {}", self.copy)).await,
        }
    }
}

/// As `.restore` of SQLite's shell: into the file that is there, whoever has it open.
fn put_back(path: &std::path::Path, copy: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(&format!("pragma foreign_keys = off; attach '{copy}' as copy")).unwrap();
    let mut names = connection
        .prepare(
            "select name from main.sqlite_master where type = 'table' order by name like 'sqlite%', name like 'twinrow%', name",
        )
        .unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let put = |name: &String| format!("delete from main.\"{name}\"; insert into main.\"{name}\" select * from copy.\"{name}\";");
    let all: String = names.iter().map(put).collect();
    connection.execute_batch(&format!("begin immediate; {all} commit")).unwrap();
}
