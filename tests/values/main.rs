//! Values between every two engines: the table that `docs/types.md` is (hard-cases.md, section D).

#![allow(clippy::unwrap_used)] // A test that panics has failed.

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod cases;
mod doc;
mod own;
mod ring;
mod side;

use ring::pair;
use side::Engine::{Mariadb, Mysql, Postgres, Postgres18, Sqlite};

macro_rules! ring {
    ($($name:ident: $source:expr => $target:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            pair($source, $target).await;
        })*
    };
}

ring! {
    postgres_to_postgres: Postgres => Postgres;
    postgres_to_mysql: Postgres => Mysql;
    postgres_to_mariadb: Postgres => Mariadb;
    postgres_to_sqlite: Postgres => Sqlite;
    mysql_to_postgres: Mysql => Postgres;
    mysql_to_mysql: Mysql => Mysql;
    mysql_to_mariadb: Mysql => Mariadb;
    mysql_to_sqlite: Mysql => Sqlite;
    mariadb_to_postgres: Mariadb => Postgres;
    mariadb_to_mysql: Mariadb => Mysql;
    mariadb_to_mariadb: Mariadb => Mariadb;
    mariadb_to_sqlite: Mariadb => Sqlite;
    sqlite_to_postgres: Sqlite => Postgres;
    sqlite_to_mysql: Sqlite => Mysql;
    sqlite_to_mariadb: Sqlite => Mariadb;
    sqlite_to_sqlite: Sqlite => Sqlite;
    postgres_15_to_18: Postgres => Postgres18;
}
