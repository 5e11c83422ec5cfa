//! Whether the identity map is the one it was (C21).
//!
//! With an empty map every record is a new one: each would be made a second time on the other side. So the state notes, in
//! the transaction that records a link's first pairs, that it has some. No row of the map is ever removed, also not
//! when its records are gone: a map that had pairs and has none was emptied by hand, or its table was dropped and made
//! anew. How many it ever had is noted too, so one that has fewer was put back from an old backup, or somebody has deleted some.
//! Its link stands still until the map is back, or a person decides that it begins anew.

use std::collections::HashSet;

use super::Pipeline;
use super::first::first_sync_of;
use super::stopped::{obstacle, of_a_link};
use crate::error::{Error, Kind, Result};
use crate::model::{Link, Scan, ScanPart};
use crate::sql::Session;
use crate::state;

/// The settings that say whether a link's map has, or had, pairs: the link's number follows.
const MAPPED: &str = "mapped:";
const YES: &str = "true";
const NO: &str = "false";

/// Whether a setting is one of these: nothing that a person would set.
pub fn is_map(setting: &str) -> bool {
    setting.starts_with(MAPPED)
}

fn setting(link: &Link) -> String {
    format!("{MAPPED}{}", link.number)
}

/// The numbers of the links whose map has, or had, pairs.
pub(super) async fn known(session: &mut dyn Session, integration: &str) -> Result<HashSet<i64>> {
    let settings = state::settings(session, integration).await?;
    let mapped = settings.iter().filter(|(_, value)| value == YES);
    Ok(mapped.filter_map(|(name, _)| name.strip_prefix(MAPPED)?.parse().ok()).collect())
}

/// What is told of a link whose map was lost; `missing`: how many of its pairs, if not all.
fn lost(link: &Link, missing: Option<u64>) -> Error {
    let name = &link.name;
    let why = match missing {
        None => {
            "its identity map is empty, though it had pairs: it was deleted, or its table dropped and made anew. Without it every \
             record would be made a second time; nothing was written"
                .to_owned()
        }
        Some(missing) => format!(
            "{missing} of the pairs its identity map had are not there: rows of it were deleted, or an older one was put back. \
             Without them records would be made a second time; nothing was written"
        ),
    };
    let next = match link.matching.is_empty() {
        false => format!("put the map back from a backup, or find the twins by `match:` again: twinrow resync new-map {name}"),
        true => format!(
            "put the map back from a backup, or give the link a `match:`, then: twinrow resync new-map {name}   # without one, \
             {} is made a second time",
            if missing.is_some() { "each of their records" } else { "every record" }
        ),
    };
    Error::new(Kind::Schema, why).context(format!("link {name}")).hint(next)
}

impl Pipeline {
    /// Refuses a link whose map was lost: one query, however large the map is.
    ///
    /// # Errors
    /// Its own, by which the link stands still.
    pub(super) async fn check_map(&self, session: &mut dyn Session, link: &Link) -> Result<()> {
        if self.mapped.contains(&link.number) && !state::has_pairs(session, link).await? {
            return Err(lost(link, None));
        }
        Ok(())
    }

    /// Refuses a link that lost any of its map: the whole map is counted.
    ///
    /// # Errors
    /// Its own, by which the link stands still.
    pub(super) async fn check_whole_map(&self, session: &mut dyn Session, link: &Link) -> Result<()> {
        self.check_map(session, link).await?;
        match state::missing_pairs(session, link).await?.filter(|missing| *missing > 0) {
            Some(missing) => Err(lost(link, Some(missing))),
            None => Ok(()),
        }
    }

    /// At the start: links whose map was lost, or lacks pairs, stand still; those whose map has pairs, and an older program did not
    /// note it, are noted.
    pub(super) async fn check_maps(&mut self) -> Result<()> {
        let integration = self.integration.clone();
        let mut session = self.home_session().await?;
        let mut unnoted = Vec::new();
        for at in self.going() {
            let link = &integration.links[at];
            let noted = self.mapped.contains(&link.number) && state::missing_pairs(&mut *session, link).await?.is_some();
            let checked = match noted {
                true => self.check_whole_map(&mut *session, link).await,
                false => self.check_map(&mut *session, link).await,
            };
            if !noted && checked.is_ok() && state::has_pairs(&mut *session, link).await? {
                unnoted.push(link);
            }
            match checked {
                Err(error) if of_a_link(&error) => self.stop(at, obstacle(&error)).await?,
                checked => checked?,
            }
        }
        drop(session);
        if unnoted.is_empty() {
            return Ok(());
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        for link in &unnoted {
            self.note_map(&mut *tx, link).await?;
            state::count_anew(&mut *tx, link).await?;
        }
        tx.commit().await?;
        self.mapped.extend(unnoted.iter().map(|link| link.number));
        Ok(())
    }

    /// Notes that a link's map has pairs: in the very transaction that records the first of them.
    pub(super) async fn note_map(&self, session: &mut dyn Session, link: &Link) -> Result<()> {
        if self.mapped.contains(&link.number) {
            return Ok(());
        }
        state::write_setting(session, &self.fence.integration, &setting(link), YES).await
    }

    /// The places of the links whose map was lost.
    pub async fn lost_maps(&self) -> Result<Vec<usize>> {
        let mut session = self.home_session().await?;
        let mut lost = Vec::new();
        for (at, link) in self.integration.links.iter().enumerate() {
            match self.check_whole_map(&mut *session, link).await {
                Err(error) if of_a_link(&error) => lost.push(at),
                checked => checked?,
            }
        }
        Ok(lost)
    }

    /// A person has decided: the next start takes these links for new ones, with a first sync that is asked about.
    pub async fn begin_maps_anew(&mut self, links: &[usize]) -> Result<()> {
        let mut tx = self.home()?.begin(&self.fence).await?;
        for link in links.iter().map(|at| &self.integration.links[*at]) {
            state::write_setting(&mut *tx, &self.fence.integration, &setting(link), NO).await?;
            state::count_anew(&mut *tx, link).await?;
            state::write_setting(&mut *tx, &self.fence.integration, &first_sync_of(link), NO).await?;
            let scan = Scan { link: link.number, part: ScanPart::Source, after: None, asked: self.door.now() };
            state::write_scan(&mut *tx, &scan).await?;
        }
        tx.commit().await?;
        for at in links {
            self.mapped.remove(&self.integration.links[*at].number);
        }
        Ok(())
    }
}
