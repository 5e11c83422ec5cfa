//! Links that can't go on stand still, each alone: the others never notice (I7, F13, A78).
//!
//! A table that is missing, a column that was dropped, a right that was taken away, a trigger that may not be repaired:
//! nothing of such a link is read or written, and its cursors stay. So its logs keep what happens meanwhile, and it is looked
//! at again at every inspection. As soon as nothing is in its way any more, everything begins with step 1, as after a
//! crash: names and columns are looked up anew, what was repaired is compared, and the link goes on where it was.
//!
//! A log is read and forgotten by the integration, not by a link: links that share a table stand still together.

use std::collections::{BTreeMap, HashSet};

use super::Pipeline;
use super::clock::passed;
use super::run::tables_of;
use crate::endpoint::{Endpoint, Tracked};
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Integration, Link, Obstacle, Side, Table};
use crate::state::{self, Stop};

/// A link that had to stop again within this time after it had gone on, in seconds, waits before it goes on once more: ever
/// longer, up to so long.
const SOON_S: i64 = 600;
const WAIT_MAX_S: i64 = 60;

/// So long after a repair that failed it is tried again, in seconds; doubled up to [`WAIT_MAX_S`].
const REPAIR_AGAIN_S: i64 = 2;

/// What is known of a link that stands still, or did.
pub(super) struct Stopped {
    stop: Stop,
    /// When its tracking may be repaired again, and how long to wait after that.
    repair: (i64, i64),
    /// It waited for the approval of its first sync when this process took over: until it is asked for anew, it goes, as what
    /// is to be approved has to be looked at.
    open: bool,
}

impl Stopped {
    fn new(stop: Stop) -> Stopped {
        Stopped { open: stop.unapproved && stop.until.is_none(), stop, repair: (0, REPAIR_AGAIN_S) }
    }

    fn stands(&self) -> bool {
        self.stop.until.is_none() && !self.open
    }
}

/// How a link looks that stands still.
enum Look {
    Clear,
    /// As it did.
    Same,
}

/// Whether an error is a link's own: the others can go on.
pub(super) fn of_a_link(error: &Error) -> bool {
    matches!(error.kind(), Kind::Tracking | Kind::Schema | Kind::Denied)
}

/// An error as the reason why a link stands still.
pub(super) fn obstacle(error: &Error) -> Obstacle {
    Obstacle { cause: error.to_string(), next: error.what_next().to_owned() }
}

/// The places of links that are not read and written: those that stand still, and those that share a table with one.
pub(super) fn still(integration: &Integration, stopped: &BTreeMap<usize, Stopped>) -> HashSet<usize> {
    let stands = |at: &usize| integration.links[*at].broken.is_some() || stopped.get(at).is_some_and(Stopped::stands);
    (0..integration.links.len()).filter(stands).flat_map(|at| integration.sharing(at)).collect()
}

/// What is known of the links that stood still when this process took over.
pub(super) fn known(links: &[Link], stops: BTreeMap<i64, Stop>) -> BTreeMap<usize, Stopped> {
    let place = |number: i64| links.iter().position(|link| link.number == number);
    stops.into_iter().filter_map(|(number, stop)| Some((place(number)?, Stopped::new(stop)))).collect()
}

impl Pipeline {
    /// Whether a link is read and written.
    pub(super) fn goes(&self, at: usize) -> bool {
        !self.still.contains(&at)
    }

    fn stands(&self, at: usize) -> bool {
        self.stopped.get(&at).is_some_and(Stopped::stands)
    }

    /// The links that are read and written, by their places.
    pub(super) fn going(&self) -> Vec<usize> {
        (0..self.integration.links.len()).filter(|at| self.goes(*at)).collect()
    }

    /// Their tables at an endpoint.
    pub(super) fn tables(&self, endpoint: usize) -> Vec<Table> {
        let going = self.going();
        tables_of(going.iter().map(|at| &self.integration.links[*at]), endpoint)
    }

    /// Their tables and those of links that wait for approval: whose logs are kept short.
    pub(super) fn tables_kept_short(&self, endpoint: usize) -> Vec<Table> {
        let kept = (0..self.integration.links.len()).filter(|at| self.goes(*at) || self.waits_for_approval(*at));
        tables_of(kept.map(|at| &self.integration.links[at]), endpoint)
    }

    /// Why a link stands still: the error of a run that has carried all the others through. A fault is named before a question.
    pub fn standstill(&self) -> Option<Error> {
        let links = &self.integration.links;
        let mut standing: Vec<_> = self.stopped.iter().filter(|(at, _)| self.stands(**at)).collect();
        standing.sort_by_key(|(_, stopped)| stopped.stop.unapproved);
        let (at, first) = standing.first()?;
        let told = |(at, stopped): &(&usize, &Stopped)| {
            format!("link {} stands still: {}", links[**at].name, stopped.stop.obstacle.cause)
        };
        let message = standing.iter().map(told).collect::<Vec<_>>().join("; ");
        // What is not there is named by the configuration.
        let kind = match (links[**at].broken.is_some(), first.stop.unapproved) {
            (true, _) => Kind::Config,
            (false, true) => Kind::Approval,
            (false, false) => Kind::Schema,
        };
        Some(Error::new(kind, message).hint(first.stop.obstacle.next.clone()))
    }

    /// Whether a cycle ended because a link stopped or its tracking was repaired: what is left begins with step 1.
    pub fn begins_anew(&self) -> bool {
        self.anew
    }

    /// At the start: what can't be run as it is configured stops, and what stood still is looked at. `patient`: it was so a
    /// moment ago, in this process.
    pub(super) async fn examine(&mut self, patient: bool) -> Result<()> {
        let integration = self.integration.clone();
        for (at, link) in integration.links.iter().enumerate() {
            if let Some(obstacle) = &link.broken {
                self.stop(at, obstacle.clone()).await?;
            } else if self.stands(at) && (!patient || self.waited(at)) {
                self.look_at(at).await?;
            }
        }
        Ok(())
    }

    /// Looks at the links that stand still.
    ///
    /// # Errors
    /// [`Kind::Retry`] if one can go on: begin with step 1.
    pub(super) async fn look_again(&mut self) -> Result<()> {
        for at in 0..self.integration.links.len() {
            if self.stands(at) && self.waited(at) && self.look_at(at).await? {
                self.anew = true;
            }
        }
        if self.anew { Err(Error::new(Kind::Retry, "a link that stood still goes on")) } else { Ok(()) }
    }

    /// Whether it is time for one that stopped again and again.
    fn waited(&self, at: usize) -> bool {
        let waits = |stop: &Stop| if stop.again == 0 { 0 } else { (1 << stop.again.min(16)).min(WAIT_MAX_S) };
        self.stopped.get(&at).is_none_or(|stopped| passed(stopped.stop.since, self.door.now(), waits(&stopped.stop)))
    }

    /// Looks at one that stands still; whether it goes on.
    async fn look_at(&mut self, at: usize) -> Result<bool> {
        match self.look(at).await {
            Ok(Look::Clear) => self.go_on(at).await.map(|()| true),
            Ok(Look::Same) => Ok(false),
            Err(error) if of_a_link(&error) => self.stop(at, obstacle(&error)).await.map(|()| false),
            Err(error) => Err(error),
        }
    }

    /// Stops a link. Repeated, it only learns of another cause.
    pub(super) async fn stop(&mut self, at: usize, obstacle: Obstacle) -> Result<()> {
        self.stop_for(at, obstacle, false).await
    }

    /// Stops a link whose first sync was not approved.
    pub(super) async fn stop_until_approved(&mut self, at: usize, obstacle: Obstacle) -> Result<()> {
        self.stop_for(at, obstacle, true).await
    }

    /// Whether a link waits for the approval of its first sync, or did when this process took over.
    pub(super) fn waits_for_approval(&self, at: usize) -> bool {
        self.stopped.get(&at).is_some_and(|stopped| stopped.stop.unapproved && stopped.stop.until.is_none())
    }

    /// One that has waited for approval goes on waiting: it was said before.
    pub(super) fn waits_on(&mut self, at: usize) {
        if let Some(stopped) = self.stopped.get_mut(&at) {
            stopped.open = false;
        }
        self.still = still(&self.integration, &self.stopped);
    }

    /// Those that go although they waited need not wait any more.
    pub(super) async fn need_not_wait(&mut self) -> Result<()> {
        let open: Vec<usize> = self.stopped.iter().filter(|(_, stopped)| stopped.open).map(|(at, _)| *at).collect();
        for at in open {
            self.go_on(at).await?;
        }
        Ok(())
    }

    async fn stop_for(&mut self, at: usize, mut obstacle: Obstacle, unapproved: bool) -> Result<()> {
        let name = &self.integration.links[at].name;
        if let Some(cause) = obstacle.cause.strip_prefix(&format!("link {name}: ")) {
            obstacle.cause = cause.to_owned();
        }
        let now = self.door.now();
        let before = self.stopped.get(&at).map(|stopped| &stopped.stop);
        if before.is_some_and(|stop| stop.until.is_none() && stop.obstacle == obstacle) {
            return Ok(());
        }
        let (since, again) = match before {
            None => (now, 0),
            Some(Stop { until: None, since, again, .. }) => (*since, *again),
            Some(Stop { until: Some(until), again, .. }) => (now, if now - until < SOON_S { again + 1 } else { 0 }),
        };
        tracing::warn!(link = name, "it stands still, the others go on: {}; next: {}", obstacle.cause, obstacle.next);
        self.set_stop(at, Stop { obstacle, since, again, until: None, unapproved }).await
    }

    async fn go_on(&mut self, at: usize) -> Result<()> {
        let Some(Stopped { stop, .. }) = self.stopped.get(&at) else { return Ok(()) };
        let stop = Stop { until: Some(self.door.now()), ..stop.clone() };
        tracing::info!(link = self.integration.links[at].name, "nothing is in its way any more: it goes on");
        self.set_stop(at, stop).await
    }

    async fn set_stop(&mut self, at: usize, stop: Stop) -> Result<()> {
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::write_stop(&mut *tx, &self.fence.integration, &self.integration.links[at], &stop).await?;
        tx.commit().await?;
        let stopped = self.stopped.entry(at).or_insert_with(|| Stopped::new(stop.clone()));
        (stopped.stop, stopped.open) = (stop, false);
        self.still = still(&self.integration, &self.stopped);
        Ok(())
    }

    /// How a link looks that stands still: with an error of its own it does so for another reason.
    async fn look(&mut self, at: usize) -> Result<Look> {
        let integration = self.integration.clone();
        let link = &integration.links[at];
        if link.broken.is_some() {
            return self.look_for_tables(link).await;
        }
        if self.waits_for_approval(at) {
            return self.is_approved(at).await.map(|approved| if approved { Look::Clear } else { Look::Same });
        }
        for side in Side::BOTH {
            let (endpoint, table) = (self.endpoints[link.endpoint[side]].clone(), &link.collection[side].table);
            let place = || format!("endpoint {}", integration.endpoints[link.endpoint[side]]);
            let there = match endpoint.describe(Some(std::slice::from_ref(&table.name))).await {
                Err(error) if error.kind() == Kind::Schema => return Ok(Look::Same),
                there => there.context(place())?,
            };
            // Whether another shape will do, the configuration has to say.
            if there.first() != Some(table) {
                return Ok(Look::Clear);
            }
            if let Some(tracking) = endpoint.tracking() {
                let findings = tracking.inspect(std::slice::from_ref(table)).await.context(place())?;
                if !findings.is_empty() {
                    if !self.repair_is_due(at) {
                        return Ok(Look::Same);
                    }
                    self.mend(link.endpoint[side], table, &findings).await?;
                }
            }
            self.read_one(&*endpoint, link, side).await.context(place())?;
        }
        self.check_whole_map(&mut *self.home_session().await?, link).await?;
        Ok(Look::Clear)
    }

    /// Of a link that is configured for other tables than there are: whether there are others now than when that was found out.
    async fn look_for_tables(&mut self, link: &Link) -> Result<Look> {
        for side in Side::BOTH {
            let known = &link.collection[side].table;
            let mut there = self.endpoints[link.endpoint[side]].describe(None).await?;
            there.retain(|table| table.name == known.name || table.name.name == known.name.name);
            let same = match there.iter().find(|table| table.name == known.name).or(there.first().filter(|_| there.len() == 1)) {
                // Without columns stands what was not there, or of no use.
                Some(table) => table == known || known.columns.is_empty() && table.refused.is_some(),
                None => known.columns.is_empty(),
            };
            if !same {
                return Ok(Look::Clear);
            }
        }
        Ok(Look::Same)
    }

    fn repair_is_due(&mut self, at: usize) -> bool {
        let now = self.door.now();
        let Some(Stopped { repair: (due, pause), .. }) = self.stopped.get_mut(&at) else { return true };
        if now < *due {
            return false;
        }
        (*due, *pause) = (now + *pause, (*pause * 2).min(WAIT_MAX_S));
        true
    }

    /// Reads as the cycle does, one record. A log that is another than before is no obstacle: its cursor is renewed.
    async fn read_one(&self, endpoint: &dyn Endpoint, link: &Link, side: Side) -> Result<()> {
        let since = state::cursors(&mut *self.home_session().await?, link).await?[side].take();
        let tracked = Tracked { collection: link.collection[side].clone(), since };
        let mut window = match endpoint.window(&[tracked], 1).await {
            Err(error) if error.kind() == Kind::Tracking => return Ok(()),
            opened => opened?,
        };
        let keys = window.page(0, None, 1).await?;
        window.fetch(0, &keys).await.map(|_| ())
    }

    /// Stops the link that a cycle failed by: the one that was in hand, or one that can't be read by itself either. Whether
    /// there was one.
    pub(super) async fn stop_what_failed(&mut self, error: &Error) -> Result<bool> {
        if let Some(at) = self.in_hand.take() {
            return self.stop(at, obstacle(error)).await.map(|()| true);
        }
        let integration = self.integration.clone();
        let mut found = false;
        for at in self.going() {
            let link = &integration.links[at];
            for side in Side::BOTH {
                let place = || format!("endpoint {}", integration.endpoints[link.endpoint[side]]);
                let endpoint = self.endpoints[link.endpoint[side]].clone();
                match self.read_one(&*endpoint, link, side).await.context(place()) {
                    Err(error) if of_a_link(&error) => {
                        self.stop(at, obstacle(&error)).await?;
                        found = true;
                    }
                    read => read?,
                }
            }
        }
        Ok(found)
    }
}
