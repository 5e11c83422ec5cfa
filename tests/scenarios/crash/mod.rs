//! The program is killed again and again while both sides are written.

pub mod business;
mod journal;
mod killer;
mod kinto;
pub mod oracle;
mod random;
mod writers;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use business::{LINKS, SIDES};
use journal::Journal;
use killer::Killer;
use random::Random;
use writers::Writer;

use crate::faults::{RARE, RARE_KILLS};
use crate::program::Program;
use crate::scene::{Counts, engines};
use crate::support::{Lab, skip, sqlite};

/// Where the state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Source,
    Target,
    /// A SQLite file of its own.
    Third,
}

/// Killed here at the first start, once each, before anything is in sync.
const FIRST: [&str; 4] = ["start.registered:1", "start.recorded:1", "scan.recorded:1", "scan.recorded:3"];

/// Passed while both sides are written. Each pair of engines takes its share, so that every step has at
/// least five kills over the suite.
const STEPS: [&str; 15] = [
    "takeover.lease",
    "takeover.fence",
    "capture.opened",
    "fold.recorded",
    "apply.begun",
    "apply.written",
    "apply.recorded",
    "apply.committed",
    "apply.absorbed",
    "absorb.recorded",
    "absorb.removed",
    "record.rest",
    "finish.recorded",
    "close.recorded",
    "acknowledge.done",
];

/// So many of [`STEPS`] per pair of engines.
const SHARE: usize = 11;

/// Kills at random moments, per pair.
const RANDOM: usize = 11;

/// How often a step that was not met is tried again.
const TRIES: usize = 5;

macro_rules! killed {
    ($($name:ident: $engines:ident, $at:literal, $state:ident, $conflict:literal;)*) => {
        /// What is planned for each pair.
        const PAIRS: &[(usize, State, &str)] = &[$(($at, State::$state, $conflict)),*];

        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let test = concat!(module_path!(), "::", stringify!($name));
                killed(test, engines::$engines().await, $at, State::$state, $conflict).await;
            }
        )*
    };
}

killed! {
    sqlite_sqlite: sqlite_sqlite, 0, Target, "merge";
    postgres_sqlite: postgres_sqlite, 1, Source, "merge";
    postgres_postgres: postgres_postgres, 2, Target, "source";
    postgres_mysql: postgres_mysql, 3, Third, "merge";
    postgres_mariadb: postgres_mariadb, 4, Source, "merge";
    mysql_mariadb: mysql_mariadb, 5, Target, "merge";
    mysql_sqlite: mysql_sqlite, 6, Target, "target";
}

/// Steps of this pair, in a random order.
fn shuffled(at: usize, state: State, conflict: &str, random: &mut Random) -> Vec<&'static str> {
    let mut steps = plan(at, state, conflict);
    for n in (1..steps.len()).rev() {
        steps.swap(n, random.below(n as u64 + 1) as usize);
    }
    steps
}

fn plan(at: usize, state: State, conflict: &str) -> Vec<&'static str> {
    let mut steps: Vec<&str> = (0..SHARE).map(|n| STEPS[(at * SHARE + n) % STEPS.len()]).collect();
    // A conflict is written down first only where the loser is not beside the state.
    if state != State::Target || conflict == "target" {
        steps.extend(["apply.pending", "apply.pending"]);
    }
    steps
}

/// So often at least the program is killed at each of its steps, over all tests. A test fails if a step of its
/// plan is not met, so what is planned is what is done.
const EACH: usize = 5;

#[test]
fn every_step_is_killed_often_enough() {
    let mut planned: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, state, conflict) in PAIRS {
        let first = FIRST.iter().map(|step| step.split(':').next().unwrap());
        plan(*at, *state, conflict).into_iter().chain(first).for_each(|step| *planned.entry(step).or_default() += 1);
    }
    planned.extend(RARE.map(|step| (step, RARE_KILLS)));
    kinto::plan().into_iter().for_each(|step| *planned.entry(step).or_default() += 1);
    for step in steps_of_the_program() {
        let kills = planned.remove(step.as_str()).unwrap_or_default();
        println!("{step:<20} {kills:>3}");
        assert!(kills >= EACH, "{step} is planned for {kills} kills, not {EACH}");
    }
    assert!(planned.is_empty(), "these are no steps of the program: {planned:?}");
}

/// All names of steps in the source.
fn steps_of_the_program() -> std::collections::BTreeSet<String> {
    let mut steps = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/pipeline")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let passed = text.split(".step(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        steps.extend(passed);
    }
    assert!(steps.len() > 20, "{steps:?}");
    steps
}

struct Killed {
    program: Program,
    labs: [Arc<dyn Lab>; 2],
    home: Arc<dyn Lab>,
    journal: Arc<Mutex<Journal>>,
    random: Random,
    killer: Killer,
}

async fn killed(test: &str, labs: [Result<Arc<dyn Lab>, String>; 2], at: usize, state: State, conflict: &'static str) {
    let [source, target] = labs;
    let (source, target) = match (source, target) {
        (Ok(source), Ok(target)) => (source, target),
        (Err(reason), _) | (_, Err(reason)) => return skip(test, &reason),
    };
    let third = sqlite::lab().await.unwrap();
    let seed = std::env::var("TWINROW_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0 >> 32);
    println!("{test}: seed {seed}");
    let (home, name) = match state {
        State::Source => (source.clone(), "one"),
        State::Target => (target.clone(), "two"),
        State::Third => (third.clone(), "map"),
    };
    let map = if state == State::Third { format!("  map: {{url: \"{}\"}}\n", third.url()) } else { String::new() };
    let config = format!(
        "integration: crash\nendpoints:\n  one: {{url: \"{}\"}}\n  two: {{url: \"{}\"}}\n{map}source: one\ntarget: two\n\
         state: {name}\nfirst_sync: auto\nlinks:{}",
        source.url(),
        target.url(),
        LINKS.replace("CONFLICT", conflict)
    );
    let labs = [source.clone(), target.clone()];
    let program = Program::new(&config);
    let mut run = Killed { program, labs, home, journal: Arc::default(), random: Random::new(seed), killer: Killer::default() };
    let steps = shuffled(at, state, conflict, &mut run.random);
    let name = test.to_owned();
    let result = tokio::spawn(async move {
        run.play(&steps, seed).await;
        run.told(&name);
    })
    .await;
    source.close().await;
    target.close().await;
    third.close().await;
    if let Err(failure) = result {
        std::panic::resume_unwind(failure.into_panic());
    }
}

impl Killed {
    async fn play(&mut self, steps: &[&str], seed: u64) {
        for (side, lab) in self.labs.iter().enumerate() {
            SIDES[side].create(&**lab, ['s', 't'][side]).await;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for (side, lab) in self.labs.iter().enumerate() {
            for n in 0..2 {
                tasks.push(tokio::spawn(Writer::new(lab, side, n, seed, &self.journal, &stop).write()));
            }
        }
        let random = Random::new(seed ^ 1);
        tasks.push(tokio::spawn(writers::agree(self.labs.clone(), self.journal.clone(), stop.clone(), random)));
        for step in FIRST {
            assert!(self.kill_at(step).await, "{step} is never met\n{}", self.program.log());
        }
        let mut left = RANDOM;
        for step in steps {
            if left > 0 {
                self.kill_some_time().await;
                left -= 1;
            }
            self.kill_at_step(step).await;
        }
        for _ in 0..left {
            self.kill_some_time().await;
        }
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.unwrap();
        }
        self.settle().await;
        let journal = std::mem::take(&mut *self.journal.lock().unwrap());
        oracle::judge([&self.labs[0], &self.labs[1]], &*self.home, &journal).await;
        let again = self.once().await;
        let restless: Vec<_> = again.all().into_iter().filter(|(name, n)| *n > 0 && name != "decided").collect();
        assert!(restless.is_empty(), "a further run is not quiet: {restless:?}");
        *self.journal.lock().unwrap() = journal;
    }

    async fn kill_some_time(&mut self) {
        self.killer.some_time(&self.program, &mut self.random).await;
    }

    /// At a step, the first or a later time it comes by; a step that is not met is tried again.
    async fn kill_at_step(&mut self, step: &str) {
        for _ in 0..TRIES {
            if step == "absorb.recorded" {
                // Receipts are left behind where a write was committed and its process died.
                self.kill_at("apply.committed:1").await;
            }
            let most = if matches!(step, "takeover.lease" | "absorb.recorded") { 1 } else { 2 };
            let nth = 1 + self.random.below(most);
            if self.kill_at(&format!("{step}:{nth}")).await {
                return;
            }
        }
        panic!("{step} is never met\n{}", self.program.log());
    }

    async fn kill_at(&mut self, at: &str) -> bool {
        self.killer.at(&self.program, at).await
    }

    async fn once(&self) -> Counts {
        Counts(self.program.run(&["run", "--once", "--take-over", "--json"]).await.code(0).json())
    }

    /// The writers have stopped: a person would look at what is held, and try it again.
    async fn settle(&self) {
        let mut last = Vec::new();
        for _ in 0..5 {
            self.once().await;
            let held = self.program.run(&["held", "list", "--json"]).await.code(0).json();
            last = held.as_array().unwrap().clone();
            if last.is_empty() {
                return;
            }
            self.program.run(&["held", "retry"]).await.code(0);
        }
        panic!("still not synced: {last:#?}\n{}", self.program.log());
    }

    fn told(&self, test: &str) {
        let journal = self.journal.lock().unwrap();
        println!(
            "{test}: {} commits, {} rollbacks, {} failures; {}",
            journal.commits, journal.rollbacks, journal.failures, self.killer
        );
        assert!(self.killer.kills() >= 20);
    }
}
