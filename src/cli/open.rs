//! From a configuration file to an integration and its endpoints.

use std::path::Path;
use std::sync::Arc;

use crate::config::{self, Config, Resolved};
use crate::endpoint::{self, Endpoint};
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Both, Integration, Side, Table};
use crate::pipeline::check_identity;
use crate::sql::Session;
use crate::state;

/// Everything a command needs to work on an integration.
pub struct Opened {
    /// What it describes, with the catalogs of both sides looked up.
    pub integration: Integration,
    /// The endpoints, in the order of [`Integration::endpoints`].
    pub endpoints: Vec<Arc<dyn Endpoint>>,
    /// What a person should know before it runs.
    pub warnings: Vec<String>,
    /// Why the first link that is broken is so.
    pub broken: Option<Error>,
    config: Config,
}

impl Opened {
    /// The same integration with its names looked up anew: tables and columns may be others meanwhile.
    pub async fn again(&self) -> Result<Integration> {
        Ok(look_up(&self.config, &self.endpoints).await?.integration)
    }
}

/// Opens the endpoints a configuration names.
pub async fn endpoints(config: &Config) -> Result<Vec<Arc<dyn Endpoint>>> {
    let mut endpoints = Vec::with_capacity(config.endpoints.len());
    for endpoint in &config.endpoints {
        let (name, url, tls) = (&endpoint.name, endpoint.url.expose(), &endpoint.tls);
        endpoints.push(match &endpoint.manifest {
            Some(manifest) => endpoint::open_app(name, url, tls, manifest)?,
            None => endpoint::open(name, url, tls).await?,
        });
    }
    Ok(endpoints)
}

/// Reads the file, opens its endpoints, and finds its tables.
pub async fn open(path: &Path) -> Result<Opened> {
    let mut opened = open_each(path).await?;
    opened.broken.take().map_or(Ok(opened), Err)
}

/// As [`open`], for commands that go on without a link whose tables or columns are not there any more.
///
/// # Errors
/// As [`open`] for a link that has never run: what is configured wrong is no matter of time.
pub async fn open_each(path: &Path) -> Result<Opened> {
    let config = config::load(path)?;
    let endpoints = endpoints(&config).await?;
    let Resolved { integration, warnings, mut broken } = look_up(&config, &endpoints).await?;
    let broken = if broken.is_empty() { None } else { Some(broken.swap_remove(0).1) };
    Ok(Opened { integration, endpoints, warnings, broken, config })
}

pub(super) async fn look_up(config: &Config, endpoints: &[Arc<dyn Endpoint>]) -> Result<Resolved> {
    let mut catalogs = Vec::with_capacity(endpoints.len());
    for (at, (endpoint, named)) in endpoints.iter().zip(&config.endpoints).enumerate() {
        let mut tables = endpoint.describe(None).await.context(format!("endpoint {}", named.name))?;
        tables.extend(not_listed(config, at, &**endpoint, &tables).await);
        catalogs.push(tables);
    }
    let ends = Both::from_fn(|side| &*endpoints[config.side[side]]);
    let names = Both::from_fn(|side| config.endpoints[config.side[side]].name.as_str());
    let one = endpoint::one_place(ends, names).await?;
    let mut resolved = config::resolve_each(config, &catalogs, one.as_ref())?;
    if resolved.broken.is_empty() {
        return Ok(resolved);
    }
    let known = async { state::links(&mut *home_session(&resolved.integration, endpoints).await?, &config.integration).await };
    let known = known.await.unwrap_or_default();
    match resolved.broken.iter().position(|(name, _)| known.iter().all(|(known, ..)| known != name)) {
        Some(never_ran) => Err(resolved.broken.swap_remove(never_ran).1),
        None => Ok(resolved),
    }
}

/// What links name and is no table that could be synced, such as a view: it says itself why not.
async fn not_listed(config: &Config, at: usize, endpoint: &dyn Endpoint, listed: &[Table]) -> Vec<Table> {
    let mut found = Vec::new();
    for (_, link) in &config.links {
        for (side, written) in [(Side::Source, &link.source.value), (Side::Target, &link.target.value)] {
            let known = |table: &Table| table.name.to_string() == *written || table.name.name == *written;
            if config.side[side] == at && !listed.iter().chain(&found).any(known) {
                let name = config.endpoints[at].url.table_name(written);
                // If it is not there at all, that is said where the names are looked up.
                let described = endpoint.describe(Some(&[name])).await.unwrap_or_default();
                found.extend(described.into_iter().filter(|table| table.refused.is_some()));
            }
        }
    }
    found
}

/// A session on the state, for commands that only read it or leave a request in it.
pub async fn home_session(integration: &Integration, endpoints: &[Arc<dyn Endpoint>]) -> Result<Box<dyn Session>> {
    let store = endpoints[integration.home].store();
    let store =
        store.ok_or_else(|| Error::new(Kind::Config, "an app can't hold the state").hint("name a database as `state:`"))?;
    store.session().await
}

/// Gives the links the numbers under which the state knows them.
///
/// # Errors
/// [`Kind::Config`] if the integration has never run, [`Kind::Identity`] if its state is not where it is looked for.
pub async fn with_numbers(
    session: &mut dyn Session,
    integration: &mut Integration,
    endpoints: &[Arc<dyn Endpoint>],
) -> Result<()> {
    let known = match state::links(session, &integration.name).await {
        Err(error) if matches!(error.kind(), Kind::Schema | Kind::Tracking) => Vec::new(),
        known => known?,
    };
    if known.is_empty() {
        return Err(never_ran(integration, endpoints).await?);
    }
    for link in &mut integration.links {
        if let Some((_, number, fields)) = known.iter().find(|(name, ..)| *name == link.name) {
            link.number = *number;
            let names: Vec<String> = serde_json::from_str(fields).unwrap_or_default();
            for field in &mut link.fields {
                let at = names.iter().position(|name| *name == field.name);
                field.number = at.and_then(|at| u16::try_from(at).ok()).unwrap_or(u16::MAX);
            }
        }
    }
    Ok(())
}

/// Why an integration can't be shown of which the state knows no link.
async fn never_ran(integration: &Integration, endpoints: &[Arc<dyn Endpoint>]) -> Result<Error> {
    if let Some(home) = endpoints[integration.home].store() {
        match check_identity(integration, endpoints, home).await {
            Err(error) if error.kind() == Kind::Identity => return Ok(error),
            Err(error) if !matches!(error.kind(), Kind::Schema | Kind::Tracking) => return Err(error),
            _ => {}
        }
    }
    Ok(Error::new(Kind::Config, format!("{} has never run", integration.name)).hint("twinrow run --once"))
}
