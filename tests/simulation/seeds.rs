//! Runs: from a seed to a verdict.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use twinrow::error::{Kind, Result};
use twinrow::model::{
    Both, BrakeLimits, Collection, Column, ConflictPolicy, Deletes, Field, FirstSync, Integration, KeySource, Keys, Kind as Type,
    Limit, Link, Lossy, MatchField, Normal, Side, Table, TableName, Value,
};
use twinrow::pipeline::{Door, Pipeline};
use twinrow::state;

use crate::database::{ENTITY, KEY, PARENT, X, Y, value};
use crate::endpoint::{Memory, endpoints, pause, table_of};
use crate::users::Effect;
use crate::world::{Chance, Home, Options, Rounding, Shape, Shared, World, locked};

struct SimulatedDoor(Shared, u64);

#[async_trait]
impl Door for SimulatedDoor {
    fn now(&self) -> i64 {
        locked(&self.0).clock
    }

    fn instance(&self) -> String {
        format!("instance {}", locked(&self.0).id())
    }

    async fn step(&self, step: &'static str) -> Result<()> {
        {
            let mut world = locked(&self.0);
            world.tell(|| format!("  {step}"));
            world.passed = Some((self.1, step));
        }
        pause().await;
        Ok(())
    }
}

/// A process of ours.
struct Process {
    id: u64,
    life: Pin<Box<dyn Future<Output = Result<()>>>>,
    /// Cycles it finished, and whether the last one had anything to read.
    cycles: Arc<Mutex<(usize, bool)>>,
}

async fn life(world: Shared, id: u64, cycles: Arc<Mutex<(usize, bool)>>, scan_first: bool) -> Result<()> {
    let integration = integration(&locked(&world).options);
    let links: Vec<usize> = (0..integration.links.len()).collect();
    let door = Arc::new(SimulatedDoor(world.clone(), id));
    let mut pipeline = Pipeline::take_over(integration, endpoints(&world, id), door, "simulated").await?;
    locked(&world).tell(|| format!("p{id} took over, epoch {}", pipeline.epoch()));
    let mut scan_now = scan_first;
    loop {
        if scan_now {
            pipeline.ask_scan(&links).await?;
        }
        let counts = pipeline.cycle().await?;
        {
            let mut cycles = cycles.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *cycles = (cycles.0 + 1, counts.entries > 0 || counts.more);
        }
        pause().await;
        let mut world = locked(&world);
        world.tell(|| format!("p{id} cycle done"));
        let share = world.options.scan;
        scan_now = !world.calm && world.chance.one_in(share);
    }
}

/// A whole run, and where the scheduler stands in it.
pub struct Run {
    world: Shared,
    processes: Vec<Process>,
    away: i64,
    /// The process that was started last.
    pub started: u64,
    pub failed: Vec<String>,
}

/// What came of a run.
pub struct Outcome {
    pub wrong: Vec<String>,
    pub trace: Vec<String>,
    /// Something of everything that happened, to compare runs by.
    pub print: u64,
}

/// One run from its seed.
pub fn run(seed: u64, options: Options, trace: bool) -> Outcome {
    let mut run = Run::new(seed, options, trace);
    run.prepare();
    if run.failed.is_empty() {
        run.storm();
        run.calm();
    }
    let mut world = locked(&run.world);
    let mut wrong = std::mem::take(&mut run.failed);
    wrong.extend(world.verdict());
    let print = world.chance.next() ^ world.writes << 32 ^ world.next_id;
    Outcome { wrong, trace: world.trace.take().unwrap_or_default(), print }
}

impl Run {
    pub fn new(seed: u64, options: Options, trace: bool) -> Run {
        Run {
            world: Arc::new(Mutex::new(World::new(seed, options, trace))),
            processes: Vec::new(),
            away: 0,
            started: 0,
            failed: Vec::new(),
        }
    }

    pub fn world(&self) -> std::sync::MutexGuard<'_, World> {
        locked(&self.world)
    }

    pub fn start(&mut self, scan_first: bool) {
        let id = self.world().id();
        self.started = id;
        let cycles = Arc::new(Mutex::new((0, true)));
        let life = Box::pin(life(self.world.clone(), id, cycles.clone(), scan_first));
        self.processes.push(Process { id, life, cycles });
    }

    /// The tables are installed and the cursors stand; then, perhaps, data that no log knows.
    pub fn prepare(&mut self) {
        self.start(false);
        self.cycles(1);
        self.crash(0);
        if self.world().options.stocked {
            self.world().stock();
            self.start(true);
        }
        self.world().calm = false;
    }

    fn storm(&mut self) {
        let steps = self.world().options.steps;
        for _ in 0..steps {
            self.users();
            if self.someone_runs() {
                let at = if self.world().chance.one_in(0.3) {
                    let count = self.processes.len();
                    self.world().chance.below(count)
                } else {
                    self.processes.len() - 1
                };
                let burst = *self.world().chance.pick(&[1, 1, 2, 3, 5, 8, 13, 30]);
                let id = self.processes[at].id;
                for _ in 0..burst {
                    if !self.poll(id) {
                        break;
                    }
                }
            }
            let crash = self.world().options.crash;
            if !self.processes.is_empty() && self.world().chance.one_in(crash) {
                let count = self.processes.len();
                let at = self.world().chance.below(count);
                self.crash(at);
            }
            if !self.failed.is_empty() {
                return;
            }
        }
    }

    /// Users, servers and the clock.
    fn users(&mut self) {
        let mut world = self.world();
        let busy = world.options.busy;
        if world.chance.one_in(busy) {
            world.user();
        }
        for at in 0..2 {
            let open = world.databases[at].users.len();
            if open > 0 && world.chance.one_in(0.12) {
                let tx = world.chance.below(open);
                world.end_user(at, tx, None);
            }
        }
        world.settle(false);
        if world.chance.one_in(0.002) {
            world.time_out();
        }
        let seconds = *world.chance.pick(&[0, 0, 0, 1, 2]);
        world.clock += seconds;
        let approve = world.options.brake && world.chance.one_in(0.05);
        drop(world);
        if approve {
            self.approve();
        }
    }

    fn someone_runs(&mut self) -> bool {
        self.away -= 1;
        let Options { away, second, .. } = self.world().options.clone();
        if self.world().chance.one_in(away) {
            let steps = self.world().chance.below(40);
            self.away = 10 + steps as i64;
        }
        if self.away > 0 {
            while !self.processes.is_empty() {
                self.crash(0);
            }
            return false;
        }
        let another = self.processes.is_empty() || (self.processes.len() < 2 && self.world().chance.one_in(second));
        if another {
            self.start(false);
        }
        true
    }

    /// One step of a process; `false`: it is no more.
    pub fn poll(&mut self, id: u64) -> bool {
        let Some(at) = self.processes.iter().position(|process| process.id == id) else { return false };
        let ended = self.processes[at].life.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(ended) = ended else { return true };
        let error = ended.err();
        self.processes.remove(at);
        self.world().tell(|| format!("p{id} ends: {error:?}"));
        let calm = self.world().calm;
        if let Some(error) = error {
            let expected = matches!(error.kind(), Kind::Fenced | Kind::Retry | Kind::InDoubt | Kind::Unreachable);
            // A stale process finds that a newer one has pruned what it was about to read.
            let stale = error.kind() == Kind::Tracking && self.started != id;
            if calm || !(expected || stale) {
                self.failed.push(format!("p{id} died: {error:?}"));
            }
        }
        false
    }

    pub fn crash(&mut self, at: usize) {
        if at < self.processes.len() {
            let process = self.processes.remove(at);
            self.world().tell(|| format!("p{} crashes", process.id));
            drop(process);
        }
    }

    /// Lets the only process finish so many cycles; whether the last one read anything.
    pub fn cycles(&mut self, count: usize) -> bool {
        let Some(process) = self.processes.first() else { return false };
        let (id, done) = (process.id, process.cycles.clone());
        let now = || *done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let until = now().0 + count;
        for _ in 0..100_000 {
            if now().0 >= until || !self.poll(id) {
                return now().1;
            }
        }
        self.failed.push("stuck: a cycle does not end".into());
        false
    }

    /// Everything ends; a fresh process must bring both sides together, and then fall silent.
    pub fn calm(&mut self) {
        if !self.failed.is_empty() {
            return;
        }
        self.world().calm = true;
        self.world().trouble = None;
        for at in 0..2 {
            while !self.world().databases[at].users.is_empty() {
                self.world().end_user(at, 0, Some(false));
            }
        }
        while !self.processes.is_empty() {
            self.crash(0);
        }
        self.world().settle(true);
        self.world().tell(|| "calm".into());
        self.start(false);
        let quiet = self.until_quiet();
        if !quiet {
            self.failed.push("noisy: it still writes after many cycles".into());
            return;
        }
        let before = self.world().writes;
        while !self.processes.is_empty() {
            self.crash(0);
        }
        // A full compare finds nothing to do either.
        self.world().tell(|| "full compare".into());
        self.start(true);
        self.until_quiet();
        let after = self.world().writes;
        if after != before {
            self.failed.push(format!("noisy: a full compare of agreeing sides writes {} times", after - before));
        }
    }

    fn until_quiet(&mut self) -> bool {
        let mut silent = 0;
        for _ in 0..80 {
            let before = self.world().writes;
            let busy = self.cycles(1);
            if !self.failed.is_empty() {
                return true;
            }
            let approved = self.approve();
            let mut world = self.world();
            world.clock += 4_000;
            let scanning = !world.databases[world.home()].own.scan.is_empty();
            silent = if world.writes == before && !approved && !scanning && !busy { silent + 1 } else { 0 };
            if silent == 4 {
                return true;
            }
        }
        false
    }

    /// A person approves what the brakes show. Whether there was anything.
    pub fn approve(&mut self) -> bool {
        let (options, home) = {
            let world = self.world();
            (world.options.clone(), world.home())
        };
        let links = integration(&options).links.len();
        let memory = Memory { world: self.world.clone(), at: home, process: 0 };
        let mut any = false;
        for number in 1..=links {
            let mut link = integration(&options).links.remove(number - 1);
            link.number = number as i64;
            let mut session = memory.clone();
            let brakes = block(state::brakes(&mut session, &link)).unwrap_or_default();
            for brake in brakes.iter().filter(|brake| brake.approved.is_none()) {
                any |= block(state::approve(&mut session, brake)).is_ok();
                self.world().tell(|| format!("approved: {} records of link {number}", brake.records));
            }
        }
        any
    }
}

/// A future that waits for nobody but the scheduler.
fn block<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

impl World {
    /// A server gives up on a transaction that has been idle for too long.
    fn time_out(&mut self) {
        for at in 0..self.databases.len() {
            let idle = self.databases[at].ours.iter().find(|(_, tx)| !tx.sent && !tx.orphan).map(|(id, _)| *id);
            if let Some(id) = idle {
                self.databases[at].ours.remove(&id);
                self.tell(|| format!("{} closes tx {id}", crate::world::name(at)));
            }
        }
    }

    /// Data that was there before anybody looked.
    fn stock(&mut self) {
        for _ in 0..self.options.rows {
            let entity = i64::try_from(self.id()).unwrap_or(0);
            let sides: &[usize] = match self.chance.below(4) {
                0 => &[0],
                1 => &[1],
                _ if !self.options.matching => &[0],
                _ => &[0, 1],
            };
            let same = self.chance.one_in(0.5);
            let (x, y) = (self.id() as i64, self.id() as i64);
            for at in sides {
                let (x, y) = if same { (x, y) } else { (self.id() as i64, self.id() as i64) };
                let mut row = vec![Value::Int(i128::from(entity)), value(x, 0, &self.options, X), value(y, 0, &self.options, Y)];
                let key = self.databases[*at].new_key(0);
                if self.databases[*at].tables[0].refers.is_some() {
                    row.push(Value::Null);
                } else if self.options.copy {
                    row.extend([Value::Null, Value::Int(i128::from(key))]);
                }
                self.ledger.user(*at, Effect::Set(entity, X, x * 10));
                self.ledger.user(*at, Effect::Set(entity, Y, y * 10));
                self.ledger.stood(*at, 0, key, &row[0]);
                self.databases[*at].tables[0].rows.insert(key, row);
            }
        }
    }
}

fn column(name: &str, kind: Type, nullable: bool) -> Column {
    Column { name: name.into(), kind, native: String::new(), nullable, computed: false, has_default: false }
}

fn collection(at: usize, table: usize, refers: bool, options: &Options) -> Collection {
    let int = || Type::Int { min: i128::from(i64::MIN), max: i128::from(i64::MAX) };
    let y = match options.rounding {
        Rounding::Mapped => Type::Decimal { limit: Some((18, if at == 0 { 1 } else { 0 })) },
        Rounding::No | Rounding::Silent => int(),
    };
    let mut columns =
        vec![column("id", int(), false), column("entity", int(), false), column("x", int(), true), column("y", y, true)];
    if refers || options.copy {
        columns.push(column("parent", int(), true));
    }
    let mapped = (1..columns.len()).chain(options.copy.then_some(0)).collect();
    let name = TableName { schema: String::new(), name: format!("t{table}") };
    debug_assert_eq!(table_of(&name), table);
    let table = Table {
        name,
        columns,
        key: vec![0],
        key_source: if options.reuse[at] { KeySource::GeneratedReused } else { KeySource::Generated },
        uniques: if options.unique { vec![vec![1]] } else { Vec::new() },
        foreign_keys: Vec::new(),
        blind_spots: Vec::new(),
        refused: None,
    };
    Collection { table, columns: mapped }
}

fn link(table: usize, refers: Option<usize>, options: &Options) -> Link {
    let names: &[&str] = match refers {
        Some(_) => &["entity", "x", "y", "parent"],
        None if options.copy => &["entity", "x", "y", "parent", "id"],
        None => &["entity", "x", "y"],
    };
    let field = |(at, name): (usize, &&str)| Field {
        name: (*name).into(),
        number: at as u16,
        via: refers.filter(|_| at == PARENT),
        direction: options.direction,
        blanks: options.blanks,
        lossy: if at == Y { Lossy::Fit } else { Lossy::Hold },
    };
    let deletes = options.brake.then_some(Limit { count: 1, percent: 10 });
    Link {
        name: format!("link{table}"),
        number: 0,
        endpoint: Both { source: 0, target: 1 },
        collection: Both::from_fn(|side| collection(usize::from(side == Side::Target), table, refers.is_some(), options)),
        fields: names.iter().enumerate().map(field).collect(),
        // Where keys are copied, records are matched by them.
        matching: match options.matching || options.copy {
            true => vec![MatchField { field: if options.copy { KEY } else { ENTITY }, normal: Normal::default() }],
            false => Vec::new(),
        },
        direction: options.direction,
        conflict: options.conflict,
        newest: (options.conflict == ConflictPolicy::Newest).then_some(X),
        deletes: options.deletes,
        keys: if options.copy { Keys::Copy } else { Keys::Own },
        brake: BrakeLimits { deletes, changes: options.brake.then_some(Limit { count: 2, percent: 20 }) },
    }
}

fn integration(options: &Options) -> Integration {
    let links = match options.shape {
        Shape::Flat => vec![link(0, None, options)],
        Shape::Family => vec![link(0, None, options), link(1, Some(0), options)],
        Shape::Circle => vec![link(0, Some(0), options)],
    };
    let mut endpoints = vec!["shop".to_owned(), "crm".to_owned()];
    if options.home == Home::Third {
        endpoints.push("state".to_owned());
    }
    let home = match options.home {
        Home::Source => 0,
        Home::Target => 1,
        Home::Third => 2,
    };
    Integration {
        name: "simulated".into(),
        endpoints,
        home,
        links,
        first_sync: FirstSync::Auto,
        keep_values: true,
        log_max: 1_000_000,
    }
}

/// How many seeds a test runs: `TWINROW_SEEDS` in all, spread evenly; else `count`.
fn count(count: u64, tests: u64) -> u64 {
    std::env::var("TWINROW_SEEDS").ok().and_then(|seeds| seeds.parse::<u64>().ok()).map_or(count, |seeds| seeds.div_ceil(tests))
}

/// Runs many seeds, or the one that `TWINROW_SEED` names; tells the first failing runs.
pub fn seeds(test: &str, default: u64, make: impl Fn(&mut Chance) -> Options) {
    let one = std::env::var("TWINROW_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let list: Vec<u64> = one.map_or_else(|| (0..count(default, 15)).collect(), |seed| vec![seed]);
    let (mut failed, mut ran) = (Vec::new(), 0);
    for seed in &list {
        ran += 1;
        let options = make(&mut Chance::new(seed ^ 0xabcd));
        let outcome = run(*seed, options.clone(), false);
        if !outcome.wrong.is_empty() {
            failed.push((*seed, options, outcome.wrong));
            if std::env::var_os("TWINROW_STOP").is_some() {
                break;
            }
        }
    }
    if let Some((seed, options, _)) = failed.first() {
        let told = run(*seed, options.clone(), true);
        let from = told.trace.len().saturating_sub(trace_length());
        println!("{}", told.trace[from..].join("\n"));
    }
    for (seed, options, wrong) in failed.iter().take(10) {
        println!("seed {seed} {options:?}\n  {}", wrong.join("\n  "));
    }
    let numbers: Vec<String> = failed.iter().map(|(seed, ..)| seed.to_string()).collect();
    assert!(
        failed.is_empty(),
        "{} of {} seeds failed: {}\nagain: TWINROW_SEED={} cargo test --test simulation {test}",
        failed.len(),
        ran,
        numbers.join(" "),
        numbers.first().map_or("", String::as_str)
    );
}

fn trace_length() -> usize {
    std::env::var("TWINROW_TRACE").ok().and_then(|lines| lines.parse().ok()).unwrap_or(150)
}

/// The variety every test has: where the state lives, how keys are given out, how much is read at a time.
pub fn any(chance: &mut Chance) -> Options {
    Options {
        home: *chance.pick(&[Home::Source, Home::Target, Home::Third]),
        fault: *chance.pick(&[0.001, 0.001, 0.01]),
        limit: *chance.pick(&[3, 8, 20_000]),
        scan: if chance.one_in(0.3) { 0.15 } else { 0.0 },
        ..Options::default()
    }
}

/// As [`any`], with deletes that do not travel.
pub fn keeping(chance: &mut Chance) -> Options {
    Options { deletes: *chance.pick(&[Deletes::Keep, Deletes::Recreate]), ..any(chance) }
}
