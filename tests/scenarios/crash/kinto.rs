//! The same with an app on one side: no transactions there, no fence, answers that are lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::killer::Killer;
use super::random::Random;
use crate::faults::{end, started};
use crate::program::Program;
use crate::scene::{Counts, rows};
use crate::support::kinto::{Kinto, Proxy, Trouble, shared};
use crate::support::{Lab, postgres, skip, sqlite};

/// Each so often.
const KILLS: usize = 3;

/// An intent is written; records are sent and answered; pairs are recorded; intents of a dead process are looked up.
const STEPS: [&str; 5] = ["app.noted", "app.begun", "app.sent", "app.recorded", "app.resolved"];

/// Of the database's steps too, where an app changes what happens in them.
const OTHERS: [&str; 3] = ["capture.opened", "finish.recorded", "close.recorded"];

/// What a log says is folded onto creates in doubt.
const FOLDED: &str = "fold.intents";

/// An answer is lost, and the process with it.
const LOST: usize = 3;

/// Kills at random moments.
const RANDOM: usize = 5;

/// What no answer is known of is not sent again before this time has passed for sure; twice.
const SETTLED_WITHIN: Duration = Duration::from_secs(180);

/// All kills at steps, over both databases.
pub fn plan() -> Vec<&'static str> {
    let each = STEPS.into_iter().flat_map(|step| [step; KILLS]).chain(OTHERS).chain([FOLDED; KILLS]);
    each.clone().chain(each).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_kinto() {
    killed("crash::kinto::postgres_kinto", postgres::pg15().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_kinto() {
    killed("crash::kinto::sqlite_kinto", sqlite::lab().await).await;
}

async fn killed(test: &str, database: Result<Arc<dyn Lab>, String>) {
    let (database, kinto) = match (database, shared().await) {
        (Ok(database), Ok(kinto)) => (database, kinto),
        (Err(reason), _) | (_, Err(reason)) => return skip(test, &reason),
    };
    let seed = std::env::var("TWINROW_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0 >> 32);
    println!("{test}: seed {seed}");
    let (key, text) = (database.dialect().generated_key, database.dialect().text);
    database.user(&format!("create table contact (id {key}, mail {text}, full_name {text}, years bigint)")).await;
    let proxy = Proxy::to(&kinto.host).await;
    // The database is the source: where an answer was lost nobody knows what the record had been made with, and the
    // source's is the value that is kept.
    let program = Program::new(&format!(
        "integration: both\nfirst_sync: auto\nendpoints:\n  db: {{url: \"{}\"}}\n  app: {{url: \"{}\", manifest: crm.yaml}}\n\
         source: db\ntarget: app\nstate: db\nlinks:\n  contacts:\n    source: contact\n    target: {}\n    match: [mail]\n    \
         fields: {{mail: email, full_name: name, years: age}}\n    conflict: merge\n    safety: mirror\n    brake: {{deletes: off}}\n",
        database.url(),
        kinto.url_by(&proxy.host),
        kinto.collection,
    ));
    std::fs::write(program.path("crm.yaml"), kinto.manifest()).unwrap();
    let run = Run { database: database.clone(), kinto, proxy, program, killer: Killer::default(), random: Random::new(seed) };
    let name = test.to_owned();
    let result = tokio::spawn(async move { run.play(&name, seed).await }).await;
    database.close().await;
    if let Err(failure) = result {
        std::panic::resume_unwind(failure.into_panic());
    }
}

struct Run {
    database: Arc<dyn Lab>,
    kinto: Kinto,
    proxy: Proxy,
    program: Program,
    killer: Killer,
    random: Random,
}

/// Email to name and age, as the only writer of each last wrote them; nothing: deleted.
type Records = BTreeMap<String, Option<(String, i64)>>;

impl Run {
    async fn play(mut self, test: &str, seed: u64) {
        for n in 0..HOT {
            self.database.user(&format!("insert into contact (mail, full_name, years) values ('hot{n}@x', '-', 0)")).await;
        }
        self.kinto.create("elsewhere", json!({"name": "both", "email": "both@x", "age": 1})).await;
        self.database.user("insert into contact (mail, full_name, years) values ('both@x', 'both', 1)").await;
        self.program.run(&["run", "--once"]).await.code(0);
        let journal = Arc::new(Mutex::new(Records::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let user = |side| User { journal: journal.clone(), stop: stop.clone(), random: Random::new(seed + side), count: 0 };
        let users = [
            tokio::spawn(of_the_database(user(1), self.database.clone())),
            tokio::spawn(of_the_app(user(2), self.kinto.clone())),
        ];
        let began = Instant::now();
        self.kill(test).await;
        let killed = began.elapsed();
        stop.store(true, Ordering::Relaxed);
        for user in users {
            user.await.unwrap();
        }
        let expected = journal.lock().unwrap().clone();
        self.settle(&expected).await;
        let all = began.elapsed();
        println!("{test}: {} records; {} within {killed:.0?} of {all:.0?}", expected.len(), self.killer);
        assert!(self.killer.kills() >= 20);
    }

    /// A record is deleted while nobody knows whether its twin was created.
    async fn kill_while_one_in_doubt_goes(&mut self, test: &str) {
        for round in 0..KILLS {
            let mut met = false;
            for attempt in 0..5 {
                let mail = format!("doubt{round}.{attempt}@x");
                self.database.user(&format!("insert into contact (mail, full_name, years) values ('{mail}', '-', 0)")).await;
                self.killer.at(&self.program, "app.noted:1").await;
                self.database.user(&format!("delete from contact where mail = '{mail}'")).await;
                met = self.killer.at(&self.program, &format!("{FOLDED}:1")).await;
                if met {
                    break;
                }
            }
            assert!(met, "{test}: {FOLDED} is never met\n{}", self.program.log());
        }
    }

    async fn kill(&mut self, test: &str) {
        self.kill_while_one_in_doubt_goes(test).await;
        // What was noted and never sent has the most time to pass until the end.
        for step in STEPS.into_iter().flat_map(|step| [step; KILLS]).chain(OTHERS) {
            let mut met = false;
            for _ in 0..5 {
                if step == "app.resolved" {
                    // There must be something to look up.
                    self.killer.at(&self.program, "app.sent:1").await;
                }
                met = self.killer.at(&self.program, &format!("{step}:1")).await;
                if met {
                    break;
                }
            }
            assert!(met, "{test}: {step} is never met\n{}", self.program.log());
        }
        for _ in 0..LOST {
            self.proxy.arm(Trouble::AnswerLost);
            let mut child = self.program.start(&["run", "--take-over"], None);
            crate::program::until("an answer is lost", || async { self.proxy.struck() }).await;
            self.killer.now(&mut child, "an answer lost").await;
        }
        for _ in 0..RANDOM {
            self.killer.some_time(&self.program, &mut self.random).await;
        }
    }

    /// Both sides become what their users wrote, joined by what people call the records; nothing twice.
    async fn settle(&self, expected: &Records) {
        let expected: Vec<String> = expected
            .iter()
            .filter_map(|(mail, row)| row.as_ref().map(|(name, age)| format!("{mail}|{name}|{age}")))
            .chain(["both@x|both|1".to_owned()])
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let child = started(&self.program, &["run", "--take-over"]).await;
        let began = Instant::now();
        loop {
            let now = (self.rows().await, self.records().await);
            if now.0 == expected && now.1 == expected && self.in_doubt().await == "0" {
                break;
            }
            if began.elapsed() > SETTLED_WITHIN {
                let unlike = |side: &[String]| {
                    let over = side.iter().filter(|row| !expected.contains(row)).cloned();
                    let under = expected.iter().filter(|row| !side.contains(row)).map(|row| format!("not {row}"));
                    over.chain(under).collect::<Vec<_>>()
                };
                let (database, app) = (unlike(&now.0), unlike(&now.1));
                println!("{}", self.program.run(&["pairs"]).await.out);
                panic!("in doubt: {}; the database has {database:#?}\nthe app has {app:#?}", self.in_doubt().await);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        end(child).await;
        self.program.run(&["held", "retry"]).await.code(0);
        for _ in 0..2 {
            let again = Counts(self.program.run(&["run", "--once", "--take-over", "--json"]).await.code(0).json());
            assert_eq!(again.writes(), 0, "a further run is not quiet: {again:?}");
        }
        assert_eq!((self.rows().await, self.records().await), (expected.clone(), expected));
        let held = self.program.run(&["held", "list", "--json"]).await.code(0).json();
        assert_eq!(held.as_array().map(Vec::len), Some(0), "{held}");
    }

    async fn rows(&self) -> Vec<String> {
        let mut rows = rows(&self.database, "select mail, full_name, years from contact").await;
        rows.sort();
        rows
    }

    async fn records(&self) -> Vec<String> {
        let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let all = self.kinto.records().await;
        let mut all: Vec<String> =
            all.iter().map(|one| ["email", "name", "age"].map(|field| text(&one[field])).join("|")).collect();
        all.sort();
        all
    }

    async fn in_doubt(&self) -> String {
        let table = if self.database.dialect().statements.ends_with("postgres") { "twinrow.intent" } else { "twinrow_intent" };
        rows(&self.database, &format!("select count(*) from {table}")).await.remove(0)
    }
}

/// Records whose age the database's user writes and whose name the app's: nobody deletes them.
const HOT: u64 = 4;

/// A user of one side, and what he wrote.
struct User {
    journal: Arc<Mutex<Records>>,
    stop: Arc<AtomicBool>,
    random: Random,
    count: i64,
}

/// What a user does next.
enum Deed {
    Make(String),
    Change(String),
    Drop(String),
    Hot(String),
}

impl User {
    /// The next deed on records of his own, and its number; `None`: it is over.
    async fn next(&mut self, own: &mut Vec<String>, name: char) -> Option<(Deed, i64)> {
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        // The pace of an application, not a wait for anything.
        tokio::time::sleep(Duration::from_millis(30 + self.random.below(60))).await;
        self.count += 1;
        let deed = match self.random.below(8) {
            0..3 => Deed::Make(format!("{name}{}@x", self.count)),
            3 | 4 if !own.is_empty() => Deed::Change(self.random.pick(own)?.clone()),
            5 if own.len() > 3 => Deed::Drop(own.swap_remove(self.random.below(own.len() as u64) as usize)),
            _ => Deed::Hot(format!("hot{}@x", self.random.below(HOT))),
        };
        if let Deed::Make(mail) = &deed {
            own.push(mail.clone());
        }
        Some((deed, self.count))
    }

    fn wrote(&self, mail: &str, change: impl FnOnce(&mut Option<(String, i64)>)) {
        let hot = || if mail.starts_with("hot") { Some(("-".to_owned(), 0)) } else { None };
        change(self.journal.lock().unwrap().entry(mail.to_owned()).or_insert_with(hot));
    }
}

async fn of_the_database(mut user: User, database: Arc<dyn Lab>) {
    let mut own = Vec::new();
    while let Some((deed, n)) = user.next(&mut own, 'd').await {
        match deed {
            Deed::Make(mail) => {
                database.user(&format!("insert into contact (mail, full_name, years) values ('{mail}', 'd', {n})")).await;
                user.wrote(&mail, |row| *row = Some(("d".to_owned(), n)));
            }
            Deed::Change(mail) => {
                database.user(&format!("update contact set full_name = 'd{n}' where mail = '{mail}'")).await;
                user.wrote(&mail, |row| *row = row.take().map(|(_, age)| (format!("d{n}"), age)));
            }
            Deed::Drop(mail) => {
                database.user(&format!("delete from contact where mail = '{mail}'")).await;
                user.wrote(&mail, |row| *row = None);
            }
            Deed::Hot(mail) => {
                database.user(&format!("update contact set years = {n} where mail = '{mail}'")).await;
                user.wrote(&mail, |row| *row = row.take().map(|(name, _)| (name, n)));
            }
        }
    }
}

async fn of_the_app(mut user: User, app: Kinto) {
    let (mut own, mut hot) = (Vec::new(), BTreeMap::new());
    for record in app.records().await {
        hot.insert(record["email"].as_str().unwrap().to_owned(), record["id"].as_str().unwrap().to_owned());
    }
    let id = |mail: &str| mail.replace('@', "-");
    while let Some((deed, n)) = user.next(&mut own, 'a').await {
        match deed {
            Deed::Make(mail) => {
                app.create(&id(&mail), json!({"email": mail, "name": "a", "age": n})).await;
                user.wrote(&mail, |row| *row = Some(("a".to_owned(), n)));
            }
            Deed::Change(mail) => {
                app.change(&id(&mail), json!({"name": format!("a{n}")})).await;
                user.wrote(&mail, |row| *row = row.take().map(|(_, age)| (format!("a{n}"), age)));
            }
            Deed::Drop(mail) => {
                app.delete(&id(&mail)).await;
                user.wrote(&mail, |row| *row = None);
            }
            Deed::Hot(mail) => {
                app.change(&hot[&mail], json!({"name": format!("h{n}")})).await;
                user.wrote(&mail, |row| *row = row.take().map(|(_, age)| (format!("h{n}"), age)));
            }
        }
    }
}
