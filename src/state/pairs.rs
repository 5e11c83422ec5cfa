//! The identity map and the receipts that feed it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::conflicts::absorb_conflicts;
use super::progress::{add_to_setting, setting, write_setting};
use super::{key_cell, key_of, side_cell, side_of};
use crate::error::{Error, Kind, Result};
use crate::model::{Both, KeyBytes, Link, Pair, PairStatus, Pos, Receipt, Side, decode_bases, encode_bases, work_name};
use crate::sql::{Cell, Cells, Session, bytes, int};

/// The columns of a pair, in the order of `pair_insert`'s and `pair_absorb`'s parameters.
const COLUMNS: usize = 13;
const ID: usize = 0;
const LINK: usize = 1;
const KEYS: std::ops::Range<usize> = 2..4;
const VER: usize = 9;

fn status_number(status: PairStatus) -> i64 {
    match status {
        PairStatus::Linked => 0,
        PairStatus::Unlinked => 1,
        PairStatus::Ended => 2,
    }
}

fn to_cells(link: &Link, pair: &Pair) -> Cells {
    vec![
        Cell::Int(pair.id),
        Cell::Int(pair.link),
        key_cell(pair.key.source.as_ref()),
        key_cell(pair.key.target.as_ref()),
        key_cell(pair.former.source.as_ref()),
        key_cell(pair.former.target.as_ref()),
        Cell::Int(pair.pos.source.0),
        Cell::Int(pair.pos.target.0),
        Cell::Int(status_number(pair.status)),
        Cell::Int(pair.ver),
        Cell::Int(pair.cycle),
        diverged_cell(pair),
        Cell::Bytes(encode_bases(link, &pair.bases)),
    ]
}

fn from_cells(link: &Link, cells: &[Cell]) -> Result<Pair> {
    let [id, number, s_key, t_key, s_former, t_former, s_pos, t_pos, status, ver, cycle, _diverged, bases] = cells else {
        return Err(
            Error::new(Kind::Internal, "the identity map has other columns than this version expects").hint("twinrow check")
        );
    };
    Ok(Pair {
        id: int(id)?,
        link: int(number)?,
        key: Both { source: key_of(s_key)?, target: key_of(t_key)? },
        former: Both { source: key_of(s_former)?, target: key_of(t_former)? },
        pos: Both { source: Pos(int(s_pos)?), target: Pos(int(t_pos)?) },
        status: match int(status)? {
            0 => PairStatus::Linked,
            1 => PairStatus::Unlinked,
            _ => PairStatus::Ended,
        },
        ver: int(ver)?,
        cycle: int(cycle)?,
        bases: decode_bases(link, bytes(bases)?.unwrap_or_default()),
    })
}

fn pairs(link: &Link, rows: &[Cells]) -> Result<Vec<Pair>> {
    rows.iter().map(|cells| from_cells(link, cells)).collect()
}

fn keyed(link: &Link, keys: &[KeyBytes]) -> Vec<Cells> {
    keys.iter().map(|key| vec![Cell::Int(link.number), key_cell(Some(key))]).collect()
}

/// The pairs that hold these keys on `side`.
pub async fn by_key(session: &mut dyn Session, link: &Link, side: Side, keys: &[KeyBytes]) -> Result<Vec<Pair>> {
    let name = match side {
        Side::Source => "pair_by_source",
        Side::Target => "pair_by_target",
    };
    pairs(link, &session.query(name, &keyed(link, keys)).await?)
}

/// The pairs that lost `side` under these keys.
pub async fn by_former(session: &mut dyn Session, link: &Link, side: Side, keys: &[KeyBytes]) -> Result<Vec<Pair>> {
    let mut lost = losers(session, link, side, keys).await?;
    lost.retain(|pair| pair.gone(side));
    Ok(lost)
}

/// The pairs whose record was made again on `side`, which it had left under these keys: only of a table in several links.
pub async fn made_again(session: &mut dyn Session, link: &Link, side: Side, keys: &[KeyBytes]) -> Result<Vec<Pair>> {
    let mut made = losers(session, link, side, keys).await?;
    made.retain(|pair| !pair.gone(side));
    Ok(made)
}

async fn losers(session: &mut dyn Session, link: &Link, side: Side, keys: &[KeyBytes]) -> Result<Vec<Pair>> {
    let name = match side {
        Side::Source => "pair_by_source_former",
        Side::Target => "pair_by_target_former",
    };
    pairs(link, &session.query(name, &keyed(link, keys)).await?)
}

/// The pairs with these ids.
pub async fn by_id(session: &mut dyn Session, link: &Link, ids: &[i64]) -> Result<Vec<Pair>> {
    let set: Vec<Cells> = ids.iter().map(|id| vec![Cell::Int(*id)]).collect();
    pairs(link, &session.query("pair_by_id", &set).await?)
}

/// The next pairs of a link after id `after`: one page of a full compare.
pub async fn page(session: &mut dyn Session, link: &Link, after: i64, limit: usize) -> Result<Vec<Pair>> {
    let set = [vec![Cell::Int(link.number), Cell::Int(after), Cell::Int(i64::try_from(limit).unwrap_or(i64::MAX))]];
    let mut found = pairs(link, &session.query("pair_page", &set).await?)?;
    found.sort_by_key(|pair| pair.id);
    Ok(found)
}

/// How the pairs of a link stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PairCounts {
    /// Live pairs.
    pub pairs: u64,
    /// Those whose source record is gone.
    pub source_gone: u64,
    /// Those whose target record is gone.
    pub target_gone: u64,
    /// Those that differ by policy in some field.
    pub diverged: u64,
    /// Those a person took apart.
    pub unlinked: u64,
    /// Those that lost both sides, and have yet to end.
    #[serde(skip)]
    pub both_gone: u64,
}

/// Counts the pairs of a link.
pub async fn count(session: &mut dyn Session, link: &Link) -> Result<PairCounts> {
    let rows = session.query("pair_count", &[vec![Cell::Int(link.number)]]).await?;
    let Some([pairs, source_gone, target_gone, diverged, unlinked, both_gone]) = rows.first().map(Vec::as_slice) else {
        return Ok(PairCounts::default());
    };
    let number = |cell| Ok::<u64, Error>(u64::try_from(int(cell)?).unwrap_or(0));
    Ok(PairCounts {
        pairs: number(pairs)?,
        source_gone: number(source_gone)?,
        target_gone: number(target_gone)?,
        diverged: number(diverged)?,
        unlinked: number(unlinked)?,
        both_gone: number(both_gone)?,
    })
}

/// Whether the map has anything of a link, also what has ended long ago: no row of it is ever removed.
pub async fn has_pairs(session: &mut dyn Session, link: &Link) -> Result<bool> {
    Ok(!session.query("pair_any", &[vec![Cell::Int(link.number)]]).await?.is_empty())
}

/// How many pairs a link ever had is noted under this name, which no integration has for its own, and the link's number: whoever
/// finds fewer in the map knows that some were lost (C21).
fn noted(link: i64) -> String {
    format!("pairs:{link}")
}

/// Counts new pairs, in the transaction that inserts them.
async fn note_new(session: &mut dyn Session, link: i64, new: usize) -> Result<()> {
    match i64::try_from(new) {
        Ok(new) if new > 0 => add_to_setting(session, "", &noted(link), new).await,
        _ => Ok(()),
    }
}

async fn total(session: &mut dyn Session, link: &Link) -> Result<i64> {
    let rows = session.query("pair_total", &[vec![Cell::Int(link.number)]]).await?;
    rows.first().and_then(|row| row.first()).map_or(Ok(0), int)
}

/// How many of the pairs that a link ever had are not in its map any more; `None`: nobody has counted them yet.
pub async fn missing_pairs(session: &mut dyn Session, link: &Link) -> Result<Option<u64>> {
    let Some(noted) = setting(session, "", &noted(link.number)).await?.and_then(|noted| noted.parse::<i64>().ok()) else {
        return Ok(None);
    };
    Ok(Some(u64::try_from(noted - total(session, link).await?).unwrap_or(0)))
}

/// From now on a link has the pairs that are in its map.
pub async fn count_anew(session: &mut dyn Session, link: &Link) -> Result<()> {
    let total = total(session, link).await?;
    write_setting(session, "", &noted(link.number), &total.to_string()).await
}

/// Inserts new pairs. All or nothing: if one of their keys has a live pair already, nothing may stand.
///
/// # Errors
/// [`Kind::Stale`], and the transaction must be rolled back.
pub async fn insert<'a>(session: &mut dyn Session, link: &Link, new: impl IntoIterator<Item = &'a Pair>) -> Result<()> {
    let set: Vec<Cells> = new.into_iter().map(|pair| to_cells(link, pair)).collect();
    all_or_stale(session.execute("pair_insert", &set).await, set.len(), link)?;
    note_new(session, link.number, set.len()).await
}

/// Records pairs as they are now, each valid only for version `ver - 1`.
///
/// # Errors
/// [`Kind::Stale`] if one was recorded meanwhile; the transaction must be rolled back.
pub async fn update<'a>(session: &mut dyn Session, link: &Link, changed: impl IntoIterator<Item = &'a Pair>) -> Result<()> {
    let set: Vec<Cells> = changed.into_iter().map(|pair| to_cells(link, pair)).collect();
    all_or_stale(session.execute("pair_update", &set).await, set.len(), link)
}

/// Pairs are about to be recorded under each other's keys: all of them let go first, those of another version
/// than `ver - 1` excepted. One alone is in nobody's way.
pub async fn let_go<'a>(session: &mut dyn Session, moved: impl IntoIterator<Item = &'a Pair>) -> Result<()> {
    let set: Vec<Cells> = moved.into_iter().map(|pair| vec![Cell::Int(pair.id), Cell::Int(pair.ver)]).collect();
    if set.len() > 1 {
        session.execute("pair_let_go", &set).await?;
    }
    Ok(())
}

/// The log of one side of a link begins anew, and counts otherwise than the one before: no entry that is read from now on is
/// older than what the map knows (rule 6).
pub async fn log_anew(session: &mut dyn Session, link: i64, side: Side) -> Result<()> {
    session.execute("pair_log_anew", &[vec![Cell::Int(link), side_cell(side)]]).await.map(|_| ())
}

/// As [`update`], for pairs whose keys, former keys and status are what they were: most of what a drain of
/// updates records.
///
/// # Errors
/// As [`update`].
pub async fn rebase<'a>(session: &mut dyn Session, link: &Link, changed: impl IntoIterator<Item = &'a Pair>) -> Result<()> {
    let set: Vec<Cells> = changed
        .into_iter()
        .map(|pair| {
            vec![
                Cell::Int(pair.id),
                Cell::Int(pair.pos.source.0),
                Cell::Int(pair.pos.target.0),
                Cell::Int(pair.ver),
                Cell::Int(pair.cycle),
                diverged_cell(pair),
                Cell::Bytes(encode_bases(link, &pair.bases)),
            ]
        })
        .collect();
    all_or_stale(session.execute("pair_rebase", &set).await, set.len(), link)
}

fn diverged_cell(pair: &Pair) -> Cell {
    Cell::Int(i64::try_from(pair.diverged()).unwrap_or(i64::MAX))
}

fn all_or_stale(affected: Result<u64>, expected: usize, link: &Link) -> Result<()> {
    let stale =
        || Error::new(Kind::Stale, "a pair was recorded by someone else meanwhile").context(format!("link {}", link.name));
    match affected {
        Ok(affected) if affected == expected as u64 => Ok(()),
        Ok(_) => Err(stale()),
        Err(error) if error.kind() == Kind::Duplicate => Err(stale().source(error)),
        Err(error) => Err(error),
    }
}

/// Whether pairs were not recorded because a live pair holds one of their keys: see [`detach`].
pub fn is_taken(error: &Error) -> bool {
    let underneath = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>());
    error.kind() == Kind::Stale && underneath.is_some_and(|error| error.kind() == Kind::Duplicate)
}

/// Takes `side` away from the live pairs that still hold a key which was just generated for another
/// record: the engine gave it out again, so their record is gone. Returns them as they are now.
pub async fn detach(
    session: &mut dyn Session,
    link: &Link,
    side: Side,
    keepers: &[(KeyBytes, i64)],
    cycle: i64,
) -> Result<Vec<Pair>> {
    let name = match side {
        Side::Source => "pair_detach_source",
        Side::Target => "pair_detach_target",
    };
    let set: Vec<Cells> = keepers
        .iter()
        .map(|(key, id)| vec![Cell::Int(link.number), key_cell(Some(key)), Cell::Int(*id), Cell::Int(cycle)])
        .collect();
    pairs(link, &session.query(name, &set).await?)
}

/// Writes receipts into the endpoint, in the transaction they are the proof of.
pub async fn write_receipts(session: &mut dyn Session, integration: &str, link: &Link, receipts: &[Receipt]) -> Result<()> {
    let set: Vec<Cells> = receipts
        .iter()
        .map(|receipt| {
            let mut cells = vec![Cell::Text(integration.to_owned()), Cell::Int(receipt.n)];
            cells.extend(to_cells(link, &receipt.pair));
            cells.push(receipt.detached.map_or(Cell::Null, side_cell));
            cells
        })
        .collect();
    session.execute("receipt_insert", &set).await?;
    Ok(())
}

/// The next receipts of an endpoint after number `after`, in order, as they are stored: they are
/// absorbed even if their link's configuration has changed since.
pub async fn read_receipts(session: &mut dyn Session, integration: &str, after: i64, limit: i64) -> Result<Vec<(i64, Cells)>> {
    let set = [vec![Cell::Text(integration.to_owned()), Cell::Int(after), Cell::Int(limit)]];
    let mut receipts = Vec::new();
    for mut cells in session.query("receipt_read", &set).await? {
        let n = int(&cells.remove(0))?;
        receipts.push((n, cells));
    }
    receipts.sort_by_key(|(n, _)| *n);
    Ok(receipts)
}

/// Absorbs receipts just written, as [`absorb_found`] would after reading them back. `moved`: the ids of pairs that
/// have other keys than before. Returns whether pairs of other records were detached.
pub async fn absorb_written(session: &mut dyn Session, link: &Link, receipts: &[Receipt], moved: &HashSet<i64>) -> Result<bool> {
    let raw: Vec<(i64, Cells)> = receipts
        .iter()
        .map(|receipt| {
            let mut cells = to_cells(link, &receipt.pair);
            cells.push(receipt.detached.map_or(Cell::Null, side_cell));
            (receipt.n, cells)
        })
        .collect();
    absorb(session, &raw, moved).await
}

/// Absorbs receipts of a process that died: what it had written down before it wrote is kept with what it wrote (rule 11). A
/// receipt the map knows already says nothing about what came later.
pub async fn absorb_found(session: &mut dyn Session, receipts: &[(i64, Cells)]) -> Result<()> {
    let set: Vec<Cells> = receipts.iter().map(|(_, cells)| vec![cells[ID].clone()]).collect();
    let mut known = HashMap::new();
    for pair in session.query("pair_by_id", &set).await? {
        known.insert(int(&pair[ID])?, (int(&pair[VER])?, pair[KEYS].to_vec()));
    }
    let (mut new, mut moved) = (Vec::new(), HashSet::new());
    for (_, cells) in receipts {
        let id = int(&cells[ID])?;
        let before = known.get(&id);
        if int(&cells[VER])? > before.map_or(0, |(ver, _)| *ver) {
            new.push(id);
        }
        if before.is_some_and(|(_, keys)| keys[..] != cells[KEYS]) {
            moved.insert(id);
        }
    }
    new.sort_unstable();
    new.dedup();
    absorb_conflicts(session, &new).await?;
    absorb(session, receipts, &moved).await.map(|_| ())
}

/// Records what receipts prove: insert if absent, update if the map is one version behind; anything
/// else was absorbed before (rule 10). Repeating it changes nothing. Returns whether pairs were detached.
async fn absorb(session: &mut dyn Session, receipts: &[(i64, Cells)], moved: &HashSet<i64>) -> Result<bool> {
    let mut detached = false;
    let mut rest: Vec<&Cells> = receipts.iter().map(|(_, cells)| cells).collect();
    while !rest.is_empty() {
        // A set-based update sees each pair once: receipts of one pair are absorbed in rounds.
        let (mut round, mut later, mut ids) = (Vec::new(), Vec::new(), HashSet::new());
        for cells in rest {
            if ids.insert(int(&cells[ID])?) { round.push(cells) } else { later.push(cells) }
        }
        detached |= absorb_round(session, &round, moved).await?;
        rest = later;
    }
    Ok(detached)
}

async fn absorb_round(session: &mut dyn Session, receipts: &[&Cells], moved: &HashSet<i64>) -> Result<bool> {
    let mut detached = false;
    let (mut inserts, mut updates, mut detaches) = (Vec::new(), Vec::new(), Both::<Vec<Cells>>::default());
    let mut going = Vec::new();
    for cells in receipts {
        let pair = cells[..COLUMNS].to_vec();
        if let Cell::Int(side) = cells[COLUMNS] {
            let side = side_of(side);
            let key = if side == Side::Source { &pair[2] } else { &pair[3] };
            detaches[side].push(vec![pair[1].clone(), key.clone(), pair[ID].clone(), pair[10].clone()]);
        }
        if moved.contains(&int(&pair[ID])?) {
            going.push(vec![pair[ID].clone(), pair[VER].clone()]);
        }
        if int(&pair[VER])? == 1 { inserts.push(pair) } else { updates.push(pair) }
    }
    // One link a statement: its number is a scalar there.
    for (side, name) in [(Side::Source, "pair_detach_source"), (Side::Target, "pair_detach_target")] {
        for set in detaches[side].chunk_by(|a, b| a[0] == b[0] && a[3] == b[3]) {
            let lost = session.query(name, set).await?;
            detached |= !lost.is_empty();
            let lost: Vec<Cells> = lost.iter().map(|pair| lost_side(pair, side)).collect::<Result<_>>()?;
            session.execute("work_write", &lost).await?;
        }
    }
    let mut recorded = session.execute("pair_absorb", &inserts).await?;
    if recorded == inserts.len() as u64 {
        // Where some were there already, nobody knows which: too few may be noted, never too many.
        let mut new: BTreeMap<i64, usize> = BTreeMap::new();
        for pair in &inserts {
            *new.entry(int(&pair[LINK])?).or_default() += 1;
        }
        for (link, new) in new {
            note_new(session, link, new).await?;
        }
    }
    if going.len() > 1 {
        session.execute("pair_let_go", &going).await?;
    }
    recorded += session.execute("pair_update", &updates).await?;
    if recorded != receipts.len() as u64 {
        all_known(session, receipts).await?;
    }
    Ok(detached)
}

/// What was not recorded must have been before: a receipt that is removed though the map does not know its pair
/// would make the record come twice.
async fn all_known(session: &mut dyn Session, receipts: &[&Cells]) -> Result<()> {
    let ids: Vec<Cells> = receipts.iter().map(|cells| vec![cells[ID].clone()]).collect();
    let mut known = HashMap::new();
    for pair in session.query("pair_by_id", &ids).await? {
        known.insert(int(&pair[ID])?, (int(&pair[LINK])?, int(&pair[VER])?));
    }
    for cells in receipts {
        let (id, link, ver) = (int(&cells[ID])?, int(&cells[LINK])?, int(&cells[VER])?);
        if known.get(&id).is_none_or(|(its, recorded)| *its != link || *recorded < ver) {
            let why =
                format!("the map can't take what was written: pair {id} of link number {link}, version {ver}, does not fit it");
            // A version in between was recorded before this was written: only a backup can have lost it.
            let before = known.get(&id).filter(|(its, _)| *its == link).map_or(0, |(_, recorded)| *recorded);
            return Err(match before + 1 < ver {
                true => {
                    Error::new(Kind::Identity, format!("{why}: the database that holds the state was restored from a backup"))
                }
                false => Error::new(Kind::Internal, why).hint("twinrow check"),
            });
        }
    }
    Ok(())
}

/// The worklist entry of a pair that lost a side while a receipt was absorbed.
fn lost_side(pair: &Cells, side: Side) -> Result<Cells> {
    let former = key_of(if side == Side::Source { &pair[4] } else { &pair[5] })?;
    let name = former.map(|key| Ok::<_, Error>(work_name(&key, Some(int(&pair[ID])?)))).transpose()?;
    let cause = Cell::Text("its key was given to another record".into());
    let zero = Cell::Int(0);
    Ok(vec![
        pair[1].clone(),
        side_cell(side),
        key_cell(name.as_ref()),
        Cell::Int(super::work::reason_number(crate::model::Reason::Gone)),
        cause,
        Cell::Null,
        zero.clone(),
        zero.clone(),
        zero.clone(),
        zero,
        Cell::Null,
    ])
}
