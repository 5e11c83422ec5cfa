//! `twinrow status`

use std::collections::BTreeMap;

use serde::Serialize;

use super::Context;
use super::open::{Opened, home_session, open, with_numbers};
use super::output;
use crate::error::Result;
use crate::model::Reason;
use crate::state::{self, BrakeKind, PairCounts};

#[derive(Serialize)]
struct Status {
    integration: String,
    run_by: Option<String>,
    settings: BTreeMap<String, String>,
    links: Vec<LinkStatus>,
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
}

/// Shows how each link stands.
pub async fn run(context: &Context) -> Result<()> {
    let Opened { mut integration, endpoints, .. } = open(&context.config).await?;
    let mut session = home_session(&integration, &endpoints).await?;
    with_numbers(&mut *session, &mut integration).await?;
    let lease = state::read_lease(&mut *session, &integration.name).await?;
    let settings = state::settings(&mut *session, &integration.name).await?.into_iter().collect();
    let mut links = Vec::new();
    for link in &integration.links {
        let work = state::work_counts(&mut *session, link).await?;
        let count = |wanted: &[Reason]| work.iter().filter(|((reason, _), _)| wanted.contains(reason)).map(|(_, n)| n).sum();
        let brakes = state::brakes(&mut *session, link).await?;
        links.push(LinkStatus {
            link: link.name.clone(),
            pairs: state::count(&mut *session, link).await?,
            held: count(&[Reason::Held]),
            waiting: count(&[Reason::Waiting, Reason::Unfinished]),
            busy: count(&[Reason::Busy]),
            braked: count(&[Reason::Braked, Reason::Gone]),
            conflicts: state::conflict_count(&mut *session, link).await?,
            comparing: state::scan(&mut *session, link).await?.is_some(),
            brakes: brakes
                .iter()
                .map(|brake| {
                    let what = if brake.kind == BrakeKind::Deletes { "records gone" } else { "changes" };
                    format!(
                        "{} {what} of {}, nothing is written to the {} until: twinrow approve {}",
                        brake.records, brake.pairs, brake.side, link.name
                    )
                })
                .collect(),
        });
    }
    let run_by =
        lease.filter(|lease| lease.until > 0).map(|lease| format!("{} until {}", lease.holder, output::time(lease.until)));
    let status = Status { integration: integration.name.clone(), run_by, settings, links };
    if context.json {
        return output::json(&status);
    }
    print(&status);
    Ok(())
}

fn print(status: &Status) {
    println!("{}: {}", status.integration, status.run_by.as_ref().map_or("not running".to_owned(), |by| format!("run by {by}")));
    if let Some(time) = status.settings.get("last_sync_time").and_then(|time| time.parse().ok()) {
        println!("last sync: {}", output::time(time));
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
        if link.comparing {
            println!("{}: a full compare is under way", link.link);
        }
        for brake in &link.brakes {
            println!("{}: BRAKE: {brake}", link.link);
        }
    }
}
