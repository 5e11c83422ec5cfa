//! Awaited: in a plan, what waits for parents that the same run would create.
//!
//! A run comes to such records in a later cycle. A plan goes through them at its end, as far as there is room for them: whoever
//! waits for nobody else of them first, then those who waited for these. Whom one waits for though it was decided long ago, many
//! levels above, is looked at once more. What waits in a ring is decided as a run does it when it has found that all of them wait.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::apply::decision;
use super::batch::{Batch, Queue};
use super::capture::Moment;
use super::cycle::Doing;
use super::foresee::foreseen;
use super::item::{Item, Todo};
use super::plan::count_planned;
use super::{Pipeline, WINDOW_MAX};
use crate::error::Result;
use crate::model::{KeyBytes, Link, Reason, Side, waited_for, waits_for};
use crate::reconcile::{Action, Cause, Situation};

/// A record of a plan that waits for a parent.
#[derive(Clone)]
pub(super) struct Waiter {
    /// The place of its link.
    at: usize,
    /// As what others refer to it.
    name: Referred,
    todo: Todo,
    /// What it waits for; see [`waits_for`].
    waits: Vec<u8>,
    situation: Situation,
    /// Whether it is looked at once more, for others: it was counted before.
    again: bool,
}

impl Waiter {
    fn of(at: usize, item: &Item) -> Option<Waiter> {
        let decision = decision(item)?;
        let Action::Hold(Cause::Parent(number, side, key, _)) = &decision.action else { return None };
        let waits = waits_for(*number, *side, key);
        Some(Waiter { at, name: name(at, item), todo: item.todo.clone(), waits, situation: decision.situation, again: false })
    }

    /// What others wait for, to be looked at once more.
    fn again(links: &[Link], moment: &Moment, name: &[u8]) -> Option<Waiter> {
        let (number, side, key) = waited_for(name)?;
        let at = links.iter().position(|link| link.number == number)?;
        let todo = Todo { pos: moment.last(at, side, &key), ..Todo::new(side, key.clone()) };
        let waits = Vec::new();
        Some(Waiter { at, name: (at, side, key), todo, waits, situation: Situation::Undecided, again: true })
    }
}

/// The place of a link, a side, and the key there of a record that others refer to.
type Referred = (usize, Side, KeyBytes);

/// As what others refer to a record: one that lost a side, by the key of its survivor.
fn name(at: usize, item: &Item) -> Referred {
    let side = item.todo.side.other();
    let survivor = item.pair.as_ref().filter(|_| item.todo.lost.is_some()).and_then(|pair| pair.key[side].clone());
    survivor.map_or_else(|| (at, item.todo.side, item.todo.key.clone()), |key| (at, side, key))
}

fn waits_for_name(links: &[Link], (at, side, key): &Referred) -> Vec<u8> {
    waits_for(links[*at].number, *side, key)
}

/// All that wait, by the names under which others wait for them.
struct Waiters {
    all: HashMap<Vec<u8>, Waiter>,
    /// Who waits for a name.
    below: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    /// Who was looked at once more.
    again: HashSet<Vec<u8>>,
    /// The pairs that wait no longer, by the place of their link and the source's key.
    decided: HashSet<(usize, KeyBytes)>,
}

impl Waiters {
    fn new(waiters: Vec<Waiter>, links: &[Link]) -> Waiters {
        let mut below: HashMap<Vec<u8>, Vec<Vec<u8>>> = HashMap::new();
        let all: HashMap<_, _> = waiters.into_iter().map(|waiter| (waits_for_name(links, &waiter.name), waiter)).collect();
        for (name, waiter) in &all {
            below.entry(waiter.waits.clone()).or_default().push(name.clone());
        }
        Waiters { all, below, again: HashSet::new(), decided: HashSet::new() }
    }

    /// Those who wait for nobody that waits.
    fn free(&self) -> Vec<Vec<u8>> {
        let free = self.all.iter().filter(|(_, waiter)| !self.all.contains_key(&waiter.waits));
        free.map(|(name, _)| name.clone()).collect()
    }

    /// Whom others wait for, and who is none of them: as far as there is room, and each once.
    fn above(&mut self, links: &[Link], moment: &Moment) -> Vec<Vec<u8>> {
        let above: HashSet<Vec<u8>> = self.all.values().map(|waiter| waiter.waits.clone()).collect();
        let mut names = Vec::new();
        for name in above.into_iter().filter(|name| !self.all.contains_key(name)).collect::<Vec<_>>() {
            let room = self.all.len() < WINDOW_MAX && self.again.insert(name.clone());
            if let Some(waiter) = Waiter::again(links, moment, &name).filter(|_| room) {
                self.all.insert(name.clone(), waiter);
                names.push(name);
            }
        }
        names
    }

    /// Those who are in a ring: whom each waits for leads back to it.
    fn in_rings(&self) -> Vec<Vec<u8>> {
        let waits_for = |name: &Vec<u8>| self.all.get_key_value(&self.all.get(name)?.waits).map(|(next, _)| next);
        let (mut seen, mut rings) = (HashSet::new(), Vec::new());
        for first in self.all.keys() {
            let (mut way, mut next) = (Vec::new(), Some(first));
            while let Some(at) = next.filter(|at| seen.insert(*at)) {
                way.push(at);
                next = waits_for(at);
            }
            // It may have come to one that another way has led to.
            let ring = next.and_then(|back| way.iter().position(|at| *at == back));
            rings.extend(ring.into_iter().flat_map(|from| way[from..].iter().copied().cloned()));
        }
        rings
    }
}

impl Pipeline {
    /// Takes out of a batch what waits for a parent, as far as there is room: it is decided once more at the end.
    pub(super) fn put_off_waiting(&mut self, at: usize, batch: &mut Batch) {
        let waiting = &mut self.supposed.waiting;
        batch.items.retain(|item| match Waiter::of(at, item).filter(|_| waiting.len() < WINDOW_MAX) {
            Some(waiter) => {
                waiting.push(waiter);
                false
            }
            None => true,
        });
    }

    /// What was put off, in the order in which a run would come to it.
    pub(super) async fn plan_waiting(&mut self, doing: &mut Doing<'_>) -> Result<()> {
        let integration = self.integration.clone();
        let mut waiters = Waiters::new(std::mem::take(&mut self.supposed.waiting), &integration.links);
        let mut wave = waiters.free();
        loop {
            while !wave.is_empty() {
                wave = self.plan_wave(doing, &mut waiters, wave).await?;
            }
            wave = waiters.above(&integration.links, doing.moment);
            if wave.is_empty() {
                let ring = waiters.in_rings();
                self.suppose_waiting(&waiters, &ring);
                wave = self.plan_wave(doing, &mut waiters, ring).await?;
            }
            if wave.is_empty() {
                break;
            }
        }
        for waiter in waiters.all.into_values().filter(|waiter| !waiter.again) {
            let counts = doing.counts.link(&integration.links[waiter.at].name);
            (counts.decided, counts.waiting) = (counts.decided + 1, counts.waiting + 1);
            counts.sample(waiter.situation, waiter.todo.side, &waiter.todo.key);
        }
        Ok(())
    }

    /// What a ring is told by: that each of it is on the worklist.
    fn suppose_waiting(&mut self, waiters: &Waiters, ring: &[Vec<u8>]) {
        let integration = self.integration.clone();
        for waiter in ring.iter().filter_map(|name| waiters.all.get(name)) {
            let link = &integration.links[waiter.at];
            let work = self.work(link, &waiter.todo, Reason::Waiting, "", Some(waiter.waits.clone()));
            self.supposed.record(&[], &[work]);
        }
    }

    /// Decides some of them. Returns those who waited for what is no longer waited for.
    async fn plan_wave(&mut self, doing: &mut Doing<'_>, waiters: &mut Waiters, mut wave: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        let integration = self.integration.clone();
        let mut todos: BTreeMap<usize, Vec<Todo>> = BTreeMap::new();
        wave.sort_unstable();
        wave.dedup();
        for waiter in wave.iter().filter_map(|name| waiters.all.get(name)) {
            // (A run has tried it before.)
            todos.entry(waiter.at).or_default().push(Todo { attempts: waiter.todo.attempts.max(1), ..waiter.todo.clone() });
        }
        let mut next = Vec::new();
        for (at, todos) in todos {
            let link = &integration.links[at];
            let mut queue = Queue { todos, pairs: Vec::new() };
            while queue.len() > 0 {
                let part = queue.take(self.fit(link));
                self.look_no_higher();
                let (batch, later) = self.plan_decided(doing, at, link, part).await?;
                queue.put_back(later);
                next.extend(self.settle_waiters(doing, at, waiters, batch));
            }
        }
        Ok(next)
    }

    /// Counts who waits no longer, and has those decided who waited for them or wait for another one now.
    fn settle_waiters(&mut self, doing: &mut Doing<'_>, at: usize, waiters: &mut Waiters, mut batch: Batch) -> Vec<Vec<u8>> {
        let integration = self.integration.clone();
        let link = &integration.links[at];
        let mut next = Vec::new();
        batch.items.retain(|item| {
            let referred = name(at, item);
            let name = waits_for_name(&integration.links, &referred);
            let Some(before) = waiters.all.remove(&name) else { return false };
            if let Some(now) = Waiter::of(at, item) {
                if now.waits != before.waits {
                    waiters.below.entry(now.waits.clone()).or_default().push(name.clone());
                    next.extend((!before.again && !waiters.all.contains_key(&now.waits)).then(|| name.clone()));
                }
                waiters.all.insert(name, Waiter { todo: before.todo, again: before.again, ..now });
                return false;
            }
            if let Some(twin) = foreseen(item) {
                next.extend(waiters.below.remove(&name).into_iter().flatten());
                self.supposed.resolved.insert(referred, twin);
            }
            // Two that were found to be twins may both have waited.
            let source = item.pair.as_ref().and_then(|pair| pair.key.source.clone());
            !before.again && source.is_none_or(|key| waiters.decided.insert((at, key)))
        });
        count_planned(doing.counts.link(&link.name), &batch);
        next
    }
}
