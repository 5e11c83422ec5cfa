//! `twinrow approve`

use std::sync::Arc;

use super::Context;
use super::open::{Opened, home_session, open_each, with_numbers};
use super::run::start_alone;
use super::stop;
use crate::error::{Error, Kind, Result};
use crate::model::hex;
use crate::pipeline::{Real, approve_waiting};
use crate::state::{self, BrakeKind};

/// `twinrow approve`
#[derive(Debug, clap::Args)]
pub struct Approve {
    /// The link whose brake is lifted, or `first-sync`.
    what: String,
}

/// The name under which a first sync is approved.
const FIRST_SYNC: &str = "first-sync";

/// Lets exactly the set through that waits now; one that changes before it is executed needs a new
/// approval.
pub async fn run(context: &Context, args: &Approve) -> Result<()> {
    let opened = open_each(&context.config).await?;
    if args.what == FIRST_SYNC {
        return Box::pin(first_sync(opened)).await;
    }
    let Opened { mut integration, endpoints, .. } = opened;
    let mut session = home_session(&integration, &endpoints).await?;
    with_numbers(&mut *session, &mut integration, &endpoints).await?;
    let link = integration
        .links
        .iter()
        .find(|link| link.name == args.what)
        .ok_or_else(|| Error::new(Kind::Config, format!("there is no link `{}`", args.what)).hint("twinrow status"))?;
    let brakes = state::brakes(&mut *session, link).await?;
    if brakes.is_empty() {
        return Err(Error::new(Kind::Config, format!("no brake holds {}", link.name)).hint("twinrow status"));
    }
    // Which table it shall be is said by what is missing in it.
    for brake in brakes.into_iter().filter(|brake| brake.kind != BrakeKind::OtherTable) {
        state::approve(&mut *session, &brake).await?;
        let hash = hex(&brake.hash[..brake.hash.len().min(8)]);
        say!("approved: {} record(s) towards the {} (set {hash})", brake.records, brake.side);
    }
    Ok(())
}

/// Approves the first sync of every link, or, while another process runs the integration, of those that wait there.
async fn first_sync(opened: Opened) -> Result<()> {
    let started = start_alone(&opened, &Arc::new(Real::new()), &stop::listen()?, "twinrow approve first-sync").await;
    let run_by_another = match started {
        Ok(mut pipeline) => {
            pipeline.approve_first_sync().await?;
            say!("approved: the next run writes");
            return pipeline.release().await;
        }
        Err(error) if error.kind() == Kind::Fenced => error,
        Err(error) => return Err(error),
    };
    let Opened { mut integration, endpoints, .. } = opened;
    let mut session = home_session(&integration, &endpoints).await?;
    with_numbers(&mut *session, &mut integration, &endpoints).await?;
    let approved = approve_waiting(&mut *session, &integration).await?;
    if approved.is_empty() {
        return Err(run_by_another);
    }
    say!("approved: {}; the process that runs it goes on with it", approved.join(", "));
    Ok(())
}
