//! Close: the cursors move, then the logs may forget what was read.

use std::collections::{BTreeMap, HashSet};

use futures_util::future::join_all;

use super::Counts;
use super::Pipeline;
use super::capture::Moment;
use crate::endpoint::Acknowledge;
use crate::error::{Context, Result};
use crate::model::{Both, Side, TableName};
use crate::state;

/// Cursors move at least so often even if nothing happened, so that logs can be pruned, in seconds.
const CLOSE_EVERY_S: i64 = 10;

impl Pipeline {
    /// The cursors move, in one transaction after everything before them is recorded.
    pub(super) async fn close(&mut self, moment: &Moment, counts: &Counts) -> Result<()> {
        let now = self.door.now();
        if counts.entries == 0 && now - self.closed_at < CLOSE_EVERY_S {
            return Ok(());
        }
        let integration = self.integration.clone();
        let mut cursors = Vec::new();
        let going = self.going();
        for (at, link) in going.iter().map(|at| (*at, &integration.links[*at])) {
            for side in Side::BOTH {
                let position = moment.windows[link.endpoint[side]].position(moment.place(at, side));
                cursors.push((link.number, side, position));
            }
        }
        let seen = self.meet(moment).await?;
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::write_cursors(&mut *tx, &cursors).await?;
        state::write_seen(&mut *tx, &self.fence.integration, &seen).await?;
        tx.commit().await?;
        for (at, sides) in going.into_iter().zip(cursors.chunks(2)) {
            let position = |side: usize| sides.get(side).map(|(_, _, position)| position.clone());
            self.cursors[at] = Some(Both { source: position(0), target: position(1) });
        }
        self.midway = moment.more;
        self.closed_at = now;
        self.door.step("close.recorded").await
    }

    /// What was read may be forgotten by the logs. Last; if we die before, they are only longer.
    pub(super) async fn acknowledge(&mut self, moment: &Moment) -> Result<()> {
        let closed = self.closed_at == self.door.now() || moment.entries > 0;
        let read = |at: &usize| closed && !moment.windows[*at].entries().is_empty();
        let read: Vec<usize> = (0..self.endpoints.len()).filter(read).collect();
        self.forget_absorbed(&read).await?;
        if !closed {
            return Ok(());
        }
        let upto: Vec<Vec<Acknowledge>> = (0..self.endpoints.len()).map(|at| self.read_of(moment, at)).collect();
        let asked = self.endpoints.iter().zip(&upto).map(|(endpoint, upto)| endpoint.acknowledge(&self.fence, upto));
        for (at, done) in join_all(asked).await.into_iter().enumerate() {
            done.context(format!("endpoint {}", self.integration.endpoints[at]))?;
            self.door.step("acknowledge.done").await?;
        }
        Ok(())
    }

    /// How far the logs of an endpoint are read, a table once.
    fn read_of(&self, moment: &Moment, at: usize) -> Vec<Acknowledge> {
        let mut upto: Vec<Acknowledge> = Vec::new();
        for (link_at, link) in self.going().into_iter().map(|at| (at, &self.integration.links[at])) {
            for side in Side::BOTH.into_iter().filter(|side| link.endpoint[*side] == at) {
                let (window, place) = (&moment.windows[at], moment.place(link_at, side));
                upto.push(Acknowledge {
                    table: link.collection[side].table.name.clone(),
                    position: window.position(place),
                    receipt: window.receipt(place),
                });
            }
        }
        once_each(&mut upto);
        upto
    }
}

/// A table of several links is acknowledged once, and no further than all of them have read: what one of them has yet to read
/// stays.
fn once_each(upto: &mut Vec<Acknowledge>) {
    let mut all: BTreeMap<TableName, Vec<Acknowledge>> = BTreeMap::new();
    for one in upto.drain(..) {
        all.entry(one.table.clone()).or_default().push(one);
    }
    for mut same in all.into_values() {
        let Some(mut one) = same.pop() else { continue };
        if same.iter().any(|other| other.position != one.position) {
            continue;
        }
        for other in same {
            let read: HashSet<i64> = other.receipt.0.into_iter().collect();
            one.receipt.0.retain(|id| read.contains(id));
        }
        upto.push(one);
    }
}
