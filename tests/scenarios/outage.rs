//! Servers go away, in order or not, while both sides are written and `twinrow run` goes on: it comes back by
//! itself when they do, and nothing is lost or doubled.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;

use crate::crash::business::{LINKS, Names, SIDES};
use crate::crash::oracle::{Records, agree, records};
use crate::faults::{end, started};
use crate::program::{Program, until};
use crate::scene::{Scene, rows};
use crate::servers::Servers;
use crate::support::{Lab, postgres, skip};

/// Each engine is once the source and once the target.
macro_rules! away {
    ($($name:ident: $source:literal, $target:literal;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                match Servers::start(&[$source, $target]).await {
                    Ok(servers) => away(&servers, [$source, $target]).await,
                    Err(reason) => skip(concat!("outage::", stringify!($name)), &reason),
                }
            }
        )*
    };
}

away! {
    f2_postgres_and_mysql_are_restarted_and_killed: "postgres15", "mysql";
    f2_mysql_and_mariadb_are_restarted_and_killed: "mysql", "mariadb";
    f2_mariadb_and_postgres_are_restarted_and_killed: "mariadb", "postgres15";
}

/// In order, and as a power failure ends them: source and target. Every engine meets each.
const OUTAGES: [[&str; 2]; 4] = [["restart", ""], ["", "restart"], ["", "kill"], ["kill", "kill"]];

/// One pair of servers, each restarted, each killed, both killed.
async fn away(servers: &Servers, pair: [&str; 2]) {
    let labs = [servers.lab(pair[0]).await, servers.lab(pair[1]).await];
    for (side, lab) in labs.iter().enumerate() {
        SIDES[side].create(&**lab, ['s', 't'][side]).await;
    }
    let config = format!(
        "integration: both\nendpoints:\n  one: {{url: \"{}\"}}\n  two: {{url: \"{}\"}}\nsource: one\ntarget: two\n\
         first_sync: auto\nlinks:{}",
        labs[0].url(),
        labs[1].url(),
        LINKS.replace("CONFLICT", "merge")
    );
    let program = Program::new(&config);
    let mut child = started(&program, &["run"]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let journals: [Arc<Mutex<Journal>>; 2] = Default::default();
    let applications: Vec<_> =
        (0..2).map(|side| tokio::spawn(Application::new(&labs[side], side, &journals[side], &stop).write())).collect();
    for (n, commands) in OUTAGES.into_iter().enumerate() {
        let began = std::time::Instant::now();
        for (server, command) in pair.iter().zip(commands).filter(|(_, command)| !command.is_empty()) {
            servers.ctl(server, command).await;
        }
        for (server, _) in pair.iter().zip(commands).filter(|(_, command)| *command == "kill") {
            servers.ctl(server, "start").await;
        }
        let back = began.elapsed();
        flows(&labs, n).await;
        println!("{pair:?} {commands:?}: back after {back:.1?}, in step after {:.1?}", began.elapsed());
        assert!(child.try_wait().unwrap().is_none(), "{pair:?}: it ended\n{}", program.log());
    }
    stop.store(true, Ordering::Relaxed);
    for application in applications {
        application.await.unwrap();
    }
    until("both sides agree", || async { records(&labs[0], 0).await == records(&labs[1], 1).await }).await;
    end(child).await;
    program.run(&["held", "retry"]).await.code(0);
    let again = program.run(&["run", "--once", "--take-over", "--json"]).await.code(0).json();
    let written = crate::scene::Counts(again).writes();
    let [source, target] = [records(&labs[0], 0).await, records(&labs[1], 1).await];
    agree(&source, &target);
    assert_eq!(written, 0, "{pair:?}: both sides agreed, and it writes");
    for (side, journal) in journals.iter().enumerate() {
        let journal = journal.lock().unwrap();
        println!("{pair:?} side {side}: {} acknowledged, {} in doubt", journal.acknowledged, journal.doubtful);
        assert!(journal.acknowledged > 20, "the application hardly wrote");
        journal.judge(&source);
    }
}

/// A PostgreSQL server that goes on in another history of the same cluster, as a standby does that takes over: nothing is
/// missing there, as the fences say, so all is compared and the run goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a65_a_standby_that_took_over_is_compared_and_run_on() {
    let servers = match Servers::start(&["postgres15"]).await {
        Ok(servers) => servers,
        Err(reason) => return skip("outage::a65_a_standby_that_took_over_is_compared_and_run_on", &reason),
    };
    let (source, target) = (servers.lab("postgres15").await, crate::support::sqlite::lab().await.unwrap());
    let scene = Scene { source, target, program: Program::new("") };
    scene.customers("    safety: mirror").await;
    let contacts = || async { rows(&scene.target, "select mail from contact order by 1").await };
    scene.customer("a@x", "Ada").await;
    scene.contact("b@x", "Ben").await;
    scene.sync().await;
    scene.quiet().await;

    promote(&servers, "postgres15").await;
    scene.customer("c@x", "Cai").await;
    scene.source.user("delete from customer where email = 'a@x'").await;
    scene.sync().await;
    assert_eq!(contacts().await, ["b@x", "c@x"]);
    scene.quiet().await;

    // Under a process that runs.
    let mut child = started(&scene.program, &["run"]).await;
    promote(&servers, "postgres15").await;
    scene.customer("d@x", "Dee").await;
    until("what was written after the second take-over arrives", || async { contacts().await == ["b@x", "c@x", "d@x"] }).await;
    assert!(child.try_wait().unwrap().is_none(), "it ended\n{}", scene.program.log());
    end(child).await;
    assert_eq!(rows(&scene.source, "select email from customer order by 1").await, ["b@x", "c@x", "d@x"]);
    scene.source.close().await;
    scene.target.close().await;
}

/// Ends the server, and starts it as one that was recovering until now: it begins a new timeline.
async fn promote(servers: &Servers, name: &str) {
    servers.ctl(name, "stop").await;
    let data = servers.dir(name).join("data");
    let mut config = std::fs::File::options().append(true).open(data.join("postgresql.auto.conf")).unwrap();
    config.write_all(b"restore_command = 'false'\n").unwrap();
    std::fs::write(data.join("recovery.signal"), "").unwrap();
    servers.ctl(name, "start").await;
}

/// A record of each side's reaches the other one.
async fn flows(labs: &[Arc<dyn Lab>; 2], n: usize) {
    for (side, lab) in labs.iter().enumerate() {
        let [_, email, ..] = SIDES[side].parent;
        lab.user(&format!("insert into {} ({email}) values ('mark-{side}-{n}')", SIDES[side].parents)).await;
        let [_, email, ..] = SIDES[1 - side].parent;
        let there = format!("select count(*) from {} where {email} = 'mark-{side}-{n}'", SIDES[1 - side].parents);
        until(&format!("outage {n}: what side {side} wrote arrives"), || async {
            labs[1 - side].user_rows(&there).await[0][0].as_deref() == Some("1")
        })
        .await;
    }
}

/// What an application knows of its own records: for each write whether the server said it was done.
#[derive(Default)]
struct Journal {
    records: BTreeMap<String, Known>,
    acknowledged: usize,
    doubtful: usize,
}

#[derive(Default)]
struct Known {
    inserted: bool,
    /// A delete was tried; `true`: it was done.
    deleted: Option<bool>,
    /// What the first field may hold: the last value that was acknowledged, and all that were tried since.
    values: Vec<String>,
}

impl Journal {
    fn judge(&self, now: &Records) {
        for (name, known) in &self.records {
            match (now.get(name), known.deleted) {
                (Some(_), Some(true)) => panic!("{name} was deleted, and is there"),
                (Some(row), _) => {
                    let value = row[0].clone().unwrap();
                    assert!(known.values.contains(&value), "{name} has {value}, and not one of {:?}", known.values);
                }
                (None, None) => assert!(!known.inserted, "{name} is lost"),
                (None, Some(_)) => {}
            }
        }
    }
}

/// An application on one side: statements on their own, on a connection that is made again when it is lost.
struct Application {
    url: String,
    names: &'static Names,
    name: char,
    connection: Option<Connection>,
    journal: Arc<Mutex<Journal>>,
    stop: Arc<AtomicBool>,
}

enum Connection {
    Postgres(tokio_postgres::Client),
    Mysql(mysql_async::Conn),
}

impl Application {
    fn new(lab: &Arc<dyn Lab>, side: usize, journal: &Arc<Mutex<Journal>>, stop: &Arc<AtomicBool>) -> Application {
        let (journal, stop) = (journal.clone(), stop.clone());
        Application { url: lab.url(), names: &SIDES[side], name: ['s', 't'][side], connection: None, journal, stop }
    }

    async fn write(mut self) {
        let mut n: usize = 0;
        while !self.stop.load(Ordering::Relaxed) {
            n += 1;
            self.step(n).await;
            // The pace of an application, not a wait for anything.
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// New parents, children of theirs, new values, deletes of children.
    async fn step(&mut self, n: usize) {
        let name = self.name;
        let ([_, email, field, _], [_, code, note, _, parent]) = (self.names.parent, self.names.child);
        let (parents, children, id) = (self.names.parents, self.names.children, self.names.parent[0]);
        let (round, value) = (n / 4, format!("{name}:{n}"));
        let (family, child) = (format!("{name}-p{round}"), format!("{name}-c{round}"));
        match n % 4 {
            0 => {
                let done = self.run(&format!("insert into {parents} ({email}, {field}) values ('{family}', '{value}')")).await;
                self.wrote(family, value, done, true);
            }
            1 => {
                let insert = format!(
                    "insert into {children} ({code}, {note}, {parent}) select '{child}', '{value}', {id} from {parents} where {email} = '{family}'"
                );
                // Without its parent it inserts nothing.
                let certain = self.journal.lock().unwrap().records.get(&family).is_some_and(|known| known.inserted);
                let done = self.run(&insert).await && certain;
                self.wrote(child, value, done, true);
            }
            2 => {
                let done = self.run(&format!("update {parents} set {field} = '{value}' where {email} = '{family}'")).await;
                self.wrote(family, value, done, false);
            }
            _ if round % 3 == 2 => {
                let old = format!("{name}-c{}", round - 2);
                let done = self.run(&format!("delete from {children} where {code} = '{old}'")).await;
                if let Some(known) = self.journal.lock().unwrap().records.get_mut(&old) {
                    known.deleted = Some(done);
                }
            }
            _ => {}
        }
    }

    fn wrote(&self, record: String, value: String, done: bool, insert: bool) {
        let mut journal = self.journal.lock().unwrap();
        *if done { &mut journal.acknowledged } else { &mut journal.doubtful } += 1;
        let known = journal.records.entry(record).or_default();
        known.inserted |= done && insert;
        if done && known.inserted {
            known.values.clear();
        }
        known.values.push(value);
    }

    /// Whether the server said that it was done; if not, it may be done or not.
    async fn run(&mut self, sql: &str) -> bool {
        if self.connection.is_none() {
            self.connection = match self.url.starts_with("postgres") {
                true => postgres::connect(&self.url).await.ok().map(Connection::Postgres),
                false => mysql_async::Conn::from_url(&self.url).await.ok().map(Connection::Mysql),
            };
        }
        let done = match &mut self.connection {
            Some(Connection::Postgres(client)) => client.batch_execute(sql).await.is_ok(),
            Some(Connection::Mysql(conn)) => conn.query_drop(sql).await.is_ok(),
            None => false,
        };
        if !done {
            self.connection = None;
        }
        done
    }
}
