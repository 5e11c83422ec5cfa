//! What one run is made of.

use twinrow::model::{Blanks, ConflictPolicy, Deletes, Direction};

use crate::database::{X, Y};

/// Which database holds the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    Source,
    Target,
    Third,
}

/// How the target stores less than the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    No,
    /// The mapping rounds, because the column says so and the field is `lossy: fit`.
    Mapped,
    /// The database rounds what it is given, and says nothing.
    Silent,
}

/// Who refers to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One table.
    Flat,
    /// Children that refer to parents.
    Family,
    /// Records that refer to records of their own table, in circles too.
    Circle,
}

/// What becomes of the rows that refer to one that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// They keep it.
    Restrict,
    /// They go with it, and triggers log it.
    Cascade,
    /// They go with it, and no trigger fires: one on the parent writes a mark, as on MySQL where the way down is a circle.
    Marked,
    /// They refer to nothing from then on.
    SetNull,
}

/// A third database that holds the same records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Third {
    No,
    /// Another integration keeps it in step with the source.
    Star,
    /// Another integration keeps it in step with the target.
    Chain,
    /// The same integration has links to it too.
    Same,
}

/// What one run is made of.
#[derive(Clone, Debug)]
pub struct Options {
    pub home: Home,
    /// Deleted keys are given out again, on the source and on the target.
    pub reuse: [bool; 2],
    pub rounding: Rounding,
    pub shape: Shape,
    /// On the source, on the target.
    pub on_delete: [OnDelete; 2],
    /// Whether a new key of a record goes on to the rows that refer to it; else the record keeps it as long as there are any.
    pub on_update: [bool; 2],
    pub third: Third,
    /// Whether records are matched by their business key.
    pub matching: bool,
    /// And by what they refer to.
    pub by_parent: bool,
    /// Whether the databases know that it is unique.
    pub unique: bool,
    /// Whether both sides hold data before the first run.
    pub stocked: bool,
    pub deletes: Deletes,
    pub conflict: ConflictPolicy,
    pub direction: Direction,
    /// Of the children's link, if that goes another way than the one of their parents.
    pub below: Option<Direction>,
    /// Which ways the two values travel where the link goes both.
    pub fields: [Direction; 2],
    pub blanks: Blanks,
    /// Whether the source's keys are the target's too.
    pub copy: bool,
    /// Whether keys have two parts, a region and a number: on the source, on the target. Where they do on one side only, the
    /// region is a field like others on the other one.
    pub composite: [bool; 2],
    /// How many log entries a window reads at most.
    pub limit: usize,
    /// So many rows have room in memory at a time, in some of the windows.
    pub room: usize,
    /// A full compare is asked for so often, per cycle.
    pub scan: f64,
    /// Processes run as `run --once` does, whose logs are compacted, and are compared where they are longer than this.
    pub log_max: Option<u64>,
    /// Per step of the scheduler: a right is lost for a while; a table can't be used for a while; the configuration is
    /// changed; a log is made anew; one is compacted, whoever reads it.
    pub denied: f64,
    pub halts: f64,
    pub changes: f64,
    pub relog: f64,
    pub compaction: f64,
    /// Whether one database, or all of them, are set back to an earlier moment, once.
    pub restore: bool,
    /// Whether the first value is unique, swapped and chosen from a few.
    pub swaps: bool,
    /// Whether the brake may trip.
    pub brake: bool,
    /// Whether servers refuse some records for a while.
    pub refusing: bool,
    /// Whether a trigger of the target's application changes the first row with every write of ours.
    pub trigger: bool,
    /// Per step of the scheduler.
    pub crash: f64,
    pub second: f64,
    pub away: f64,
    /// Per call of an endpoint: the server aborts the transaction, or cannot be reached.
    pub fault: f64,
    pub busy: f64,
    /// Per transaction of ours that commits: the next one there is aborted.
    pub abort: f64,
    pub delete: f64,
    pub rename: f64,
    /// Two records of the source exchange their keys.
    pub swap: f64,
    /// Per statement of a user: the whole table is emptied; a field is emptied.
    pub truncate: f64,
    pub blank: f64,
    /// Rows per table and side, about.
    pub rows: usize,
    pub steps: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            home: Home::Target,
            reuse: [false, false],
            rounding: Rounding::No,
            shape: Shape::Flat,
            on_delete: [OnDelete::Restrict; 2],
            on_update: [false; 2],
            third: Third::No,
            matching: false,
            by_parent: false,
            unique: false,
            stocked: false,
            deletes: Deletes::Delete,
            conflict: ConflictPolicy::Source,
            direction: Direction::Both,
            below: None,
            fields: [Direction::Both; 2],
            blanks: Blanks::Propagate,
            copy: false,
            composite: [false; 2],
            limit: 20_000,
            room: usize::MAX,
            scan: 0.0,
            log_max: None,
            denied: 0.0,
            halts: 0.0,
            changes: 0.0,
            relog: 0.0,
            compaction: 0.0,
            restore: false,
            swaps: false,
            brake: false,
            refusing: false,
            trigger: false,
            crash: 0.015,
            second: 0.01,
            away: 0.004,
            fault: 0.001,
            busy: 0.4,
            abort: 0.002,
            delete: 0.08,
            rename: 0.07,
            swap: 0.0,
            truncate: 0.0,
            blank: 0.0,
            rows: 5,
            steps: 700,
        }
    }
}

impl Options {
    /// Which way a link goes at first.
    pub fn direction_of(&self, table: usize) -> Direction {
        self.below.filter(|_| table == 1).unwrap_or(self.direction)
    }

    /// The database that alone gets what changes in a field.
    pub fn receiver(&self, table: usize, field: usize) -> Option<usize> {
        let direction = match (self.direction_of(table), field) {
            (Direction::Both, X) => self.fields[0],
            (Direction::Both, Y) => self.fields[1],
            (direction, _) => direction,
        };
        receiver(direction)
    }
}

/// The database that a link writes which goes one way.
pub fn receiver(direction: Direction) -> Option<usize> {
    match direction {
        Direction::Both => None,
        Direction::ToTarget => Some(1),
        Direction::ToSource => Some(0),
    }
}
