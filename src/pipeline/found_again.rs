//! Found again: a pair that lost a record may have it back under another key, as the match rule says (rule 8). That is
//! looked for before the pair is decided as lost, and recorded before anything else is decided about the record.

use std::collections::HashSet;

use super::capture::Moment;
use super::evidence::is_unsure;
use super::item::{Item, Todo};
use super::{Mode, Pipeline};
use crate::endpoint::Unread;
use crate::error::Result;
use crate::model::{Deletes, Key, KeyBytes, Link, Pair, Row, Side};
use crate::reconcile::{Action, Situation};
use crate::sql::Session;
use crate::state;

/// What may be the record that a pair has lost: the item of that pair, and the keys on the side it was lost on.
pub(super) struct Candidates(Vec<(usize, Vec<KeyBytes>)>);

impl Pipeline {
    /// What the survivors of a batch match where their twins were lost, and has no twin itself, is decided with them: it may
    /// be held, or its log not be read yet.
    pub(super) async fn look_for_lost(
        &self,
        session: &mut dyn Session,
        moment: &mut Moment,
        link_at: usize,
        link: &Link,
        items: &mut Vec<Item>,
    ) -> Result<Candidates> {
        let mut candidates = Vec::new();
        // A record that has nothing but the key in common is another one (C4).
        if link.matching.is_empty() || link.matched_by_key_alone() || link.deletes == Deletes::Keep {
            return Ok(Candidates(candidates));
        }
        for side in Side::BOTH {
            let survivors: Vec<(usize, Row)> = items
                .iter()
                .enumerate()
                .filter(|(_, item)| item.lost() == Some(side) && item.decision.is_none())
                .filter_map(|(at, item)| Some((at, item.slot[side.other()].row()?.clone())))
                .collect();
            if survivors.is_empty() {
                continue;
            }
            let rows: Vec<&Row> = survivors.iter().map(|(_, row)| row).collect();
            let mut found = self.matches_of(session, moment, link_at, link, side.other(), &rows).await?;
            for ((at, _), found) in survivors.iter().zip(&mut found) {
                // What stands under its key may be its record, too.
                let unsure = items[*at].pair.as_ref().filter(|pair| is_unsure(link, pair));
                found.extend(unsure.and_then(|pair| pair.former[side].as_ref()?.decode()));
            }
            let twins = self.holders(session, link, side, &found).await?;
            // Whoever has such a key as the map knows it may have lost it to the record that is looked for.
            let taken: Vec<Key> = found.iter().flatten().filter(|key| twins.contains_key(&key.encode())).cloned().collect();
            if !taken.is_empty() {
                let (window, place) = moment.window(link_at, link, side);
                let moving = window.unread(place, &taken, Unread::Births).await?;
                let told = |found: &Vec<Key>| found.iter().any(|key| moving.contains(&key.encode()));
                for ((at, _), _) in survivors.iter().zip(&found).filter(|(_, found)| told(found)) {
                    items[*at].decide_as(Situation::Undecided, Action::Retry);
                }
            }
            let free = |found: &Vec<Key>| -> Vec<KeyBytes> {
                found.iter().map(Key::encode).filter(|key| !twins.contains_key(key)).collect()
            };
            let found: Vec<(usize, Vec<KeyBytes>)> =
                survivors.iter().zip(&found).map(|((at, _), found)| (*at, free(found))).collect();
            let mut there: HashSet<KeyBytes> =
                items.iter().filter(|item| item.unknown(side)).map(|item| item.todo.key.clone()).collect();
            for key in found.iter().flat_map(|(_, keys)| keys) {
                if there.insert(key.clone()) {
                    let pos = moment.last(link_at, side, key);
                    items.push(Item::new(Todo { pos, ..Todo::new(side, key.clone()) }));
                }
            }
            candidates.extend(found);
        }
        Ok(Candidates(candidates))
    }

    /// Pairs that have their records again are whole from now on: whatever becomes of these next, their twins are not
    /// decided as lost any more. `names`: the entries of the worklist that say they are.
    pub(super) async fn record_found_again(&mut self, link: &Link, pairs: &[Pair], names: &[(Side, KeyBytes)]) -> Result<()> {
        if self.shown {
            self.supposed.take_off(link, names);
        }
        if pairs.is_empty() || self.mode != Mode::Apply {
            return Ok(());
        }
        for side in Side::BOTH {
            self.rely_on(link.endpoint[side]).await?;
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        self.remember(&mut *tx).await?;
        state::update(&mut *tx, link, pairs).await?;
        state::delete_work(&mut *tx, link, names).await?;
        tx.commit().await?;
        self.door.step("identify.revived").await
    }
}

/// A pair that lost a record and has found one again in this very batch is not decided as lost, nor is one as long as
/// nobody knows whether what was found is its record.
pub(super) fn leave_to_found(items: &mut [Item], Candidates(candidates): Candidates) {
    let here = |item: &&Item| item.lost().is_none();
    let found: HashSet<i64> = items.iter().filter(here).filter_map(|item| Some(item.pair.as_ref()?.id)).collect();
    let back = |item: &Item| item.lost().is_some() && item.pair.as_ref().is_some_and(|pair| found.contains(&pair.id));
    for item in items.iter_mut().filter(|item| item.decision.is_none() && back(item)) {
        item.decide_as(Situation::Undecided, Action::Retry);
    }
    for (at, keys) in candidates {
        let Some(side) = items[at].lost() else { continue };
        let among = |item: &&Item| item.todo.side == side && item.pair.is_none() && keys.contains(&item.todo.key);
        let open = items.iter().filter(here).filter(among).filter_map(|item| Some(&item.decision.as_ref()?.action));
        let open: Vec<&Action> = open.collect();
        let (busy, held) = (open.contains(&&Action::Retry), open.iter().any(|action| matches!(action, Action::Hold(_))));
        if items[at].decision.is_none() && busy {
            items[at].decide_as(Situation::Undecided, Action::Retry);
        } else if items[at].decision.is_none() && held {
            items[at].hold(Situation::Ambiguous, format!("gone in the {side}, where a record that is held may be its twin's"));
        }
    }
}
