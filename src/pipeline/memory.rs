//! What the databases remember of each other, so that one that was restored from a backup shows (rule 17).
//!
//! Every write transaction counts up the fence number of its database. The state remembers the numbers of the
//! endpoints before it relies on what was read there; an endpoint remembers the state's before it forgets what
//! the state could be built from again, its receipts and its log. So whichever is set back to an earlier moment,
//! the other one knows a greater number than it has; or nothing was relied on, and nothing forgotten, since.

use super::Pipeline;
use super::capture::Moment;
use super::takeover::{FenceRow, RESTORED, read_fence, refused};
use crate::error::{Context, Error, Kind, Result};
use crate::sql::{Cell, Store};

impl Pipeline {
    /// The fence numbers the state is to remember with the cursors that are about to move. A backup from
    /// before this moment has a lower one: where users' changes were read, the number is counted up first.
    pub(super) async fn meet(&mut self, moment: &Moment) -> Result<Vec<(String, String, i64)>> {
        let integration = self.integration.clone();
        let mut seen = Vec::new();
        for (at, endpoint) in self.endpoints.clone().iter().enumerate() {
            let Some(store) = endpoint.store() else { continue };
            let name = &integration.endpoints[at];
            let read = at != integration.home && moment.windows[at].entries().iter().any(|entry| !entry.own);
            let row = self.fence_row(store, read).await.context(format!("endpoint {name}"))?;
            // While this process used it: what is remembered must not go back with it.
            if row.epoch < self.fence.epoch || self.fences.insert(at, row.n).is_some_and(|before| row.n < before) {
                return Err(refused(name, RESTORED));
            }
            seen.push((name.clone(), row.instance, row.n));
        }
        Ok(seen)
    }

    async fn fence_row(&self, store: &dyn Store, count_up: bool) -> Result<FenceRow> {
        let name = &self.fence.integration;
        let row = if count_up {
            let mut tx = store.begin(&self.fence).await?;
            let row = read_fence(&mut *tx, name).await?;
            tx.commit().await?;
            row
        } else {
            read_fence(&mut *store.session().await?, name).await?
        };
        row.ok_or_else(|| Error::new(Kind::Tracking, "the fence row is missing").hint("twinrow install"))
    }

    /// Removes the receipts the state has absorbed, in a later transaction than the one that absorbed them;
    /// these endpoints, and those whose logs are about to be shortened, `read`, first remember how far the state is.
    pub(super) async fn forget_absorbed(&mut self, read: &[usize]) -> Result<()> {
        let mut home_n = None;
        for at in 0..self.endpoints.len() {
            let integration = Cell::Text(self.fence.integration.clone());
            let absorbed = self.absorbed.iter().filter(|(endpoint, _)| *endpoint == at);
            let receipts: Vec<_> = absorbed.map(|(_, n)| vec![integration.clone(), Cell::Int(*n)]).collect();
            let shortened = at != self.integration.home && read.contains(&at);
            if receipts.is_empty() && !shortened || self.endpoints[at].store().is_none() {
                continue;
            }
            let known = match home_n {
                Some(known) => known,
                None => self.fence_row(self.home()?, false).await?.n,
            };
            home_n = Some(known);
            let mut tx = self.store(at)?.begin(&self.fence).await?;
            tx.execute("fence_home", &[vec![integration, Cell::Int(self.fence.epoch), Cell::Int(known)]]).await?;
            tx.execute("receipt_delete", &receipts).await?;
            tx.commit().await?;
            self.absorbed.retain(|(endpoint, _)| *endpoint != at);
            if !receipts.is_empty() {
                self.door.step("absorb.removed").await?;
            }
        }
        Ok(())
    }
}
