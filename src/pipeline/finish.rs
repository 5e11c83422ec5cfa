//! Finish: what of a batch is still to be done goes on the worklist, what is done leaves it.

use std::collections::HashSet;

use super::Pipeline;
use super::apply::{Fate, decision};
use super::batch::Batch;
use super::brake::is_of_a_brake;
use super::item::{Item, Todo};
use super::waits::refused_delete;
use crate::error::Result;
use crate::model::{Base, Both, Deletes, KeyBytes, Link, Pair, Reason, Side, Work, waits_for, work_name};
use crate::reconcile::{Action, Cause, Decision, Situation, Twin};
use crate::sql::Session;
use crate::state::{self, BrakeKind};

impl Pipeline {
    /// Unfinished keys go on the worklist, finished ones leave it, children of new twins are released.
    /// Before the cursor moves (rule 1).
    pub(super) async fn finish(&mut self, session: &mut dyn Session, link: &Link, batch: &Batch, fates: &[Fate]) -> Result<()> {
        let (mut unfinished, mut finished, mut parents) = (Vec::new(), Vec::new(), Vec::new());
        let (mut freed, mut above, mut deletes) = (Vec::new(), Vec::new(), Both::<u64>::default());
        let changed = self.changes_written(link, batch, fates);
        for todo in &batch.settled {
            if todo.recorded {
                finished.push(todo.name());
            }
        }
        for (item, fate) in batch.items.iter().zip(fates) {
            let (decided, fate) = item.same_as.map_or((item, fate), |first| (&batch.items[first], &fates[first]));
            // Once they are a pair in the map, one entry stands for both.
            let in_map = item.same_as.is_some() && decided.linked_first();
            let decided = decision(decided).filter(|_| !in_map);
            let action = decided.map(|decision| &decision.action);
            if matches!(fate, Fate::Refused(_)) {
                self.remember_refused(link, item);
            }
            if let Some(mut work) = self.unfinished(link, item.todo.clone(), decided, fate) {
                work.waits = work.waits.or_else(|| item.waits.clone()).or_else(|| refused_delete(link, item, fate));
                if let Some(Action::Hold(Cause::Restless(field))) = action {
                    work.next_try = self.restless.hold(item, *field, self.door.now());
                }
                unfinished.push(work);
                continue;
            }
            if *fate == Fate::Written && !item.whole() {
                // (Under the name it has now.)
                finished.push(item.todo.name());
                unfinished.push(self.second_step(link, item));
            } else if item.todo.recorded {
                finished.push(item.todo.name());
            }
            if matches!(action, Some(Action::End)) {
                finished.extend(item.pair.iter().flat_map(lost_names));
            }
            if item.todo.lost.is_some() {
                // Whoever has its key now may have waited for this.
                freed.push((item.todo.side, item.todo.key.clone()));
            }
            if let (Some(Action::Delete(side, _)), Fate::Written) = (action, fate) {
                above.extend(self.held_above(link, item, *side));
            }
            // What a person approved does not count again.
            if let (Some(Action::Delete(side, _)), Fate::Written, None) = (action, fate, &item.todo.approved) {
                deletes[*side] += 1;
            }
            if let (Some(pair), Fate::Written) = (&item.pair, fate)
                && (matches!(action, Some(Action::Create(..))) || pair.ver == 1)
            {
                for side in Side::BOTH {
                    parents.extend(pair.key[side].as_ref().map(|key| waits_for(link.number, side, key)));
                }
            }
        }
        // A record may be unfinished under another name than the one it was met by now.
        if self.has_work {
            finished.extend(other_names(batch, fates));
        }
        // Under one name several records may stand; that one is done says nothing about how often the other was tried.
        let open: HashSet<_> = unfinished.iter().map(|work| (work.side, work.name())).collect();
        finished.retain(|name| !open.contains(name));
        self.has_work |= !unfinished.is_empty();
        self.holding.extend(unfinished.iter().filter(|work| work.reason == Reason::Held).map(|work| work.link));
        // Of this batch too: a tree may come leaf first.
        self.waiting.extend(unfinished.iter().filter(|work| work.reason == Reason::Waiting).map(|work| work.link));
        let mut parents = if self.waiting.is_empty() { Vec::new() } else { parents };
        parents.append(&mut above);
        parents.extend(Box::pin(self.no_longer_waited_for(session, link, batch, &unfinished)).await?);
        let undecided = self.undecided(link, batch, fates);
        if unfinished.is_empty()
            && undecided.is_empty()
            && finished.is_empty()
            && parents.is_empty()
            && deletes == Both::default()
            && changed == Both::default()
        {
            return Ok(());
        }
        // Children of other links may be due now, and second steps are; what nobody has approved any more is to be counted.
        let soon = |work: &Work| match work.reason {
            Reason::Unfinished => true,
            Reason::Gone => !self.holds_lost(link, work.side.other()),
            Reason::Busy | Reason::Waiting | Reason::Held | Reason::Braked | Reason::Approved => false,
        };
        self.look_again |= !freed.is_empty() || !parents.is_empty() || unfinished.iter().any(soon);
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::delete_work(&mut *tx, link, &finished).await?;
        state::write_work(&mut *tx, &unfinished).await?;
        state::release(&mut *tx, &parents).await?;
        state::touch(&mut *tx, link, &freed).await?;
        self.record_undecided(&mut *tx, undecided).await?;
        for side in Side::BOTH {
            if deletes[side] > 0 {
                state::count_recent(&mut *tx, link, side, BrakeKind::Deletes, self.door.now() / 3600, deletes[side]).await?;
            }
            if changed[side] > 0 {
                state::count_recent(&mut *tx, link, side, BrakeKind::Changes, self.door.now() / 3600, changed[side]).await?;
            }
        }
        tx.commit().await?;
        self.door.step("finish.recorded").await
    }

    /// What a write has left to be done.
    fn second_step(&self, link: &Link, item: &Item) -> Work {
        let live = item.pair.as_ref().and_then(|pair| pair.key[item.todo.side].clone());
        let todo = Todo { key: live.unwrap_or_else(|| item.todo.key.clone()), lost: None, approved: None, ..item.todo.clone() };
        let Some(field) = item.set_off.filter(|_| item.left_out.is_empty()) else {
            return self.work(link, &todo, Reason::Unfinished, "a reference is still to be filled in", None);
        };
        let name = &link.fields[field].name;
        if todo.rounds < i64::from(Base::BOUNCES_MAX) {
            return self.work(link, &todo, Reason::Unfinished, &format!("{name} was changed by a trigger in our write"), None);
        }
        self.work(link, &todo, Reason::Held, &format!("{name} {SET_OFF}"), None)
    }

    fn unfinished(&self, link: &Link, todo: Todo, decision: Option<&Decision>, fate: &Fate) -> Option<Work> {
        let situation = decision.map(|decision| decision.situation);
        match (fate, decision.map(|decision| &decision.action)) {
            (Fate::Busy(cause), _) => Some(self.work(link, &todo, Reason::Busy, cause, None)),
            // A unique value may be on its way out: another record of the same change holds it.
            (Fate::Refused(cause), _) => {
                let reason = if todo.attempts < 2 { Reason::Busy } else { Reason::Held };
                Some(self.work(link, &todo, reason, cause, None))
            }
            (Fate::Written, _) => None,
            (Fate::Open, Some(Action::Retry)) => {
                Some(self.work(link, &todo, Reason::Busy, "it, or what it refers to, changed while it was read", None))
            }
            (Fate::Open, Some(Action::Hold(Cause::Held(cause)))) if is_of_a_brake(cause) => {
                Some(self.work(link, &todo, Reason::Braked, cause, None))
            }
            (Fate::Open, Some(Action::Hold(Cause::Held(cause)))) => Some(self.work(link, &todo, Reason::Held, cause, None)),
            (Fate::Open, Some(Action::Hold(Cause::Restless(at)))) => {
                let field = &link.fields[*at].name;
                let cause =
                    format!("{field} comes back changed after every write, on both sides in turn: it goes on after a pause");
                Some(self.work(link, &todo, Reason::Held, &cause, None))
            }
            (Fate::Open, Some(Action::Hold(Cause::Conflict))) => {
                let cause = format!("{}; this link holds conflicts for a person", both_changed(situation));
                Some(self.work(link, &todo, Reason::Held, &cause, None))
            }
            (Fate::Open, Some(Action::Hold(Cause::Parent(number, side, key, twin)))) => {
                let via = self.integration.links.iter().find(|link| link.number == *number);
                let cause = via.map_or_else(String::new, |via| waits_because(via, *side, key, *twin));
                Some(self.work(link, &todo, Reason::Waiting, &cause, Some(waits_for(*number, *side, key))))
            }
            (Fate::Open, _) => None,
        }
    }

    pub(super) fn work(&self, link: &Link, todo: &Todo, reason: Reason, cause: &str, waits: Option<Vec<u8>>) -> Work {
        let now = self.door.now();
        // A pair that lost a side stays under the brake until it is decided, whatever it waits for.
        let gone = todo.lost.is_some() && matches!(reason, Reason::Busy | Reason::Braked);
        let lost = if todo.approved.is_some() { Reason::Approved } else { Reason::Gone };
        // How long it waited for something else says nothing of how long it will be busy, or wait for this.
        let anew = match reason {
            Reason::Busy => matches!(todo.reason, Some(Reason::Waiting | Reason::Held)),
            Reason::Waiting => todo.reason != Some(Reason::Waiting) || todo.waited != waits,
            Reason::Unfinished => todo.rounds == 0,
            Reason::Gone | Reason::Approved | Reason::Held | Reason::Braked => false,
        };
        let attempts = if anew { 0 } else { todo.attempts };
        Work {
            link: link.number,
            side: todo.side,
            key: todo.key.clone(),
            lost: todo.lost,
            reason: if gone { lost } else { reason },
            cause: cause.to_owned(),
            waits,
            attempts,
            next_try: if gone && reason == Reason::Braked { 0 } else { next_try(reason, attempts, now) },
            cycle: self.cycle,
            since: now,
            approved: todo.approved.clone(),
        }
    }
}

/// Why a record waits for its parent, a record of the link `via`.
fn waits_because(via: &Link, side: Side, key: &KeyBytes, twin: Twin) -> String {
    let (name, other) = (&via.name, side.other());
    let parent = format!("{name} {side} {}", key.decode().map_or_else(String::new, |key| key.to_string()));
    let else_ = format!("give it another one of {name}, or delete it, then: twinrow held retry");
    match (twin, via.deletes) {
        (Twin::ToCome, _) => format!("waits for {parent}, which has no twin yet"),
        (Twin::Deleted, Deletes::Recreate) => {
            format!("waits for {parent}, whose twin was deleted in the {other} and is to be made again")
        }
        (Twin::Deleted, Deletes::Delete) => format!(
            "waits for {parent}, whose twin was deleted in the {other}; it is to be deleted too, and stays as long as this record \
             refers to it: {else_}"
        ),
        (Twin::Deleted, Deletes::Keep) => {
            format!("waits for {parent}, whose twin was deleted in the {other}, and which stays on its own: {else_}")
        }
    }
}

/// How the cause of a record ends that triggers of both sides never leave alone.
const SET_OFF: &str = "changes with every write of ours, and every such change sets it off again";

pub(super) fn todo_of(work: Work) -> Todo {
    let attempts = work.attempts + 1;
    let set_off = work.reason == Reason::Unfinished || work.cause.ends_with(SET_OFF);
    let rounds = if set_off { attempts } else { 0 };
    Todo {
        lost: work.lost,
        attempts,
        reason: Some(work.reason),
        waited: work.waits,
        recorded: true,
        rounds,
        approved: work.approved,
        ..Todo::new(work.side, work.key)
    }
}

/// What each side has done that makes a conflict.
fn both_changed(situation: Option<Situation>) -> &'static str {
    match situation {
        Some(Situation::SourceGoneTargetChanged) => "deleted in the source, and changed in the target",
        Some(Situation::TargetGoneSourceChanged) => "deleted in the target, and changed in the source",
        _ => "both sides changed",
    }
}

/// The names a pair is on the worklist under because it lost a side; each side has its own.
pub(super) fn lost_names(pair: &Pair) -> Vec<(Side, KeyBytes)> {
    let name = |side: Side| Some((side, work_name(pair.former[side].as_ref()?, Some(pair.id))));
    Side::BOTH.into_iter().filter_map(name).collect()
}

/// Under the live keys of both sides, a finished record may still stand on the worklist; under its own, one that came and
/// went.
fn other_names(batch: &Batch, fates: &[Fate]) -> Vec<(Side, KeyBytes)> {
    let mut names = Vec::new();
    for (item, fate) in batch.items.iter().zip(fates) {
        let settled = match (fate, decision(item).map(|decision| &decision.action)) {
            (Fate::Written, _) => item.whole(),
            (Fate::Open, Some(Action::Ignore | Action::Report)) => !item.todo.recorded,
            _ => false,
        };
        let nothing = decision(item).is_some_and(|decision| decision.situation == Situation::Nothing);
        if nothing && item.pair.is_none() && item.same_as.is_none() {
            names.push((item.todo.side, item.todo.key.clone()));
        }
        let whole = |pair: &&Pair| !pair.gone(Side::Source) && !pair.gone(Side::Target);
        let Some(pair) = item.pair.as_ref().filter(|_| settled).filter(whole) else { continue };
        for side in Side::BOTH {
            names.extend(pair.key[side].iter().map(|key| (side, key.clone())));
        }
    }
    names
}

/// The longest pause before a record is tried again, in seconds.
pub(super) const PAUSE_MAX_S: i64 = 3600;

/// When to look again, in seconds since 1970: at once for what is only busy, ever more rarely for what
/// stays so.
fn next_try(reason: Reason, attempts: i64, now: i64) -> i64 {
    let doubled = |first: i64, most: i64| now + (first << attempts.clamp(0, 20)).min(most);
    match reason {
        Reason::Gone | Reason::Approved | Reason::Unfinished => 0,
        Reason::Busy if attempts < 3 => 0,
        Reason::Busy => doubled(1, 60),
        // Once more at once: two that wait for each other are only known when both wait (C15).
        Reason::Waiting if attempts == 0 => 0,
        Reason::Waiting => doubled(5, 600),
        Reason::Held => doubled(60, PAUSE_MAX_S),
        // Only an approval lifts it.
        Reason::Braked => i64::MAX,
    }
}
