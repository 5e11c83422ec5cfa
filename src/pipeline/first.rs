//! The first sync of a link, which a person approves where both sides hold data, and the first one of a link whose
//! configuration has changed.

use super::stopped::of_a_link;
use super::{BATCH, Counts, Pipeline};
use crate::endpoint::Tracked;
use crate::error::{Context, Result};
use crate::model::{Both, FirstSync, Integration, Link, Obstacle, Reason, Scan, ScanPart, Side, Work};
use crate::sql::Session;
use crate::state;
use sha2::{Digest, Sha256};

/// Links whose first sync a person has to approve: they were never synced, and both their sides hold data.
pub struct Unapproved {
    links: Vec<usize>,
    /// Whether the integration has no other links, or none that was ever synced: it is new as a whole.
    pub all_new: bool,
}

impl Unapproved {
    /// Whether one of these links, by place, is among them.
    pub fn any_of(&self, links: &[usize]) -> bool {
        links.iter().any(|at| self.links.contains(at))
    }
}

impl Pipeline {
    /// The links that may not write before a person has approved it. `None`: all may.
    ///
    /// Until it is said what becomes of them ([`Pipeline::approve_first_sync`], [`Pipeline::wait_for_approval`]) no cycle may
    /// run.
    pub async fn first_sync(&mut self) -> Result<Option<Unapproved>> {
        let new = self.never_synced().await?;
        let mut links = Vec::new();
        for at in new.iter().copied().filter(|at| self.goes(*at)) {
            if self.holds_data(at, Side::Source).await? && self.holds_data(at, Side::Target).await? {
                links.push(at);
            }
        }
        if !links.is_empty() {
            return Ok(Some(Unapproved { links, all_new: new.len() == self.integration.links.len() }));
        }
        if self.integration.first_sync == FirstSync::Ask {
            self.approve_first_sync().await?;
        }
        self.need_not_wait().await.map(|()| None)
    }

    /// The links, by place, that have to ask before their first sync and were never synced.
    async fn never_synced(&self) -> Result<Vec<usize>> {
        let mut new = Vec::new();
        if self.integration.first_sync == FirstSync::Auto {
            return Ok(new);
        }
        let mut session = self.home_session().await?;
        let settings = state::settings(&mut *session, &self.integration.name).await?;
        for (at, link) in self.integration.links.iter().enumerate().filter(|(_, link)| !is_approved(&settings, link)) {
            if state::scan(&mut *session, link).await?.is_some() && state::count(&mut *session, link).await?.pairs == 0 {
                new.push(at);
            }
        }
        Ok(new)
    }

    async fn holds_data(&self, at: usize, side: Side) -> Result<bool> {
        let link = &self.integration.links[at];
        let since = state::cursors(&mut *self.home_session().await?, link).await?[side].take();
        let tracked = Tracked { collection: link.collection[side].clone(), since };
        let place = || format!("endpoint {}", self.integration.endpoints[link.endpoint[side]]);
        let mut window = self.endpoints[link.endpoint[side]].window(&[tracked], 1).await.context(place())?;
        Ok(!window.page(0, None, 1).await.context(place())?.is_empty())
    }

    /// Lets the first sync of every link that goes now write.
    pub async fn approve_first_sync(&mut self) -> Result<()> {
        let mut tx = self.home()?.begin(&self.fence).await?;
        for link in self.going().into_iter().map(|at| &self.integration.links[at]) {
            state::write_setting(&mut *tx, &self.fence.integration, &first_sync_of(link), APPROVED).await?;
        }
        tx.commit().await?;
        self.need_not_wait().await
    }

    /// Lets these links stand still until they are approved; the others go on, and new ones among them may write.
    pub async fn wait_for_approval(&mut self, unapproved: &Unapproved) -> Result<()> {
        let known = |at: &usize| self.waits_for_approval(*at);
        let (waiting, anew): (Vec<usize>, Vec<usize>) = unapproved.links.iter().partition(|at| known(at));
        for at in waiting {
            self.waits_on(at);
        }
        let planned = if anew.is_empty() { None } else { self.plan_of(&anew).await? };
        for at in anew {
            let obstacle = not_approved(&self.integration.links[at], planned.as_ref());
            self.stop_until_approved(at, obstacle).await?;
        }
        self.approve_first_sync().await
    }

    /// What the first sync of some links would do; `None` where that can't be said.
    async fn plan_of(&mut self, links: &[usize]) -> Result<Option<Counts>> {
        let others = (0..self.integration.links.len()).filter(|at| !links.contains(at)).collect();
        let still = std::mem::replace(&mut self.still, others);
        let planned = self.plan().await;
        self.still = still;
        match planned {
            Err(error) if of_a_link(&error) => Ok(None),
            planned => planned.map(Some),
        }
    }

    /// Whether a person has approved a link's first sync by now.
    pub(super) async fn is_approved(&self, at: usize) -> Result<bool> {
        let settings = state::settings(&mut *self.home_session().await?, &self.integration.name).await?;
        Ok(is_approved(&settings, &self.integration.links[at]))
    }

    /// A link whose configuration has changed since the last run may have something to carry that no log will ever
    /// name: a new field, a direction that was closed. All its records are compared. So are those of a link that was
    /// taken out and put back: nobody kept the logs for it.
    pub(super) async fn compare_changed_links(&mut self) -> Result<()> {
        let integration = self.integration.clone();
        let settings = state::settings(&mut *self.home_session().await?, &integration.name).await?;
        let mut tx = self.home()?.begin(&self.fence).await?;
        for (name, value) in &settings {
            let away = |number: &str| integration.links.iter().all(|link| link.number.to_string() != number);
            if name.strip_prefix(CONFIGURATION).is_some_and(away) && !value.starts_with(AWAY) {
                let now = if value.ends_with(PROVES) { format!("{AWAY}{PROVES}") } else { AWAY.to_owned() };
                state::write_setting(&mut *tx, &integration.name, name, &now).await?;
            }
        }
        for link in integration.links.iter().filter(|link| link.broken.is_none()) {
            let (name, now) = (format!("{CONFIGURATION}{}", link.number), what_decides(&integration, link));
            let before = settings.iter().find(|(setting, _)| *setting == name).map(|(_, value)| value);
            if before == Some(&now) {
                continue;
            }
            state::write_setting(&mut *tx, &integration.name, &name, &now).await?;
            if before.is_some() {
                tracing::info!(link = link.name, "its configuration has changed, or it was away: all its records are compared");
                // A compare that is under way has passed some of them as they were configured before: it starts over.
                let under_way = state::scan(&mut *tx, link).await?.map(|scan| scan.part);
                let part = under_way.filter(|part| matches!(part, ScanPart::Recheck(_))).unwrap_or(ScanPart::Source);
                let scan = Scan { link: link.number, part, after: None, asked: self.door.now() };
                state::write_scan(&mut *tx, &scan).await?;
                ask_again(&mut *tx, link).await?;
            }
        }
        tx.commit().await
    }
}

/// Records that lost a side, and are held: no compare looks at them, and under another policy they may be decided. The brake
/// counts them anew.
async fn ask_again(session: &mut dyn Session, link: &Link) -> Result<()> {
    let mut after = None;
    loop {
        let page = state::list_work(session, link, after, BATCH as i64).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.side, last.name()));
        let held = page.into_iter().filter(|work| work.lost.is_some() && work.reason == Reason::Held);
        let anew: Vec<Work> = held.map(|work| Work { reason: Reason::Gone, next_try: 0, cycle: 0, ..work }).collect();
        state::write_work(session, &anew).await?;
    }
}

/// The setting that holds what a link was configured to do, and what it holds while the link is taken out.
const CONFIGURATION: &str = "configuration:";
const AWAY: &str = "away";

/// How either ends where a match rule tells the link's records from others.
const PROVES: &str = " match";

/// Of a link that is away, whether a match rule tells its records from others.
pub(super) fn away(settings: &[(String, String)], number: i64) -> Option<bool> {
    let name = format!("{CONFIGURATION}{number}");
    let value = settings.iter().find(|(setting, _)| *setting == name).map(|(_, value)| value)?;
    value.starts_with(AWAY).then_some(value.ends_with(PROVES))
}

/// The value of a setting that says that a link's first sync was approved.
const APPROVED: &str = "approved";

pub(super) fn first_sync_of(link: &Link) -> String {
    format!("first_sync:{}", link.number)
}

fn is_approved(settings: &[(String, String)], link: &Link) -> bool {
    settings.iter().any(|(name, value)| *name == first_sync_of(link) && value == APPROVED)
}

/// Approves the first syncs that wait while another process runs the integration, which takes them up by itself. Returns the
/// names of the links.
pub async fn approve_waiting(session: &mut dyn Session, integration: &Integration) -> Result<Vec<String>> {
    let stops = state::stops(session, &integration.name).await?;
    let waits = |link: &&Link| stops.get(&link.number).is_some_and(|stop| stop.until.is_none() && stop.unapproved);
    let mut approved = Vec::new();
    for link in integration.links.iter().filter(waits) {
        state::write_setting(session, &integration.name, &first_sync_of(link), APPROVED).await?;
        approved.push(link.name.clone());
    }
    Ok(approved)
}

/// Why a link stands still whose first sync was not approved.
fn not_approved(link: &Link, planned: Option<&Counts>) -> Obstacle {
    let would = planned.and_then(|planned| planned.links.get(&link.name)).map_or_else(String::new, |counts| {
        format!(
            "; it would create {} in the source and {} in the target, link {}, of which {} differ, and leave {} held or waiting",
            counts.created_source,
            counts.created_target,
            counts.linked,
            counts.conflicts,
            counts.held + counts.waiting
        )
    });
    Obstacle {
        cause: format!("both its sides hold data, and its first sync was not approved{would}"),
        next: "twinrow approve first-sync   # what it would do: twinrow plan, while no process runs".to_owned(),
    }
}

/// A hash of what decides about a link's records.
fn what_decides(integration: &Integration, link: &Link) -> String {
    let mut words = format!("{:?} {:?} {:?} {:?}", link.direction, link.conflict, link.deletes, link.keys);
    let names = |fields: &mut dyn Iterator<Item = usize>| -> Vec<&str> {
        fields.filter_map(|at| link.fields.get(at)).map(|field| field.name.as_str()).collect()
    };
    words += &format!(" {:?}", names(&mut link.newest.into_iter()));
    for rule in &link.matching {
        words += &format!(" {:?} {:?}", names(&mut std::iter::once(rule.field)), rule.normal);
    }
    let mut fields: Vec<String> = Vec::new();
    for (at, field) in link.fields.iter().enumerate() {
        let via = field.via.and_then(|via| integration.links.get(via)).map(|link| &link.name);
        // A column that is given another type may have other values then, of which no log tells.
        let types = Both::from_fn(|side| &link.collection[side].column(at).kind);
        fields.push(format!("{} {:?} {:?} {:?} {via:?} {types:?}", field.name, field.direction, field.blanks, field.lossy));
    }
    fields.sort_unstable();
    words += &fields.join("; ");
    let proves = if link.matching.iter().any(|rule| rule.proves) { PROVES } else { "" };
    crate::model::hex(&Sha256::digest(words.as_bytes())[..16]) + proves
}
