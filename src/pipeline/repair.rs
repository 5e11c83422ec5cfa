//! Tracking objects that are not as they were installed, and logs that are not those that were read before.

use super::stopped::{obstacle, of_a_link};
use super::takeover::check_identity;
use super::{Counts, Pipeline};
use crate::endpoint::Finding;
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Both, Position, Side, Table};
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
    /// the collections compared where changes may have been missed (A17, A31). Where they can't be repaired, their links stop.
    pub async fn inspect(&mut self) -> Result<Vec<Finding>> {
        let integration = self.integration.clone();
        let mut all = Vec::new();
        for (at, endpoint) in self.endpoints.clone().iter().enumerate() {
            let (Some(tracking), name) = (endpoint.tracking(), &integration.endpoints[at]) else { continue };
            let tables = self.tables(at);
            let findings = tracking.inspect(&tables).await.context(format!("endpoint {name}"))?;
            for finding in &findings {
                tracing::warn!(endpoint = name, table = %finding.table, "{}", finding.problem);
            }
            for table in &tables {
                let found: Vec<Finding> = findings.iter().filter(|finding| finding.table == table.name).cloned().collect();
                if found.is_empty() {
                    continue;
                }
                match self.mend(at, table, &found).await {
                    Err(error) if of_a_link(&error) => self.stop_on(at, table, &error).await?,
                    mended => mended?,
                }
            }
            all.extend(findings);
        }
        Ok(all)
    }

    /// Repairs the tracking of one table.
    ///
    /// # Errors
    /// As one of its links' where it can't be repaired: a right is missing, or the application is in the way.
    pub(super) async fn mend(&mut self, endpoint: usize, table: &Table, findings: &[Finding]) -> Result<()> {
        // First of all, so that nothing that happens to us or to the repair makes it forgotten; it begins after.
        self.compare_after(endpoint, findings).await?;
        let at = self.endpoints[endpoint].clone();
        let Some(tracking) = at.tracking() else { return Ok(()) };
        let repaired = tracking.install(std::slice::from_ref(table), endpoint == self.integration.home).await;
        let problems = findings.iter().map(|finding| finding.problem.as_str()).collect::<Vec<_>>().join("; ");
        let unrepaired = |error: Error| {
            let (error, kind) = (by_hand(error), Kind::Tracking);
            let message = format!("{}: {problems}; it can't be repaired: {}", table.name, error.message());
            Error::new(kind, message).hint(error.what_next().to_owned()).source(error)
        };
        match repaired {
            Err(error) if of_a_link(&error) || error.kind() == Kind::Retry => Err(unrepaired(error)),
            other => other.map(|_| ()),
        }
        .context(format!("endpoint {}", self.integration.endpoints[endpoint]))
    }

    /// Stops the links that have this table.
    async fn stop_on(&mut self, endpoint: usize, table: &Table, error: &Error) -> Result<()> {
        let integration = self.integration.clone();
        for (at, link) in integration.links.iter().enumerate() {
            if Side::BOTH
                .into_iter()
                .any(|side| link.endpoint[side] == endpoint && link.collection[side].table.name == table.name)
            {
                self.stop(at, obstacle(error)).await?;
            }
        }
        Ok(())
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
    /// for a trigger without its log or its column stops the application (A30, A69). What can't be mended stops its link.
    ///
    /// # Errors
    /// [`Kind::Retry`] if it is mended or a link stopped: begin with step 1.
    pub(super) async fn cycle_or_repair(&mut self) -> Result<Counts> {
        let error = match self.cycle().await {
            Err(error) if of_a_link(&error) => error,
            other => return other,
        };
        let found = !self.inspect().await?.is_empty();
        // A standby that took over, or a backup that was put back: which, the fences say (rule 17).
        check_identity(&self.integration, &self.endpoints, self.home()?).await?;
        if found || !self.left_logs().await?.is_empty() {
            self.anew = true;
            return Err(Error::new(Kind::Retry, "tracking was not as it was installed").source(error));
        }
        if self.stop_what_failed(&error).await? {
            self.anew = true;
            return Err(Error::new(Kind::Retry, "a link had to stop").source(error));
        }
        // Nothing is wrong any more: a table that was missing for a moment.
        self.cycle().await
    }

    /// Cursors on logs that are no more, or that were left, are replaced, and their links compared (A11). What the map knows
    /// of their records is older than every entry of the new logs, whatever these count from (rule 6). At the start alone,
    /// when no write is under way, and no receipt is left that has a position in the log before.
    pub(super) async fn renew_cursors(&mut self) -> Result<()> {
        let renewed = self.left_logs().await?;
        if renewed.is_empty() {
            return Ok(());
        }
        let integration = self.integration.clone();
        for (at, ..) in &renewed {
            tracing::warn!("{}: another change log than was read before: comparing", integration.links[*at].name);
        }
        // Asked for before the cursors move, lest a crash between the two lets it be forgotten.
        self.ask_scan(&renewed.iter().map(|(at, ..)| *at).collect::<Vec<_>>()).await?;
        self.door.step("renew.asked").await?;
        let mut tx = self.home()?.begin(&self.fence).await?;
        for (at, side, _) in &renewed {
            state::log_anew(&mut *tx, integration.links[*at].number, *side).await?;
            for (link, side) in self.away_with(*at, *side) {
                state::log_anew(&mut *tx, link, side).await?;
            }
        }
        let cursors: Vec<_> =
            renewed.into_iter().map(|(at, side, position)| (integration.links[at].number, side, position)).collect();
        state::write_cursors(&mut *tx, &cursors).await?;
        tx.commit().await?;
        self.cursors.fill(None);
        self.door.step("renew.recorded").await
    }

    /// The links, by their places, and sides whose cursors are on logs that are no more, or that were left; and a position on
    /// the log there is now.
    async fn left_logs(&mut self) -> Result<Vec<(usize, Side, Position)>> {
        let integration = self.integration.clone();
        let mut session = self.home_session().await?;
        let mut left = Vec::new();
        for at in self.going() {
            let link = &integration.links[at];
            let known = state::cursors(&mut *session, link).await?;
            for side in Side::BOTH {
                let endpoint = self.endpoints[link.endpoint[side]].clone();
                let (Some(tracking), Some(since)) = (endpoint.tracking(), &known[side]) else { continue };
                let place = || format!("endpoint {}", integration.endpoints[link.endpoint[side]]);
                let table = link.collection[side].table.clone();
                let renewed = match tracking.renew(&integration.name, &[(table, since.clone())]).await.context(place()) {
                    Err(error) if of_a_link(&error) => {
                        self.stop(at, obstacle(&error)).await?;
                        break;
                    }
                    renewed => renewed?,
                };
                left.extend(renewed.into_iter().flatten().map(|position| (at, side, position)));
            }
        }
        Ok(left)
    }
}
