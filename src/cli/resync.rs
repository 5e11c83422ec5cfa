//! `twinrow resync`

use std::sync::Arc;

use clap::ValueEnum;

use super::Context;
use super::open::open_each;
use super::run::{finish, let_go, once, start_alone};
use super::stop::{self, Stop};
use crate::error::{Error, Kind, Result};
use crate::pipeline::{Pipeline, Real};

/// `twinrow resync`
#[derive(Debug, clap::Args)]
pub struct Resync {
    /// What is compared.
    #[arg(value_enum)]
    what: What,
    /// Only these links.
    links: Vec<String>,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Every record of both sides, through the identity map.
    Full,
    /// The identity map itself, where it was lost: its records are paired anew, as by a first sync.
    NewMap,
}

/// Compares every record of both sides; what is in sync is not written.
pub async fn run(context: &Context, args: &Resync) -> Result<()> {
    let opened = open_each(&context.config).await?;
    let mut links = Vec::new();
    for (at, link) in opened.integration.links.iter().enumerate() {
        if args.links.is_empty() || args.links.contains(&link.name) {
            links.push(at);
        }
    }
    if let Some(unknown) = args.links.iter().find(|name| !opened.integration.links.iter().any(|link| link.name == **name)) {
        return Err(Error::new(Kind::Config, format!("there is no link `{unknown}`")).hint("twinrow status"));
    }
    let door = Arc::new(Real::new());
    let stop = stop::listen()?;
    let what = if args.what == What::NewMap { "new-map" } else { "full" };
    let again = format!("twinrow resync {what} {}", args.links.join(" "));
    let mut pipeline = start_alone(&opened, &door, &stop, again.trim_end()).await?;
    if args.what == What::NewMap {
        links = match begin_anew(&mut pipeline, args, &links).await {
            Err(error) => return Err(let_go(&pipeline, error).await),
            Ok(anew) => anew,
        };
        pipeline = start_alone(&opened, &door, &stop, again.trim_end()).await?;
    }
    let named = args.what == What::NewMap || !args.links.is_empty();
    if let Err(error) = nothing_to_approve(&mut pipeline, &stop, if named { &links } else { &[] }).await {
        return Err(let_go(&pipeline, error).await);
    }
    pipeline.ask_scan(&links).await?;
    let counts = once(&mut pipeline, &opened, &door, &stop).await;
    finish(context, &pipeline, counts).await
}

/// Links whose first sync was not approved stand still, but for those that were named.
async fn nothing_to_approve(pipeline: &mut Pipeline, stop: &Stop, named: &[usize]) -> Result<()> {
    match stop::unless_told(stop, pipeline.first_sync()).await? {
        None => Ok(()),
        Some(new) if !new.all_new && !new.any_of(named) => stop::unless_told(stop, pipeline.wait_for_approval(&new)).await,
        Some(_) => {
            Err(Error::new(Kind::Approval, "both sides of a new link hold data: nothing is written before its plan is approved")
                .hint("twinrow plan   # then: twinrow approve first-sync"))
        }
    }
}

/// Begins the lost maps anew of the links that were asked about; which ones.
async fn begin_anew(pipeline: &mut Pipeline, args: &Resync, asked: &[usize]) -> Result<Vec<usize>> {
    let links = anew(pipeline, args, asked).await?;
    pipeline.begin_maps_anew(&links).await?;
    Ok(links)
}

/// The links whose maps begin anew.
///
/// # Errors
/// If one has its map; or has no `match:`, by which the twins could be found, and nobody has named it.
async fn anew(pipeline: &Pipeline, args: &Resync, asked: &[usize]) -> Result<Vec<usize>> {
    let lost = pipeline.lost_maps().await?;
    let links = &pipeline.integration().links;
    if let Some(whole) = asked.iter().find(|at| !args.links.is_empty() && !lost.contains(at)) {
        let why = format!("link {} has lost nothing: its identity map has pairs, or never had any", links[*whole].name);
        return Err(Error::new(Kind::Config, why).hint("twinrow resync full"));
    }
    if lost.is_empty() {
        return Err(Error::new(Kind::Config, "no identity map was lost").hint("twinrow resync full"));
    }
    let blind = |at: &&usize| args.links.is_empty() && links[**at].matching.is_empty();
    if let Some(link) = lost.iter().find(blind).map(|at| &links[*at].name) {
        let why = format!("link {link} has no `match:`: every record would be made a second time on the other side");
        let next = format!("give it a `match:`, or decide so: twinrow resync new-map {link}");
        return Err(Error::new(Kind::Approval, why).hint(next));
    }
    Ok(asked.iter().copied().filter(|at| lost.contains(at)).collect())
}
