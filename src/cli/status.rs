//! `twinrow status`

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::Context;
use super::open::{Opened, home_session, open_each, with_numbers};
use super::output;
use crate::config::CORRECT;
use crate::endpoint::{Endpoint, OpenTransaction};
use crate::error::{Kind, Result};
use crate::model::{Integration, Link, Obstacle};
use crate::pipeline::{check_identity, is_columns, is_map, is_place, tables_at};
use crate::state::{self, Brake, BrakeKind, Left, PairCounts, Stop};

#[derive(Serialize)]
struct Status {
    integration: String,
    run_by: Option<String>,
    /// Why none of its links can go on.
    refused: Option<Obstacle>,
    settings: BTreeMap<String, String>,
    links: Vec<LinkStatus>,
    open_transactions: Vec<Open>,
    missing_rights: Vec<MissingRight>,
    /// Endpoints that have lost Twinrow's own tables.
    missing_objects: Vec<String>,
}

/// A transaction of the application's that has not ended: what it changed comes when it does.
#[derive(Serialize)]
struct Open {
    endpoint: String,
    #[serde(flatten)]
    transaction: OpenTransaction,
}

/// What we may not see, and the statement that would let us.
#[derive(Serialize)]
struct MissingRight {
    endpoint: String,
    grant: String,
}

#[derive(Serialize)]
struct LinkStatus {
    link: String,
    #[serde(flatten)]
    pairs: PairCounts,
    held: u64,
    waiting: u64,
    busy: u64,
    braked: u64,
    conflicts: u64,
    comparing: bool,
    brakes: Vec<String>,
    stopped: Option<Stopped>,
}

/// Why a link stands still.
#[derive(Serialize)]
struct Stopped {
    #[serde(flatten)]
    obstacle: Obstacle,
    /// Unless no process has met it yet.
    since: Option<String>,
}

/// What a process has met with the configuration it was started with, while the file as it is now has no such mistake.
fn corrected(met: &Obstacle) -> Obstacle {
    let next = if met.next == CORRECT { "it is corrected: end the process that runs it, then: twinrow run" } else { &met.next };
    Obstacle { cause: met.cause.clone(), next: next.to_owned() }
}

/// Whether a link stands still: by itself, or because one does that shares a table with it.
fn stopped(integration: &Integration, stops: &BTreeMap<i64, Stop>, at: usize) -> Option<Stopped> {
    let reason = |at: usize| {
        let link = &integration.links[at];
        let stop = stops.get(&link.number).filter(|stop| stop.until.is_none());
        let since = stop.map(|stop| output::time(stop.since));
        let obstacle = link.broken.clone().or_else(|| stop.map(|stop| corrected(&stop.obstacle)))?;
        Some(Stopped { obstacle, since })
    };
    let shared = |other: usize| {
        let found = reason(other)?;
        let cause = format!("it shares a table with {}: {}", integration.links[other].name, found.obstacle.cause);
        Some(Stopped { obstacle: Obstacle { cause, ..found.obstacle }, ..found })
    };
    reason(at).or_else(|| integration.sharing(at).into_iter().find_map(shared))
}

/// What a brake holds, and until when.
fn told(link: &Link, brake: &Brake) -> String {
    let Brake { records, pairs, side, .. } = brake;
    let what = match brake.kind {
        BrakeKind::Deletes => format!("{records} records gone of {pairs}"),
        BrakeKind::Changes => format!("{records} changes of {pairs}"),
        BrakeKind::OtherTable => {
            let until = format!("the old table is back, or: twinrow approve {}", link.name);
            let what = format!("another table stands in the {side}, which lacks {records} records of {pairs}");
            return format!("{what}, nothing is written to it until {until}");
        }
    };
    format!("{what}, nothing is written to the {side} until: twinrow approve {}", link.name)
}

/// Shows how each link stands.
pub async fn run(context: &Context) -> Result<()> {
    let Opened { mut integration, endpoints, .. } = open_each(&context.config).await?;
    let mut session = home_session(&integration, &endpoints).await?;
    with_numbers(&mut *session, &mut integration, &endpoints).await?;
    let lease = state::read_lease(&mut *session, &integration.name).await?;
    let mut settings: BTreeMap<String, String> = state::settings(&mut *session, &integration.name).await?.into_iter().collect();
    settings.retain(|name, _| !state::is_stop(name) && !is_place(name) && !is_map(name) && !is_columns(name));
    let stops = state::stops(&mut *session, &integration.name).await?;
    let mut links = Vec::new();
    for (at, link) in integration.links.iter().enumerate() {
        let Left { held, waiting, busy, braked } = state::left(&mut *session, link).await?;
        let brakes = state::brakes(&mut *session, link).await?;
        links.push(LinkStatus {
            link: link.name.clone(),
            pairs: state::count(&mut *session, link).await?,
            held,
            waiting,
            busy,
            braked,
            conflicts: state::conflict_count(&mut *session, link).await?,
            comparing: state::scan(&mut *session, link).await?.is_some(),
            brakes: brakes.iter().map(|brake| told(link, brake)).collect(),
            stopped: stopped(&integration, &stops, at),
        });
    }
    let run_by =
        lease.filter(|lease| lease.until > 0).map(|lease| format!("{} until {}", lease.holder, output::time(lease.until)));
    let (mut open_transactions, mut missing_rights, mut missing_objects) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (name, one)) in integration.endpoints.iter().zip(&endpoints).enumerate() {
        let found = match one.open_transactions(&tables_at(&integration, at)).await {
            // Nothing of ours is there any more: nobody waits for it, and below it is said.
            Err(gone) if matches!(gone.kind(), Kind::Schema | Kind::Tracking) => {
                missing_objects.push(name.clone());
                continue;
            }
            found => found?,
        };
        let here = |transaction| Open { endpoint: name.clone(), transaction };
        open_transactions.extend(found.transactions.into_iter().map(here));
        missing_rights.extend(found.missing_right.map(|grant| MissingRight { endpoint: name.clone(), grant }));
    }
    let refused = refused(&integration, &endpoints).await?;
    let integration = integration.name.clone();
    let status = Status { integration, run_by, refused, settings, links, open_transactions, missing_rights, missing_objects };
    if context.json {
        return output::json(&status);
    }
    print(&status);
    Ok(())
}

/// What a run would be refused for before anything is read or written: a database that was restored, or is another one.
pub(super) async fn refused(integration: &Integration, endpoints: &[Arc<dyn Endpoint>]) -> Result<Option<Obstacle>> {
    let Some(home) = endpoints[integration.home].store() else { return Ok(None) };
    match check_identity(integration, endpoints, home).await {
        Err(error) if error.kind() == Kind::Identity => {
            Ok(Some(Obstacle { cause: error.to_string(), next: error.what_next().to_owned() }))
        }
        checked => checked.map(|()| None),
    }
}

fn print(status: &Status) {
    say!("{}: {}", status.integration, status.run_by.as_ref().map_or("not running".to_owned(), |by| format!("run by {by}")));
    if let Some(Obstacle { cause, next }) = &status.refused {
        say!("REFUSED: {cause}; next: {next}");
    }
    for endpoint in &status.missing_objects {
        say!("{endpoint}: Twinrow's own tables are gone there; next: twinrow check");
    }
    if let Some(time) = status.settings.get("last_sync_time").and_then(|time| time.parse().ok()) {
        say!("last sync: {}", output::time(time));
    }
    let heading = ["link", "pairs", "source gone", "target gone", "differ by policy", "held", "waiting", "busy", "conflicts"];
    let mut rows = vec![heading.map(String::from).to_vec()];
    for link in &status.links {
        let numbers = [link.pairs.pairs, link.pairs.source_gone, link.pairs.target_gone, link.pairs.diverged];
        let mut row = vec![link.link.clone()];
        row.extend(numbers.iter().chain(&[link.held, link.waiting, link.busy, link.conflicts]).map(u64::to_string));
        rows.push(row);
    }
    output::table(&rows);
    for link in &status.links {
        if let Some(Stopped { obstacle, since }) = &link.stopped {
            let since = since.as_ref().map_or_else(String::new, |since| format!(" since {since}"));
            say!("{}: STANDS STILL{since}: {}; next: {}", link.link, obstacle.cause, obstacle.next);
        }
        if link.comparing {
            say!("{}: a full compare is under way", link.link);
        }
        for brake in &link.brakes {
            say!("{}: BRAKE: {brake}", link.link);
        }
    }
    for open in &status.open_transactions {
        let since = open.transaction.since.map_or_else(String::new, |since| format!(", open since {}", output::time(since)));
        let tables = &open.transaction.tables;
        let what = if tables.is_empty() { "what it changed".to_owned() } else { format!("its changes of {}", tables.join(", ")) };
        say!("{}: {}{since}: {what} will come when it ends", open.endpoint, open.transaction.who);
    }
    for missing in &status.missing_rights {
        say!("{}: to see who keeps transactions open: {}", missing.endpoint, missing.grant);
    }
}
