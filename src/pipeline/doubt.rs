//! Doubt: where another table stands under the name of one that the map knows, a person decides which of the two it shall be.
//! Until then nothing is written to the other side for what is missing, and nothing into this table either: put the old one
//! back, and it goes on as if nothing had been.

use super::batch::read_through;
use super::cycle::Doing;
use super::identify::{Known, same_record};
use super::{BATCH, Mode, Pipeline};
use crate::endpoint::Fetched;
use crate::error::Result;
use crate::model::{Both, Key, Link, Pair, Reason, Side};
use crate::sql::Session;
use crate::state::{self, Brake, BrakeKind};

/// The cause under which records of a link wait as long as one of its tables is in doubt.
pub(super) const DOUBTED: &str = "another table stands on one side: waits until the old one is back, or for approval";

/// Whose rows stand in the tables that may be others now.
#[derive(Clone, Copy, Default)]
pub(super) struct Standing {
    /// Another table's: most rows under the keys of pairs are not what they were, or none of them is there.
    pub(super) replaced: Both<bool>,
    /// How many pairs have no row of theirs there.
    strange: Both<u64>,
    /// How many were looked at.
    pairs: Both<u64>,
}

/// The sides that brakes say are in doubt.
pub(super) fn doubted(brakes: &[Brake]) -> Both<bool> {
    Both::from_fn(|side| brakes.iter().any(|brake| brake.side == side && brake.kind == BrakeKind::OtherTable))
}

impl Pipeline {
    /// Whose rows stand on these sides. (A table that has got another primary key counts as another one, too.) Where most are
    /// what they were, it is the same table (swapped by a tool, or without its triggers for a while), and the others have
    /// changed meanwhile. `doubted`: what pairs have lost there is looked at under the keys they had: the old table may be back.
    pub(super) async fn standing(
        &mut self,
        doing: &mut Doing<'_>,
        at: usize,
        link: &Link,
        asked: Both<bool>,
        doubted: Both<bool>,
    ) -> Result<Standing> {
        let (mut same, mut other, mut absent) = (Both::<u64>::default(), Both::<u64>::default(), Both::<u64>::default());
        let mut after = i64::MIN;
        while asked != Both::default() {
            let pairs = self.page_of_pairs(doing.session, link, after, BATCH).await?;
            let Some(last) = pairs.last() else { break };
            after = last.id;
            for side in Side::BOTH.into_iter().filter(|side| asked[*side]) {
                let key = |pair: &Pair| {
                    let former = pair.former[side].as_ref().filter(|_| doubted[side]);
                    pair.key[side].as_ref().or(former)?.decode()
                };
                let known: Vec<(&Pair, Key)> = pairs.iter().filter_map(|pair| Some((pair, key(pair)?))).collect();
                let keys: Vec<Key> = known.iter().map(|(_, key)| key.clone()).collect();
                let (window, place) = doing.moment.window(at, link, side);
                let each = |at: usize, row| {
                    let count = match row {
                        Fetched::Row(row, _) if same_record(link, known[at].0, &row, side) == Known::Same => &mut same,
                        Fetched::Row(..) => &mut other,
                        Fetched::Absent => &mut absent,
                        Fetched::Unreadable(_) | Fetched::Later => return,
                    };
                    count[side] += 1;
                };
                read_through(window, place, &keys, each).await?;
            }
        }
        let none_left = Both::from_fn(|side| same[side] == 0 && absent[side] > 0);
        Ok(Standing {
            replaced: Both::from_fn(|side| asked[side] && (other[side] > same[side] || none_left[side])),
            strange: Both::from_fn(|side| other[side] + absent[side]),
            pairs: Both::from_fn(|side| same[side] + other[side] + absent[side]),
        })
    }

    /// Writes down which of the sides that were asked about are in doubt now; before anything of the link is marked.
    pub(super) async fn note_doubt(&mut self, link: &Link, asked: Both<bool>, known: Both<bool>, found: Standing) -> Result<()> {
        let changed = |side: &Side| asked[*side] && (found.replaced[*side] || known[*side]);
        if !Side::BOTH.iter().any(changed) {
            return Ok(());
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        for side in Side::BOTH.into_iter().filter(changed) {
            if !found.replaced[side] {
                state::clear_brake(&mut *tx, link, side, BrakeKind::OtherTable).await?;
                continue;
            }
            let (records, pairs, at) = (found.strange[side], found.pairs[side], self.door.now());
            let (hash, kind) = (Vec::new(), BrakeKind::OtherTable);
            state::write_brake(&mut *tx, &Brake { link: link.number, side, kind, hash, records, pairs, at, approved: None })
                .await?;
            tracing::error!(
                link = link.name,
                records,
                pairs,
                "another table stands in the {side}, under whose keys so many records are not: nothing of this link is written, on \
                 either side. Next: put the old table back; or, if this one is right: twinrow approve {}",
                link.name
            );
        }
        tx.commit().await?;
        self.door.step("doubt.recorded").await
    }

    /// Before the brakes of a link are looked at: which sides of it are in doubt.
    pub(super) fn note_doubted(&mut self, link: &Link, brakes: &[Brake]) {
        let mut doubted = doubted(brakes);
        if self.mode == Mode::Plan {
            // What a run looks at first has been looked at by now.
            let missing = self.supposed.missing(link);
            doubted = Both::from_fn(|side| missing.replaced[side] || doubted[side] && !missing.asked[side]);
        }
        self.doubted.retain(|(number, _)| *number != link.number);
        self.doubted.extend(Side::BOTH.into_iter().filter(|side| doubted[*side]).map(|side| (link.number, side)));
    }

    /// What was missing in a table in doubt is approved, or is all there again: it is the link's from now on.
    pub(super) async fn end_doubt(&mut self, session: &mut dyn Session, link: &Link, side: Side) -> Result<()> {
        if self.is_doubted(link, side) {
            state::clear_brake(session, link, side, BrakeKind::OtherTable).await?;
            self.trust(link, side);
        }
        Ok(())
    }

    /// The compare of a table in doubt has ended, and it misses nothing.
    pub(super) async fn end_groundless_doubt(&mut self, doing: &mut Doing<'_>, link: &Link, side: Side) -> Result<()> {
        let waits = self.mode == Mode::Plan || !self.is_doubted(link, side);
        if waits || self.compare_of(doing.session, link).await?.is_some() {
            return Ok(());
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        self.end_doubt(&mut *tx, link, side).await?;
        state::retry(&mut *tx, link, Reason::Braked).await?;
        tx.commit().await
    }

    /// Whether a side of a link is in doubt.
    pub(super) fn is_doubted(&self, link: &Link, side: Side) -> bool {
        self.doubted.contains(&(link.number, side))
    }

    /// In this cycle a side is not in doubt any more.
    pub(super) fn trust(&mut self, link: &Link, side: Side) {
        self.doubted.retain(|doubted| *doubted != (link.number, side));
    }
}
