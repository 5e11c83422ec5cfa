//! Exchange: unique values that records of one change pass on to each other (C12, rule 22).
//!
//! Who gets a value goes after the one that has it, and who is deleted after those that refer to it; those that wait for each other in a ring go together, over values that
//! nobody has. So a list that was numbered anew is carried over in a few statements, however long it is.

use std::collections::{HashMap, HashSet, VecDeque};

use super::apply::{created, creates, deletes, written};
use super::batch::{Batch, Queue};
use super::cycle::Doing;
use super::item::{Item, Todo};
use super::knots::references;
use super::{Pipeline, WINDOW_MAX};
use crate::endpoint::ROWS_BYTES;
use crate::error::Result;
use crate::model::{Collection, Fingerprint, KeyBytes, Link, Side, Value};

/// Who gets a unique value of whom, or has to wait for its end, among the records of a batch that are to be written on one side.
#[derive(Default)]
pub(super) struct Exchange {
    /// The records that have now what this one gets.
    givers: HashMap<usize, Vec<usize>>,
    /// The records that get what this one has now.
    takers: HashMap<usize, Vec<usize>>,
    /// The number of each record's group: those of a ring have the same.
    group: HashMap<usize, usize>,
    /// All of them, whoever gives before whoever takes.
    order: Vec<usize>,
}

impl Exchange {
    /// `at`: the place of the link.
    pub(super) fn of(link: &Link, at: usize, side: Side, items: &[Item], all: &[usize]) -> Exchange {
        let mut givers = givers(&link.collection[side], side, items, all);
        rows_below(link, at, side, items, all, &mut givers);
        Exchange::among(all, givers)
    }

    /// As [`Exchange::of`], where it does not show which values are unique, nor when two are the same: by each field by itself,
    /// whatever the case. A value that several of them have is unique to none.
    pub(super) fn supposed(side: Side, items: &[Item], all: &[usize]) -> Exchange {
        let mut fields: Vec<usize> = all.iter().flat_map(|at| written(&items[*at], side)).map(|(field, _)| *field).collect();
        fields.sort_unstable();
        fields.dedup();
        let mut givers: HashMap<usize, Vec<usize>> = HashMap::new();
        for field in fields {
            let has = |at: &usize| before(&items[*at], side, &[field], folded);
            let gets = |at: &usize| after(&items[*at], side, &[field], folded);
            let (now, then) = (alone(all, has), alone(all, gets));
            for (value, taker) in &then {
                let giver = now.get(value).filter(|giver| *giver != taker);
                giver.into_iter().for_each(|giver| givers.entry(*taker).or_default().push(*giver));
            }
        }
        Exchange::among(all, givers)
    }

    fn among(all: &[usize], givers: HashMap<usize, Vec<usize>>) -> Exchange {
        let mut exchange = Exchange { givers, ..Exchange::default() };
        for (taker, givers) in &exchange.givers {
            givers.iter().for_each(|giver| exchange.takers.entry(*giver).or_default().push(*taker));
        }
        for (number, group) in groups(all, &exchange.givers).into_iter().enumerate() {
            exchange.group.extend(group.iter().map(|at| (*at, number)));
            exchange.order.extend(group);
        }
        exchange
    }

    /// Those that can only go together, each ring by itself.
    pub(super) fn rings(&self) -> Vec<Vec<usize>> {
        let mut rings: Vec<Vec<usize>> =
            self.order.chunk_by(|one, other| self.group.get(one) == self.group.get(other)).map(<[usize]>::to_vec).collect();
        rings.retain(|ring| ring.len() > 1);
        rings
    }

    /// Whether nobody gets what another one has.
    pub(super) fn is_empty(&self) -> bool {
        self.givers.is_empty()
    }

    /// Whether a record gets what another one of them has.
    pub(super) fn takes(&self, at: usize) -> bool {
        self.givers.contains_key(&at)
    }

    /// All, in the order in which they can be written. New records are written first within a transaction: those that get
    /// what another one has are one for themselves, after it.
    pub(super) fn parts(&self, items: &[Item]) -> [Vec<usize>; 2] {
        let (new, rest) = self.order.iter().partition(|at| self.takes(**at) && creates(&items[**at]));
        [rest, new]
    }

    /// A part in two, where no ring is cut; `None`: it is one record, or one ring.
    pub(super) fn halves<'a>(&self, part: &'a [usize]) -> Option<(&'a [usize], &'a [usize])> {
        let whole = |cut: &usize| {
            let [before, after] = [part[cut - 1], part[*cut]].map(|at| self.group.get(&at));
            before.is_none() || before != after
        };
        let middle = part.len() / 2;
        let cut = (middle.max(1)..part.len()).find(whole).or_else(|| (1..middle).rev().find(whole))?;
        Some(part.split_at(cut))
    }

    /// Those of a part whose values others of it get: they let go of them first.
    pub(super) fn let_go_first(&self, part: &[usize]) -> HashSet<usize> {
        let within: HashSet<usize> = part.iter().copied().collect();
        let takes = |giver: &usize| self.takers.get(giver).is_some_and(|takers| takers.iter().any(|at| within.contains(at)));
        part.iter().copied().filter(takes).collect()
    }

    /// Whoever can't have its value as long as these keep theirs.
    pub(super) fn waiting_for(&self, these: &[usize]) -> HashSet<usize> {
        let (mut waiting, mut open) = (HashSet::new(), VecDeque::from(these.to_vec()));
        while let Some(at) = open.pop_front() {
            open.extend(self.takers.get(&at).into_iter().flatten().filter(|taker| waiting.insert(**taker)));
        }
        waiting
    }
}

/// For each record the ones whose unique values it gets. A unique key that is not mapped as a whole tells nothing.
fn givers(collection: &Collection, side: Side, items: &[Item], all: &[usize]) -> HashMap<usize, Vec<usize>> {
    let mut givers: HashMap<usize, Vec<usize>> = HashMap::new();
    let table = &collection.table;
    let field = |column: &usize| collection.columns.iter().position(|mapped| mapped == column);
    let mapped = |columns: &Vec<usize>| columns.iter().map(field).collect::<Option<Vec<usize>>>();
    for unique in std::iter::once(&table.key).chain(&table.uniques).filter_map(mapped) {
        let now: HashMap<Vec<Fingerprint>, usize> =
            all.iter().filter_map(|at| Some((before(&items[*at], side, &unique, Value::fingerprint)?, *at))).collect();
        for at in all {
            let giver = after(&items[*at], side, &unique, Value::fingerprint).and_then(|values| now.get(&values));
            if let Some(giver) = giver.filter(|giver| *giver != at) {
                givers.entry(*at).or_default().push(*giver);
            }
        }
    }
    givers
}

/// For each record that is to be deleted, the ones of its own table that refer to it, and go before it.
fn rows_below(link: &Link, link_at: usize, side: Side, items: &[Item], all: &[usize], givers: &mut HashMap<usize, Vec<usize>>) {
    let gone: Vec<usize> = all.iter().copied().filter(|at| deletes(&items[*at], side)).collect();
    let places: HashMap<&KeyBytes, usize> = gone.iter().filter_map(|at| Some((items[*at].key[side].as_ref()?, *at))).collect();
    for child in &gone {
        let parents = references(link, &items[*child], side).filter(|(via, ..)| *via == link_at);
        for parent in parents.filter_map(|(_, key, _)| places.get(&key)).filter(|parent| *parent != child) {
            givers.entry(*parent).or_default().push(*child);
        }
    }
}

/// Who of all has, or gets, which values, as far as nobody else does.
fn alone(all: &[usize], values: impl Fn(&usize) -> Option<Vec<Fingerprint>>) -> HashMap<Vec<Fingerprint>, usize> {
    let (mut one, mut several) = (HashMap::new(), HashSet::new());
    for at in all {
        let Some(values) = values(at) else { continue };
        if one.insert(values.clone(), *at).is_some() {
            several.insert(values);
        }
    }
    one.retain(|values, _| !several.contains(values));
    one
}

/// Texts that differ in case alone are the same to many an index.
fn folded(value: &Value) -> Fingerprint {
    match value {
        Value::Text(text) => Value::Text(text.to_lowercase()).fingerprint(),
        value => value.fingerprint(),
    }
}

/// The values that an update takes out of a unique key.
fn before(item: &Item, side: Side, unique: &[usize], same: fn(&Value) -> Fingerprint) -> Option<Vec<Fingerprint>> {
    let leaves = written(item, side).iter().any(|(field, _)| unique.contains(field));
    let row = item.slot[side].row().filter(|_| leaves)?;
    whole(unique.iter().map(|field| &row[*field]), same)
}

/// The values that a record is to have in a unique key.
fn after(item: &Item, side: Side, unique: &[usize], same: fn(&Value) -> Fingerprint) -> Option<Vec<Fingerprint>> {
    if let Some(row) = created(item, side) {
        return whole(unique.iter().map(|field| &row[*field]), same);
    }
    let (row, fields) = (item.slot[side].row()?, written(item, side));
    let given = |field: &usize| fields.iter().find(|(at, _)| at == field).map(|(_, value)| value);
    unique.iter().any(|field| given(field).is_some()).then_some(())?;
    whole(unique.iter().map(|field| given(field).unwrap_or(&row[*field])), same)
}

/// With a NULL in it, it is in nobody's way.
fn whole<'a>(values: impl Iterator<Item = &'a Value>, same: fn(&Value) -> Fingerprint) -> Option<Vec<Fingerprint>> {
    values.map(|value| (!value.is_null()).then(|| same(value))).collect()
}

/// Rings, and records that are in none, each after all that it gets something of (Gabow's algorithm).
fn groups(all: &[usize], givers: &HashMap<usize, Vec<usize>>) -> Vec<Vec<usize>> {
    let (mut numbers, mut closed, mut groups) = (HashMap::new(), HashSet::new(), Vec::new());
    // Who is in no group yet, and the first of each that may be one.
    let (mut open, mut firsts): (Vec<usize>, Vec<usize>) = Default::default();
    for first in all {
        let mut calls = if numbers.contains_key(first) { Vec::new() } else { vec![(*first, 0)] };
        while let Some((at, next)) = calls.pop() {
            if next == 0 {
                numbers.insert(at, numbers.len());
                open.push(at);
                firsts.push(at);
            }
            match givers.get(&at).and_then(|givers| givers.get(next)) {
                Some(giver) => {
                    calls.push((at, next + 1));
                    match numbers.get(giver) {
                        None => calls.push((*giver, 0)),
                        Some(number) if !closed.contains(giver) => {
                            while firsts.last().is_some_and(|first| numbers[first] > *number) {
                                firsts.pop();
                            }
                        }
                        Some(_) => {}
                    }
                }
                None if firsts.last() == Some(&at) => {
                    firsts.pop();
                    let from = open.iter().rposition(|one| *one == at).unwrap_or_default();
                    let group = open.split_off(from);
                    closed.extend(group.iter().copied());
                    groups.push(group);
                }
                None => {}
            }
        }
    }
    groups
}

impl Pipeline {
    /// A record that did not get a unique value because another one still has it is decided again when the others of its
    /// link were, and together with all like it.
    pub(super) fn try_again(&mut self, batch: &Batch, again: &[usize]) {
        for at in again {
            self.blocked.push(Todo { recorded: true, ..batch.items[*at].todo.clone() });
        }
    }

    /// Those of them there is room for: the others are held at once.
    pub(super) fn may_try_again(&self, batch: &Batch, mut again: Vec<usize>) -> Vec<usize> {
        again.sort_unstable();
        again.dedup();
        // What was written on one side is decided anew from what is there then.
        again.retain(|at| batch.items[*at].pair.as_ref().is_none_or(|pair| pair.cycle != self.cycle));
        again.truncate(WINDOW_MAX.saturating_sub(self.blocked.len()));
        again
    }

    /// A row of records each of which gets the next one's value, or a ring, may be longer than a batch: what was left of the
    /// link's batches is written together, as far as there is room. The last come first: the first waited for them.
    pub(super) async fn exchange(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link) -> Result<()> {
        let mut blocked = std::mem::take(&mut self.blocked);
        while !blocked.is_empty() {
            let batch = self.blocked_batch(doing, at, link, &mut blocked).await?;
            self.write_batch(doing, at, link, batch, true).await?;
        }
        Ok(())
    }

    async fn blocked_batch(&mut self, doing: &mut Doing<'_>, at: usize, link: &Link, blocked: &mut Vec<Todo>) -> Result<Batch> {
        let mut whole = Batch { items: Vec::new(), settled: Vec::new(), later: Queue::default() };
        let mut taken = 0;
        while !blocked.is_empty() {
            let todos = blocked.split_off(blocked.len().saturating_sub(self.fit(link)));
            let mut batch = self.decide(doing.session, doing.moment, at, Queue { todos, pairs: Vec::new() }).await?;
            let later = std::mem::take(&mut batch.later).todos;
            let bytes = Side::BOTH.map(|side| batch.items.iter().map(|item| bytes(item, side)).sum::<usize>());
            let size = bytes.into_iter().max().unwrap_or(0);
            taken += size;
            whole.join(batch);
            let full = !later.is_empty() || taken + size > ROWS_BYTES;
            blocked.extend(later);
            if full {
                break;
            }
        }
        Ok(whole)
    }
}

/// What a row takes, about.
fn bytes(item: &Item, side: Side) -> usize {
    let value = |value: &Value| match value {
        Value::Text(text) | Value::Json(text) | Value::Other { text, .. } => 16 + text.len(),
        Value::Bytes(bytes) => 16 + bytes.len(),
        _ => 16,
    };
    item.slot[side].row().map_or(0, |row| row.iter().map(value).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who gets something of whom.
    fn exchange(count: usize, taken: &[(usize, usize)]) -> Exchange {
        let all: Vec<usize> = (0..count).collect();
        let mut givers: HashMap<usize, Vec<usize>> = HashMap::new();
        taken.iter().for_each(|(taker, giver)| givers.entry(*taker).or_default().push(*giver));
        Exchange::among(&all, givers)
    }

    #[test]
    fn c12_a_row_of_records_begins_with_its_last() {
        let row: Vec<(usize, usize)> = (0..40_000).map(|at| (at, at + 1)).collect();
        let exchange = exchange(40_001, &row);
        assert_eq!(exchange.order, (0..=40_000).rev().collect::<Vec<_>>());
        assert_eq!(exchange.waiting_for(&[30_000]).len(), 30_000);
    }

    #[test]
    fn c12_no_ring_is_cut() {
        // 0 and 1 exchange; 2, 3, 4 pass on in a ring; 5 gets something of it, and of 6.
        let taken = [(0, 1), (1, 0), (2, 3), (3, 4), (4, 2), (5, 3), (5, 6)];
        let exchange = exchange(7, &taken);
        let place = |at: usize| exchange.order.iter().position(|one| *one == at).unwrap();
        for (taker, giver) in taken {
            assert!(exchange.group[&taker] == exchange.group[&giver] || place(giver) < place(taker), "{taker} {giver}");
        }
        let (mut parts, mut alone) = (vec![exchange.order.clone()], Vec::new());
        while let Some(part) = parts.pop() {
            match exchange.halves(&part) {
                Some((first, second)) => parts.extend([first.to_vec(), second.to_vec()]),
                None => alone.push(part),
            }
        }
        alone.iter_mut().for_each(|part| part.sort_unstable());
        alone.sort_unstable();
        assert_eq!(alone, [vec![0, 1], vec![2, 3, 4], vec![5], vec![6]]);
        let mut rings = exchange.rings();
        rings.iter_mut().for_each(|ring| ring.sort_unstable());
        rings.sort_unstable();
        assert_eq!(rings, [vec![0, 1], vec![2, 3, 4]]);
    }

    #[test]
    fn c12_who_is_in_the_way_lets_go_first() {
        let exchange = exchange(4, &[(0, 1), (1, 2)]);
        assert_eq!(exchange.let_go_first(&[0, 1, 3]), HashSet::from([1]));
        assert!(exchange.let_go_first(&[0, 3]).is_empty());
        assert_eq!(exchange.waiting_for(&[2]), HashSet::from([0, 1]));
        assert!(exchange.waiting_for(&[0]).is_empty());
    }
}
