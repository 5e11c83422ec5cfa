//! One batch of the worklist: from keys to decisions.

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::capture::Moment;
use super::found_again::leave_to_found;
use super::identify::beside_lost;
use super::item::{Item, Slot, Todo};
use super::translate::{Parents, Translator};
use super::{Mode, Phase, Pipeline};
use crate::endpoint::{Fetched, Unread, Window};
use crate::error::Result;
use crate::model::{Base, Both, Key, KeyBytes, Link, Pair, Side};
use crate::reconcile::{self, Action, Decision, Question, Seen, Situation};
use crate::sql::Session;

/// A decided batch.
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    /// Keys that need nothing more: known, and decided in this very cycle already.
    pub(super) settled: Vec<Todo>,
    /// What there was no room for in memory: it is another batch's.
    pub(super) later: Queue,
}

impl Batch {
    /// Takes another one's records in, behind its own.
    pub(super) fn join(&mut self, other: Batch) {
        let before = self.items.len();
        self.items.extend(other.items);
        self.items[before..].iter_mut().for_each(|item| item.same_as = item.same_as.map(|first| first + before));
        self.settled.extend(other.settled);
    }
}

/// What is still to be decided: keys, and pairs that are known.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) todos: Vec<Todo>,
    pub(super) pairs: Vec<Pair>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.todos.len() + self.pairs.len()
    }

    /// Takes the first `n` of them.
    pub(super) fn take(&mut self, n: usize) -> Queue {
        let todos = first(&mut self.todos, n);
        let pairs = first(&mut self.pairs, n - todos.len());
        Queue { todos, pairs }
    }

    /// These come before what waits already.
    pub(super) fn put_back(&mut self, mut before: Queue) {
        before.todos.append(&mut self.todos);
        before.pairs.append(&mut self.pairs);
        *self = before;
    }
}

fn first<T>(all: &mut Vec<T>, n: usize) -> Vec<T> {
    let rest = all.split_off(n.min(all.len()));
    std::mem::replace(all, rest)
}

impl Pipeline {
    /// From keys to decisions. Reads only, but for pairs that a returning key revives.
    pub(super) async fn decide(
        &mut self,
        session: &mut dyn Session,
        moment: &mut Moment,
        link_at: usize,
        Queue { todos, pairs }: Queue,
    ) -> Result<Batch> {
        let integration = self.integration.clone();
        let link = &integration.links[link_at];
        self.timings.enter(Phase::Identifying);
        let known: HashSet<i64> = pairs.iter().map(|pair| pair.id).collect();
        let beside = beside_lost(&todos);
        let (mut items, mut settled) = self.identify(session, link, todos, pairs).await?;
        note_last(moment, link_at, &mut items);
        self.timings.enter(Phase::Fetching);
        let without = fetch(moment, link_at, link, &mut items).await?;
        let later = put_off(&mut items, &mut settled, &without, &known, &beside);
        let asked = items.len();
        // What is seldom needed is not part of every cycle's future.
        let candidates = Box::pin(self.look_for_lost(session, moment, link_at, link, &mut items)).await?;
        if items.len() > asked {
            fetch_now(moment, link_at, link, &mut items).await?;
        }
        hide_unread(moment, link_at, link, &mut items).await?;
        self.timings.enter(Phase::Identifying);
        if items.iter().any(|item| item.pair.is_none()) {
            self.check_map(session, link).await?;
        }
        Box::pin(self.take_in_made_again(session, link, &mut items)).await?;
        self.returning(session, link, &mut items).await?;
        self.timings.enter(Phase::Fetching);
        if self.shown {
            self.foresee(session, moment, link_at, &items).await?;
        }
        self.match_unknown(session, moment, link_at, link, &mut items).await?;
        if self.shown {
            // The twins that were just found refer to others too.
            self.foresee(session, moment, link_at, &items).await?;
        }
        leave_to_found(&mut items, candidates);
        self.tell_set_off(moment, link_at, link, &mut items).await?;
        if self.mode == Mode::Plan {
            // They come under their own names.
            items.truncate(asked);
        }
        let rows = Both {
            source: items.iter().filter_map(|item| item.slot.source.row()).collect(),
            target: items.iter().filter_map(|item| item.slot.target.row()).collect(),
        };
        self.timings.enter(Phase::Identifying);
        let mut parents = self.parents(session, moment, link, &rows).await?;
        parents.will_come(self.to_come());
        self.decide_open(moment, link, &parents, &mut items).await?;
        if self.link_first(link_at, &mut parents, &mut items).await? {
            self.decide_open(moment, link, &parents, &mut items).await?;
        }
        self.break_cycles(session, moment, link_at, &parents, &mut items).await?;
        Box::pin(self.leave_made_again(session, link, &mut items)).await?;
        self.check_columns(link_at, link, &items).await?;
        Ok(Batch { items, settled, later })
    }

    /// Decides what is not decided yet.
    async fn decide_open(&mut self, moment: &mut Moment, link: &Link, parents: &Parents, items: &mut [Item]) -> Result<()> {
        let links = &self.integration.links;
        self.timings.enter(Phase::Fetching);
        hide_moved_parents(moment, links, link, parents, items).await?;
        let translator = Translator { link, links, parents, left_out: &[] };
        self.timings.enter(Phase::Deciding);
        for item in items.iter_mut().filter(|item| item.decision.is_none()) {
            self.restless.rest(item);
            item.decision = Some(decide_item(link, item, &translator));
        }
        Ok(())
    }
}

/// Records that no pair knows yet, and that did not come by an entry of their own: what the log said of their keys by now says
/// nothing of them when it is read again (rule 6).
fn note_last(moment: &Moment, link_at: usize, items: &mut [Item]) {
    for item in items.iter_mut().filter(|item| item.pair.is_none()) {
        item.todo.pos = item.todo.pos.max(moment.last(link_at, item.todo.side, &item.todo.key));
    }
}

/// Whether a pair lost a side.
pub(super) fn lost(pair: &Pair) -> bool {
    pair.gone(Side::Source) || pair.gone(Side::Target)
}

pub(super) fn decide_item(link: &Link, item: &Item, translator: &Translator<'_>) -> Decision {
    // A pair that lost a side is decided from the worklist, where it is under the brake.
    if item.lost().is_none() && item.pair.as_ref().is_some_and(lost) {
        return Decision { situation: Situation::Nothing, action: Action::Ignore };
    }
    let (source, target) = (item.slot.source.seen(), item.slot.target.seen());
    let question =
        Question { link, pair: item.pair.as_ref(), source, target, only_set_off: item.only_set_off, translate: translator };
    if !item.linking {
        let mut decision = reconcile::decide(&question);
        if item.linked_first() && matches!(decision.action, Action::Update(_)) {
            decision.situation = Situation::Found;
        }
        // It was decided that it stays, under another policy perhaps.
        if item.survivor && matches!(decision.action, Action::Delete(..) | Action::Keep) {
            decision.action = Action::Ignore;
        }
        return decision;
    }
    match (source, target) {
        (Seen::Row(source), Seen::Row(target)) if item.pair.as_ref().is_some_and(|pair| pair.ver == 0) => {
            reconcile::link_found(link, source, target, translator)
        }
        (Seen::Row(_), Seen::Row(_)) => {
            let mut decision = reconcile::decide(&question);
            decision.situation = Situation::Found;
            if decision.action == Action::Ignore || decision.action == Action::Report {
                decision.action = Action::Update(reconcile::Update::default());
            }
            decision
        }
        // Its match went away between the look and the fetch.
        _ => Decision { situation: Situation::Undecided, action: Action::Retry },
    }
}

/// Takes out the items whose rows have not all been read, with what must be decided together with them: a pair that lost a
/// record, and what stands under that record's key now. `known`: the ids of pairs that did not come by a key; `beside`: the keys
/// that come up beside a lost pair, and do so again. What a pair is listed under is not settled before it is decided.
fn put_off(
    items: &mut Vec<Item>,
    settled: &mut Vec<Todo>,
    without: &HashSet<usize>,
    known: &HashSet<i64>,
    beside: &BTreeSet<(Side, KeyBytes)>,
) -> Queue {
    let mut later = Queue::default();
    if without.is_empty() {
        return later;
    }
    let named: HashSet<(Side, KeyBytes)> = without.iter().map(|at| (items[*at].todo.side, items[*at].todo.key.clone())).collect();
    let all = std::mem::take(items).into_iter().enumerate();
    let (off, stay): (Vec<_>, Vec<_>) =
        all.partition(|(at, item)| without.contains(at) || named.contains(&(item.todo.side, item.todo.key.clone())));
    items.extend(stay.into_iter().map(|(_, item)| item));
    let ids: HashSet<i64> = off.iter().filter_map(|(_, item)| Some(item.pair.as_ref()?.id)).collect();
    later.todos.extend(settled.extract_if(.., |todo| todo.lost.is_some_and(|id| ids.contains(&id))));
    for (_, item) in off {
        match item.pair {
            Some(pair) if known.contains(&pair.id) => later.pairs.push(pair),
            _ if item.todo.lost.is_none() && beside.contains(&(item.todo.side, item.todo.key.clone())) => {}
            _ => later.todos.push(item.todo),
        }
    }
    later
}

/// As [`fetch`], for what belongs to items whose other rows are there: what there is no room for comes again.
pub(super) async fn fetch_now(moment: &mut Moment, link_at: usize, link: &Link, items: &mut [Item]) -> Result<()> {
    for at in fetch(moment, link_at, link, items).await? {
        items[at].decide_as(Situation::Undecided, Action::Retry);
    }
    Ok(())
}

/// Reads rows under these keys and hands each out as it comes, with its place in `keys`: as many as there are, a part of
/// them in memory at a time.
pub(super) async fn read_through(
    window: &mut Box<dyn Window>,
    place: usize,
    keys: &[Key],
    mut each: impl FnMut(usize, Fetched) + Send,
) -> Result<()> {
    let mut left: VecDeque<usize> = (0..keys.len()).collect();
    let mut size = keys.len();
    while !left.is_empty() {
        let part: Vec<usize> = left.drain(..size.min(left.len())).collect();
        let asked: Vec<Key> = part.iter().map(|at| keys[*at].clone()).collect();
        let (mut later, read) = (Vec::new(), window.fetch(place, &asked).await?);
        for (at, row) in part.iter().zip(read) {
            match row {
                Fetched::Later => later.push(*at),
                row => each(*at, row),
            }
        }
        size = if later.is_empty() { size.saturating_mul(2) } else { (part.len() - later.len()).max(1) };
        later.into_iter().rev().for_each(|at| left.push_front(at));
    }
    Ok(())
}

/// Reads the rows that are not read yet, one query a side; two databases work at the same time. Returns the items of which a
/// row was not read, for want of room.
pub(super) async fn fetch(moment: &mut Moment, link_at: usize, link: &Link, items: &mut [Item]) -> Result<HashSet<usize>> {
    let wanted = Both::from_fn(|side| wanted(items, side));
    let place = Both::from_fn(|side| moment.place(link_at, side));
    let both = [link.endpoint.source, link.endpoint.target];
    let found = if let Ok([source, target]) = moment.windows.get_disjoint_mut(both) {
        let (source, target) =
            tokio::join!(read(source, place.source, &wanted.source.keys), read(target, place.target, &wanted.target.keys));
        Both { source: source?, target: target? }
    } else {
        let window = &mut moment.windows[link.endpoint.source];
        let source = read(window, place.source, &wanted.source.keys).await?;
        Both { source, target: read(window, place.target, &wanted.target.keys).await? }
    };
    let mut without = HashSet::new();
    for (side, found) in [(Side::Source, found.source), (Side::Target, found.target)] {
        for (at, fetched) in wanted[side].items.iter().zip(found) {
            items[*at].slot[side] = match fetched {
                Fetched::Row(row, version) => Slot::Row(row, version),
                Fetched::Absent => Slot::Absent,
                Fetched::Unreadable(cause) => Slot::Unreadable(cause),
                Fetched::Later => {
                    without.insert(*at);
                    Slot::None
                }
            };
        }
    }
    Ok(without)
}

/// Items whose rows are to be read, and their keys.
struct Wanted {
    items: Vec<usize>,
    keys: Vec<Key>,
}

fn wanted(items: &[Item], side: Side) -> Wanted {
    let mut wanted = Wanted { items: Vec::new(), keys: Vec::new() };
    for (at, item) in items.iter().enumerate() {
        if item.slot[side] == Slot::None
            && item.decision.is_none()
            && let Some(key) = item.key[side].as_ref().and_then(KeyBytes::decode)
        {
            wanted.items.push(at);
            wanted.keys.push(key);
        }
    }
    wanted
}

async fn read(window: &mut Box<dyn Window>, place: usize, keys: &[Key]) -> Result<Vec<Fetched>> {
    if keys.is_empty() { Ok(Vec::new()) } else { window.fetch(place, keys).await }
}

/// Records about whose keys the log knows more than was read: nothing may be concluded yet (rule 2).
pub(super) async fn hide_unread(moment: &mut Moment, link_at: usize, link: &Link, items: &mut [Item]) -> Result<()> {
    for side in Side::BOTH {
        // What lost a side too: its key may be given back by what is not read yet (A20).
        let named = |item: &Item| {
            let lost = || item.pair.as_ref().filter(|_| item.lost() == Some(side)).and_then(|pair| pair.former[side].clone());
            item.key[side].clone().or_else(lost).filter(|_| item.decision.is_none())
        };
        let key = |item: &Item| named(item).as_ref().and_then(KeyBytes::decode);
        // A new record whose insert was read: no other insert of its key can follow but after a move. For all others an
        // unread insert may say that the key is another record's now, or is the very one of what is about to be recorded.
        let new = |moment: &Moment, item: &Item| {
            let born = |key: &KeyBytes| moment.born(link_at, side, key);
            item.pair.as_ref().is_none_or(|pair| pair.ver == 0) && item.key[side].as_ref().is_some_and(born)
        };
        let moves: Vec<Key> = items.iter().filter(|item| new(moment, item)).filter_map(key).collect();
        let births: Vec<Key> = items.iter().filter(|item| !new(moment, item)).filter_map(key).collect();
        let (window, place) = moment.window(link_at, link, side);
        let mut unread = HashSet::new();
        for (keys, which) in [(moves, Unread::Moves), (births, Unread::Births)] {
            if !keys.is_empty() {
                unread.extend(window.unread(place, &keys, which).await?);
            }
        }
        if unread.is_empty() {
            continue;
        }
        for item in items.iter_mut() {
            if named(item).is_some_and(|key| unread.contains(&key)) {
                item.decide_as(Situation::Undecided, Action::Retry);
            }
        }
    }
    Ok(())
}

/// Records with a new reference to one about whose key the log knows more than was read: the key may be another one's
/// by now (rule 2).
async fn hide_moved_parents(
    moment: &mut Moment,
    links: &[Link],
    link: &Link,
    parents: &Parents,
    items: &mut [Item],
) -> Result<()> {
    for (field, via) in link.fields.iter().enumerate().filter_map(|(field, mapped)| Some((field, mapped.via?))) {
        // All parts of a foreign key are looked at with the first.
        if link.fields[field].group(&field).first() != Some(&field) {
            continue;
        }
        for side in Side::BOTH {
            let referring = referring(items, link, field, side, |key| parents.keys(via, side, key));
            for at in [side, side.other()] {
                let keys: Vec<Key> = referring.iter().filter_map(|(_, keys)| keys[at].decode()).collect();
                if keys.is_empty() {
                    continue;
                }
                let (window, place) = moment.window(via, &links[via], at);
                let unread = window.unread(place, &keys, Unread::Births).await?;
                for (item, _) in referring.iter().filter(|(_, keys)| unread.contains(&keys[at])) {
                    items[*item].decide_as(Situation::Undecided, Action::Retry);
                }
            }
        }
    }
    Ok(())
}

/// The items whose reference in a field is new on either side and leads from `side` to a known parent, with its keys.
fn referring(
    items: &[Item],
    link: &Link,
    field: usize,
    side: Side,
    keys: impl Fn(KeyBytes) -> Option<Both<KeyBytes>>,
) -> Vec<(usize, Both<KeyBytes>)> {
    let moved = |item: &Item, part: usize| {
        let base = item.pair.as_ref().filter(|pair| !lost(pair)).and_then(|pair| pair.bases[part]);
        let moved = |base: Base, side: Side| item.slot[side].row().is_none_or(|row| row[part].fingerprint() != base.seen[side]);
        base.is_none_or(|base| Side::BOTH.into_iter().any(|side| moved(base, side)))
    };
    let mapped = &link.fields[field];
    let changed = |item: &Item| mapped.group(&field).iter().any(|part| moved(item, *part));
    let reference = |(at, item): (usize, &Item)| {
        let row = item.slot[side].row().filter(|_| item.decision.is_none() && changed(item))?;
        Some((at, keys(mapped.reference(field, row, side)?.encode())?))
    };
    items.iter().enumerate().filter_map(reference).collect()
}
