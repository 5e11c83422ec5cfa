//! Where the time of a run goes, for whoever asks: `twinrow run --timings`.

use std::fmt;
use std::time::{Duration, Instant};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for the next look.
    Idle,
    /// Opening windows, reading the logs, folding.
    Reading,
    /// Asking the map whose keys these are.
    Identifying,
    /// Reading rows of both sides, and finding twins.
    Fetching,
    /// Deciding; nothing is asked.
    Deciding,
    /// Locking, writing and reading back rows.
    Writing,
    /// Writing the map and the worklist, or receipts.
    Recording,
    /// Commits of rows, and with them of what was recorded about them.
    Committing,
    /// Moving the cursors, and telling the logs.
    Acknowledging,
}

const PHASES: [(Phase, &str); 9] = [
    (Phase::Reading, "reading the logs"),
    (Phase::Identifying, "asking the map"),
    (Phase::Fetching, "fetching rows"),
    (Phase::Deciding, "deciding"),
    (Phase::Writing, "writing rows"),
    (Phase::Recording, "writing the map"),
    (Phase::Committing, "committing"),
    (Phase::Acknowledging, "acknowledging"),
    (Phase::Idle, "idle"),
];

/// How long each phase took. One phase follows the other, so the sum is the time of the run.
#[derive(Clone, Debug)]
pub struct Timings {
    spent: [Duration; PHASES.len()],
    phase: Phase,
    since: Instant,
}

impl Default for Timings {
    fn default() -> Timings {
        Timings { spent: Default::default(), phase: Phase::Idle, since: Instant::now() }
    }
}

impl Timings {
    /// From now on this is being done.
    pub(super) fn enter(&mut self, phase: Phase) {
        let now = Instant::now();
        self.spent[self.phase as usize] += now - self.since;
        (self.phase, self.since) = (phase, now);
    }
}

/// A line a phase.
impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: Duration = self.spent.iter().sum();
        for (phase, name) in PHASES {
            let spent = self.spent[phase as usize].as_secs_f64();
            let share = 100.0 * spent / total.as_secs_f64().max(f64::EPSILON);
            writeln!(f, "{name:17} {spent:8.2} s {share:3.0} %")?;
        }
        write!(f, "{:17} {:8.2} s", "in all", total.as_secs_f64())
    }
}
