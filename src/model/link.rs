//! Integrations and links: what is kept in step with what, and by which policies.

use std::fmt;

use super::{Collection, Key, Normal, Value};

/// The two sides of a link. They differ only where both changed: the source wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The side that wins conflicts.
    Source,
    /// The other one.
    Target,
}

impl Side {
    /// Both, source first.
    pub const BOTH: [Side; 2] = [Side::Source, Side::Target];

    /// The other side.
    pub fn other(self) -> Side {
        match self {
            Side::Source => Side::Target,
            Side::Target => Side::Source,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Source => "source",
            Side::Target => "target",
        })
    }
}

/// Something for each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Both<T> {
    /// The source's.
    pub source: T,
    /// The target's.
    pub target: T,
}

impl<T> Both<T> {
    /// One of each from a function of the side.
    pub fn from_fn(mut make: impl FnMut(Side) -> T) -> Both<T> {
        Both { source: make(Side::Source), target: make(Side::Target) }
    }
}

impl<T> std::ops::Index<Side> for Both<T> {
    type Output = T;
    fn index(&self, side: Side) -> &T {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }
}

impl<T> std::ops::IndexMut<Side> for Both<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Source => &mut self.source,
            Side::Target => &mut self.target,
        }
    }
}

/// Which way changes travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// Source to target only; the target's changes are reported.
    ToTarget,
    /// Target to source only.
    ToSource,
}

impl Direction {
    /// Whether `side` may be written.
    pub fn writes(self, side: Side) -> bool {
        match self {
            Direction::Both => true,
            Direction::ToTarget => side == Side::Target,
            Direction::ToSource => side == Side::Source,
        }
    }
}

/// What happens when both sides of a pair changed differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictPolicy {
    /// The source's row wins; the loser's values are kept.
    #[default]
    Source,
    /// The target's row wins.
    Target,
    /// Field by field; the source wins a field that both changed.
    Merge,
    /// The side whose declared column is greater; a tie or NULL: the source.
    Newest,
    /// Nothing is written until a person decides.
    Hold,
}

/// What happens to the survivor when a record was deleted on the other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deletes {
    /// It stays, is not synced any more, and `status` counts it.
    #[default]
    Keep,
    /// It is deleted too, under the brake.
    Delete,
    /// The deleted record is created again from it.
    Recreate,
}

/// What happens when a field became empty on one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Blanks {
    /// The other side keeps its value.
    #[default]
    Keep,
    /// The other side becomes empty too.
    Propagate,
}

/// Who chooses the key of a created record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// Each side numbers its own rows.
    #[default]
    Own,
    /// Both sides share the key; it is copied.
    Copy,
}

/// What may happen to a value the other side can't store exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lossy {
    /// The record is held, with the cause.
    #[default]
    Hold,
    /// It is rounded or cut to fit, and never flows back.
    Fit,
}

/// One field of a link. Its columns stand at the same index of both [`Collection`]s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// `source_column -> target_column`, as shown to people.
    pub name: String,
    /// A number that stays with this mapping for ever; bases are stored under it, so a changed
    /// mapping starts without a base.
    pub number: u16,
    /// For a foreign key: the index (in [`Integration::links`]) of the link through whose pairs it is rewritten.
    pub via: Option<usize>,
    /// For a foreign key of several columns: the fields that make it up, this one among them, in the order of the
    /// parent's key on each side. Empty for one of a single column.
    pub parts: Both<Vec<usize>>,
    /// Which way this field travels.
    pub direction: Direction,
    /// Whether empty values travel.
    pub blanks: Blanks,
    /// What may happen to a value that does not fit.
    pub lossy: Lossy,
    /// The sides whose column was dropped and made anew: what is empty there, as long as the two have not agreed since, nobody
    /// has emptied.
    pub remade: Both<bool>,
}

impl Field {
    /// How a mapping of these columns is called.
    pub fn called(source: &str, target: &str) -> String {
        format!("{source} -> {target}")
    }

    /// The fields that change together with this one, which stands at `at`: all parts of its foreign key, or itself.
    pub fn group<'a>(&'a self, at: &'a usize) -> &'a [usize] {
        if self.parts.source.is_empty() { std::slice::from_ref(at) } else { &self.parts.source }
    }

    /// The fields that hold the parent's key on `side`, in key order, where this field, which stands at `at`, is part of them.
    pub fn parts_of<'a>(&'a self, at: &'a usize, side: Side) -> &'a [usize] {
        if self.parts[side].is_empty() { std::slice::from_ref(at) } else { &self.parts[side] }
    }

    /// The parent's key that a row of `side` holds in the foreign key this field, which stands at `at`, is part of.
    /// `None`: a part is NULL, and so it refers to nothing.
    pub fn reference(&self, at: usize, row: &[Value], side: Side) -> Option<Key> {
        let parts = self.parts_of(&at, side);
        let value = |part: &usize| row.get(*part).filter(|value| !value.is_null()).cloned();
        parts.iter().map(value).collect::<Option<Vec<_>>>().map(Key)
    }

    /// Which part of the parent's key on `side` this field, which stands at `at`, holds.
    pub fn part(&self, at: usize, side: Side) -> usize {
        self.parts[side].iter().position(|part| *part == at).unwrap_or(0)
    }
}

/// One column of a match rule: an index into the link's fields and how it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchField {
    /// Index into [`Link::fields`].
    pub field: usize,
    /// Stated normalisation.
    pub normal: Normal,
    /// Whether being equal here shows that a record under a key that was used before is the one that had it. The
    /// shared key alone shows nothing, unless a person has named it and no engine gives it out (C4).
    pub proves: bool,
}

/// Limits above which nothing of a collection and side is applied before a person approves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrakeLimits {
    /// Deletes (or pairs that lose a side): both must be exceeded.
    pub deletes: Option<Limit>,
    /// Changes; off unless set.
    pub changes: Option<Limit>,
}

/// A count and a share of the collection's pairs; tripped when both are exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// More records than this …
    pub count: u64,
    /// … and more than this share of the live pairs, in percent.
    pub percent: u8,
}

impl Default for BrakeLimits {
    /// More than 50 and more than 10 %: a wrong `WHERE` trips it, a day's work does not.
    fn default() -> Self {
        BrakeLimits { deletes: Some(Limit { count: 50, percent: 10 }), changes: None }
    }
}

/// Two collections kept in step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name, unique within the integration.
    pub name: String,
    /// Its number in the state tables.
    pub number: i64,
    /// The endpoint on each side, as an index into [`Integration::endpoints`].
    pub endpoint: Both<usize>,
    /// The collection on each side.
    pub collection: Both<Collection>,
    /// The mapped fields.
    pub fields: Vec<Field>,
    /// The match rule; empty: never match, every unknown record is new.
    pub matching: Vec<MatchField>,
    /// Which way changes travel.
    pub direction: Direction,
    /// What happens when both sides changed.
    pub conflict: ConflictPolicy,
    /// For `newest`: the column that says when, as an index into the link's fields.
    pub newest: Option<usize>,
    /// What happens to survivors.
    pub deletes: Deletes,
    /// Who chooses keys.
    pub keys: Keys,
    /// When to stop and ask.
    pub brake: BrakeLimits,
    /// Why it can't be run as it is configured, if it can't: then of its collections only the tables' names count.
    pub broken: Option<Obstacle>,
}

/// What keeps a link from going on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Obstacle {
    /// What happened and why, in words.
    pub cause: String,
    /// What to do about it: a command to type, where there is one.
    pub next: String,
}

impl Link {
    /// `customers 17`: how a record is named to people.
    pub fn record(&self, key: &Key) -> String {
        format!("{} {key}", self.name)
    }

    /// The fields that tell whether a record under a key that was used before is the one that had it: those a person
    /// has named for it, else all (rule 8).
    pub fn evidence(&self) -> Vec<usize> {
        let named: Vec<usize> = self.matching.iter().filter(|rule| rule.proves).map(|rule| rule.field).collect();
        if named.is_empty() { (0..self.fields.len()).collect() } else { named }
    }

    /// Whether records are matched by nothing but the key they share.
    pub fn matched_by_key_alone(&self) -> bool {
        !self.matching.is_empty() && self.matching.iter().all(|rule| !rule.proves)
    }

    /// Whether no two records of a side can have the same match values: the whole key is among them, as it is written.
    pub fn matches_whole_key(&self, side: Side) -> bool {
        let collection = &self.collection[side];
        let told = |part: &usize| {
            let as_written = |rule: &&MatchField| rule.normal == Normal::default();
            self.matching.iter().filter(as_written).any(|rule| collection.columns[rule.field] == *part)
        };
        !collection.table.key.is_empty() && collection.table.key.iter().all(told)
    }
}

/// A named set of links between endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integration {
    /// Its name: lower case, digits, `_` and `-`.
    pub name: String,
    /// The endpoints' names.
    pub endpoints: Vec<String>,
    /// The endpoint whose database holds the state.
    pub home: usize,
    /// The links, parents before children: a link stands behind every link its fields go through,
    /// but itself.
    pub links: Vec<Link>,
    /// Whether the first run may write without its plan being approved.
    pub first_sync: FirstSync,
    /// Whether kept conflicts hold the loser's values (I10).
    pub keep_values: bool,
    /// A change log with more entries than this waiting is not read entry by entry: everything is compared.
    pub log_max: u64,
}

impl Integration {
    /// The places of the links that share a table with this one, or with one that does; its own among them.
    pub fn sharing(&self, at: usize) -> Vec<usize> {
        let ends =
            |at: usize| Side::BOTH.map(|side| (self.links[at].endpoint[side], &self.links[at].collection[side].table.name));
        let mut found = vec![at];
        let mut next = 0;
        while let Some(one) = found.get(next).copied() {
            let shares = |other: &usize| !found.contains(other) && ends(*other).iter().any(|end| ends(one).contains(end));
            let more: Vec<usize> = (0..self.links.len()).filter(shares).collect();
            found.extend(more);
            next += 1;
        }
        found
    }
}

/// What the first run does where both sides already hold data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstSync {
    /// It shows its plan and waits for approval.
    #[default]
    Ask,
    /// It writes at once.
    Auto,
}
