//! Two databases with a business each, and a configuration that links them.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::program::{Done, Program};
use crate::support::{Lab, skip};

/// Two databases and the program between them.
pub struct Scene {
    pub source: Arc<dyn Lab>,
    pub target: Arc<dyn Lab>,
    pub program: Program,
}

/// A test's body.
pub type Body = for<'a> fn(&'a Scene) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Runs a test on databases of its own, and drops those whatever becomes of it.
pub async fn play(test: &str, labs: [Result<Arc<dyn Lab>, String>; 2], body: Body) {
    let [source, target] = labs;
    let (source, target) = match (source, target) {
        (Ok(source), Ok(target)) => (source, target),
        (Err(reason), other) | (other, Err(reason)) => {
            if let Ok(lab) = other {
                lab.close().await;
            }
            return skip(test, &reason);
        }
    };
    let scene = Scene { source: source.clone(), target: target.clone(), program: Program::new("") };
    let result = tokio::spawn(async move { body(&scene).await }).await;
    source.close().await;
    // (Two tables of one database are a scene, too.)
    if !Arc::ptr_eq(&source, &target) {
        target.close().await;
    }
    if let Err(failure) = result {
        std::panic::resume_unwind(failure.into_panic());
    }
}

/// The tests of one pair of engines, in a module of that name: `scenarios! { sqlite_sqlite: s0_1_…, … }`. After the
/// word `matrix`: only run by `./test --matrix`. `scenarios! { each_engine: … }` is five pairs, in which each engine
/// and each version of it is once the source and once the target.
macro_rules! scenarios {
    (each_engine: $($name:ident),* $(,)?) => {
        mod each_engine {
            use super::*;
            $crate::scene::scenarios! { sqlite_sqlite: $($name),* }
            $crate::scene::scenarios! { postgres_mysql: $($name),* }
            $crate::scene::scenarios! { mysql_postgres: $($name),* }
            $crate::scene::scenarios! { mariadb_postgres: $($name),* }
            $crate::scene::scenarios! { postgres_mariadb: $($name),* }
        }
    };
    ($engines:ident: $($name:ident),* $(,)?) => {
        mod $engines { $($crate::scene::scenarios! { @ [] $engines $name })* }
    };
    ($engines:ident matrix: $($name:ident),* $(,)?) => {
        mod $engines { $($crate::scene::scenarios! { @ [#[ignore = "matrix"]] $engines $name })* }
    };
    (@ [$($mark:tt)*] $engines:ident $name:ident) => {
        $($mark)*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let test = concat!(module_path!(), "::", stringify!($name));
            let labs = $crate::scene::engines::$engines().await;
            $crate::scene::play(test, labs, |scene| Box::pin(super::$name(scene))).await;
        }
    };
}
pub(crate) use scenarios;

/// Source and target of each pair of engines.
pub mod engines {
    use std::sync::Arc;

    use crate::support::{Lab, mysql, postgres, sqlite};

    type Labs = [Result<Arc<dyn Lab>, String>; 2];

    pub async fn sqlite_sqlite() -> Labs {
        [sqlite::lab().await, sqlite::lab().await]
    }

    /// SQLite's default journal mode.
    pub async fn sqlite_rollback() -> Labs {
        [sqlite::lab().await, sqlite::rollback_journal().await]
    }

    pub async fn postgres_sqlite() -> Labs {
        [postgres::pg15().await, sqlite::lab().await]
    }

    pub async fn sqlite_postgres() -> Labs {
        [sqlite::lab().await, postgres::pg18().await]
    }

    pub async fn postgres_postgres() -> Labs {
        [postgres::pg15().await, postgres::pg18().await]
    }

    /// Two databases of one server.
    pub async fn postgres18_postgres18() -> Labs {
        [postgres::pg18().await, postgres::pg18().await]
    }

    pub async fn postgres_mysql() -> Labs {
        [postgres::pg18().await, mysql::mysql().await]
    }

    pub async fn postgres_mariadb() -> Labs {
        [postgres::pg15().await, mysql::mariadb().await]
    }

    pub async fn mariadb_postgres() -> Labs {
        [mysql::mariadb().await, postgres::pg18().await]
    }

    pub async fn mysql_postgres() -> Labs {
        [mysql::mysql().await, postgres::pg15().await]
    }

    pub async fn mysql_mysql() -> Labs {
        [mysql::mysql().await, mysql::mysql().await]
    }

    pub async fn mysql_mariadb() -> Labs {
        [mysql::mysql().await, mysql::mariadb().await]
    }

    pub async fn postgres13_mariadb118() -> Labs {
        [postgres::pg13().await, mysql::mariadb118().await]
    }

    pub async fn mariadb118_postgres17() -> Labs {
        [mysql::mariadb118().await, postgres::pg17().await]
    }

    pub async fn mariadb_sqlite() -> Labs {
        [mysql::mariadb().await, sqlite::lab().await]
    }

    pub async fn mysql_sqlite() -> Labs {
        [mysql::mysql().await, sqlite::lab().await]
    }

    pub async fn mariadb_mysql() -> Labs {
        [mysql::mariadb().await, mysql::mysql().await]
    }

    pub async fn mariadb_mariadb() -> Labs {
        [mysql::mariadb().await, mysql::mariadb().await]
    }

    pub async fn sqlite_mysql() -> Labs {
        [sqlite::lab().await, mysql::mysql().await]
    }

    pub async fn sqlite_mariadb() -> Labs {
        [sqlite::lab().await, mysql::mariadb().await]
    }
}

/// The shop's and the CRM's customers: other names, other numbers.
pub const CUSTOMERS: &str = "
    source: customer
    target: contact
    match: [email]
    fields:
      email: mail
      name: full_name
      phone: telephone
";

/// Their orders.
pub const ORDERS: &str = "
    source: orders
    target: deal
    match: [code]
    fields:
      code: ref
      customer_id: {to: contact_no, via: customers}
      cents: amount
";

impl Scene {
    /// Customers and orders on both sides, empty, linked; `customers` adds to that link, `orders` to the other.
    pub async fn business(&self, customers: &str, orders: &str) {
        self.tables().await;
        self.link(&[("customers", &format!("{CUSTOMERS}{customers}")), ("orders", &format!("{ORDERS}{orders}"))]);
    }

    /// As [`Scene::business`], with customers only.
    pub async fn customers(&self, more: &str) {
        self.tables().await;
        self.link(&[("customers", &format!("{CUSTOMERS}{more}"))]);
    }

    async fn tables(&self) {
        let (key, text) = (self.source.dialect().generated_key, self.source.dialect().text);
        self.source
            .user(&format!("create table customer (id {key}, email {text} not null unique, name {text}, phone {text})"))
            .await;
        self.source
            .user(&format!(
                "create table orders (id {key}, code {text} not null unique, customer_id bigint not null, cents bigint, \
                 foreign key (customer_id) references customer (id))"
            ))
            .await;
        let (key, text) = (self.target.dialect().generated_key, self.target.dialect().text);
        self.target
            .user(&format!(
                "create table contact (contact_no {key}, mail {text} not null unique, full_name {text}, telephone {text})"
            ))
            .await;
        self.target
            .user(&format!(
                "create table deal (deal_no {key}, ref {text} not null unique, contact_no bigint not null, amount bigint, \
                 foreign key (contact_no) references contact (contact_no))"
            ))
            .await;
        // The keys of one record differ.
        self.target.user("insert into contact (contact_no, mail) values (1000, 'nobody')").await;
        self.target.user("delete from contact").await;
        if self.target.url().starts_with("postgres") {
            // Where a key given by hand moves no sequence.
            self.target.user("alter table contact alter column contact_no restart with 1000").await;
            self.target.user("alter table deal alter column deal_no restart with 5000").await;
        }
    }

    /// Writes the configuration with these links.
    pub fn link(&self, links: &[(&str, &str)]) {
        self.configure("first_sync: auto", links);
    }

    /// As [`Scene::link`], with more at the top.
    pub fn configure(&self, top: &str, links: &[(&str, &str)]) {
        let mut config = format!(
            "integration: both\nendpoints:\n  shop: {{url: \"{}\"}}\n  crm: {{url: \"{}\"}}\nsource: shop\ntarget: crm\n{top}\nlinks:\n",
            self.source.url(),
            self.target.url()
        );
        for (name, link) in links {
            config.push_str(&format!("  {name}:\n{}\n", link.trim_matches('\n')));
        }
        self.program.configure(&config);
    }

    /// Runs statements in the source that its triggers do not see.
    pub async fn unseen(&self, statements: &[&str]) {
        self.unseen_in("customer", statements).await;
    }

    /// As [`Scene::unseen`], in another table.
    pub async fn unseen_in(&self, table: &str, statements: &[&str]) {
        match self.source.dialect().statements {
            "sql/postgres" => self.unseen_in_postgres(table, statements).await,
            "sql/mysql" => self.unseen_in_mysql(table, statements).await,
            _ => self.unseen_in_sqlite(table, statements).await,
        }
    }

    /// Ours fire for replicas too: these are switched off as a DBA would, and on again as they were.
    async fn unseen_in_postgres(&self, table: &str, statements: &[&str]) {
        let modes = format!("select tgname, tgenabled from pg_trigger where tgrelid = '{table}'::regclass and not tgisinternal");
        let triggers = self.source.user_rows(&modes).await;
        let mut tx = self.source.open().await;
        tx.run("set local session_replication_role = replica").await;
        tx.run(&format!("alter table {table} disable trigger all")).await;
        for statement in statements {
            tx.run(statement).await;
        }
        tx.run(&format!("alter table {table} enable trigger all")).await;
        for trigger in &triggers {
            let mode = match trigger[1].as_deref() {
                Some("A") => "always",
                Some("R") => "replica",
                _ => continue,
            };
            tx.run(&format!("alter table {table} enable {mode} trigger \"{}\"", trigger[0].as_deref().unwrap())).await;
        }
        tx.commit().await;
    }

    /// No trigger can be switched off there: what was logged is taken away again before anyone reads it.
    async fn unseen_in_mysql(&self, table: &str, statements: &[&str]) {
        let log = self.source.user_rows(&format!("select log from twinrow_collection where name = '{table}'")).await;
        let mut tx = self.source.open().await;
        for statement in statements {
            tx.run(statement).await;
        }
        tx.run(&format!("delete from `{}` where op <> 'E'", log[0][0].as_deref().unwrap())).await;
        tx.commit().await;
    }

    async fn unseen_in_sqlite(&self, table: &str, statements: &[&str]) {
        let triggers = format!("select name, sql from sqlite_master where type = 'trigger' and tbl_name = '{table}'");
        let triggers = self.source.user_rows(&triggers).await;
        let mut tx = self.source.open().await;
        for trigger in &triggers {
            tx.run(&format!("drop trigger \"{}\"", trigger[0].as_deref().unwrap())).await;
        }
        for statement in statements {
            tx.run(statement).await;
        }
        for trigger in &triggers {
            tx.run(trigger[1].as_deref().unwrap()).await;
        }
        tx.commit().await;
    }

    /// Runs once; everything must be well.
    pub async fn sync(&self) -> Counts {
        let done = self.program.run(&["run", "--once", "--json"]).await.code(0);
        Counts(done.json())
    }

    /// A further run finds nothing to do: what was left before is left as it was.
    pub async fn quiet(&self) {
        let status = self.ask(&["status"]).await;
        let left = |what: &str| status["links"].as_array().unwrap().iter().filter_map(|link| link[what].as_u64()).sum();
        let left = ["held", "waiting", "busy", "braked"].map(|what| (what.to_owned(), left(what)));
        let counts = self.sync().await;
        let news = |(name, n): &(String, u64)| *n > 0 && name != "decided" && !left.contains(&(name.clone(), *n));
        let restless: Vec<_> = counts.all().into_iter().filter(news).collect();
        assert!(restless.is_empty(), "a further run is not quiet: {restless:?}");
    }

    /// A further run finds so many records that are held, and nothing else to do.
    pub async fn quiet_but_held(&self, count: u64) {
        self.program.run(&["held", "retry"]).await.code(0);
        let counts = self.sync().await;
        assert_eq!((counts.writes(), counts.all().get("held").copied()), (0, Some(count)), "{counts:?}");
    }

    /// A customer of the shop's.
    pub async fn customer(&self, email: &str, name: &str) {
        self.source.user(&format!("insert into customer (email, name) values ('{email}', '{name}')")).await;
    }

    /// The same person in the CRM.
    pub async fn contact(&self, email: &str, name: &str) {
        self.target.user(&format!("insert into contact (mail, full_name) values ('{email}', '{name}')")).await;
    }

    /// A command with `--json`, and what it printed.
    pub async fn ask(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        self.program.run(&args).await.code(0).json()
    }

    /// One number of `status` about a link.
    pub async fn status(&self, link: &str, what: &str) -> u64 {
        let status = self.ask(&["status"]).await;
        let links = status["links"].as_array().unwrap();
        let link = links.iter().find(|one| one["link"] == link).unwrap();
        link[what].as_u64().unwrap_or_else(|| panic!("{what} of {link}"))
    }

    /// The held records' `link side key: cause`.
    pub async fn held(&self) -> Vec<String> {
        let held = self.ask(&["held", "list"]).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        held.as_array()
            .unwrap()
            .iter()
            .map(|one| {
                format!(
                    "{} {} {}: {}: {}",
                    text(&one["link"]),
                    text(&one["side"]),
                    text(&one["key"]),
                    text(&one["reason"]),
                    text(&one["cause"])
                )
            })
            .collect()
    }

    /// The kept conflicts, with their values.
    pub async fn conflicts(&self) -> Vec<Value> {
        let mut shown = Vec::new();
        for one in self.ask(&["conflicts", "list"]).await.as_array().unwrap() {
            shown.push(self.ask(&["conflicts", "show", one["id"].as_str().unwrap()]).await);
        }
        shown
    }

    /// A command that ends with an error.
    pub async fn refused(&self, args: &[&str], code: i32) -> Done {
        self.program.run(args).await.code(code)
    }
}

/// The value of one field in a shown conflict.
pub fn lost(conflict: &Value, side: &str, field: &str) -> Option<String> {
    let fields = conflict["fields"].as_array().unwrap();
    let field = fields.iter().find(|one| one["field"].as_str().unwrap().starts_with(field)).unwrap();
    field[side].as_str().map(str::to_owned)
}

/// The rows of a query, `|` between columns.
pub async fn rows(lab: &Arc<dyn Lab>, sql: &str) -> Vec<String> {
    let text =
        |row: Vec<Option<String>>| row.into_iter().map(|v| v.unwrap_or_else(|| "NULL".to_owned())).collect::<Vec<_>>().join("|");
    lab.user_rows(sql).await.into_iter().map(text).collect()
}

/// What `run --json` or `plan --json` printed.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts(pub Value);

impl Counts {
    /// One number of one link.
    #[track_caller]
    pub fn of(&self, link: &str, what: &str) -> u64 {
        match &self.0["links"][link] {
            Value::Null => 0,
            counts => counts[what].as_u64().unwrap_or_else(|| panic!("{what} in {counts}")),
        }
    }

    /// All numbers, over all links.
    pub fn all(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (_, counts) in self.0["links"].as_object().unwrap() {
            for (name, n) in counts.as_object().unwrap().iter().filter_map(|(name, n)| Some((name, n.as_u64()?))) {
                *all.entry(name.clone()).or_default() += n;
            }
        }
        all
    }

    /// Records written.
    pub fn writes(&self) -> u64 {
        self.all()
            .iter()
            .filter(|(name, _)| ["created", "updated", "deleted"].iter().any(|verb| name.starts_with(verb)))
            .map(|(_, n)| n)
            .sum()
    }
}
