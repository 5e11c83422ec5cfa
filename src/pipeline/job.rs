//! The writes of one transaction: lock, look again, write, read back.

use std::collections::{BTreeMap, HashSet};

use super::apply::{Do, todo};
use super::item::{Item, Slot};
use super::parking::{Parking, parking_value};
use crate::endpoint::{Change, Create, Fetched, Locked, MovedBy, Outcome, ReadReceipt, Write};
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Collection, Key, KeyBytes, KeySource, Link, Pos, Position, Row, Side, Value};

/// One item's write as the server has it.
pub(super) struct Done {
    pub(super) at: usize,
    pub(super) what: Do,
    pub(super) key: Option<KeyBytes>,
    pub(super) stored: Row,
    pub(super) pos: Pos,
}

/// A record that gets another key.
struct Move {
    fields: Vec<usize>,
    change: Change,
    to: KeyBytes,
}

/// How far the log was read at the moment the rows are of that were decided about.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) position: Position,
    pub(super) receipt: ReadReceipt,
}

/// The writes of one transaction.
pub(super) struct Job<'a> {
    pub(super) link: &'a Link,
    /// Its place.
    pub(super) at: usize,
    pub(super) side: Side,
    pub(super) known: Known,
    pub(super) part: Vec<usize>,
    pub(super) busy: Vec<(usize, String)>,
    pub(super) refused: Vec<(usize, String)>,
}

impl Job<'_> {
    pub(super) fn collection(&self) -> &Collection {
        &self.link.collection[self.side]
    }

    pub(super) async fn run(&mut self, write: &mut dyn Write, items: &[Item], parking: &Parking) -> Result<Vec<Done>> {
        let mut jobs: Vec<(usize, Do)> = self.part.iter().filter_map(|at| Some((*at, todo(&items[*at], self.side)?))).collect();
        let unlocked = self.lock(write, items, &jobs).await?;
        let taken = self.match_again(write, items, &jobs).await?;
        jobs.retain(|(at, _)| !unlocked.contains(at) && !taken.contains(at));
        let mut keys: BTreeMap<usize, Key> = BTreeMap::new();
        self.insert(write, &jobs, &mut keys).await?;
        self.park(write, items, &jobs, parking).await?;
        self.update(write, items, &jobs, &mut keys).await?;
        let stays = self.delete(write, items, &jobs).await?;
        jobs.retain(|(at, _)| !stays.contains(at));
        self.read_back(write, jobs, keys).await
    }

    pub(super) fn busy(&mut self, at: usize, cause: &str) {
        self.busy.push((at, cause.to_owned()));
    }

    pub(super) fn key_of(&self, item: &Item) -> Option<Key> {
        item.key[self.side].as_ref().and_then(KeyBytes::decode)
    }

    /// Locks what will be changed; a row that is not what was decided about comes again.
    pub(super) async fn lock(&mut self, write: &mut dyn Write, items: &[Item], jobs: &[(usize, Do)]) -> Result<HashSet<usize>> {
        let (mut wanted, mut rows) = (Vec::new(), Vec::new());
        for (at, what) in jobs {
            if let (Do::Update(_) | Do::Delete, Some(key)) = (what, self.key_of(&items[*at])) {
                wanted.push(*at);
                rows.push((key, items[*at].slot[self.side].version().cloned()));
            }
        }
        let (mut unlocked, mut alike) = (HashSet::new(), Vec::new());
        if wanted.is_empty() {
            return Ok(unlocked);
        }
        for (at, now) in wanted.into_iter().zip(write.lock_read(self.collection(), &rows).await?) {
            let same = match (&now, &items[at].slot[self.side]) {
                (Some(Locked::AsRead), _) => true,
                (Some(Locked::Now(now)), Slot::Row(row, _)) => now == row,
                _ => false,
            };
            if !same {
                unlocked.insert(at);
                self.busy(at, if now.is_none() { "the row is locked by someone else" } else { "the row changed meanwhile" });
            } else if now != Some(Locked::AsRead) {
                alike.extend(self.key_of(&items[at]).map(|key| (at, key)));
            }
        }
        self.leave_moved(write, alike, &mut unlocked).await?;
        self.lock_identity(write, items, jobs, &mut unlocked).await?;
        Ok(unlocked)
    }

    /// A row that looks as it did may be another record's by now: one that has taken its key since it was read (rule 3).
    /// From here on nobody can, for it is locked.
    async fn leave_moved(
        &mut self,
        write: &mut dyn Write,
        alike: Vec<(usize, Key)>,
        unlocked: &mut HashSet<usize>,
    ) -> Result<()> {
        if alike.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key> = alike.iter().map(|(_, key)| key.clone()).collect();
        let moved = write.moved(self.collection(), &keys, &self.known.position, &self.known.receipt, MovedBy::Anybody).await?;
        for (at, _) in alike.into_iter().filter(|(_, key)| moved.contains(&key.encode())) {
            unlocked.insert(at);
            self.busy(at, "its key may be another record's since it was read");
        }
        Ok(())
    }

    /// Rows that go, or get a new key or another unique value: someone may be about to refer to them.
    async fn lock_identity(
        &mut self,
        write: &mut dyn Write,
        items: &[Item],
        jobs: &[(usize, Do)],
        unlocked: &mut HashSet<usize>,
    ) -> Result<()> {
        let unique = |what: &Do| match what {
            Do::Update(fields) => fields.iter().any(|(field, _)| self.collection().is_unique(*field)),
            Do::Delete => true,
            Do::Create(_) => false,
        };
        let wanted: Vec<(usize, Key)> = jobs
            .iter()
            .filter(|(at, what)| unique(what) && !unlocked.contains(at))
            .filter_map(|(at, _)| Some((*at, self.key_of(&items[*at])?)))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key> = wanted.iter().map(|(_, key)| key.clone()).collect();
        let held = write.lock_identity(self.collection(), &keys).await?;
        for ((at, _), _) in wanted.into_iter().zip(held).filter(|(_, held)| !held) {
            unlocked.insert(at);
            self.busy(at, "a row that refers to it is being written");
        }
        Ok(())
    }

    /// "No match" is a condition of a create: looked up again under the collection's lock (rule 13). What is created without
    /// some of its references is looked for without them.
    async fn match_again(&mut self, write: &mut dyn Write, items: &[Item], jobs: &[(usize, Do)]) -> Result<HashSet<usize>> {
        let mut asked: BTreeMap<Vec<usize>, Vec<(usize, &Row)>> = BTreeMap::new();
        for (at, what) in jobs {
            if let Do::Create(values) = what {
                let told = self.link.matching.iter().map(|rule| rule.field).filter(|field| !items[*at].left_out.contains(field));
                asked.entry(told.collect()).or_default().push((*at, values));
            }
        }
        let mut taken = HashSet::new();
        for (told, creates) in asked.into_iter().filter(|(told, _)| !told.is_empty()) {
            let rule = self.link.matching.iter().filter(|rule| told.contains(&rule.field));
            let rule: Vec<_> = rule.map(|rule| (rule.field, rule.normal)).collect();
            let value = |row: &Row| rule.iter().map(|(field, _)| row[*field].clone()).collect();
            let values: Vec<Vec<Value>> = creates.iter().map(|(_, row)| value(row)).collect();
            for ((at, _), found) in creates.into_iter().zip(write.find(self.collection(), &rule, &values).await?) {
                if found.iter().any(|key| !items[at].others.contains(&key.encode())) {
                    taken.insert(at);
                    self.taken(at);
                }
            }
        }
        Ok(taken)
    }

    /// A record is not created, for another one matches it by now.
    fn taken(&mut self, at: usize) {
        if self.link.matched_by_key_alone() {
            let cause = format!("another record has its key in the {}, where it is to be created", self.side);
            self.refused.push((at, cause));
        } else {
            self.busy(at, "a matching record appeared meanwhile");
        }
    }

    async fn insert(&self, write: &mut dyn Write, jobs: &[(usize, Do)], keys: &mut BTreeMap<usize, Key>) -> Result<()> {
        let collection = self.collection();
        let given = given_key(self.link, self.side);
        let fields: Vec<usize> = (0..self.link.fields.len())
            .filter(|at| self.link.fields[*at].direction.writes(self.side))
            .filter(|at| !collection.column(*at).computed)
            .filter(|at| given.as_ref().is_none_or(|given| !given.contains(at)))
            .collect();
        let (mut order, mut rows) = (Vec::new(), Vec::new());
        for (at, what) in jobs {
            if let Do::Create(values) = what {
                let key = given.as_ref().map(|given| Key(given.iter().map(|field| values[*field].clone()).collect()));
                order.push(*at);
                rows.push(Create { key, values: fields.iter().map(|field| values[*field].clone()).collect() });
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        for (at, outcome) in order.into_iter().zip(write.insert(collection, &fields, &rows).await?) {
            keys.insert(at, done(outcome)?);
        }
        Ok(())
    }

    async fn update(
        &self,
        write: &mut dyn Write,
        items: &[Item],
        jobs: &[(usize, Do)],
        keys: &mut BTreeMap<usize, Key>,
    ) -> Result<()> {
        let collection = self.collection();
        let mut groups: BTreeMap<Vec<usize>, Vec<Change>> = BTreeMap::new();
        let mut moves = Vec::new();
        for (at, what) in jobs {
            let Do::Update(fields) = what else { continue };
            let item = &items[*at];
            let (Some(key), Slot::Row(_, version)) = (self.key_of(item), &item.slot[self.side]) else { continue };
            let to = key_after(collection, &key, fields);
            keys.insert(*at, to.clone());
            let (fields, values): (Vec<usize>, Vec<Value>) = fields.iter().cloned().unzip();
            let moved = to != key;
            let change = Change { key, version: version.clone(), values };
            match moved {
                true => moves.push(Move { fields, change, to: to.encode() }),
                false => groups.entry(fields).or_default().push(change),
            }
        }
        for (fields, changes) in groups {
            for outcome in write.update(collection, &fields, &changes).await? {
                changed(collection, outcome)?;
            }
        }
        self.give_keys(write, moves).await
    }

    /// Gives records other keys, in a statement each: only so is it ours to say who goes first. Who goes to a key that
    /// another one leaves goes after it; in a ring one steps aside first.
    async fn give_keys(&self, write: &mut dyn Write, mut moves: Vec<Move>) -> Result<()> {
        let mut taken: HashSet<KeyBytes> = moves.iter().map(|one| one.change.key.encode()).collect();
        while !moves.is_empty() {
            let (ready, rest): (Vec<Move>, Vec<Move>) = moves.into_iter().partition(|one| !taken.contains(&one.to));
            moves = rest;
            if ready.is_empty() {
                let Move { fields, change, .. } = &mut moves[0];
                taken.remove(&change.key.encode());
                self.step_aside(write, fields, change).await?;
            }
            for one in ready {
                taken.remove(&one.change.key.encode());
                for outcome in write.update(self.collection(), &one.fields, &[one.change]).await? {
                    changed(self.collection(), outcome)?;
                }
            }
        }
        Ok(())
    }

    /// A record in a ring of keys goes to one that nobody has.
    async fn step_aside(&self, write: &mut dyn Write, fields: &[usize], change: &mut Change) -> Result<()> {
        let collection = self.collection();
        let part = |field: &usize| collection.table.key.contains(&collection.columns[*field]);
        let moved = fields.iter().copied().filter(part);
        let moved: Vec<(usize, Value)> =
            moved.map(|field| Ok((field, parking_value(collection, field, 0)?))).collect::<Result<_>>()?;
        let (parts, values) = moved.iter().cloned().unzip::<usize, Value, Vec<_>, Vec<_>>();
        for outcome in write.update(collection, &parts, &[Change { values, ..change.clone() }]).await? {
            changed(collection, outcome)?;
        }
        change.key = key_after(collection, &change.key, &moved);
        Ok(())
    }

    async fn read_back(&self, write: &mut dyn Write, jobs: Vec<(usize, Do)>, keys: BTreeMap<usize, Key>) -> Result<Vec<Done>> {
        let mut stored: BTreeMap<usize, Row> = BTreeMap::new();
        let mut pos = Pos::default();
        if !keys.is_empty() {
            let list: Vec<Key> = keys.values().cloned().collect();
            let (rows, at) = write.read_back(self.collection(), &list).await?;
            pos = at;
            for (at, row) in keys.keys().zip(rows) {
                match row {
                    Fetched::Row(row, _) => stored.insert(*at, row),
                    Fetched::Absent => {
                        return Err(Error::new(
                            Kind::Rejected,
                            "the row was gone right after it was written: a trigger refuses it",
                        ));
                    }
                    Fetched::Unreadable(cause) => return Err(Error::new(Kind::Rejected, cause)),
                    Fetched::Later => return Err(Error::new(Kind::Internal, "a row that was written was not read back")),
                };
            }
        }
        Ok(jobs
            .into_iter()
            .map(|(at, what)| {
                let stored = stored.remove(&at).unwrap_or_default();
                Done { at, what, key: keys.get(&at).map(Key::encode), stored, pos }
            })
            .collect())
    }
}

/// The fields that make up the key, in key order, where all of it is written: then the key is brought along.
pub(super) fn given_key(link: &Link, side: Side) -> Option<Vec<usize>> {
    link.collection[side].table.key.iter().map(|column| key_field(link, side, *column)).collect()
}

/// The field that writes this column on a side.
fn key_field(link: &Link, side: Side, column: usize) -> Option<usize> {
    let columns = &link.collection[side].columns;
    (0..columns.len()).find(|at| columns[*at] == column && link.fields[*at].direction.writes(side))
}

/// Whether a record that is created may get a key that was another's: what brings it along, or a part of it that nobody
/// numbers, does not ask whether it is new.
pub(super) fn may_come_twice(link: &Link, side: Side) -> bool {
    let table = &link.collection[side].table;
    let numbered = table.key.iter().any(|part| table.gives_out(*part));
    let brought = table.key.iter().any(|part| key_field(link, side, *part).is_some());
    table.key_source == KeySource::GeneratedReused || brought && !numbered || given_key(link, side).is_some()
}

/// The key after an update that may change part of it.
pub(super) fn key_after(collection: &Collection, key: &Key, fields: &[(usize, Value)]) -> Key {
    let mut after = key.clone();
    for (part, column) in collection.table.key.iter().enumerate() {
        if let Some((_, value)) = fields.iter().find(|(field, _)| collection.columns[*field] == *column) {
            after.0[part] = value.clone();
        }
    }
    after
}

/// As [`done`], of a row that this transaction has locked.
pub(super) fn changed(collection: &Collection, outcome: Outcome) -> Result<Key> {
    match outcome {
        Outcome::Stale => Err(Error::new(Kind::Rejected, kept_by_itself(collection, "changed"))),
        outcome => done(outcome),
    }
}

/// Why a row stays as it is that nobody else has locked: so the database was told to.
pub(super) fn kept_by_itself(collection: &Collection, done: &str) -> String {
    format!("a trigger or rule of {} kept the row from being {done}", collection.table.name)
}

pub(super) fn done(outcome: Outcome) -> Result<Key> {
    match outcome {
        Outcome::Done(key) => Ok(key),
        Outcome::Rejected(cause) => Err(Error::new(Kind::Rejected, cause)),
        Outcome::Stale => Err(Error::new(Kind::Stale, "the row changed meanwhile")),
        Outcome::Later => Err(Error::new(Kind::Retry, "the server asks for time")),
        Outcome::Unknown => Err(Error::new(Kind::InDoubt, "the answer to a write was lost")),
    }
    .context("write")
}
