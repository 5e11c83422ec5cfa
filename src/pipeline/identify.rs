//! Identify: keys to pairs, and keys that pairs once had.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Pipeline;
use super::batch::lost;
use super::evidence::is_unsure;
use super::finish::todo_of;
use super::item::{Item, Todo};
use super::translate::Plain;
use crate::error::Result;
use crate::model::{Deletes, KeyBytes, KeySource, Keys, Kind, Link, Pair, PairStatus, Reason, Row, Side, Work, work_name};
use crate::reconcile::{self, Action, Situation};
use crate::sql::Session;

impl Pipeline {
    /// The echo of a write that a pair was recorded with a moment ago: nothing needs to be asked.
    pub(super) fn knows_echo(&self, link: &Link, todo: &Todo) -> bool {
        todo.own && !todo.recorded && self.echoes.knows(link.number, todo.side, &todo.key, todo.pos)
    }

    /// Keys to pairs. A pair that both sides name, or that this cycle has recorded already, comes once; one
    /// that lost a side is decided for its own entry on the worklist, or because its survivor changed.
    pub(super) async fn identify(
        &self,
        session: &mut dyn Session,
        link: &Link,
        todos: Vec<Todo>,
        known: Vec<Pair>,
    ) -> Result<(Vec<Item>, Vec<Todo>)> {
        let (mut settled, todos): (Vec<Todo>, Vec<Todo>) = todos.into_iter().partition(|todo| self.knows_echo(link, todo));
        let back = beside_lost(&todos);
        let (gone, mut todos): (Vec<Todo>, Vec<Todo>) = todos.into_iter().partition(|todo| todo.lost.is_some());
        todos.extend(back.into_iter().map(|(side, key)| Todo::new(side, key)));
        let mut by_key: HashMap<(Side, KeyBytes), Pair> = HashMap::new();
        for side in Side::BOTH {
            let mut keys: Vec<KeyBytes> = todos.iter().filter(|todo| todo.side == side).map(|todo| todo.key.clone()).collect();
            keys.sort_unstable();
            keys.dedup();
            let mut pairs = self.known_ahead(link, side, &mut keys).await;
            pairs.extend(self.pairs_by_key(session, link, side, &keys).await?);
            for pair in pairs {
                if let Some(key) = pair.key[side].clone() {
                    by_key.insert((side, key), pair);
                }
            }
        }
        let mut items = self.lost_items(session, link, gone, &mut settled).await?;
        let mut seen: HashSet<i64> = items.iter().filter_map(|item| Some(item.pair.as_ref()?.id)).collect();
        let mut survivors = Vec::new();
        for pair in known {
            seen.insert(pair.id);
            let side = if pair.key.source.is_some() { Side::Source } else { Side::Target };
            let key = pair.key[side].clone().or_else(|| pair.former[side].clone()).unwrap_or_default();
            let todo = Todo { recorded: true, lost: lost(&pair).then_some(pair.id), ..Todo::new(side, key) };
            items.push(Item::of_pair(todo, pair));
        }
        for todo in todos {
            match by_key.get(&(todo.side, todo.key.clone())) {
                Some(pair) if pair.cycle == self.cycle || todo.is_echo(pair) || !seen.insert(pair.id) => settled.push(todo),
                Some(pair) if lost(pair) => survivors.push((todo, pair.clone())),
                Some(pair) => items.push(Item::of_pair(todo, pair.clone())),
                None if self.left.contains(&(link.number, todo.side, todo.key.clone())) => items.push(Item::undecided(todo)),
                None => items.push(Item::new(todo)),
            }
        }
        items.extend(self.survivors(session, link, survivors, &mut settled).await?);
        Ok((items, settled))
    }

    /// Survivors that were named anew. What is still to be decided about their loss is decided in its turn, or at once where it
    /// is held (I7); one that was kept may bring its twin back.
    async fn survivors(
        &self,
        session: &mut dyn Session,
        link: &Link,
        named: Vec<(Todo, Pair)>,
        settled: &mut Vec<Todo>,
    ) -> Result<Vec<Item>> {
        let mut open: HashMap<i64, Work> = HashMap::new();
        for side in Side::BOTH.into_iter().filter(|_| self.has_work && link.deletes != Deletes::Keep) {
            let lost = named.iter().filter(|(todo, _)| todo.side != side);
            let names: Vec<KeyBytes> =
                lost.filter_map(|(_, pair)| Some(work_name(pair.former[side].as_ref()?, Some(pair.id)))).collect();
            let works = self.read_work(session, link, side, &names).await?;
            open.extend(works.into_iter().filter_map(|work| Some((work.lost?, work))));
        }
        let mut items = Vec::new();
        for (todo, pair) in named {
            match open.remove(&pair.id) {
                Some(work) if matches!(work.reason, Reason::Held | Reason::Waiting) => {
                    settled.push(todo);
                    items.push(Item::of_pair(todo_of(work), pair));
                }
                None if reconcile::may_come_back(link, todo.side) => items.push(Item::survivor(todo, pair)),
                Some(_) | None => settled.push(todo),
            }
        }
        Ok(items)
    }

    /// The pairs that entries of the worklist are about because they lost a side. One that was settled needs nothing; one that
    /// has its record again is like all others, and may have been made again without all it refers to; one that was recorded
    /// after this moment's rows were read (rule 3), or is in this batch for its other side, comes again.
    async fn lost_items(
        &self,
        session: &mut dyn Session,
        link: &Link,
        todos: Vec<Todo>,
        settled: &mut Vec<Todo>,
    ) -> Result<Vec<Item>> {
        let ids: Vec<i64> = todos.iter().filter_map(|todo| todo.lost).collect();
        let pairs = self.pairs_by_id(session, link, &ids).await?;
        let pairs: HashMap<i64, Pair> = pairs.into_iter().map(|pair| (pair.id, pair)).collect();
        let (mut items, mut seen) = (Vec::with_capacity(todos.len()), HashSet::new());
        for todo in todos {
            let still = |pair: &Pair| pair.gone(todo.side) && pair.former[todo.side].as_ref() == Some(&todo.key);
            let linked = |pair: &&Pair| pair.status == PairStatus::Linked && (still(pair) || !lost(pair));
            let Some(pair) = todo.lost.and_then(|id| pairs.get(&id)).filter(linked) else {
                settled.push(todo);
                continue;
            };
            if pair.cycle == self.cycle || !seen.insert(pair.id) {
                items.push(Item::undecided(todo));
            } else if let Some(key) = pair.key[todo.side].clone() {
                items.push(Item::of_pair(Todo::new(todo.side, key), pair.clone()));
                settled.push(todo);
            } else {
                items.push(Item::of_pair(todo, pair.clone()));
            }
        }
        Ok(items)
    }

    /// An unknown record under a key that a pair once had may be the deleted one, back again (rule 8).
    pub(super) async fn returning(&mut self, session: &mut dyn Session, link: &Link, items: &mut [Item]) -> Result<()> {
        let (mut revived, mut names, mut present) = (Vec::new(), Vec::new(), HashSet::new());
        for side in Side::BOTH {
            let keys = items.iter().filter(|item| item.unknown(side)).map(|item| item.todo.key.clone()).collect();
            let formers = self.former_holders(session, link, side, keys).await?;
            for item in items.iter_mut().filter(|item| item.unknown(side)) {
                // The one that lost it last.
                let Some(pair) = formers.get(&item.todo.key).and_then(|holders| holders.first()) else { continue };
                let Some(row) = item.slot[side].row().filter(|_| pair.cycle != self.cycle) else { continue };
                if is_unsure(link, pair) {
                    item.unsure = true;
                    continue;
                }
                let known_again = same_record(link, pair, row, side);
                let in_its_place = link.keys == Keys::Copy && pair.key[side.other()].as_ref() == Some(&item.todo.key);
                if known_again == Known::Unsure || known_again == Known::Other && in_its_place {
                    reused(link, item);
                } else if known_again == Known::Same && present.insert(pair.id) {
                    let mut pair = pair.clone();
                    pair.key[side] = Some(item.todo.key.clone());
                    pair.former[side] = None;
                    pair.pos[side] = pair.pos[side].max(item.todo.pos);
                    pair.ver += 1;
                    names.push((side, work_name(&item.todo.key, Some(pair.id))));
                    revived.push(pair.clone());
                    item.set_pair(pair);
                }
            }
        }
        self.record_found_again(link, &revived, &names).await
    }

    /// The pairs that lost `side` under these keys, by key, the one that lost it last first.
    async fn former_holders(
        &self,
        session: &mut dyn Session,
        link: &Link,
        side: Side,
        mut keys: Vec<KeyBytes>,
    ) -> Result<HashMap<KeyBytes, Vec<Pair>>> {
        keys.sort_unstable();
        keys.dedup();
        let mut holders: HashMap<KeyBytes, Vec<Pair>> = HashMap::new();
        for pair in self.pairs_by_former(session, link, side, &keys).await? {
            let Some(key) = pair.former[side].clone() else { continue };
            if pair.status == PairStatus::Linked {
                holders.entry(key).or_default().push(pair);
            }
        }
        for pairs in holders.values_mut() {
            pairs.sort_by_key(|pair| std::cmp::Reverse((pair.pos[side], pair.id)));
        }
        Ok(holders)
    }
}

/// Before a pair is decided as lost: what stands under that key now may be its record, back without a word of the log (an
/// app that showed less for a while, a table that was put back). The keys of lost pairs that nothing else names.
pub(super) fn beside_lost(todos: &[Todo]) -> BTreeSet<(Side, KeyBytes)> {
    let name = |todo: &Todo| (todo.side, todo.key.clone());
    let mut keys: BTreeSet<_> = todos.iter().filter(|todo| todo.lost.is_some()).map(name).collect();
    if !keys.is_empty() {
        let named: HashSet<_> = todos.iter().filter(|todo| todo.lost.is_none()).map(name).collect();
        keys.retain(|key| !named.contains(key));
    }
    keys
}

/// So often a delete that travels is waited for, before a person is asked about the record that has the key now.
const DELETES_TRAVEL: i64 = 3;

/// A record under a key that was another's, and nothing shows that it is the same one, or its twin could only stand
/// where the other one's does: it must not inherit that twin (C4). Where deletes travel, the other one's is on its way,
/// and then this is a new record; where they do not, a person must look.
pub(super) fn reused(link: &Link, item: &mut Item) {
    if link.deletes != Deletes::Keep && item.todo.attempts < DELETES_TRAVEL {
        return item.decide_as(Situation::Undecided, Action::Retry);
    }
    let cause = match link.keys {
        Keys::Own => {
            "its key was another record's, which is gone, and it has other values than that one: a new record, or the same \
             one changed? Give the link a `match:`, and it is decided by that"
        }
        Keys::Copy => {
            "its key was another record's, which is gone here and still stands under it on the other side, with other values: \
             a new record, or the same one changed? Delete that one, or give both the same values"
        }
    };
    item.hold(Situation::Ambiguous, cause.to_owned());
}

/// What a row under a former key is to the record that was there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// The same one.
    Same,
    /// Another one.
    Other,
    /// Nothing can tell.
    Unsure,
}

/// Whether a row under a former key is the record that was there: if it looks the same (rule 8, C4). No
/// generator of numbers is above suspicion: TRUNCATE and a table made anew start it over, and a number can be
/// given by hand.
pub(super) fn same_record(link: &Link, pair: &Pair, row: &Row, side: Side) -> Known {
    let table = &link.collection[side].table;
    let random = table.key_source == KeySource::Default && table.key_columns().all(|column| column.kind == Kind::Uuid);
    if random || reconcile::rows_agree(link, pair, row, side, &Plain(link)) {
        return Known::Same;
    }
    match table.key_source {
        KeySource::GeneratedReused | KeySource::Given => Known::Other,
        _ if link.matching.iter().all(|rule| !rule.proves) => Known::Unsure,
        KeySource::Generated | KeySource::Default | KeySource::Trigger => Known::Other,
    }
}
