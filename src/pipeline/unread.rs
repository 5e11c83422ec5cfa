//! What waits in a change log and would be lost with it. A compare finds which records are there and which are not, but not
//! which of them got another one's key.

use std::sync::Arc;

use super::WINDOW_MAX;
use super::capture::structural_keys;
use crate::endpoint::{Endpoint, Tracked};
use crate::error::Result;
use crate::model::{Integration, Link, Position, Side};
use crate::reconcile::{self, AsLogged, PairIndex};
use crate::sql::Session;
use crate::state;

/// Those of these links, by their places, and their sides, whose change logs say of records in the map that they went or
/// have other keys, and nobody has read it yet. What can't be read is left out: a run could not read it either.
pub async fn unread_moves(
    session: &mut dyn Session,
    integration: &Integration,
    endpoints: &[Arc<dyn Endpoint>],
    links: &[usize],
) -> Result<Vec<(usize, Side)>> {
    let mut unread = Vec::new();
    for (at, link) in links.iter().map(|at| (*at, &integration.links[*at])) {
        let mut cursors = state::cursors(session, link).await?;
        for side in Side::BOTH {
            let endpoint = &endpoints[link.endpoint[side]];
            let Some(since) = cursors[side].take().filter(|_| endpoint.tracking().is_some()) else { continue };
            if moves_since(session, &**endpoint, link, side, since).await? {
                unread.push((at, side));
            }
        }
    }
    Ok(unread)
}

/// Whether anything in the log of one side would change who has which key.
async fn moves_since(
    session: &mut dyn Session,
    endpoint: &dyn Endpoint,
    link: &Link,
    side: Side,
    mut since: Position,
) -> Result<bool> {
    loop {
        let tracked = Tracked { collection: link.collection[side].clone(), since: Some(since) };
        let Ok(window) = endpoint.window(&[tracked], WINDOW_MAX).await else { return Ok(false) };
        let pairs = state::by_key(session, link, side, &structural_keys(window.entries())).await?;
        if !reconcile::fold(window.entries(), side, PairIndex::new(pairs, side), &AsLogged).changed.is_empty() {
            return Ok(true);
        }
        if !window.more() {
            return Ok(false);
        }
        since = window.position(0);
    }
}
