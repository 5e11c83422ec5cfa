//! Conflicts: pending, kept, and those that wait for a person.

use std::collections::HashSet;

use super::{key_cell, key_of, side_cell, side_of, text_cell};
use crate::error::{Error, Kind, Result};
use crate::model::{Both, Conflict, ConflictState, KeyBytes, Link, Row, Side};
use crate::sql::{Cell, Cells, Session, bytes, int, text};

/// In the column `loser`, where nobody lost.
const NOBODY: i64 = 2;

fn row_cell(row: Option<&Row>) -> Cell {
    row.map_or(Cell::Null, |row| {
        let texts: Vec<Option<String>> = row.iter().map(|value| (!value.is_null()).then(|| value.to_text())).collect();
        Cell::Text(serde_json::json!(texts).to_string())
    })
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

fn cells(integration: &str, conflicts: &[Conflict], values: bool, now: i64) -> Vec<Cells> {
    conflicts
        .iter()
        .map(|conflict| {
            let row = |side: Side| if values { row_cell(conflict.rows[side].as_ref()) } else { Cell::Null };
            vec![
                Cell::Bytes(conflict.id.clone()),
                text_cell(integration),
                Cell::Int(conflict.link),
                Cell::Int(conflict.pair),
                key_cell(conflict.key.source.as_ref()),
                key_cell(conflict.key.target.as_ref()),
                loser_cell(conflict.loser),
                row(Side::Source),
                row(Side::Target),
                Cell::Int(state_number(conflict.state)),
                Cell::Int(now),
            ]
        })
        .collect()
}

/// Writes conflicts down before anything is overwritten; one that is there already stays as it is.
/// `values`: whether the rows themselves are kept (I10).
pub async fn write_conflicts(
    session: &mut dyn Session,
    integration: &str,
    conflicts: &[Conflict],
    values: bool,
    now: i64,
) -> Result<()> {
    session.execute("conflict_write", &cells(integration, conflicts, values, now)).await?;
    Ok(())
}

/// As [`write_conflicts`], for those that wait for a person: what was there before is as it is now.
pub async fn hold_conflicts(
    session: &mut dyn Session,
    integration: &str,
    conflicts: &[Conflict],
    values: bool,
    now: i64,
) -> Result<()> {
    session.execute("conflict_hold", &cells(integration, conflicts, values, now)).await?;
    Ok(())
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
    let [id, _integration, link, _pair, s_key, t_key, loser, s_row, t_row, kept, at] = cells.as_slice() else {
        return Err(
            Error::new(Kind::Internal, "the conflicts have other columns than this version expects").hint("twinrow check")
        );
    };
    let row = |cell: &Cell| if *cell == Cell::Null { Ok(None) } else { text(cell).map(|text| Some(text.to_owned())) };
    Ok(ShownConflict {
        id: bytes(id)?.unwrap_or_default().to_vec(),
        link: int(link)?,
        key: Both { source: key_of(s_key)?, target: key_of(t_key)? },
        loser: Some(int(loser)?).filter(|number| *number != NOBODY).map(side_of),
        rows: Both { source: row(s_row)?, target: row(t_row)? },
        state: match int(kept)? {
            0 => ConflictState::Pending,
            1 => ConflictState::Kept,
            _ => ConflictState::Undecided,
        },
        at: int(at)?,
    })
}

/// The latest conflicts of an integration, newest first.
pub async fn conflicts(session: &mut dyn Session, integration: &str, limit: i64) -> Result<Vec<ShownConflict>> {
    let set = [vec![text_cell(integration), Cell::Int(limit)]];
    let mut list: Vec<ShownConflict> =
        session.query("conflict_list", &set).await?.iter().map(conflict_of).collect::<Result<_>>()?;
    list.sort_by(|a, b| (b.at, &a.id).cmp(&(a.at, &b.id)));
    Ok(list)
}

/// One conflict.
pub async fn conflict(session: &mut dyn Session, integration: &str, id: &[u8]) -> Result<Option<ShownConflict>> {
    let set = [vec![text_cell(integration), Cell::Bytes(id.to_vec())]];
    session.query("conflict_show", &set).await?.first().map(conflict_of).transpose()
}

/// How many conflicts a link has kept.
pub async fn conflict_count(session: &mut dyn Session, link: &Link) -> Result<u64> {
    let rows = session.query("conflict_count", &[vec![Cell::Int(link.number)]]).await?;
    rows.first().and_then(|row| row.first()).map_or(Ok(0), |cell| Ok(u64::try_from(int(cell)?).unwrap_or(0)))
}
