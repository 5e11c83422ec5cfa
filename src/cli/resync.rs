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
}

/// Compares every record of both sides; what is in sync is not written.
pub async fn run(context: &Context, args: &Resync) -> Result<()> {
    let What::Full = args.what;
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
    let again = format!("twinrow resync full {}", args.links.join(" "));
    let mut pipeline = start_alone(&opened, &door, &stop, again.trim_end()).await?;
    if let Err(error) = nothing_to_approve(&mut pipeline, &stop).await {
        return Err(let_go(&pipeline, error).await);
    }
    pipeline.ask_scan(&links).await?;
    let counts = once(&mut pipeline, &opened, &door, &stop).await;
    finish(context, &pipeline, counts).await
}

async fn nothing_to_approve(pipeline: &mut Pipeline, stop: &Stop) -> Result<()> {
    match stop::unless_told(stop, pipeline.first_sync()).await? {
        None => Ok(()),
        Some(_) => {
            Err(Error::new(Kind::Approval, "both sides of a new link hold data: nothing is written before its plan is approved")
                .hint("twinrow plan   # then: twinrow approve first-sync"))
        }
    }
}
