//! Links that were taken out of the configuration, while another link of the integration goes on with one of their tables.
//!
//! The log of that table is read and forgotten without them. So what it says about keys is folded onto their pairs, too: one
//! that is put back has lost the records that were deleted meanwhile, and knows those that have other keys, instead of taking
//! whatever has their keys by then for them (C4). What else has changed, the compare finds that a link begins with when it
//! is put back.

use std::collections::HashMap;

use super::capture::Moment;
use super::first::away;
use super::takeover::fence_rows;
use super::{Mode, Pipeline, places};
use crate::error::Result;
use crate::model::{Blanks, Both, Direction, Field, KeyBytes, Link, Lossy, Op, Pair, Side};
use crate::reconcile::{Back, Evidence, Late};
use crate::sql::Session;
use crate::state;

/// One side of a link that is away.
pub(super) struct Away {
    /// What folding needs of it: its number, those of its fields, and where its table is.
    link: Link,
    side: Side,
    /// The link that goes on, by its place, and its side with the same table.
    going: (usize, Side),
    /// Whether its match rule tells records from others.
    proves: bool,
}

/// What is known without its rows: a record that was put back has lost its pair until its values are compared, if they tell
/// who it is.
struct Unread<'a> {
    away: &'a Away,
    late: HashMap<usize, Late>,
}

impl Evidence for Unread<'_> {
    fn back(&self, _: usize, _: &Pair) -> Back {
        if self.away.proves { Back::Other } else { Back::Same }
    }

    fn late(&self, at: usize) -> Option<Late> {
        self.late.get(&at).copied()
    }
}

impl Pipeline {
    /// Finds the sides of links that are away whose table a link has that goes.
    pub(super) async fn find_away(&mut self) -> Result<()> {
        let integration = self.integration.clone();
        let mut session = self.home_session().await?;
        let settings = state::settings(&mut *session, &integration.name).await?;
        let known = state::links(&mut *session, &integration.name).await?;
        drop(session);
        let rows = fence_rows(&integration, &self.endpoints).await?;
        let going: Vec<(usize, Side)> = self.going().into_iter().flat_map(|at| Side::BOTH.map(|side| (at, side))).collect();
        self.away.clear();
        for (_, number, fields) in
            known.iter().filter(|(_, number, _)| integration.links.iter().all(|link| link.number != *number))
        {
            let Some(proves) = away(&settings, *number) else { continue };
            let before = places::known(&settings, *number);
            let fields = serde_json::from_str::<Vec<String>>(fields).unwrap_or_default();
            for side in Side::BOTH {
                let here = |(at, of): &&(usize, Side)| {
                    let link = &integration.links[*at];
                    before[side]
                        .as_ref()
                        .is_some_and(|before| before.is_table(&places::place(link, *of, rows[link.endpoint[*of]].as_ref())))
                };
                if let Some(going) = going.iter().find(here) {
                    let link = outline(&integration.links[going.0], *number, &fields, going.1 != side);
                    self.away.push(Away { link, side, going: *going, proves });
                }
            }
        }
        Ok(())
    }

    /// The links that are away, and their sides, which the log of this link's side is read for too.
    pub(super) fn away_with(&self, at: usize, side: Side) -> Vec<(i64, Side)> {
        self.away.iter().filter(|away| away.going == (at, side)).map(|away| (away.link.number, away.side)).collect()
    }

    /// Folds what the log of one side says onto the pairs of links that are away and had that table.
    pub(super) async fn fold_away(
        &mut self,
        session: &mut dyn Session,
        moment: &mut Moment,
        at: usize,
        of: Side,
        keys: &[KeyBytes],
    ) -> Result<()> {
        if self.mode == Mode::Plan || self.away.iter().all(|away| away.going != (at, of)) {
            return Ok(());
        }
        let integration = self.integration.clone();
        let going = &integration.links[at];
        let all = std::mem::take(&mut self.away);
        for away in all.iter().filter(|away| away.going == (at, of)) {
            let (link, side) = (&away.link, away.side);
            let entries = moment.entries_of(at, going, of);
            let returning: Vec<KeyBytes> =
                entries.iter().filter(|entry| matches!(entry.op, Op::Return { .. })).map(|entry| entry.key.encode()).collect();
            let mut pairs = state::by_key(session, link, side, keys).await?;
            pairs.extend(state::by_former(session, link, side, &returning).await?);
            let held: Vec<KeyBytes> = pairs.iter().filter_map(|pair| pair.key[side].clone()).collect();
            let late = moment.late(at, going, of, self.midway, &held).await?;
            let entries = moment.entries_of(at, going, of);
            self.fold_onto(session, link, side, &entries, pairs, &Unread { away, late }).await?;
        }
        self.away = all;
        Ok(())
    }
}

/// A link that is not configured any more, on the table of one that is; `turned`: with its sides exchanged.
fn outline(going: &Link, number: i64, fields: &[String], turned: bool) -> Link {
    let sides = |side: Side| if turned { side.other() } else { side };
    let field = |(number, name): (usize, &String)| Field {
        name: name.clone(),
        number: u16::try_from(number).unwrap_or(u16::MAX),
        via: None,
        parts: Both::default(),
        direction: Direction::default(),
        blanks: Blanks::default(),
        lossy: Lossy::default(),
        remade: Both::default(),
    };
    Link {
        number,
        endpoint: Both::from_fn(|side| going.endpoint[sides(side)]),
        collection: Both::from_fn(|side| going.collection[sides(side)].clone()),
        fields: fields.iter().enumerate().map(field).collect(),
        matching: Vec::new(),
        ..going.clone()
    }
}
