//! Links form a forest over all integrations of a database (rule 21): in a ring, a record would come back to its
//! own table as a new one, for ever.
//!
//! Each integration writes down in both its databases what it links there. So whoever starts sees every link that
//! ends in one of its databases: a second link over two tables, and a ring over three databases. A ring over more
//! does not show.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Door;
use super::takeover::FenceRow;
use crate::endpoint::Endpoint;
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Both, Integration, Side};
use crate::sql::{Cell, Cells, Fence, Store, text};

/// A table: the name its database goes by among integrations, and its own.
type Node = (String, String);

/// A link, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    integration: String,
    link: String,
    ends: Both<Node>,
}

/// What one database says.
struct Known {
    database: Option<String>,
    edges: Vec<Edge>,
}

/// Refuses what would close a ring, as far as it shows before this integration has written anything.
///
/// # Errors
/// [`Kind::Config`] with the names of the links and integrations of the ring.
pub async fn check(integration: &Integration, endpoints: &[Arc<dyn Endpoint>]) -> Result<()> {
    let known = read(integration, endpoints).await?;
    refuse_rings(integration, &known)
}

/// Refuses links of a table with itself where nothing but the fence shows it, which was just taken at one endpoint and is
/// taken at the other: a server of a cluster does not know what is shown at another one.
pub(super) fn refuse_itself(integration: &Integration, fences: &[Option<FenceRow>]) -> Result<()> {
    for link in &integration.links {
        let tables = Both::from_fn(|side| &link.collection[side].table.name);
        let Both { source: Some(source), target: Some(target) } = Both::from_fn(|side| fences[link.endpoint[side]].as_ref())
        else {
            continue;
        };
        // (A copy of a database has the fence of long ago.)
        if tables.source == tables.target && source.instance == target.instance && source.epoch == target.epoch {
            let message = format!(
                "link `{}` links table `{}` with itself: both endpoints lead to the same database",
                link.name, tables.source
            );
            return Err(Error::new(Kind::Config, format!("{message}; no record was touched"))
                .hint("give one of them the URL of the other database, or the link another table, then: twinrow check"));
        }
    }
    Ok(())
}

/// Writes down what this integration links. Two that start at the same time see each other here: both withdraw.
pub(super) async fn announce(
    integration: &Integration,
    endpoints: &[Arc<dyn Endpoint>],
    fence: &Fence,
    door: &dyn Door,
) -> Result<()> {
    let mut known = read(integration, endpoints).await?;
    for (at, named) in known.iter().enumerate().filter_map(|(at, known)| Some((at, known.as_ref()?))) {
        if let (None, Some(store)) = (&named.database, endpoints[at].store()) {
            let own = edge_cells("", "", &Both { source: (door.instance(), String::new()), target: Default::default() });
            store.session().await?.execute("edge_write", &[own]).await?;
        }
    }
    if known.iter().flatten().any(|known| known.database.is_none()) {
        known = read(integration, endpoints).await?;
    }
    let own = own(integration, &known);
    let mut changed = false;
    for (at, there) in known.iter().enumerate() {
        let (Some(there), Some(store)) = (there, endpoints[at].store()) else { continue };
        let ours: Vec<Edge> = own.iter().filter(|(_, ends)| ends.contains(&at)).map(|(edge, _)| edge.clone()).collect();
        if !same(&ours, there.edges.iter().filter(|edge| edge.integration == integration.name)) {
            write(store, fence, &ours).await.context(format!("endpoint {}", integration.endpoints[at]))?;
            changed = true;
        }
    }
    if !changed {
        return Ok(());
    }
    let refused = refuse_rings(integration, &read(integration, endpoints).await?);
    if refused.is_err() {
        for store in endpoints.iter().filter_map(|endpoint| endpoint.store()) {
            write(store, fence, &[]).await?;
        }
    }
    refused
}

/// Forgets what an integration links here: it is uninstalled.
///
/// # Errors
/// [`Kind::Schema`] or [`Kind::Tracking`] if nothing of ours is there.
pub async fn forget(integration: &str, store: &dyn Store) -> Result<()> {
    store.session().await?.execute("edge_delete", &[vec![Cell::Text(integration.to_owned())]]).await.map(|_| ())
}

/// The integrations that link something here.
///
/// # Errors
/// As [`forget`].
pub async fn integrations(store: &dyn Store) -> Result<Vec<String>> {
    let rows = store.session().await?.query("edge_read", &[Vec::new()]).await?;
    let named = rows.iter().filter_map(|row| row.first()).map(|name| text(name).map(str::to_owned));
    Ok(named.collect::<Result<Vec<_>>>()?.into_iter().filter(|name| !name.is_empty()).collect())
}

async fn write(store: &dyn Store, fence: &Fence, edges: &[Edge]) -> Result<()> {
    let mut tx = store.begin(fence).await?;
    tx.execute("edge_delete", &[vec![Cell::Text(fence.integration.clone())]]).await?;
    let cells: Vec<Cells> = edges.iter().map(|edge| edge_cells(&edge.integration, &edge.link, &edge.ends)).collect();
    tx.execute("edge_write", &cells).await?;
    tx.commit().await
}

fn edge_cells(integration: &str, link: &str, ends: &Both<Node>) -> Cells {
    let (source, target) = (&ends.source, &ends.target);
    [integration, link, &source.0, &source.1, &target.0, &target.1].map(|text| Cell::Text(text.to_owned())).to_vec()
}

fn same<'a>(ours: &[Edge], there: impl Iterator<Item = &'a Edge>) -> bool {
    let (mut ours, mut there): (Vec<&Edge>, Vec<&Edge>) = (ours.iter().collect(), there.collect());
    ours.sort();
    there.sort();
    ours == there
}

/// What each endpoint's database says; `None`: an app, which says nothing.
async fn read(integration: &Integration, endpoints: &[Arc<dyn Endpoint>]) -> Result<Vec<Option<Known>>> {
    let mut all = Vec::with_capacity(endpoints.len());
    for (endpoint, named) in endpoints.iter().zip(&integration.endpoints) {
        let Some(store) = endpoint.store() else {
            all.push(None);
            continue;
        };
        let rows = async { store.session().await?.query("edge_read", &[Vec::new()]).await };
        let mut known = Known { database: None, edges: Vec::new() };
        for row in rows.await.context(format!("endpoint {named}"))? {
            let cells = row.iter().map(|cell| text(cell).map(str::to_owned)).collect::<Result<Vec<String>>>()?;
            let Ok([integration, link, s_database, s_name, t_database, t_name]) = <[String; 6]>::try_from(cells) else {
                continue;
            };
            if integration.is_empty() {
                known.database = Some(s_database);
                continue;
            }
            let ends = Both { source: (s_database, s_name), target: (t_database, t_name) };
            known.edges.push(Edge { integration, link, ends });
        }
        all.push(Some(known));
    }
    Ok(all)
}

/// This integration's links between databases, and at which endpoints each ends. One between a database and a copy of
/// it, which goes by the same name, can't be told from a link of a table with itself, and is left out.
fn own(integration: &Integration, known: &[Option<Known>]) -> Vec<(Edge, [usize; 2])> {
    let node = |at: usize, name: String| {
        let known = known[at].as_ref()?;
        // Whose name nobody wrote down yet, nobody has linked.
        Some((known.database.clone().unwrap_or_else(|| format!("endpoint {at}")), name))
    };
    let edge = |link: &crate::model::Link| {
        let end = |side: Side| node(link.endpoint[side], link.collection[side].table.name.to_string());
        let ends = Both { source: end(Side::Source)?, target: end(Side::Target)? };
        let edge = Edge { integration: integration.name.clone(), link: link.name.clone(), ends };
        (edge.ends.source != edge.ends.target).then_some((edge, [link.endpoint.source, link.endpoint.target]))
    };
    integration.links.iter().filter_map(edge).collect()
}

fn refuse_rings(integration: &Integration, known: &[Option<Known>]) -> Result<()> {
    let mut edges = others(integration, known);
    for (own, _) in own(integration, known) {
        if let Some(path) = path(&edges, &own.ends.source, &own.ends.target) {
            return Err(refused(&own, &path));
        }
        edges.push(own);
    }
    Ok(())
}

/// The links of all other integrations. One that only one of its databases knows of, though both are seen here, is
/// of the past.
fn others(integration: &Integration, known: &[Option<Known>]) -> Vec<Edge> {
    let at: HashMap<&String, &Known> =
        known.iter().flatten().filter_map(|known| Some((known.database.as_ref()?, known))).collect();
    let current = |edge: &Edge| {
        let ends = [&edge.ends.source.0, &edge.ends.target.0];
        ends.into_iter().all(|database| at.get(database).is_none_or(|known| known.edges.contains(edge)))
    };
    let mut edges: Vec<Edge> = at.values().flat_map(|known| &known.edges).filter(|edge| current(edge)).cloned().collect();
    edges.retain(|edge| edge.integration != integration.name);
    edges.sort();
    edges.dedup();
    edges
}

/// The links that lead from one table to another, nearest first.
fn path<'a>(edges: &'a [Edge], from: &Node, to: &Node) -> Option<Vec<&'a Edge>> {
    let mut led: HashMap<&Node, Vec<&Edge>> = HashMap::new();
    let (mut queue, mut here) = (VecDeque::new(), (from, Vec::new()));
    loop {
        for edge in edges {
            let other = match (&edge.ends.source, &edge.ends.target) {
                (source, target) if source == here.0 => target,
                (source, target) if target == here.0 => source,
                _ => continue,
            };
            let path: Vec<&Edge> = here.1.iter().copied().chain([edge]).collect();
            if other == to {
                return Some(path);
            }
            if other != from && !led.contains_key(other) {
                led.insert(other, path.clone());
                queue.push_back((other, path));
            }
        }
        here = queue.pop_front()?;
    }
}

fn refused(own: &Edge, path: &[&Edge]) -> Error {
    let named = |edge: &&Edge| format!("link `{}` of integration `{}`", edge.link, edge.integration);
    let others = path.iter().map(named).collect::<Vec<_>>().join(" and ");
    let message = match path.len() {
        1 => format!("link `{}` is on the same two tables as {others}", own.link),
        _ => format!("link `{}` closes a ring with {others}", own.link),
    };
    Error::new(Kind::Config, format!("{message}: records would be created again and again; no record was touched"))
        .hint("take one of these links out of its configuration and run that once, or with that configuration: twinrow uninstall")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn edge(integration: &str, source: &str, target: &str) -> Edge {
        let node = |name: &str| (name[..1].to_owned(), name.to_owned());
        Edge { integration: integration.into(), link: "l".into(), ends: Both { source: node(source), target: node(target) } }
    }

    fn leads(edges: &[Edge], from: &str, to: &str) -> Option<usize> {
        let own = edge("own", from, to);
        path(edges, &own.ends.source, &own.ends.target).map(|path| path.len())
    }

    #[test]
    fn rule21_a_ring_shows_and_stars_and_chains_are_none() {
        let chain = [edge("ab", "a", "b"), edge("bc", "b", "c"), edge("cd", "c", "d")];
        assert_eq!(leads(&chain, "a", "b"), Some(1), "the same two tables");
        assert_eq!(leads(&chain, "b", "a"), Some(1), "the other way round");
        assert_eq!(leads(&chain, "c", "a"), Some(2), "a ring of three");
        assert_eq!(leads(&chain, "d", "a"), Some(3), "a ring of four, where all of it is seen");
        assert_eq!(leads(&chain, "a", "e"), None, "a star");
        assert_eq!(leads(&chain, "d", "e"), None, "a chain");
        assert_eq!(leads(&chain, "a", "b2"), None, "another table of the same database");
    }
}
