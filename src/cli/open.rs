//! From a configuration file to an integration and its endpoints.

use std::path::Path;
use std::sync::Arc;

use crate::config::{self, Config, Resolved};
use crate::endpoint::{self, Endpoint};
use crate::error::{Context, Error, Kind, Result};
use crate::model::Integration;
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
    let config = config::load(path)?;
    let endpoints = endpoints(&config).await?;
    let mut catalogs = Vec::with_capacity(endpoints.len());
    for (endpoint, named) in endpoints.iter().zip(&config.endpoints) {
        catalogs.push(endpoint.describe(None).await.context(format!("endpoint {}", named.name))?);
    }
    let Resolved { integration, warnings } = config::resolve(&config, &catalogs)?;
    Ok(Opened { integration, endpoints, warnings })
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
/// [`Kind::Config`] if the integration has never run.
pub async fn with_numbers(session: &mut dyn Session, integration: &mut Integration) -> Result<()> {
    let never = || Error::new(Kind::Config, format!("{} has never run", integration.name)).hint("twinrow run --once");
    let known = match state::links(session, &integration.name).await {
        Ok(known) => known,
        Err(error) if matches!(error.kind(), Kind::Schema | Kind::Tracking) => return Err(never()),
        Err(error) => return Err(error),
    };
    if known.is_empty() {
        return Err(never());
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
