//! Rings: records that wait for each other. Twins that were found are linked first, a new record is written without
//! the reference first.

use std::collections::HashSet;

use super::batch::{decide_item, read_through};
use super::capture::Moment;
use super::finish::lost_names;
use super::item::Item;
use super::translate::{Parents, Translator};
use super::{Mode, Pipeline};
use crate::endpoint::{CANDIDATES_MAX, Fetched};
use crate::error::{Kind, Result};
use crate::model::{Both, Key, KeyBytes, Link, Pair, Reason, Row, Side, Value, Work, waited_for, waits_for};
use crate::reconcile::{Action, Cause, Decision, Situation, Translate};
use crate::sql::Session;
use crate::state;

impl Pipeline {
    /// Two records that were just found to be twins are so whatever they refer to: where that has no twin yet, it may wait
    /// for these two (C15). They are recorded as a pair without any base, and decided then. Returns whether there were any.
    pub(super) async fn link_first(&mut self, link_at: usize, parents: &mut Parents, items: &mut [Item]) -> Result<bool> {
        let integration = self.integration.clone();
        let link = &integration.links[link_at];
        let found = |item: &Item| item.linking && item.pair.as_ref().is_some_and(|pair| pair.ver == 0);
        let first = |item: &Item| found(item) && waits(item) && !self.is_unsettled(link, item);
        let chosen: Vec<usize> = (0..items.len()).filter(|at| first(&items[*at])).collect();
        // No cycle is noted: what was read is not older than this.
        let pairs: Vec<Pair> = chosen.iter().filter_map(|at| Some(Pair { ver: 1, ..items[*at].pair.clone()? })).collect();
        if pairs.is_empty() || self.mode == Mode::Apply && !Box::pin(self.record_links(link, &pairs)).await? {
            return Ok(false);
        }
        for (at, pair) in chosen.into_iter().zip(pairs) {
            parents.learn(link_at, &pair);
            items[at].pair = Some(pair);
            items[at].linking = false;
        }
        items.iter_mut().filter(|item| waits(item)).for_each(|item| item.decision = None);
        Ok(true)
    }

    /// Records new pairs, and releases who waits for them; `false`: someone else's pair has one of their keys.
    pub(super) async fn record_links(&mut self, link: &Link, pairs: &[Pair]) -> Result<bool> {
        for side in Side::BOTH {
            self.rely_on(link.endpoint[side]).await?;
        }
        let names = |pair: &Pair| Side::BOTH.map(|side| Some(waits_for(link.number, side, pair.key[side].as_ref()?)));
        let released: Vec<Vec<u8>> = pairs.iter().flat_map(names).flatten().collect();
        let mut tx = self.home()?.begin(&self.fence).await?;
        self.remember(&mut *tx).await?;
        match state::insert(&mut *tx, link, pairs).await {
            Err(error) if error.kind() == Kind::Stale => {
                tx.rollback().await?;
                return Ok(false);
            }
            recorded => recorded?,
        }
        if !self.waiting.is_empty() {
            state::release(&mut *tx, &released).await?;
            self.look_again = true;
        }
        tx.commit().await?;
        self.door.step("rings.linked").await?;
        Ok(true)
    }

    /// Two records that wait for each other, or one that refers to itself: where the column takes NULL
    /// the record is written without the reference first, and finished later (C15).
    pub(super) async fn break_cycles(
        &self,
        session: &mut dyn Session,
        moment: &mut Moment,
        link_at: usize,
        parents: &Parents,
        items: &mut [Item],
    ) -> Result<()> {
        let links = &self.integration.links;
        let link = &links[link_at];
        // Only for creates: an existing row keeps the reference it has.
        let creates = |item: &&mut Item| {
            let made_again = |pair: &Pair| pair.ver > 0 && pair.gone(item.stands().other());
            item.todo.attempts > 0 && item.pair.as_ref().is_none_or(made_again)
        };
        for item in items.iter_mut().filter(creates) {
            let Some(Decision { action: Action::Hold(Cause::Parent(number, side, key, _)), .. }) = &item.decision else {
                continue;
            };
            let Some(parent_at) = links.iter().position(|link| link.number == *number) else { continue };
            if parent_at < link_at {
                continue;
            }
            let (side, parent) = (*side, waits_for(*number, *side, key));
            let Some(own) = item.key[side].as_ref().map(|key| waits_for(link.number, side, key)) else { continue };
            if !self.waits_in_a_ring(session, own, parent.clone()).await? {
                continue;
            }
            let to = side.other();
            let may_be_empty =
                |at: &usize| link.fields[*at].group(at).iter().all(|part| link.collection[to].column(*part).nullable);
            let left_out: Vec<usize> =
                (0..link.fields.len()).filter(|at| link.fields[*at].via == Some(parent_at) && may_be_empty(at)).collect();
            let translator = Translator { link, links, parents, left_out: &left_out };
            if link.matching.iter().any(|rule| left_out.contains(&rule.field)) {
                match self.almost_matching(session, moment, link_at, item, &translator).await? {
                    Met::Others(others) => item.others = others,
                    Met::Twins(words) => {
                        item.waits = Some(parent);
                        item.hold(Situation::Ambiguous, words);
                        continue;
                    }
                }
            }
            item.decision = Some(decide_item(link, item, &translator));
            item.left_out = left_out;
        }
        Ok(())
    }

    /// A match rule with a reference in it says nothing as long as what is referred to has no twin: before a record is
    /// created without the reference, what matches in everything else is looked at. It may be its twin, unless it has
    /// one itself, or refers to nothing, or to a record that has one.
    async fn almost_matching(
        &self,
        session: &mut dyn Session,
        moment: &mut Moment,
        link_at: usize,
        item: &Item,
        translator: &Translator<'_>,
    ) -> Result<Met> {
        let Translator { link, left_out, .. } = *translator;
        let (side, to) = (item.stands(), item.stands().other());
        let rule: Vec<_> = link.matching.iter().filter(|rule| !left_out.contains(&rule.field)).collect();
        let Some(row) = item.slot[side].row().filter(|_| !rule.is_empty()) else { return Ok(Met::Twins(in_doubt(to, &[]))) };
        let values = rule.iter().map(|rule| translator.translate(rule.field, row, to).unwrap_or(Value::Null)).collect();
        let rule: Vec<_> = rule.iter().map(|rule| (rule.field, rule.normal)).collect();
        let (window, place) = moment.window(link_at, link, to);
        let found = window.find(place, &rule, &[values]).await?.into_iter().next().unwrap_or_default();
        if found.len() > CANDIDATES_MAX {
            return Ok(Met::Twins(in_doubt(to, &found)));
        }
        let mut fetched = vec![Fetched::Absent; found.len()];
        read_through(window, place, &found, |at, row| fetched[at] = row).await?;
        let mut rows = Both::<Vec<&Row>>::default();
        rows[to] = fetched.iter().filter_map(row_of).collect();
        let (twins, parents) = (
            self.holders(session, link, to, std::slice::from_ref(&found)).await?,
            self.parents(session, moment, link, &rows).await?,
        );
        let known = Translator { link, links: &self.integration.links, parents: &parents, left_out: &[] };
        let waits = |row: &Row| left_out.iter().any(|field| known.translate(*field, row, side).is_err());
        let free = |key: &Key| twins.get(&key.encode()).is_none_or(|pair| pair.gone(side));
        let may_be = |(key, fetched): &(Key, Fetched)| free(key) && row_of(fetched).is_none_or(waits);
        let (twins, others): (Vec<_>, Vec<_>) = found.into_iter().zip(fetched.iter().cloned()).partition(may_be);
        let keys = |list: Vec<(Key, Fetched)>| list.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        if twins.is_empty() {
            return Ok(Met::Others(keys(others).iter().map(Key::encode).collect()));
        }
        Ok(Met::Twins(in_doubt(to, &keys(twins))))
    }

    /// Whether following who waits for whom leads from `parent` back to `own`. A parent that waits for
    /// something else is no ring: its turn comes.
    async fn waits_in_a_ring(&self, session: &mut dyn Session, own: Vec<u8>, parent: Vec<u8>) -> Result<bool> {
        let (mut seen, mut at) = (HashSet::from([own.clone()]), parent);
        while seen.insert(at.clone()) {
            let Some((number, side, key)) = waited_for(&at) else { return Ok(false) };
            let Some(link) = self.integration.links.iter().find(|link| link.number == number) else { return Ok(false) };
            match self.what_it_waits_for(session, link, side, key).await? {
                Some(next) => at = next,
                None => return Ok(false),
            }
        }
        Ok(at == own)
    }

    /// What a record waits for. One that is to be made again waits under the name of what it lost.
    async fn what_it_waits_for(
        &self,
        session: &mut dyn Session,
        link: &Link,
        side: Side,
        key: KeyBytes,
    ) -> Result<Option<Vec<u8>>> {
        // Also what is held because it is in a ring.
        let waits = |work: Work| work.waits.filter(|_| matches!(work.reason, Reason::Waiting | Reason::Held));
        let works = self.read_work(session, link, side, std::slice::from_ref(&key)).await?;
        if let Some(next) = works.into_iter().find_map(waits) {
            return Ok(Some(next));
        }
        let lost = side.other();
        let pairs = self.pairs_by_key(session, link, side, &[key]).await?;
        let names = pairs.iter().filter(|pair| pair.gone(lost)).flat_map(lost_names);
        let names: Vec<KeyBytes> = names.filter(|(at, _)| *at == lost).map(|(_, name)| name).collect();
        if names.is_empty() {
            return Ok(None);
        }
        Ok(self.read_work(session, link, lost, &names).await?.into_iter().find_map(waits))
    }
}

/// What matches a record but for the references that are left out.
enum Met {
    /// Records that are certainly not its twin.
    Others(Vec<KeyBytes>),
    /// Records one of which may be; in words, why it is held.
    Twins(String),
}

fn row_of(fetched: &Fetched) -> Option<&Row> {
    match fetched {
        Fetched::Row(row, _) => Some(row),
        Fetched::Absent | Fetched::Unreadable(_) | Fetched::Later => None,
    }
}

fn in_doubt(side: Side, keys: &[Key]) -> String {
    let keys: Vec<String> = keys.iter().take(CANDIDATES_MAX).map(Key::to_string).collect();
    let which = if keys.is_empty() { String::new() } else { format!(": {side} {}", keys.join("; ")) };
    format!(
        "it and what it refers to wait for each other, and by `match:` a record there may be its twin{which}. Name other fields \
         in `match:`, or empty the reference here and there until they are linked"
    )
}

/// Whether an item waits for a parent.
fn waits(item: &Item) -> bool {
    matches!(item.decision, Some(Decision { action: Action::Hold(Cause::Parent(..)), .. }))
}
