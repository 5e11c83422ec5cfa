//! Conflicts: pending, kept, and those that wait for a person.

use std::collections::HashSet;

use super::{key_cell, key_of, side_cell, side_of, text_cell};
use crate::error::{Error, Kind, Result};
use crate::model::{Both, Conflict, ConflictState, KeyBytes, Link, Row, Side};
use crate::sql::{Cell, Cells, Session, bytes, int, text};

/// In the column `loser`, where nobody lost.
const NOBODY: i64 = 2;

/// Rows longer than this are sent by themselves: together they might be more than the server takes.
const LONG: usize = 1 << 16;

/// A row as it is kept: a JSON array of texts.
fn row_text(row: &Row) -> String {
    let texts: Vec<Option<String>> = row.iter().map(|value| (!value.is_null()).then(|| value.to_text())).collect();
    serde_json::json!(texts).to_string()
}

fn loser_cell(loser: Option<Side>) -> Cell {
    loser.map_or(Cell::Int(NOBODY), side_cell)
}

fn state_number(state: ConflictState) -> i64 {
    match state {
        ConflictState::Pending => 0,
        ConflictState::Kept => 1,
        ConflictState::Undecided => 2,
    }
}

/// Conflicts as they are sent.
#[derive(Default)]
struct Sent {
    heads: Vec<Cells>,
    /// Rows of a side that are too long to go with the others.
    long: Both<Vec<Cells>>,
}

impl Sent {
    /// `longest`: the longest text the state's database takes.
    ///
    /// # Errors
    /// [`Kind::Rejected`] if values would be lost that can't be kept.
    fn of(integration: &str, conflicts: &[Conflict], values: bool, longest: usize, now: i64) -> Result<Sent> {
        let mut sent = Sent::default();
        for conflict in conflicts {
            let text = |side: Side| conflict.rows[side].as_ref().filter(|_| values).map(row_text);
            let mut rows = Both::from_fn(text);
            if [&rows.source, &rows.target].into_iter().flatten().any(|row| row.len() > longest) {
                if conflict.loser.is_some() {
                    return Err(too_long());
                }
                // Both sides still have what they had.
                rows = Both::default();
            }
            let id = Cell::Bytes(conflict.id.clone());
            let mut row = |side: Side| match rows[side].take() {
                Some(row) if row.len() > LONG => {
                    let mut cells = vec![id.clone(), Cell::Null, Cell::Null];
                    cells[if side == Side::Source { 1 } else { 2 }] = Cell::Text(row);
                    sent.long[side].push(cells);
                    Cell::Null
                }
                row => row.map_or(Cell::Null, Cell::Text),
            };
            let (source, target) = (row(Side::Source), row(Side::Target));
            sent.heads.push(vec![
                id,
                text_cell(integration),
                Cell::Int(conflict.link),
                Cell::Int(conflict.pair),
                key_cell(conflict.key.source.as_ref()),
                key_cell(conflict.key.target.as_ref()),
                loser_cell(conflict.loser),
                source,
                target,
                Cell::Int(state_number(conflict.state)),
                Cell::Int(now),
            ]);
        }
        Ok(sent)
    }

    async fn to(&self, session: &mut dyn Session, statement: &'static str) -> Result<()> {
        session.execute(statement, &self.heads).await?;
        for side in Side::BOTH {
            session.execute("conflict_values", &self.long[side]).await?;
        }
        Ok(())
    }
}

fn too_long() -> Error {
    let why = "both sides changed it, and their values are longer than the database that holds the state can keep \
               (max_allowed_packet): make that larger, or say `keep_values: false`";
    Error::new(Kind::Rejected, why)
}

/// Writes conflicts down before anything is overwritten; one that is there already stays as it is.
/// `values`: whether the rows themselves are kept (I10).
///
/// # Errors
/// [`Kind::Rejected`] if one has a loser whose values are too long to be kept; nothing was sent then.
pub async fn write_conflicts(
    session: &mut dyn Session,
    integration: &str,
    conflicts: &[Conflict],
    values: bool,
    now: i64,
) -> Result<()> {
    Sent::of(integration, conflicts, values, session.longest(), now)?.to(session, "conflict_write").await
}

/// As [`write_conflicts`], for those that wait for a person: what was there before is as it is now.
pub async fn hold_conflicts(
    session: &mut dyn Session,
    integration: &str,
    conflicts: &[Conflict],
    values: bool,
    now: i64,
) -> Result<()> {
    Sent::of(integration, conflicts, values, session.longest(), now)?.to(session, "conflict_hold").await
}

/// Forgets those of these that waited for a person: they do not any more.
pub async fn forget_undecided(session: &mut dyn Session, decided: &[Vec<u8>]) -> Result<()> {
    session.execute("conflict_decided", &ids(decided)).await?;
    Ok(())
}

/// The numbers of the links that have conflicts which wait for a person.
pub async fn links_with_undecided(session: &mut dyn Session, integration: &str) -> Result<HashSet<i64>> {
    let rows = session.query("conflict_links", &[vec![text_cell(integration)]]).await?;
    rows.iter().filter_map(|row| row.first()).map(int).collect()
}

/// The pairs of the conflicts that are pending.
pub async fn pairs_with_pending(session: &mut dyn Session, integration: &str) -> Result<HashSet<i64>> {
    let rows = session.query("conflict_pending", &[vec![text_cell(integration)]]).await?;
    rows.iter().filter_map(|row| row.first()).map(int).collect()
}

fn ids(ids: &[Vec<u8>]) -> Vec<Cells> {
    ids.iter().map(|id| vec![Cell::Bytes(id.clone())]).collect()
}

/// Marks pending conflicts as kept: their loser has been overwritten.
pub async fn keep_conflicts(session: &mut dyn Session, kept: &[Vec<u8>]) -> Result<()> {
    session.execute("conflict_keep", &ids(kept)).await?;
    Ok(())
}

/// Forgets pending conflicts whose write did not happen.
pub async fn drop_conflicts(session: &mut dyn Session, dropped: &[Vec<u8>]) -> Result<()> {
    session.execute("conflict_drop", &ids(dropped)).await?;
    Ok(())
}

/// Marks the pending conflicts of pairs as kept: the write that overwrote their loser is proven, by a receipt or by what is
/// there now; or nobody will ever know, and then they are kept too.
pub async fn absorb_conflicts(session: &mut dyn Session, pairs: &[i64]) -> Result<()> {
    let set: Vec<Cells> = pairs.iter().map(|pair| vec![Cell::Int(*pair)]).collect();
    session.execute("conflict_absorb", &set).await?;
    Ok(())
}

/// Forgets what is still pending once all receipts are absorbed: it was never written.
pub async fn sweep_conflicts(session: &mut dyn Session, links: &[i64]) -> Result<()> {
    let set: Vec<Cells> = links.iter().map(|link| vec![Cell::Int(*link)]).collect();
    session.execute("conflict_sweep", &set).await?;
    Ok(())
}

/// A conflict as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownConflict {
    /// Its id.
    pub id: Vec<u8>,
    /// The link's number.
    pub link: i64,
    /// The pair's keys.
    pub key: Both<Option<KeyBytes>>,
    /// Whose values were overwritten; `None`: nobody's.
    pub loser: Option<Side>,
    /// The mapped fields of both rows as a JSON array of texts; `None`: gone, or values are not kept.
    pub rows: Both<Option<String>>,
    /// How it stands.
    pub state: ConflictState,
    /// Seconds since 1970.
    pub at: i64,
}

fn conflict_of(cells: &Cells) -> Result<ShownConflict> {
    let [id, _integration, link, _pair, s_key, t_key, loser, _s_row, _t_row, kept, at] = cells.as_slice() else {
        return Err(
            Error::new(Kind::Internal, "the conflicts have other columns than this version expects").hint("twinrow check")
        );
    };
    Ok(ShownConflict {
        id: bytes(id)?.unwrap_or_default().to_vec(),
        link: int(link)?,
        key: Both { source: key_of(s_key)?, target: key_of(t_key)? },
        loser: Some(int(loser)?).filter(|number| *number != NOBODY).map(side_of),
        rows: Both::default(),
        state: match int(kept)? {
            0 => ConflictState::Pending,
            1 => ConflictState::Kept,
            _ => ConflictState::Undecided,
        },
        at: int(at)?,
    })
}

/// The latest conflicts of an integration, newest first, without their rows.
pub async fn conflicts(session: &mut dyn Session, integration: &str, limit: i64) -> Result<Vec<ShownConflict>> {
    let set = [vec![text_cell(integration), Cell::Int(limit)]];
    let mut list: Vec<ShownConflict> =
        session.query("conflict_list", &set).await?.iter().map(conflict_of).collect::<Result<_>>()?;
    list.sort_by(|a, b| (b.at, &a.id).cmp(&(a.at, &b.id)));
    Ok(list)
}

/// One conflict, with its rows.
pub async fn conflict(session: &mut dyn Session, integration: &str, id: &[u8]) -> Result<Option<ShownConflict>> {
    let id = Cell::Bytes(id.to_vec());
    let found = session.query("conflict_show", &[vec![text_cell(integration), id.clone()]]).await?;
    let Some(mut conflict) = found.first().map(conflict_of).transpose()? else { return Ok(None) };
    for side in Side::BOTH {
        let rows = session.query("conflict_row", &[vec![id.clone(), side_cell(side)]]).await?;
        let row = rows.first().and_then(|row| row.first()).filter(|cell| **cell != Cell::Null);
        conflict.rows[side] = row.map(text).transpose()?.map(str::to_owned);
    }
    Ok(Some(conflict))
}

/// How many conflicts a link has kept.
pub async fn conflict_count(session: &mut dyn Session, link: &Link) -> Result<u64> {
    let rows = session.query("conflict_count", &[vec![Cell::Int(link.number)]]).await?;
    rows.first().and_then(|row| row.first()).map_or(Ok(0), |cell| Ok(u64::try_from(int(cell)?).unwrap_or(0)))
}
