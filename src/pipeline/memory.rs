//! What the databases remember of each other, so that one that was restored from a backup shows (rule 17).
//!
//! Every write transaction counts up the fence number of its database. The state remembers the numbers of the
//! endpoints with what it records of them, in one transaction: a standby that takes over may lack just the last
//! commit. An endpoint remembers the state's before it forgets what
//! the state could be built from again, its receipts and its log. So whichever is set back to an earlier moment,
//! the other one knows a greater number than it has; or nothing was relied on, and nothing forgotten, since.

use super::Pipeline;
use super::capture::Moment;
use super::takeover::{FenceRow, RESTORED, read_fence, refused};
use crate::error::{Context, Error, Kind, Result};
use crate::sql::{Cell, Session, Store};
use crate::state;

impl Pipeline {
    /// The fence numbers the state is to remember with the cursors that are about to move. A backup from
    /// before this moment has a lower one: where users' changes were read, the number is counted up first.
    pub(super) async fn meet(&mut self, moment: &Moment) -> Result<Vec<(String, String, i64)>> {
        let integration = self.integration.clone();
        let mut seen = Vec::new();
        for (at, endpoint) in self.endpoints.clone().iter().enumerate() {
            let Some(store) = endpoint.store() else { continue };
            let name = &integration.endpoints[at];
            let read = at != integration.home && has_foreign(moment, at) && !self.relied.contains_key(&at);
            let row = self.fence_row(store, read).await.context(format!("endpoint {name}"))?;
            self.check_memory(at, &row)?;
            seen.push((name.clone(), row.instance, row.n));
        }
        Ok(seen)
    }

    /// While this process used it: what is remembered must not go back with it.
    fn check_memory(&mut self, at: usize, row: &FenceRow) -> Result<()> {
        if row.epoch < self.fence.epoch || self.fences.insert(at, row.n).is_some_and(|before| row.n < before) {
            return Err(refused(&self.integration.endpoints[at], RESTORED));
        }
        Ok(())
    }

    /// Before the state records anything that was read at an endpoint: its number is counted up, once a cycle, so that
    /// one that falls back to before this moment, and has not what was read, has a lower one.
    pub(super) async fn rely_on(&mut self, at: usize) -> Result<()> {
        if at == self.integration.home || self.relied.contains_key(&at) {
            return Ok(());
        }
        let Some(store) = self.endpoints[at].store() else { return Ok(()) };
        let row = self.fence_row(store, true).await.context(format!("endpoint {}", self.integration.endpoints[at]))?;
        self.check_memory(at, &row)?;
        self.relied.insert(at, (row.instance, row.n));
        Ok(())
    }

    /// Instance and number of the endpoint of a session; of a transaction of ours, those it will have committed under.
    pub(super) async fn number(&self, session: &mut dyn Session) -> Result<(String, i64)> {
        let row = read_fence(session, &self.fence.integration).await?;
        row.map(|row| (row.instance, row.n)).ok_or_else(missing)
    }

    /// In the very transaction of the state that records what was read or written at these endpoints.
    pub(super) async fn remember(&self, session: &mut dyn Session) -> Result<()> {
        if self.relied.is_empty() {
            return Ok(());
        }
        let seen = self.relied.iter().map(|(at, (instance, n))| (self.integration.endpoints[*at].clone(), instance.clone(), *n));
        state::write_seen(session, &self.fence.integration, &seen.collect::<Vec<_>>()).await
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
        row.ok_or_else(missing)
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

/// Whether users have changed something at an endpoint, as the entries that were read say.
fn has_foreign(moment: &Moment, at: usize) -> bool {
    moment.windows[at].entries().iter().any(|entry| !entry.own)
}

fn missing() -> Error {
    Error::new(Kind::Tracking, "the fence row is missing").hint("twinrow install")
}
