//! `twinrow uninstall`

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Context;
use super::open::{endpoints, home_session, look_up, with_numbers};
use super::output;
use super::run::holder;
use crate::config::{self, Config};
use crate::endpoint::{Endpoint, Tracking};
use crate::error::{Context as _, Error, Kind, Result};
use crate::model::{Side, TableName};
use crate::pipeline::{self, Door as _, Real};
use crate::sql::Store;
use crate::state;

/// `twinrow uninstall`
#[derive(Debug, clap::Args)]
pub struct Uninstall {
    /// Everything of Twinrow's in these databases, whatever integration it belongs to, the identity map included.
    #[arg(long)]
    all: bool,
    /// Only this link's change logs and triggers.
    #[arg(long, conflicts_with = "all")]
    link: Option<String>,
    /// With --all: do not ask.
    #[arg(long, requires = "all")]
    yes: bool,
    /// Also if the change logs hold deletes or changed keys that were not read yet: they are lost.
    #[arg(long, conflicts_with = "all")]
    discard: bool,
    /// Even while another process runs it: its next write fails.
    #[arg(long)]
    take_over: bool,
}

/// What a command that is typed again says that it did not say.
#[derive(Default)]
struct Again {
    yes: bool,
    discard: bool,
    take_over: bool,
}

impl Uninstall {
    /// The same command once more: never one that removes more than this one would.
    fn again(&self, context: &Context, more: Again) -> String {
        let mut words = "uninstall".to_owned();
        if let Some(link) = &self.link {
            words += &format!(" --link {link}");
        }
        for (option, given) in [
            (" --all", self.all),
            (" --yes", self.yes || more.yes),
            (" --discard", self.discard || more.discard),
            (" --take-over", self.take_over || more.take_over),
        ] {
            words += if given { option } else { "" };
        }
        context.command(&words)
    }
}

/// Removes change logs and triggers, and says what it removed.
///
/// Only the names of the tables are needed: what can't be synced any more can still be uninstalled (A69).
pub async fn run(context: &Context, args: &Uninstall) -> Result<()> {
    let config = config::load(&context.config)?;
    if let Some(name) = args.link.as_ref().filter(|name| !config.links.iter().any(|(link, _)| link.value == **name)) {
        return Err(Error::new(Kind::Config, format!("there is no link `{name}`")).hint("twinrow status"));
    }
    let endpoints = endpoints(&config).await?;
    let runs = running(&config, &endpoints, args).await?;
    if let Some((name, holder)) = runs.iter().find_map(|run| Some((&run.0, run.1.as_ref()?))).filter(|_| !args.take_over) {
        let again = args.again(context, Again { take_over: true, ..Again::default() });
        return Err(Error::new(Kind::Fenced, format!("{name} is being run by {holder}: nothing was removed"))
            .hint(format!("stop it, or: {again}")));
    }
    // Of all of them before anything is taken from one.
    let integration = (!args.all).then_some(config.integration.as_str());
    let mut removals = Vec::new();
    for (at, endpoint) in endpoints.iter().enumerate() {
        let Some(tracking) = endpoint.tracking() else { continue };
        let place = || format!("endpoint {}", config.endpoints[at].name);
        let tables = match args.all {
            true => Vec::new(),
            false => tables(&config, at, &**endpoint, args.link.as_deref()).await.context(place())?,
        };
        tracking.may_uninstall(integration, &tables).await.context(place())?;
        removals.push((at, tracking, tables));
    }
    match args.all {
        true => approve(context, &config, args).await?,
        false => refuse_unread(context, &config, &endpoints, args).await?,
    }
    // Before anything is taken away: whoever runs it, or wakes up later, learns that it was pushed aside (I8).
    let stores: Vec<&dyn Store> = endpoints.iter().filter_map(|endpoint| endpoint.store()).collect();
    for (name, _, home) in &runs {
        pipeline::push_aside(name, *home, &stores, &holder()).await?;
    }
    let mut removed = Vec::new();
    for (at, tracking, tables) in removals {
        let place = || format!("endpoint {}", config.endpoints[at].name);
        if let Some(store) = endpoints[at].store() {
            installed(pipeline::forget(&config.integration, store).await).context(place())?;
        }
        let lines = match integration {
            None => everything(context, args, tracking).await.context(place())?,
            Some(name) => tracking.uninstall(Some(name), &tables).await.context(place())?,
        };
        removed.extend(lines.into_iter().map(|line| format!("{}: {line}", config.endpoints[at].name)));
    }
    if context.json {
        return output::json(&removed);
    }
    for line in &removed {
        say!("{line}");
    }
    if removed.is_empty() {
        say!("nothing was installed");
    }
    Ok(())
}

/// So often everything is removed, until nothing is left.
const SWEEPS: u32 = 3;

/// Removes all of it, and looks again: what a process that was pushed aside was just repairing goes too.
async fn everything(context: &Context, args: &Uninstall, tracking: &dyn Tracking) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for _ in 0..SWEEPS {
        let more = tracking.uninstall(None, &[]).await?;
        if more.is_empty() {
            return Ok(removed);
        }
        removed.extend(more);
    }
    Err(Error::new(Kind::Tracking, "something makes Twinrow's objects again while they are removed")
        .hint(format!("stop what runs Twinrow here, then: {}", args.again(context, Again { yes: true, ..Again::default() }))))
}

/// What was read of our own tables; `None` where they are not there, or only some of them.
fn installed<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if matches!(error.kind(), Kind::Schema | Kind::Tracking) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An integration whose state is here: its name, who runs it, and the database that holds its state.
type Run<'a> = (String, Option<String>, &'a dyn Store);

/// Those that something is taken away from: this integration, and with --all any other whose state is here.
async fn running<'a>(config: &Config, endpoints: &'a [Arc<dyn Endpoint>], args: &Uninstall) -> Result<Vec<Run<'a>>> {
    let now = Real::new().now();
    let mut runs = Vec::new();
    for (store, endpoint) in endpoints.iter().zip(&config.endpoints).filter_map(|(at, name)| Some((at.store()?, name))) {
        let place = || format!("endpoint {}", endpoint.name);
        let mut names = BTreeSet::from([config.integration.clone()]);
        if args.all {
            names.extend(installed(pipeline::integrations(store).await).context(place())?.unwrap_or_default());
        }
        for name in names {
            let lease = async { state::read_lease(&mut *store.session().await?, &name).await };
            if let Some(lease) = installed(lease.await).context(place())?.flatten() {
                runs.push((name, Some(lease.holder).filter(|_| lease.until > now), store));
            }
        }
    }
    Ok(runs)
}

/// Without the identity map, nobody knows any more which record is which: that is not done by a slip.
async fn approve(context: &Context, config: &Config, args: &Uninstall) -> Result<()> {
    let names: Vec<&str> = config.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    let question = format!("Remove everything of Twinrow's in {}, the identity map included?", names.join(" and "));
    // Nothing is held yet that would have to be let go of: a signal may end it.
    if args.yes || output::ask(&question, std::future::pending()).await? {
        return Ok(());
    }
    let again = args.again(context, Again { yes: true, ..Again::default() });
    Err(Error::new(Kind::Approval, "the identity map would be lost: nothing was removed").hint(again))
}

/// What waits in the change logs goes with them. Which records are there, a later run finds without them, but not which of
/// them have each other's keys: they would inherit each other's twins (C4).
async fn refuse_unread(context: &Context, config: &Config, endpoints: &[Arc<dyn Endpoint>], args: &Uninstall) -> Result<()> {
    if args.discard {
        return Ok(());
    }
    let Some((link, side)) = unread(config, endpoints, args).await? else { return Ok(()) };
    let why = format!(
        "the change log of its {side} holds deletes or changed keys that were not read yet, and a record could take over another \
         one's twin without them: nothing was removed"
    );
    let again = args.again(context, Again { discard: true, ..Again::default() });
    let next = format!("{}   # or lose them: {again}", context.command("run --once"));
    Err(Error::new(Kind::Approval, why).context(format!("link {link}")).hint(next))
}

/// The first link in whose log something waits that would be lost with it. Of what never ran, or can't run any more, nothing is.
async fn unread(config: &Config, endpoints: &[Arc<dyn Endpoint>], args: &Uninstall) -> Result<Option<(String, Side)>> {
    let Ok(resolved) = look_up(config, endpoints).await else { return Ok(None) };
    let mut integration = resolved.integration;
    let Ok(mut session) = home_session(&integration, endpoints).await else { return Ok(None) };
    if with_numbers(&mut *session, &mut integration, endpoints).await.is_err() {
        return Ok(None);
    }
    let named = |at: &usize| args.link.as_ref().is_none_or(|name| integration.links[*at].name == *name);
    let mut links: Vec<usize> = (0..integration.links.len()).filter(named).flat_map(|at| integration.sharing(at)).collect();
    links.retain(|at| integration.links[*at].broken.is_none());
    links.sort_unstable();
    links.dedup();
    let unread = installed(pipeline::unread_moves(&mut *session, &integration, endpoints, &links).await)?.unwrap_or_default();
    Ok(unread.first().map(|(at, side)| (integration.links[*at].name.clone(), *side)))
}

/// The tables the configuration names at one endpoint: as the catalog has them, else as they are written.
async fn tables(config: &Config, endpoint: usize, at: &dyn Endpoint, link: Option<&str>) -> Result<Vec<TableName>> {
    let there: Vec<TableName> = at.describe(None).await?.into_iter().map(|table| table.name).collect();
    let url = &config.endpoints[endpoint].url;
    let mut tables = BTreeSet::new();
    for (name, shape) in &config.links {
        if link.is_some_and(|link| link != name.value) {
            continue;
        }
        for side in Side::BOTH.into_iter().filter(|side| config.side[*side] == endpoint) {
            let written = match side {
                Side::Source => &shape.source.value,
                Side::Target => &shape.target.value,
            };
            let full = there.iter().find(|name| name.to_string() == *written);
            let found = full.or_else(|| there.iter().find(|name| name.name == *written));
            tables.insert(found.cloned().unwrap_or_else(|| url.table_name(written)));
        }
    }
    Ok(tables.into_iter().collect())
}
