//! The built program, in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// The program under test.
pub const TWINROW: &str = env!("CARGO_BIN_EXE_twinrow");

/// A scratch directory in which the program is run.
pub struct Scratch(TempDir);

/// What a run of the program left.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Scratch {
    pub fn new() -> Scratch {
        Scratch(tempfile::tempdir().unwrap())
    }

    /// Two SQLite databases with keys of their own, and the configuration that links them.
    pub fn shop_and_crm() -> Scratch {
        let scratch = Scratch::new();
        scratch.sql(
            "shop.db",
            "create table customer (id integer primary key, name text not null, email text unique, credit integer);
             insert into customer values (1, 'Ada', 'ada@example.org', 5), (2, 'Bo', 'bo@example.org', 7);",
        );
        scratch.sql(
            "crm.db",
            "create table contacts (contact_no integer primary key autoincrement, full_name text not null,
               mail text, credit integer check (credit < 1000));
             insert into sqlite_sequence values ('contacts', 9000);",
        );
        scratch.write("twinrow.yaml", CONFIG);
        scratch
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).unwrap();
    }

    /// Runs a script on a SQLite file, as an application would.
    pub fn sql(&self, file: &str, sql: &str) {
        let connection = rusqlite::Connection::open(self.file(file)).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        connection.execute_batch(sql).unwrap_or_else(|error| panic!("{file}: {sql}: {error}"));
    }

    /// The single value of a query.
    pub fn value(&self, file: &str, sql: &str) -> String {
        let connection = rusqlite::Connection::open(self.file(file)).unwrap();
        connection.query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0)).map(|value| format!("{value:?}")).unwrap()
    }

    /// The program, with these arguments and nothing of this process's environment that it would read.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(TWINROW);
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        for variable in ["TWINROW_CONFIG", "TWINROW_SOURCE", "TWINROW_TARGET", "TWINROW_LOG", "RUST_LOG"] {
            command.env_remove(variable);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args).output().unwrap())
    }

    /// As [`Scratch::run`], for what must be done.
    pub fn done(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "twinrow {}: {ran:?}", args.join(" "));
        ran
    }
}

pub fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Ended when dropped, whatever becomes of the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What [`Scratch::shop_and_crm`] writes.
pub const CONFIG: &str = "\
integration: shop-crm
endpoints:
  shop: {url: \"sqlite:shop.db\"}
  crm: {url: \"sqlite:crm.db\"}
source: shop
target: crm
links:
  customers:
    source: customer
    target: contacts
    match: [email]
    fields:
      name: full_name
      email: mail
      credit: credit
";
