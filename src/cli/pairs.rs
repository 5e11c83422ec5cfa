//! `twinrow pairs`

use serde::Serialize;

use super::Context;
use super::open::{Opened, home_session, open_each, with_numbers};
use super::output;
use crate::error::{Error, Kind, Result};

/// `twinrow pairs`
#[derive(Debug, clap::Args)]
pub struct Pairs {
    /// The link.
    link: String,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Serialize)]
struct Shown {
    source: String,
    target: String,
    differs_by_policy: usize,
}

/// Lists which record is which on the other side.
pub async fn run(context: &Context, args: &Pairs) -> Result<()> {
    let Opened { mut integration, endpoints, .. } = open_each(&context.config).await?;
    let mut session = home_session(&integration, &endpoints).await?;
    with_numbers(&mut *session, &mut integration, &endpoints).await?;
    let link = integration
        .links
        .iter()
        .find(|link| link.name == args.link)
        .ok_or_else(|| Error::new(Kind::Config, format!("there is no link `{}`", args.link)).hint("twinrow status"))?;
    let mut pairs = crate::state::page(&mut *session, link, i64::MIN, args.limit.saturating_add(1)).await?;
    if pairs.len() > args.limit {
        pairs.truncate(args.limit);
        // Not on standard output, where a program may read the list.
        let name = &link.name;
        mention!("the first {} only; next: {}", args.limit, context.command(&format!("pairs {name} --limit NUMBER")));
    }
    let all: Vec<Shown> = pairs
        .iter()
        .map(|pair| {
            let [source, target] = output::keys(&pair.key);
            Shown { source, target, differs_by_policy: pair.diverged() }
        })
        .collect();
    if context.json {
        return output::json(&all);
    }
    let mut rows = vec![["source", "target", "fields that differ by policy"].map(String::from).to_vec()];
    rows.extend(all.into_iter().map(|one| vec![one.source, one.target, one.differs_by_policy.to_string()]));
    output::table(&rows);
    Ok(())
}
