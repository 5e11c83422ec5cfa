//! Knots: records that refer to each other and all are to go, so that none can be the first (C15).
//!
//! Where a column takes NULL the references among them are emptied, and all go in the same transaction, each locked and
//! compared as ever: if anything is in the way of one of them, nothing of it has happened.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::apply::{Do, Fate};
use super::batch::{Batch, Queue};
use super::conflicts::conflicts;
use super::counts::count;
use super::cycle::Doing;
use super::finish::todo_of;
use super::item::{Item, Todo};
use super::job::{Done, Job, Known, changed};
use super::record::{Proof, Written};
use super::{BATCH, Pipeline};
use crate::endpoint::{Change, Write};
use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Conflict, KeyBytes, Link, Pos, Row, Side, Value, work_name};
use crate::reconcile::Action;
use crate::state;

/// A record whose delete was refused in this cycle, and may be part of a knot: the place of its link, the side it is to
/// be deleted on, and its entry on the worklist.
pub(super) type Refused = (usize, Side, Todo);

/// A record that is to go, and its link's place.
struct Member {
    link: usize,
    item: Item,
}

/// One record refers to another one of the same list by this field.
#[derive(Clone, Copy)]
struct Tie {
    from: usize,
    to: usize,
    field: usize,
}

/// What of a knot belongs to one link.
struct Part {
    link: usize,
    known: Known,
    batch: Batch,
    fates: Vec<Fate>,
}

impl Pipeline {
    /// A delete that was refused: it may be that records refer to each other. They are looked for once all other
    /// deletes of the cycle are done.
    pub(super) fn remember_refused(&mut self, link: &Link, item: &Item) {
        let links = &self.integration.links;
        let Some(at) = links.iter().position(|one| one.number == link.number) else { return };
        let Some(Action::Delete(side, _)) = item.decision.as_ref().map(|decision| &decision.action) else { return };
        if self.refused.len() < BATCH && !ring_of(links, at).is_empty() {
            self.refused.push((at, *side, Todo { recorded: true, ..item.todo.clone() }));
        }
    }

    /// Deletes what refers to each other, knot by knot.
    pub(super) async fn untie(&mut self, doing: &mut Doing<'_>) -> Result<()> {
        let refused = std::mem::take(&mut self.refused);
        for side in Side::BOTH {
            let first = refused.iter().filter(|(_, to, _)| *to == side).map(|(at, _, todo)| (*at, todo.clone()));
            let first: Vec<(usize, Todo)> = first.collect();
            if first.is_empty() {
                continue;
            }
            let counted: HashSet<(usize, Option<i64>)> = first.iter().map(|(at, todo)| (*at, todo.lost)).collect();
            let members = self.gather(doing, side, first).await?;
            for (knot, ties) in knots(&self.integration.links, side, members) {
                for member in knot.iter().filter(|member| counted.contains(&(member.link, member.item.todo.lost))) {
                    // It was counted as held when it was refused, and counts again as what becomes of it now.
                    let counts = doing.counts.link(&self.integration.links[member.link].name);
                    (counts.held, counts.decided) = (counts.held.saturating_sub(1), counts.decided.saturating_sub(1));
                }
                self.delete_knot(doing, side, knot, &ties).await?;
            }
        }
        // Each was written down by its own pass, and this is that one's.
        self.refused.clear();
        Ok(())
    }

    /// These records and all that they lead to by references within the ring of their links, as far as those are to be
    /// deleted too.
    async fn gather(&mut self, doing: &mut Doing<'_>, side: Side, first: Vec<(usize, Todo)>) -> Result<Vec<Member>> {
        let integration = self.integration.clone();
        let (links, lost) = (&integration.links, side.other());
        let mut seen: HashSet<(usize, i64)> = first.iter().filter_map(|(at, todo)| Some((*at, todo.lost?))).collect();
        let (mut members, mut next): (Vec<Member>, BTreeMap<usize, Vec<Todo>>) = Default::default();
        for (at, todo) in first {
            next.entry(at).or_default().push(todo);
        }
        while !next.is_empty() && members.len() < BATCH {
            let mut wanted: BTreeMap<usize, Vec<KeyBytes>> = BTreeMap::new();
            for (at, mut todos) in std::mem::take(&mut next) {
                let (link, ring) = (&links[at], ring_of(links, at));
                for todo in &mut todos {
                    todo.pos = todo.pos.max(doing.moment.last(at, todo.side, &todo.key));
                }
                let mut queue = Queue { todos, pairs: Vec::new() };
                while queue.len() > 0 {
                    let part = queue.take(self.fit(link));
                    let mut batch = self.decide(doing.session, doing.moment, at, part).await?;
                    queue.put_back(std::mem::take(&mut batch.later));
                    self.hold_unsettled(link, &mut batch);
                    self.brake(link, &mut batch);
                    for item in batch.items.into_iter().filter(|item| deletes(item, side)) {
                        for (via, key, _) in references(link, &item, side).filter(|(via, ..)| ring.contains(via)) {
                            wanted.entry(via).or_default().push(key);
                        }
                        members.push(Member { link: at, item });
                    }
                }
            }
            for (at, mut keys) in wanted {
                keys.sort_unstable();
                keys.dedup();
                let pairs = state::by_key(doing.session, &links[at], side, &keys).await?;
                let new = pairs.iter().filter(|pair| pair.gone(lost) && seen.insert((at, pair.id)));
                let names: Vec<KeyBytes> =
                    new.filter_map(|pair| Some(work_name(pair.former[lost].as_ref()?, Some(pair.id)))).collect();
                let works = state::read_work(doing.session, &links[at], lost, &names).await?;
                if !works.is_empty() {
                    next.insert(at, works.into_iter().map(todo_of).collect());
                }
            }
        }
        Ok(members)
    }

    /// One knot, and what is written down about it.
    async fn delete_knot(&mut self, doing: &mut Doing<'_>, side: Side, knot: Vec<Member>, ties: &[Tie]) -> Result<()> {
        let integration = self.integration.clone();
        let links = &integration.links;
        let order = Order::of(links, side, &knot, ties);
        let (mut parts, places) = parts(knot, |at| doing.moment.known(at, &links[at], side));
        if let Err(error) = self.transact_knot(side, &mut parts, &places, ties, &order).await {
            let fate = match error.kind() {
                Kind::Rejected | Kind::Duplicate => Fate::Refused(match &order.ring {
                    Some(ring) => format!(
                        "records refer to each other ({ring}), and no such column takes NULL: let one take NULL, or delete them in \
                         the {side} by hand: {}",
                        error.message()
                    ),
                    None => error.message().to_owned(),
                }),
                Kind::Retry | Kind::Stale => Fate::Busy(error.message().to_owned()),
                _ => return Err(error.context(format!("link {}", links[parts[0].link].name))),
            };
            parts.iter_mut().for_each(|part| part.fates.fill(fate.clone()));
        }
        for part in parts {
            let link = &links[part.link];
            count(doing.counts.link(&link.name), &part.batch, &part.fates, &[]);
            self.finish(doing.session, link, &part.batch, &part.fates).await?;
        }
        Ok(())
    }

    /// One write transaction for all of a knot; see [`Pipeline::transact`](super::Pipeline).
    async fn transact_knot(
        &mut self,
        side: Side,
        parts: &mut [Part],
        places: &[(usize, usize)],
        ties: &[Tie],
        order: &Order,
    ) -> Result<()> {
        let integration = self.integration.clone();
        let links = &integration.links;
        let home = self.is_home(&links[parts[0].link], side);
        let losers: Vec<Vec<(usize, Conflict)>> = parts
            .iter()
            .map(|part| conflicts(&links[part.link], side, &part.batch, &(0..part.fates.len()).collect::<Vec<_>>(), &part.fates))
            .collect();
        let all: Vec<(usize, Conflict)> = losers.iter().flatten().cloned().collect();
        if !home && !all.is_empty() {
            self.write_pending(&all).await?;
        }
        let written = self.write_knot(side, parts, places, ties, order, &losers).await;
        match written {
            Ok(written) => {
                for (part, written) in parts.iter_mut().zip(written) {
                    written.into_iter().for_each(|written| written.settle(&mut part.batch.items, &mut part.fates));
                }
                Ok(())
            }
            Err(error) => {
                if !matches!(error.kind(), Kind::InDoubt | Kind::Fenced) {
                    self.drop_pending(home, &all, &[]).await?;
                }
                Err(error)
            }
        }
    }

    async fn write_knot(
        &mut self,
        side: Side,
        parts: &[Part],
        places: &[(usize, usize)],
        ties: &[Tie],
        order: &Order,
        losers: &[Vec<(usize, Conflict)>],
    ) -> Result<Vec<Vec<Written>>> {
        let integration = self.integration.clone();
        let links = &integration.links;
        for part in parts {
            self.rely_on(links[part.link].endpoint[side.other()]).await?;
        }
        let endpoint = self.endpoints[links[parts[0].link].endpoint[side]].clone();
        let mut write = endpoint.begin(&self.fence).await?;
        self.door.step("apply.begun").await?;
        if let Err(error) = cut(&mut *write, links, side, parts, places, ties, order).await {
            // The first error is the one to tell; a rollback that fails too changes nothing.
            let _ = write.rollback().await;
            return Err(error);
        }
        self.door.step("apply.written").await?;
        let mut written: Vec<Vec<Written>> = Vec::with_capacity(parts.len());
        for part in parts {
            let gone = |at| Done { at, what: Do::Delete, key: None, stored: Row::default(), pos: Pos::default() };
            let after = |(at, item)| self.pair_after(&links[part.link], side, item, gone(at));
            written.push(part.batch.items.iter().enumerate().map(after).collect());
        }
        let proofs: Vec<Proof<'_>> = parts
            .iter()
            .zip(&written)
            .zip(losers)
            .map(|((part, written), conflicts)| Proof { link: &links[part.link], written, conflicts })
            .collect();
        self.commit_proven(write, side, &proofs).await?;
        Ok(written)
    }
}

/// Locks and compares all, empties the references among them, and deletes them.
async fn cut(
    write: &mut dyn Write,
    links: &[Link],
    side: Side,
    parts: &[Part],
    places: &[(usize, usize)],
    ties: &[Tie],
    order: &Order,
) -> Result<()> {
    let mut jobs: Vec<Job<'_>> = Vec::with_capacity(parts.len());
    for part in parts {
        let all: Vec<usize> = (0..part.batch.items.len()).collect();
        let deletes: Vec<(usize, Do)> = all.iter().map(|at| (*at, Do::Delete)).collect();
        let (link, known) = (&links[part.link], part.known.clone());
        let mut job = Job { link, at: part.link, side, known, part: all, busy: Vec::new(), refused: Vec::new() };
        if !job.lock(write, &part.batch.items, &deletes).await?.is_empty() {
            return Err(in_the_way(&job));
        }
        jobs.push(job);
    }
    for (job, (at, part)) in jobs.iter().zip(parts.iter().enumerate()) {
        let own = ties.iter().filter(|tie| places[tie.from].0 == at);
        let own = own.map(|tie| (places[tie.from].1, tie.field));
        empty(write, job, &part.batch.items, own).await?;
    }
    for step in &order.steps {
        for (at, (job, part)) in jobs.iter_mut().zip(parts).enumerate() {
            let own = step.iter().filter(|member| places[**member].0 == at);
            let deletes: Vec<(usize, Do)> = own.map(|member| (places[*member].1, Do::Delete)).collect();
            if !deletes.is_empty() && !job.delete(write, &part.batch.items, &deletes).await?.is_empty() {
                return Err(in_the_way(job));
            }
        }
    }
    Ok(())
}

/// Sets references to NULL, where they can be.
async fn empty(write: &mut dyn Write, job: &Job<'_>, items: &[Item], ties: impl Iterator<Item = (usize, usize)>) -> Result<()> {
    let collection = &job.link.collection[job.side];
    let mut emptied: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, field) in ties {
        emptied.entry(at).or_default().extend(can_be_empty(job.link, collection, field));
    }
    let mut groups: BTreeMap<Vec<usize>, Vec<Change>> = BTreeMap::new();
    for (at, mut fields) in emptied.into_iter().filter(|(_, fields)| !fields.is_empty()) {
        fields.sort_unstable();
        fields.dedup();
        let Some(key) = job.key_of(&items[at]) else { continue };
        let values = vec![Value::Null; fields.len()];
        groups.entry(fields).or_default().push(Change { key, version: None, values });
    }
    for (fields, changes) in groups {
        for outcome in write.update(collection, &fields, &changes).await? {
            changed(collection, outcome)?;
        }
    }
    Ok(())
}

/// Why a knot stays.
fn in_the_way(job: &Job<'_>) -> Error {
    match (job.refused.first(), job.busy.first()) {
        (Some((_, cause)), _) => Error::new(Kind::Rejected, cause.clone()),
        (None, Some((_, cause))) => Error::new(Kind::Stale, format!("it goes with others that refer to it: {cause}")),
        (None, None) => Error::new(Kind::Stale, "it goes with others that refer to it, and one of them changed meanwhile"),
    }
}

fn deletes(item: &Item, side: Side) -> bool {
    item.todo.lost.is_some()
        && matches!(item.decision.as_ref().map(|decision| &decision.action), Some(Action::Delete(to, _)) if *to == side)
}

/// The records an item refers to on a side: the link's place, the key there, the field.
pub(super) fn references<'a>(link: &'a Link, item: &'a Item, side: Side) -> impl Iterator<Item = (usize, KeyBytes, usize)> + 'a {
    let row = item.slot[side].row();
    link.fields.iter().enumerate().filter_map(move |(at, field)| {
        // All parts of a foreign key are looked at with the first.
        let via = field.via.filter(|_| field.group(&at).first() == Some(&at))?;
        Some((via, field.reference(at, row?, side)?.encode(), at))
    })
}

/// The parts of a reference that take NULL: one is enough for it to refer to nothing.
fn can_be_empty(link: &Link, collection: &Collection, field: usize) -> Vec<usize> {
    let part_of_key = |at: usize| collection.table.key.contains(&collection.columns[at]);
    let takes_null = |at: &usize| collection.column(*at).nullable && !collection.column(*at).computed && !part_of_key(*at);
    link.fields[field].group(&field).iter().copied().filter(takes_null).collect()
}

/// The links, the one at `at` among them, that lead back to it by references; none if it is in no ring.
fn ring_of(links: &[Link], at: usize) -> HashSet<usize> {
    let reached = |from: usize| {
        let mut reached: HashSet<usize> = HashSet::new();
        let mut open = vec![from];
        while let Some(one) = open.pop() {
            open.extend(links[one].fields.iter().filter_map(|field| field.via).filter(|via| reached.insert(*via)));
        }
        reached
    };
    reached(at).into_iter().filter(|other| reached(*other).contains(&at)).collect()
}

/// The knots among some records, each with the references within it.
fn knots(links: &[Link], side: Side, members: Vec<Member>) -> Vec<(Vec<Member>, Vec<Tie>)> {
    let ties = ties(links, side, &members);
    let mut left = in_rings(members.len(), &ties);
    let mut neighbours: HashMap<usize, Vec<usize>> = HashMap::new();
    for tie in ties.iter().filter(|tie| left[tie.from] && left[tie.to]) {
        neighbours.entry(tie.from).or_default().push(tie.to);
        neighbours.entry(tie.to).or_default().push(tie.from);
    }
    let mut members: Vec<Option<Member>> = members.into_iter().map(Some).collect();
    let mut all = Vec::new();
    for first in 0..members.len() {
        if !left[first] {
            continue;
        }
        let (mut place, mut knot, mut open) = (HashMap::new(), Vec::new(), vec![first]);
        left[first] = false;
        while let Some(at) = open.pop() {
            place.insert(at, knot.len());
            knot.extend(members[at].take());
            open.extend(neighbours[&at].iter().copied().filter(|next| std::mem::take(&mut left[*next])));
        }
        let within =
            ties.iter().filter_map(|tie| Some(Tie { from: *place.get(&tie.from)?, to: *place.get(&tie.to)?, field: tie.field }));
        all.push((knot, within.collect()));
    }
    all
}

/// Who refers to whom; also a record to itself, which MySQL and MariaDB do not let go either.
fn ties(links: &[Link], side: Side, members: &[Member]) -> Vec<Tie> {
    let place = |(at, member): (usize, &Member)| Some(((member.link, member.item.key[side].clone()?), at));
    let places: HashMap<(usize, KeyBytes), usize> = members.iter().enumerate().filter_map(place).collect();
    let of = |(from, member): (usize, &Member)| {
        let found = |(via, key, field)| Some(Tie { from, to: *places.get(&(via, key))?, field });
        references(&links[member.link], &member.item, side).filter_map(found).collect::<Vec<_>>()
    };
    members.iter().enumerate().flat_map(of).collect()
}

/// Which records are in a ring, or between two: who nobody refers to, or who refers to nobody, is not.
fn in_rings(count: usize, ties: &[Tie]) -> Vec<bool> {
    let mut left = vec![true; count];
    loop {
        let (mut refers, mut referred) = (vec![false; count], vec![false; count]);
        for tie in ties.iter().filter(|tie| left[tie.from] && left[tie.to]) {
            (refers[tie.from], referred[tie.to]) = (true, true);
        }
        let stay: Vec<bool> = (0..count).map(|at| left[at] && refers[at] && referred[at]).collect();
        if stay == left {
            return left;
        }
        left = stay;
    }
}

/// In which order a knot goes, once what can be emptied is.
struct Order {
    /// Who goes after whom.
    steps: Vec<Vec<usize>>,
    /// References that can't be emptied and form a ring, by their columns: those go in one step, if the database lets them.
    ring: Option<String>,
}

impl Order {
    fn of(links: &[Link], side: Side, knot: &[Member], ties: &[Tie]) -> Order {
        let stays = |tie: &&Tie| {
            let link = &links[knot[tie.from].link];
            can_be_empty(link, &link.collection[side], tie.field).is_empty()
        };
        let ties: Vec<&Tie> = ties.iter().filter(stays).collect();
        let (mut steps, mut left): (Vec<Vec<usize>>, Vec<usize>) = (Vec::new(), (0..knot.len()).collect());
        while !left.is_empty() {
            let among: HashSet<usize> = left.iter().copied().collect();
            let referred: HashSet<usize> = ties.iter().filter(|tie| among.contains(&tie.from)).map(|tie| tie.to).collect();
            let (rest, free): (Vec<usize>, Vec<usize>) = left.into_iter().partition(|at| referred.contains(at));
            if free.is_empty() {
                let mut columns: Vec<String> =
                    ties.iter().filter(|tie| among.contains(&tie.from)).map(|tie| named(links, side, knot, tie)).collect();
                columns.sort_unstable();
                columns.dedup();
                steps.push(rest);
                return Order { steps, ring: Some(columns.join(", ")) };
            }
            steps.push(free);
            left = rest;
        }
        Order { steps, ring: None }
    }
}

/// A reference by its columns, as people read it.
fn named(links: &[Link], side: Side, knot: &[Member], tie: &Tie) -> String {
    let [from, to] = [tie.from, tie.to].map(|at| &links[knot[at].link].collection[side]);
    let fields = &links[knot[tie.from].link].fields[tie.field];
    let columns: Vec<&str> = fields.group(&tie.field).iter().map(|part| from.column(*part).name.as_str()).collect();
    format!("{}.{} -> {}", from.table.name, columns.join("+"), to.table.name)
}

/// A knot by its links, and where each member is then.
fn parts(knot: Vec<Member>, known: impl Fn(usize) -> Known) -> (Vec<Part>, Vec<(usize, usize)>) {
    let (mut parts, mut places): (Vec<Part>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
    for Member { link, item } in knot {
        let at = parts.iter().position(|part| part.link == link).unwrap_or_else(|| {
            let batch = Batch { items: Vec::new(), settled: Vec::new(), later: Queue::default() };
            parts.push(Part { link, known: known(link), batch, fates: Vec::new() });
            parts.len() - 1
        });
        places.push((at, parts[at].fates.len()));
        parts[at].batch.items.push(item);
        parts[at].fates.push(Fate::Open);
    }
    (parts, places)
}
