//! Links that stand still: for `status`, and for the next process, which wants to know since when.

use std::collections::BTreeMap;

use super::{settings, write_setting};
use crate::error::{Error, Kind, Result};
use crate::model::{Link, Obstacle};
use crate::sql::Session;

/// A link that stands still, or did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Stop {
    /// What keeps it from going on.
    #[serde(flatten)]
    pub obstacle: Obstacle,
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// How often it went on and had to stop again soon after.
    pub again: u32,
    /// When it went on; `None`: it stands still.
    pub until: Option<i64>,
    /// Whether it only waits until its first sync is approved. (Older programs did not know such.)
    #[serde(default)]
    pub unapproved: bool,
}

/// The settings that hold them begin with this; the link's number follows.
const STOPPED: &str = "stopped:";

/// Whether a setting is one of these, and none of a person's.
pub fn is_stop(setting: &str) -> bool {
    setting.starts_with(STOPPED)
}

/// All of an integration, by the link's number.
pub async fn stops(session: &mut dyn Session, integration: &str) -> Result<BTreeMap<i64, Stop>> {
    let mut stops = BTreeMap::new();
    for (name, value) in settings(session, integration).await? {
        let Some(number) = name.strip_prefix(STOPPED).and_then(|number| number.parse().ok()) else { continue };
        let unreadable = |error| Error::new(Kind::Internal, format!("the setting {name} can't be read")).source(error);
        stops.insert(number, serde_json::from_str(&value).map_err(unreadable)?);
    }
    Ok(stops)
}

/// Records one.
pub async fn write_stop(session: &mut dyn Session, integration: &str, link: &Link, stop: &Stop) -> Result<()> {
    let value = serde_json::json!(stop).to_string();
    write_setting(session, integration, &format!("{STOPPED}{}", link.number), &value).await
}
