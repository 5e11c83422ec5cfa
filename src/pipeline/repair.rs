//! Tracking objects that are not as they were installed, and logs that are not those that were read before.

use super::run::tables_at;
use super::{Counts, Pipeline};
use crate::endpoint::{Finding, Tracked};
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Both, Side, Table};
use crate::state;

/// The command for someone with more rights, where it may help.
pub(super) fn by_hand(error: Error) -> Error {
    match error.kind() {
        Kind::Tracking => error,
        _ => error.hint("twinrow install   # by someone who may create triggers"),
    }
}

impl Pipeline {
    /// Compares the tracking objects with what was installed; repairs them where the rights allow, and has
    /// the collections compared where changes may have been missed (A17, A31).
    pub async fn inspect(&mut self) -> Result<Vec<Finding>> {
        let integration = self.integration.clone();
        let mut all = Vec::new();
        for (at, endpoint) in self.endpoints.clone().iter().enumerate() {
            let Some(tracking) = endpoint.tracking() else { continue };
            let tables = tables_at(&integration, at);
            let findings = tracking.inspect(&tables).await.context(format!("endpoint {}", integration.endpoints[at]))?;
            if findings.is_empty() {
                continue;
            }
            let name = &integration.endpoints[at];
            for finding in &findings {
                tracing::warn!(endpoint = name, table = %finding.table, "{}", finding.problem);
            }
            // First of all, so that nothing that happens to us or to the repair makes it forgotten; it begins after.
            self.compare_after(at, &findings).await?;
            let damaged: Vec<Table> =
                tables.into_iter().filter(|table| findings.iter().any(|finding| finding.table == table.name)).collect();
            let repaired = tracking.install(&damaged, at == integration.home).await;
            repaired.map_err(by_hand).context(format!("endpoint {name}"))?;
            all.extend(findings);
        }
        Ok(all)
    }

    async fn compare_after(&mut self, endpoint: usize, findings: &[Finding]) -> Result<()> {
        let integration = self.integration.clone();
        for (at, link) in integration.links.iter().enumerate() {
            let found = |side: Side, what: fn(&Finding) -> bool| {
                let here = |finding: &Finding| finding.table == link.collection[side].table.name && what(finding);
                link.endpoint[side] == endpoint && findings.iter().any(here)
            };
            let replaced = Both::from_fn(|side| found(side, |finding| finding.replaced));
            if Side::BOTH.into_iter().any(|side| found(side, |finding| finding.gap)) {
                self.ask_recheck(at, replaced).await?;
            }
        }
        Ok(())
    }

    /// As [`Pipeline::cycle`]. What can't be read may be what is found at the next inspection: it is mended at once,
    /// for a trigger without its log or its column stops the application (A30, A69).
    ///
    /// # Errors
    /// [`Kind::Retry`] if it is mended: begin with step 1.
    pub(super) async fn cycle_or_repair(&mut self) -> Result<Counts> {
        let error = match self.cycle().await {
            Err(error) if matches!(error.kind(), Kind::Tracking | Kind::Schema) => error,
            other => return other,
        };
        let found = !self.inspect().await?.is_empty();
        if error.kind() == Kind::Tracking && (self.renew_cursors().await? || found) {
            return Err(Error::new(Kind::Retry, "tracking was repaired").source(error));
        }
        Err(error)
    }

    /// Cursors on logs that are no more are replaced, and their links compared (A11). Whether there were any.
    pub(super) async fn renew_cursors(&mut self) -> Result<bool> {
        let integration = self.integration.clone();
        let mut session = self.home_session().await?;
        let mut cursors = Vec::new();
        let mut links = Vec::new();
        for (at, link) in integration.links.iter().enumerate() {
            let known = state::cursors(&mut *session, link).await?;
            for side in Side::BOTH {
                let endpoint = &self.endpoints[link.endpoint[side]];
                let (Some(tracking), Some(since)) = (endpoint.tracking(), &known[side]) else { continue };
                let place = || format!("endpoint {}", integration.endpoints[link.endpoint[side]]);
                let one = Tracked { collection: link.collection[side].clone(), since: Some(since.clone()) };
                if !endpoint.window(&[one], 1).await.is_err_and(|error| error.kind() == Kind::Tracking) {
                    continue;
                }
                let table = link.collection[side].table.clone();
                let renewed = tracking.renew(&integration.name, &[(table, since.clone())]).await.context(place())?;
                for position in renewed.into_iter().flatten() {
                    tracing::warn!("{}: another change log than was read before: comparing", link.name);
                    cursors.push((link.number, side, position));
                    links.push(at);
                }
            }
        }
        drop(session);
        if cursors.is_empty() {
            return Ok(false);
        }
        // Asked for before the cursors move, lest a crash between the two lets it be forgotten.
        self.ask_scan(&links).await?;
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::write_cursors(&mut *tx, &cursors).await?;
        tx.commit().await?;
        self.cursors.fill(None);
        Ok(true)
    }
}
