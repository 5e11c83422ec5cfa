//! Where the records of a link live: in which database, in which table. The identity map of a link is about these
//! and no others, whatever the configuration calls them.
//!
//! Another database under a link's name is refused, and so are a source and a target that were exchanged: keys of
//! the one would be taken for keys of the other. Another table may be the old one under a new name; what the map
//! knows of its rows is checked before anything is decided, under the brake.

use super::Pipeline;
use super::map;
use super::takeover::{FenceRow, OTHER_DATABASE, fence_rows, refused};
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Both, Integration, Link, Side};
use crate::sql::Session;
use crate::state;

/// Where one side of a link lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// What the database goes by (its fence row's instance); of an app, nothing.
    instance: String,
    table: String,
    /// The names of its key columns; empty where that is not known.
    key: Vec<String>,
}

impl Place {
    fn parse(text: &str) -> Option<Place> {
        // (Older programs did not write down the key.)
        let older = || serde_json::from_str(text).ok().map(|(instance, table)| (instance, table, Vec::new()));
        let (instance, table, key) = serde_json::from_str(text).ok().or_else(older)?;
        Some(Place { instance, table, key })
    }

    /// Whether this is the same table of the same database.
    pub(super) fn is_table(&self, other: &Place) -> bool {
        self.instance == other.instance && self.table == other.table
    }

    /// Whether the keys of its records may be others now.
    fn has_moved(&self, now: &Place) -> bool {
        !self.is_table(now) || !self.key.is_empty() && self.key != now.key
    }

    fn text(&self) -> String {
        serde_json::json!([self.instance, self.table, self.key]).to_string()
    }
}

/// What the settings that say where the sides of links lived begin with.
const PLACE: &str = "place:";

/// Whether a setting says where a side of a link lived: nothing that a person would set.
pub fn is_place(setting: &str) -> bool {
    setting.starts_with(PLACE)
}

/// The setting that says where a side of a link lived when it was last started.
fn setting(number: i64, side: Side) -> String {
    format!("{PLACE}{number}:{side}")
}

/// Where the sides of a link lived when it was last started.
pub(super) fn known(settings: &[(String, String)], number: i64) -> Both<Option<Place>> {
    let of = |side| settings.iter().find(|(name, _)| *name == setting(number, side));
    Both::from_fn(|side| of(side).and_then(|(_, value)| Place::parse(value)))
}

pub(super) fn place(link: &Link, side: Side, row: Option<&FenceRow>) -> Place {
    Place {
        instance: row.map_or_else(String::new, |row| row.instance.clone()),
        table: link.collection[side].table.name.to_string(),
        key: link.collection[side].table.key_columns().map(|column| column.name.clone()).collect(),
    }
}

/// Refuses links whose map is about other databases, or the other way round. Before anything is taken or written.
/// `rows`: the fence row of each endpoint; `None`: an app, or this integration never ran there.
/// `remembered`: the databases the state has seen and not forgotten since, by an uninstall.
pub(super) async fn check(
    session: &mut dyn Session,
    integration: &Integration,
    rows: &[Option<FenceRow>],
    remembered: &[String],
) -> Result<()> {
    let settings = state::settings(session, &integration.name).await?;
    let links = state::links(session, &integration.name).await?;
    let mapped = map::known(session, &integration.name).await?;
    let named = |name: &str| integration.links.iter().any(|link| link.name == *name);
    for (name, number, _) in links.iter().filter(|(name, number, _)| !named(name) && mapped.contains(number)) {
        let anew = |link: &&Link| link.matching.is_empty() && links.iter().all(|(known, ..)| *known != link.name);
        for link in integration.links.iter().filter(anew) {
            let (before, now) =
                (known(&settings, *number), Both::from_fn(|side| place(link, side, rows[link.endpoint[side]].as_ref())));
            if Side::BOTH.into_iter().all(|side| before[side].as_ref().is_some_and(|before| before.is_table(&now[side]))) {
                return Err(renamed(link, name));
            }
        }
    }
    for (name, number, _) in links {
        let Some(link) = integration.links.iter().find(|link| link.name == name) else { continue };
        let known = known(&settings, number);
        let now = Both::from_fn(|side| place(link, side, rows[link.endpoint[side]].as_ref()));
        let was = |side: Side, now: &Place| known[side].as_ref().is_some_and(|before| before.is_table(now));
        if !now.source.is_table(&now.target) && was(Side::Source, &now.target) && was(Side::Target, &now.source) {
            let why = "its source and its target are exchanged, and the identity map is about them as they were";
            let error = Error::new(Kind::Config, why).context(format!("link {name}"));
            return Err(error.hint("exchange them back, or give the link another name: then it is a new one, with a first sync"));
        }
        for side in Side::BOTH {
            let moved = known[side].as_ref().is_some_and(|before| before.instance != now[side].instance);
            let before = known[side].as_ref().map(|before| before.instance.as_str()).unwrap_or_default();
            if moved && remembered.iter().any(|instance| instance == before) {
                let endpoint = &integration.endpoints[link.endpoint[side]];
                return Err(refused(endpoint, &format!("{OTHER_DATABASE}; nothing was read or written")))
                    .context(format!("link {name}"));
            }
        }
    }
    Ok(())
}

/// A link under another name is a new one, and knows of no twins.
fn renamed(link: &Link, before: &str) -> Error {
    let why = format!(
        "it is on the tables of link {before}, which is not configured any more, and whose identity map has their pairs: under \
         another name, and without a `match:`, every record would be made a second time; nothing was read or written"
    );
    let next = format!("call it `{before}` again, or give it a `match:`, by which its records find each other");
    Error::new(Kind::Config, why).context(format!("link {}", link.name)).hint(next)
}

impl Pipeline {
    /// Remembers where the records of each link live. Where that is another table than before, every pair's row is
    /// compared with what the map knows of it before anything is decided (C4).
    pub(super) async fn note_places(&mut self) -> Result<()> {
        let integration = self.integration.clone();
        let rows = fence_rows(&integration, &self.endpoints).await?;
        let settings = state::settings(&mut *self.home_session().await?, &integration.name).await?;
        let mut changed = Vec::new();
        // (Of a link that stands still, the table's name is not known for sure.)
        for (at, link) in integration.links.iter().enumerate() {
            if !self.goes(at) {
                continue;
            }
            let before = known(&settings, link.number);
            let now = Both::from_fn(|side| place(link, side, rows[link.endpoint[side]].as_ref()));
            let moved = Both::from_fn(|side| before[side].as_ref().is_some_and(|before| before.has_moved(&now[side])));
            if moved != Both::default() {
                tracing::warn!(
                    link = link.name,
                    "its records are in another table than before, or have another key: they are checked against the map"
                );
                self.ask_recheck(at, moved).await?;
            }
            let new = Side::BOTH.into_iter().filter(|side| before[*side].as_ref() != Some(&now[*side]));
            changed.extend(new.map(|side| (setting(link.number, side), now[side].text())));
        }
        if changed.is_empty() {
            return Ok(());
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        for (name, value) in &changed {
            state::write_setting(&mut *tx, &integration.name, name, value).await?;
        }
        tx.commit().await
    }
}
