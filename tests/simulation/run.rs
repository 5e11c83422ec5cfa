//! A run: processes, users, faults, and the rest at the end.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use twinrow::error::{Kind, Result};
use twinrow::pipeline::{Door, Pipeline, Rival};
use twinrow::state;

use crate::configuration::named;
use crate::endpoint::{Memory, endpoints, pause};
use crate::options::Options;
use crate::world::{Shared, World, locked};

struct SimulatedDoor(Shared, u64);

#[async_trait]
impl Door for SimulatedDoor {
    fn now(&self) -> i64 {
        locked(&self.0).clock
    }

    fn batch(&self) -> usize {
        locked(&self.0).batch
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
    integration: usize,
    life: Pin<Box<dyn Future<Output = Result<()>>>>,
    cycles: Cycles,
}

/// Cycles a process finished, and whether the last one had anything to read.
type Cycles = Arc<Mutex<(usize, bool)>>;

async fn life(world: Shared, (id, which): (u64, usize), cycles: Cycles, scan_first: bool) -> Result<()> {
    let (integration, once) = {
        let world = locked(&world);
        (world.integration(which), world.options.log_max.is_some() || world.options.halts > 0.0)
    };
    let links: Vec<usize> = (0..integration.links.len()).collect();
    let door = Arc::new(SimulatedDoor(world.clone(), id));
    let ends = endpoints(&world, which, id);
    let started = Pipeline::start(integration, ends, door, "simulated", Rival::TakeOver).await;
    match &started {
        Ok(_) => locked(&world).starts(which, false),
        Err(error) if error.kind() == Kind::Identity => locked(&world).starts(which, true),
        Err(_) => {}
    }
    let mut pipeline = started?;
    locked(&world).tell(|| format!("p{id} took over {}, epoch {}", named(which), pipeline.epoch()));
    let mut scan_now = scan_first;
    loop {
        if scan_now {
            pipeline.ask_scan(&links).await?;
        }
        let counts = if once { pipeline.run_once(&mut |_| ()).await? } else { pipeline.cycle().await? };
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
    /// The process that was started last, of all and of each integration.
    pub started: u64,
    latest: [u64; 2],
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
    let print = world.chance.next() ^ world.all_writes() << 32 ^ world.next_id;
    Outcome { wrong, trace: world.trace.take().unwrap_or_default(), print }
}

impl Run {
    pub fn new(seed: u64, options: Options, trace: bool) -> Run {
        Run {
            world: Arc::new(Mutex::new(World::new(seed, options, trace))),
            processes: Vec::new(),
            away: 0,
            started: 0,
            latest: [0; 2],
            failed: Vec::new(),
        }
    }

    pub fn world(&self) -> std::sync::MutexGuard<'_, World> {
        locked(&self.world)
    }

    pub fn start(&mut self, scan_first: bool) {
        self.start_one(0, scan_first);
    }

    fn start_all(&mut self, scan_first: bool) {
        let count = self.world().options.integrations();
        (0..count).for_each(|which| self.start_one(which, scan_first));
    }

    fn start_one(&mut self, integration: usize, scan_first: bool) {
        let id = self.world().id();
        (self.started, self.latest[integration]) = (id, id);
        let cycles = Arc::new(Mutex::new((0, true)));
        let life = Box::pin(life(self.world.clone(), (id, integration), cycles.clone(), scan_first));
        self.processes.push(Process { id, integration, life, cycles });
    }

    /// Everything is installed and the cursors stand; or there is data, and nothing is.
    pub fn prepare(&mut self) {
        let stocked = self.world().options.stocked;
        if stocked {
            self.world().stock();
        } else {
            self.start_all(false);
            self.cycles(1);
            self.crash_all();
        }
        self.world().calm = false;
    }

    fn crash_all(&mut self) {
        while !self.processes.is_empty() {
            self.crash(0);
        }
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
        for at in 0..world.options.data() {
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
        world.rights();
        world.halt();
        world.relog();
        world.compact();
        if world.restore() {
            drop(world);
            return self.crash_all();
        }
        let changes = world.options.changes;
        if changes > 0.0 && world.chance.one_in(changes) {
            drop(world);
            return self.edit();
        }
        let approve = world.options.brake && world.chance.one_in(0.05);
        drop(world);
        if approve {
            self.approve();
        }
    }

    /// Somebody stops what runs, edits the configuration, and starts it again.
    fn edit(&mut self) {
        self.crash_all();
        let mut world = self.world();
        let world = &mut *world;
        world.setup.edit(&mut world.chance);
        let setup = world.setup.clone();
        world.tell(|| format!("{setup:?}"));
    }

    fn someone_runs(&mut self) -> bool {
        self.away -= 1;
        let Options { away, second, .. } = self.world().options.clone();
        if self.world().chance.one_in(away) {
            let steps = self.world().chance.below(40);
            self.away = 10 + steps as i64;
        }
        if self.away > 0 {
            self.crash_all();
            return false;
        }
        let count = self.world().options.integrations();
        for which in 0..count {
            let running = self.processes.iter().filter(|process| process.integration == which).count();
            if running == 0 || running < 2 && self.world().chance.one_in(second) {
                self.start_one(which, false);
            }
        }
        true
    }

    /// One step of a process; `false`: it is no more.
    pub fn poll(&mut self, id: u64) -> bool {
        let Some(at) = self.processes.iter().position(|process| process.id == id) else { return false };
        let ended = self.processes[at].life.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(ended) = ended else { return true };
        let error = ended.err();
        let integration = self.processes.remove(at).integration;
        self.world().tell(|| format!("p{id} ends: {error:?}"));
        let calm = self.world().calm;
        if calm {
            // What it has left open ends with it: nobody else passes the time.
            self.world().settle(true);
        }
        if let Some(error) = error {
            let options = self.world().options.clone();
            let expected = match error.kind() {
                Kind::Fenced | Kind::Retry | Kind::InDoubt | Kind::Unreachable => true,
                Kind::Denied => options.denied > 0.0,
                Kind::Schema => options.halts > 0.0,
                Kind::Tracking => options.relog > 0.0,
                Kind::Identity => self.world().may_refuse(),
                _ => false,
            };
            let refused = error.kind() == Kind::Identity && expected;
            // A stale process finds that a newer one has pruned what it was about to read.
            let stale = error.kind() == Kind::Tracking && self.latest[integration] != id;
            if calm && !refused || !(expected || stale) {
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

    /// Lets every process finish so many cycles, one after the other; whether the last ones read anything.
    pub fn cycles(&mut self, count: usize) -> bool {
        let all: Vec<(u64, Cycles)> = self.processes.iter().map(|process| (process.id, process.cycles.clone())).collect();
        let mut busy = false;
        for (id, done) in all {
            let now = || *done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let until = now().0 + count;
            let mut polls = 0;
            while now().0 < until && self.poll(id) {
                polls += 1;
                if polls == 200_000 {
                    self.failed.push("stuck: a cycle does not end".into());
                    return false;
                }
            }
            busy |= now().1;
        }
        busy
    }

    /// Everything ends; a fresh process must bring both sides together, and then fall silent.
    pub fn calm(&mut self) {
        if !self.failed.is_empty() {
            return;
        }
        self.crash_all();
        self.world().come_to_rest();
        self.start_all(false);
        let quiet = self.until_quiet();
        if !quiet {
            self.failed.push("noisy: it still writes after many cycles".into());
            return;
        }
        let before = self.world().all_writes();
        self.crash_all();
        // A full compare finds nothing to do either.
        self.world().tell(|| "full compare".into());
        self.start_all(true);
        self.until_quiet();
        let after = self.world().all_writes();
        if after != before {
            self.failed.push(format!("noisy: a full compare of agreeing sides writes {} times", after - before));
        }
    }

    fn until_quiet(&mut self) -> bool {
        let mut silent = 0;
        for _ in 0..80 {
            let before = self.world().all_writes();
            let busy = self.cycles(1);
            if !self.failed.is_empty() || self.processes.is_empty() {
                return true;
            }
            let approved = self.approve();
            let mut world = self.world();
            world.clock += 4_000;
            let scanning = world.is_scanning();
            silent = if world.all_writes() == before && !approved && !scanning && !busy { silent + 1 } else { 0 };
            if silent == 4 {
                return true;
            }
        }
        false
    }

    /// A person approves what the brakes show. Whether there was anything.
    pub fn approve(&mut self) -> bool {
        let count = self.world().options.integrations();
        let mut any = false;
        for which in 0..count {
            let (integration, at) = {
                let world = self.world();
                (world.integration(which), world.options.home_of(which))
            };
            for link in &integration.links {
                let mut session = Memory { world: self.world.clone(), at, integration: which, process: 0 };
                let brakes = block(state::brakes(&mut session, link)).unwrap_or_default();
                for brake in brakes.iter().filter(|brake| brake.approved.is_none()) {
                    any |= block(state::approve(&mut session, brake)).is_ok();
                    self.world().tell(|| format!("approved: {} records of {}", brake.records, link.name));
                }
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
