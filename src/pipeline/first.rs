//! The first sync of a link, which a person approves where both sides hold data, and the first one of a link whose
//! configuration has changed.

use super::{BATCH, Counts, Pipeline};
use crate::error::Result;
use crate::model::{Both, FirstSync, Integration, Link, Reason, Scan, ScanPart, Side, Work};
use crate::sql::Session;
use crate::state;
use sha2::{Digest, Sha256};

impl Pipeline {
    /// The plan of a first sync that a person has to approve: both sides of a link that was never synced
    /// hold data. `None`: nothing needs approval.
    pub async fn first_sync(&mut self) -> Result<Option<Counts>> {
        let integration = self.integration.clone();
        if integration.first_sync == FirstSync::Auto {
            return Ok(None);
        }
        let mut session = self.home_session().await?;
        let settings = state::settings(&mut *session, &integration.name).await?;
        let approved = |link: &Link| settings.iter().any(|(name, value)| *name == first_sync_of(link) && value == APPROVED);
        let mut new = Vec::new();
        let going = self.going().into_iter().map(|at| (at, &integration.links[at]));
        for (at, link) in going.filter(|(_, link)| !approved(link)) {
            if state::scan(&mut *session, link).await?.is_some() && state::count(&mut *session, link).await?.pairs == 0 {
                new.push((at, link));
            }
        }
        let mut both_hold_data = false;
        if !new.is_empty() {
            let mut moment = self.capture(&mut *session).await?;
            for (at, link) in new {
                let mut rows = Both::<u64>::default();
                for side in Side::BOTH {
                    let (window, place) = moment.window(at, link, side);
                    rows[side] = window.page(place, None, 1).await?.len() as u64;
                }
                both_hold_data |= rows.source > 0 && rows.target > 0;
            }
        }
        drop(session);
        if both_hold_data { Ok(Some(self.plan().await?)) } else { self.approve_first_sync().await.map(|()| None) }
    }

    /// Lets the first sync of every link that goes now write.
    pub async fn approve_first_sync(&mut self) -> Result<()> {
        let mut tx = self.home()?.begin(&self.fence).await?;
        for link in self.going().into_iter().map(|at| &self.integration.links[at]) {
            state::write_setting(&mut *tx, &self.fence.integration, &first_sync_of(link), APPROVED).await?;
        }
        tx.commit().await
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
