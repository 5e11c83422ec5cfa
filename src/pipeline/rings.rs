//! Rings: records that wait for each other, written without the reference first.

use std::collections::HashSet;

use super::Pipeline;
use super::batch::decide_item;
use super::item::Item;
use super::translate::{Parents, Translator};
use crate::error::Result;
use crate::model::{Reason, waited_for, waits_for};
use crate::reconcile::{Action, Cause, Decision};
use crate::sql::Session;
use crate::state;

impl Pipeline {
    /// Two records that wait for each other, or one that refers to itself: where the column takes NULL
    /// the record is written without the reference first, and finished later (C15).
    pub(super) async fn break_cycles(
        &self,
        session: &mut dyn Session,
        link_at: usize,
        parents: &Parents,
        items: &mut [Item],
    ) -> Result<()> {
        let links = &self.integration.links;
        let link = &links[link_at];
        // Only for creates: an existing row keeps the reference it has.
        let creates = |item: &&mut Item| {
            item.todo.attempts > 0 && item.pair.as_ref().is_none_or(|pair| pair.ver > 0 && pair.gone(item.todo.side.other()))
        };
        for item in items.iter_mut().filter(creates) {
            let Some(Decision { action: Action::Hold(Cause::Parent(number, side, key)), .. }) = &item.decision else { continue };
            let Some(parent_at) = links.iter().position(|link| link.number == *number) else { continue };
            if parent_at < link_at {
                continue;
            }
            let (side, own) = (*side, waits_for(link.number, *side, &item.todo.key));
            if !self.waits_in_a_ring(session, own, waits_for(*number, side, key)).await? {
                continue;
            }
            let to = side.other();
            let may_be_empty =
                |at: &usize| link.fields[*at].group(at).iter().all(|part| link.collection[to].column(*part).nullable);
            let left_out: Vec<usize> =
                (0..link.fields.len()).filter(|at| link.fields[*at].via == Some(parent_at) && may_be_empty(at)).collect();
            let translator = Translator { link, links, parents, left_out: &left_out };
            item.decision = Some(decide_item(link, item, &translator));
            item.left_out = left_out;
        }
        Ok(())
    }

    /// Whether following who waits for whom leads from `parent` back to `own`. A parent that waits for
    /// something else is no ring: its turn comes.
    async fn waits_in_a_ring(&self, session: &mut dyn Session, own: Vec<u8>, parent: Vec<u8>) -> Result<bool> {
        let (mut seen, mut at) = (HashSet::from([own.clone()]), parent);
        while seen.insert(at.clone()) {
            let Some((number, side, key)) = waited_for(&at) else { return Ok(false) };
            let Some(link) = self.integration.links.iter().find(|link| link.number == number) else { return Ok(false) };
            let works = state::read_work(session, link, side, &[key]).await?;
            match works.into_iter().find_map(|work| work.waits.filter(|_| work.reason == Reason::Waiting)) {
                Some(next) => at = next,
                None => return Ok(false),
            }
        }
        Ok(at == own)
    }
}
