//! Capture under load, exact: every engine for half a minute, all of them side by side, so that together they
//! take little longer than one. `TWINROW_TEST_STRESS_SECONDS` sets another time.
//!
//! The oracle is the application: what its writers know to be committed, they write down themselves. It asks
//! nothing of Twinrow's, and each of two integrations must have been told exactly that.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use twinrow::model::{Entry, Key, KeyBytes, Op};

use crate::suite::bench::{Bench, op};
use crate::support::{Lab, UserTransaction, skip};

type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn Lab>, String>> + Send>>;

/// One test an engine; the first of them that runs starts them all.
macro_rules! engines {
    ($($engine:ident: $lab:expr),* $(,)?) => {
        const ENGINES: &[(&str, fn() -> Opening)] = &[$((stringify!($engine), || Box::pin($lab))),*];
        $(mod $engine {
            #[test]
            fn x2_capture_under_load_is_exact() {
                super::verdict(stringify!($engine));
            }
        })*
    };
}

engines! {
    postgres15: crate::support::postgres::lab("TWINROW_TEST_POSTGRES15"),
    postgres18: crate::support::postgres::lab("TWINROW_TEST_POSTGRES18"),
    mariadb: crate::support::mysql::mariadb(),
    mysql: crate::support::mysql::mysql(),
    sqlite: crate::support::sqlite::lab(),
    sqlite_rollback_journal: crate::support::sqlite::rollback_journal(),
}

enum Verdict {
    /// What was written and read.
    Exact(String),
    /// There is no such server.
    Skipped(String),
    Failed(Box<dyn std::any::Any + Send>),
}

/// Waits for what became of one engine.
fn verdict(engine: &'static str) {
    static RUNS: OnceLock<Mutex<HashMap<&'static str, Receiver<Verdict>>>> = OnceLock::new();
    let run = RUNS.get_or_init(|| Mutex::new(start())).lock().unwrap().remove(engine).unwrap();
    match run.recv().unwrap() {
        Verdict::Exact(figures) => println!("{engine}: {figures}"),
        Verdict::Skipped(reason) => skip(&name(engine), &reason),
        Verdict::Failed(cause) => std::panic::resume_unwind(cause),
    }
}

fn name(engine: &str) -> String {
    format!("stress::{engine}::x2_capture_under_load_is_exact")
}

/// Starts those engines that this run of the tests asks for, on threads of their own.
fn start() -> HashMap<&'static str, Receiver<Verdict>> {
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let seconds = std::env::var("TWINROW_TEST_STRESS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let mut runs = HashMap::new();
    let mut started = Vec::new();
    for (engine, open) in ENGINES {
        let (tell, told) = channel();
        runs.insert(*engine, told);
        if asked.is_empty() || asked.iter().any(|word| name(engine).contains(word.as_str())) {
            started.push((tell, open));
        }
    }
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let each = started.into_iter().map(|(tell, open)| {
                tokio::spawn(async move {
                    // Nobody listens any more where the test was given up.
                    let _ = tell.send(run(open(), Duration::from_secs(seconds)).await);
                })
            });
            for one in each.collect::<Vec<_>>() {
                one.await.unwrap();
            }
        });
    });
    runs
}

async fn run(open: Opening, duration: Duration) -> Verdict {
    let lab = match open.await {
        Ok(lab) => lab,
        Err(reason) => return Verdict::Skipped(reason),
    };
    let inner = Arc::clone(&lab);
    let result = tokio::spawn(async move { capture_under_load(&*inner, duration).await }).await;
    lab.close().await;
    match result {
        Ok(figures) => Verdict::Exact(figures),
        Err(failure) => Verdict::Failed(failure.into_panic()),
    }
}

/// Five writers with pauses, savepoints and roll-backs, two that keep a transaction open for long, one that never
/// commits; two integrations that read beside each other. Nothing missing, nothing twice, nothing that was rolled
/// back, and for each key in the order in which it happened.
async fn capture_under_load(lab: &dyn Lab, duration: Duration) -> String {
    let mut first = Bench::item(lab).await;
    let mut second = first.beside("second").await;
    let until = Instant::now() + duration;
    let writers = async {
        let all = [1, 2, 3, 4, 5].map(|number| Writer::new(lab, number, until).write());
        let [a, b, c, d, e] = all;
        let slow = [6, 7].map(|number| Writer::new(lab, number, until).write_slowly());
        let [f, g] = slow;
        let (a, b, c, d, e, f, g, ()) = tokio::join!(a, b, c, d, e, f, g, never_commit(lab, until));
        [a, b, c, d, e, f, g]
    };
    let (journals, one, two) = tokio::join!(writers, read(&mut first, 1, until), read(&mut second, 2, until));
    let committed: Vec<String> = journals.iter().flat_map(|journal| journal.committed.clone()).collect();
    let undone: usize = journals.iter().map(|journal| journal.undone).sum();
    assert!(committed.len() > 100, "no load: {}", committed.len());
    assert!(undone > 20, "no roll-backs: {undone}");
    let deadlocks: usize = journals.iter().map(|journal| journal.deadlocks).sum();
    assert!(deadlocks * 50 < committed.len(), "{deadlocks} deadlocks");
    let there: BTreeSet<KeyBytes> = first.ids("select id from item").await.iter().map(Key::encode).collect();
    let mut figures = format!("{} changes committed, {undone} rolled back, {deadlocks} deadlocks", committed.len());
    for (bench, mut read, who) in [(&mut first, one, "first"), (&mut second, two, "second")] {
        let early = read.len();
        read.extend(bench.read().await);
        assert_eq!(differences(&committed, &read), Vec::<String>::new(), "{who}: of {} committed", committed.len());
        assert_eq!(replayed(&read), there, "{who}: in the order of the log");
        assert!(early * 2 > committed.len(), "{who}: only {early} of {} came while others were open", committed.len());
        figures = format!("{figures}; {who} read {early} of them meanwhile");
    }
    figures
}

/// One integration's reading until the end.
async fn read(bench: &mut Bench<'_>, seed: u64, until: Instant) -> Vec<Entry> {
    let (mut entries, mut random) = (Vec::new(), Random(seed));
    while Instant::now() < until {
        entries.extend(bench.read().await);
        random.pause(20).await;
    }
    entries
}

/// What was committed but not read, and what was read but not committed, or once too often.
fn differences(committed: &[String], read: &[Entry]) -> Vec<String> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for change in committed {
        *counts.entry(change.clone()).or_default() += 1;
    }
    for entry in read {
        *counts.entry(op(entry)).or_default() -= 1;
    }
    let wrong = |(change, count): (String, i64)| match count {
        0 => None,
        1.. => Some(format!("missing: {change}")),
        _ => Some(format!("never committed, or read twice: {change}")),
    };
    counts.into_iter().filter_map(wrong).collect()
}

/// The keys there must be after these entries. An order that could not have happened is a failure.
fn replayed(entries: &[Entry]) -> BTreeSet<KeyBytes> {
    let mut keys = BTreeSet::new();
    for entry in entries {
        let key = entry.key.encode();
        let possible = match &entry.op {
            Op::Insert => keys.insert(key),
            Op::Update => keys.contains(&key),
            Op::Delete => keys.remove(&key),
            Op::Rename { to } => keys.remove(&key) && keys.insert(to.encode()),
            Op::Replace | Op::PutBack | Op::Return { .. } | Op::Truncate => false,
        };
        assert!(possible, "{} can't have happened there", op(entry));
    }
    keys
}

/// Its row was never there: no reader may hear of it.
async fn never_commit(lab: &dyn Lab, until: Instant) {
    if !lab.dialect().concurrent_writers {
        return;
    }
    let mut open = lab.open().await;
    open.run("insert into item (id, name) values (8000000000, 'never')").await;
    tokio::time::sleep(until.saturating_duration_since(Instant::now())).await;
    open.rollback().await;
}

/// What a writer knows of itself.
#[derive(Default)]
struct Journal {
    committed: Vec<String>,
    undone: usize,
    deadlocks: usize,
}

/// One session of the application's. It has a range of keys of its own, so that it knows what became of them.
struct Writer<'a> {
    lab: &'a dyn Lab,
    until: Instant,
    next: i64,
    random: Random,
    /// Its rows, as committed.
    live: BTreeSet<i64>,
    journal: Journal,
}

/// A transaction under way.
struct Open {
    transaction: Box<dyn UserTransaction>,
    live: BTreeSet<i64>,
    done: Vec<String>,
    /// The server has rolled it back.
    broken: bool,
}

impl Open {
    async fn run(&mut self, sql: &str) {
        match self.transaction.try_run(sql).await {
            // MySQL keeps a lock on the gap in which a row stood that was taken back to a savepoint, and all changes of
            // a table go into one gap of its log. See docs/guarantees.md, I5.
            Err(cause) if cause.contains("ERROR 1213") => self.broken = true,
            other => other.unwrap_or_else(|cause| panic!("{sql}: {cause}")),
        }
    }
}

impl<'a> Writer<'a> {
    fn new(lab: &'a dyn Lab, number: i64, until: Instant) -> Writer<'a> {
        let random = Random(number as u64);
        Writer { lab, until, next: number * 1_000_000_000, random, live: BTreeSet::new(), journal: Journal::default() }
    }

    async fn write(mut self) -> Journal {
        while Instant::now() < self.until {
            let mut open = self.begin().await;
            for _ in 0..=self.random.below(4) {
                match self.random.below(8) {
                    0 | 1 => self.savepoint(&mut open).await,
                    2 => self.random.pause(10).await,
                    _ => self.change(&mut open).await,
                }
            }
            self.random.pause(15).await;
            self.end(open).await;
            self.random.pause(if self.lab.dialect().concurrent_writers { 10 } else { 40 }).await;
        }
        self.journal
    }

    /// Transactions that stay open while hundreds of others come and go; a database with one writer at a time can't
    /// have them, there they are only slower than the rest.
    async fn write_slowly(mut self) -> Journal {
        let hold = if self.lab.dialect().concurrent_writers { 4_000 } else { 100 };
        while Instant::now() < self.until {
            let mut open = self.begin().await;
            self.change(&mut open).await;
            self.random.pause(hold).await;
            self.change(&mut open).await;
            self.end(open).await;
            self.random.pause(hold * 2).await;
        }
        self.journal
    }

    async fn begin(&self) -> Open {
        Open { transaction: self.lab.open().await, live: self.live.clone(), done: Vec::new(), broken: false }
    }

    async fn end(&mut self, open: Open) {
        let give_up = self.random.below(4) == 0;
        if open.broken {
            self.journal.deadlocks += 1;
            self.journal.undone += open.done.len();
        } else if give_up {
            open.transaction.rollback().await;
            self.journal.undone += open.done.len();
        } else {
            open.transaction.commit().await;
            self.journal.committed.extend(open.done);
            self.live = open.live;
        }
    }

    async fn savepoint(&mut self, open: &mut Open) {
        if open.broken {
            return;
        }
        open.run("savepoint one").await;
        let (live, done) = (open.live.clone(), open.done.len());
        self.change(open).await;
        if open.broken {
            return;
        }
        if self.random.below(2) == 0 {
            open.run("rollback to savepoint one").await;
            self.journal.undone += open.done.len() - done;
            open.done.truncate(done);
            open.live = live;
        }
        open.run("release savepoint one").await;
    }

    /// One statement, and what it did.
    async fn change(&mut self, open: &mut Open) {
        if open.broken {
            return;
        }
        let keys: Vec<i64> = open.live.iter().copied().collect();
        let choice = if keys.is_empty() { 0 } else { self.random.below(if keys.len() < 100 { 8 } else { 4 }) };
        let some = |random: &mut Random| keys[random.below(keys.len() as u64) as usize];
        let sql = match choice {
            1 => {
                let key = some(&mut self.random);
                open.live.remove(&key);
                open.done.push(format!("delete {key}"));
                format!("delete from item where id = {key}")
            }
            2 => {
                let (key, to) = (some(&mut self.random), self.key());
                open.live.remove(&key);
                open.live.insert(to);
                open.done.push(format!("rename {key} to {to}"));
                format!("update item set id = {to} where id = {key}")
            }
            3 | 4 => {
                let keys: BTreeSet<i64> = (0..3).map(|_| some(&mut self.random)).collect();
                open.done.extend(keys.iter().map(|key| format!("update {key}")));
                let list: Vec<String> = keys.iter().map(i64::to_string).collect();
                format!("update item set qty = qty + 1 where id in ({})", list.join(", "))
            }
            _ => {
                let keys: Vec<i64> = (0..=self.random.below(3)).map(|_| self.key()).collect();
                open.live.extend(&keys);
                open.done.extend(keys.iter().map(|key| format!("insert {key}")));
                let list: Vec<String> = keys.iter().map(|key| format!("({key}, 'w')")).collect();
                format!("insert into item (id, name) values {}", list.join(", "))
            }
        };
        open.run(&sql).await;
    }

    fn key(&mut self) -> i64 {
        self.next += 1;
        self.next
    }
}

/// The same for every run; only the servers differ.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    async fn pause(&mut self, most: u64) {
        tokio::time::sleep(Duration::from_millis(self.below(most))).await;
    }
}
