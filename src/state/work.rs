//! Unfinished work and brakes.

use std::collections::BTreeMap;

use super::{key_cell, key_of, side_cell, side_of, text_cell};
use crate::error::{Error, Kind, Result};
use crate::model::{Both, KeyBytes, Link, Reason, Side, Work, work_named};
use crate::sql::{Cell, Cells, Session, bytes, int, text};

pub(super) fn reason_number(reason: Reason) -> i64 {
    match reason {
        Reason::Busy => 0,
        Reason::Waiting => 1,
        Reason::Held => 2,
        Reason::Braked => 3,
        Reason::Gone => 4,
        Reason::Unfinished => 5,
        Reason::Approved => 6,
    }
}

fn reason_of(number: i64) -> Reason {
    match number {
        0 => Reason::Busy,
        1 => Reason::Waiting,
        3 => Reason::Braked,
        4 => Reason::Gone,
        5 => Reason::Unfinished,
        6 => Reason::Approved,
        _ => Reason::Held,
    }
}

fn work_cells(work: &Work) -> Cells {
    vec![
        Cell::Int(work.link),
        side_cell(work.side),
        key_cell(Some(&work.name())),
        Cell::Int(reason_number(work.reason)),
        text_cell(&work.cause),
        work.waits.clone().map_or(Cell::Null, Cell::Bytes),
        Cell::Int(work.attempts),
        Cell::Int(work.next_try),
        Cell::Int(work.cycle),
        Cell::Int(work.since),
        work.approved.clone().map_or(Cell::Null, Cell::Bytes),
    ]
}

fn work_of(cells: &Cells) -> Result<Work> {
    let [link, side, key, reason, cause, waits, attempts, next_try, cycle, since, approved] = cells.as_slice() else {
        return Err(Error::new(Kind::Internal, "the worklist has other columns than this version expects").hint("twinrow check"));
    };
    let (key, lost) = work_named(key_of(key)?.unwrap_or_default());
    Ok(Work {
        link: int(link)?,
        side: side_of(int(side)?),
        key,
        lost,
        reason: reason_of(int(reason)?),
        cause: text(cause)?.to_owned(),
        waits: bytes(waits)?.map(<[u8]>::to_vec),
        attempts: int(attempts)?,
        next_try: int(next_try)?,
        cycle: int(cycle)?,
        since: int(since)?,
        approved: bytes(approved)?.map(<[u8]>::to_vec),
    })
}

fn named(link: &Link, side: Side, name: &KeyBytes) -> Cells {
    vec![Cell::Int(link.number), side_cell(side), key_cell(Some(name))]
}

/// Puts records on the worklist; one that is there already counts an attempt more. The last entry
/// for a record wins.
pub async fn write_work(session: &mut dyn Session, work: &[Work]) -> Result<()> {
    let mut last: BTreeMap<(i64, Side, KeyBytes), &Work> = BTreeMap::new();
    for item in work {
        last.insert((item.link, item.side, item.name()), item);
    }
    let set: Vec<Cells> = last.values().map(|work| work_cells(work)).collect();
    session.execute("work_write", &set).await?;
    Ok(())
}

/// What is due, oldest first, without what cycle `cycle` put there itself: records that lost a side, or
/// all others.
pub async fn due(session: &mut dyn Session, link: &Link, now: i64, cycle: i64, gone: bool, limit: usize) -> Result<Vec<Work>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let set = [vec![Cell::Int(link.number), Cell::Int(now), Cell::Int(cycle), Cell::Int(i64::from(gone)), Cell::Int(limit)]];
    session.query("work_due", &set).await?.iter().map(work_of).collect()
}

/// What is on the worklist, due or not, but for records that lost a side.
pub async fn unfinished(session: &mut dyn Session, link: &Link, limit: usize) -> Result<Vec<Work>> {
    due(session, link, i64::MAX, i64::MIN, false, limit).await
}

/// What the worklist says under these names.
pub async fn read_work(session: &mut dyn Session, link: &Link, side: Side, names: &[KeyBytes]) -> Result<Vec<Work>> {
    let set: Vec<Cells> = names.iter().map(|name| named(link, side, name)).collect();
    session.query("work_read", &set).await?.iter().map(work_of).collect()
}

/// Takes finished records off the worklist, by name.
pub async fn delete_work(session: &mut dyn Session, link: &Link, names: &[(Side, KeyBytes)]) -> Result<()> {
    let set: Vec<Cells> = names.iter().map(|(side, name)| named(link, *side, name)).collect();
    session.execute("work_delete", &set).await?;
    Ok(())
}

/// What is to be tried again after `latest`, but for what is never due, is due `now`; both in seconds since 1970.
pub async fn hasten(session: &mut dyn Session, links: &[Link], now: i64, latest: i64) -> Result<()> {
    let set: Vec<Cells> = links.iter().map(|link| vec![Cell::Int(link.number), Cell::Int(now), Cell::Int(latest)]).collect();
    session.execute("work_hasten", &set).await?;
    Ok(())
}

/// Parents have their twins: what waited for them is due.
pub async fn release(session: &mut dyn Session, parents: &[Vec<u8>]) -> Result<()> {
    let set: Vec<Cells> = parents.iter().map(|parent| vec![Cell::Bytes(parent.clone())]).collect();
    session.execute("work_release", &set).await?;
    Ok(())
}

/// How much is unfinished, by reason and the side that named it.
pub async fn work_counts(session: &mut dyn Session, link: &Link) -> Result<BTreeMap<(Reason, Side), u64>> {
    let mut counts = BTreeMap::new();
    for row in session.query("work_count", &[vec![Cell::Int(link.number)]]).await? {
        if let [reason, side, count] = row.as_slice() {
            counts.insert((reason_of(int(reason)?), side_of(int(side)?)), u64::try_from(int(count)?).unwrap_or(0));
        }
    }
    Ok(counts)
}

/// What is left to be done of a link, as people are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Held for a person.
    pub held: u64,
    /// Waiting for a parent, or for a second step.
    pub waiting: u64,
    /// In somebody's way, or not decided yet.
    pub busy: u64,
    /// Waiting for the approval of a brake.
    pub braked: u64,
}

/// What is left on the worklist. What lost a side waits for an approval where a brake holds the other side.
pub async fn left(session: &mut dyn Session, link: &Link) -> Result<Left> {
    let mut counts = work_counts(session, link).await?;
    let brakes = if counts.is_empty() { Vec::new() } else { brakes(session, link).await? };
    let mut left = Left::default();
    let held = |side: Side| brakes.iter().any(|brake| brake.side == side.other());
    if Side::BOTH.into_iter().all(|side| held(side) && counts.contains_key(&(Reason::Gone, side))) {
        // What lost both sides is listed under both.
        let twice = super::count(session, link).await?.both_gone;
        counts.entry((Reason::Gone, Side::Source)).and_modify(|count| *count = count.saturating_sub(twice));
    }
    for ((reason, side), count) in counts {
        *match reason {
            Reason::Held => &mut left.held,
            Reason::Waiting | Reason::Unfinished => &mut left.waiting,
            Reason::Braked => &mut left.braked,
            Reason::Gone if held(side) => &mut left.braked,
            Reason::Busy | Reason::Gone | Reason::Approved => &mut left.busy,
        } += count;
    }
    Ok(left)
}

/// The next entries of the worklist after the one of this side and name.
pub async fn list_work(session: &mut dyn Session, link: &Link, after: Option<(Side, KeyBytes)>, limit: i64) -> Result<Vec<Work>> {
    let (side, name) = after.unwrap_or((Side::Source, KeyBytes::default()));
    let mut cells = named(link, side, &name);
    cells.push(Cell::Int(limit));
    let mut list: Vec<Work> = session.query("work_list", &[cells]).await?.iter().map(work_of).collect::<Result<_>>()?;
    list.sort_by_key(|work| (work.side, work.name()));
    Ok(list)
}

/// Makes everything of one reason due at once; returns how many.
pub async fn retry(session: &mut dyn Session, link: &Link, reason: Reason) -> Result<u64> {
    session.execute("work_retry", &[vec![Cell::Int(link.number), Cell::Int(reason_number(reason))]]).await
}

/// Makes entries due at once, by name.
pub async fn touch(session: &mut dyn Session, link: &Link, names: &[(Side, KeyBytes)]) -> Result<u64> {
    let set: Vec<Cells> = names.iter().map(|(side, name)| named(link, *side, name)).collect();
    session.execute("work_touch", &set).await
}

/// Remembers what a person approved, by the names of records that lost a side.
pub async fn approve_work(session: &mut dyn Session, link: &Link, approved: &[(Side, KeyBytes, Vec<u8>)]) -> Result<()> {
    let cells = |(side, name, mark): &(Side, KeyBytes, Vec<u8>)| {
        let mut cells = named(link, *side, name);
        cells.push(Cell::Bytes(mark.clone()));
        cells
    };
    let set: Vec<Cells> = approved.iter().map(cells).collect();
    session.execute("work_approve", &set).await?;
    Ok(())
}

/// What a brake counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BrakeKind {
    /// Deletes, and pairs that lose a side.
    Deletes,
    /// Changes.
    Changes,
    /// Nothing: another table stands on the side it keeps anything from being written to.
    OtherTable,
}

/// A brake that tripped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brake {
    /// The link's number.
    pub link: i64,
    /// The side that would be written.
    pub side: Side,
    /// What it counted.
    pub kind: BrakeKind,
    /// The hash of the set that waits.
    pub hash: Vec<u8>,
    /// How many records are in it.
    pub records: u64,
    /// Of how many live pairs.
    pub pairs: u64,
    /// When it tripped, seconds since 1970.
    pub at: i64,
    /// The hash a person approved.
    pub approved: Option<Vec<u8>>,
}

fn kind_cell(kind: BrakeKind) -> Cell {
    Cell::Int(match kind {
        BrakeKind::Deletes => 0,
        BrakeKind::Changes => 1,
        BrakeKind::OtherTable => 2,
    })
}

/// The brakes of a link.
pub async fn brakes(session: &mut dyn Session, link: &Link) -> Result<Vec<Brake>> {
    let mut all = Vec::new();
    for row in session.query("brake_read", &[vec![Cell::Int(link.number)]]).await? {
        if let [link, side, kind, hash, records, pairs, at, approved] = row.as_slice() {
            all.push(Brake {
                link: int(link)?,
                side: side_of(int(side)?),
                kind: match int(kind)? {
                    0 => BrakeKind::Deletes,
                    1 => BrakeKind::Changes,
                    _ => BrakeKind::OtherTable,
                },
                hash: bytes(hash)?.unwrap_or_default().to_vec(),
                records: u64::try_from(int(records)?).unwrap_or(0),
                pairs: u64::try_from(int(pairs)?).unwrap_or(0),
                at: int(at)?,
                approved: bytes(approved)?.map(<[u8]>::to_vec),
            });
        }
    }
    Ok(all)
}

/// Records that a brake has tripped, or that its set has changed.
pub async fn write_brake(session: &mut dyn Session, brake: &Brake) -> Result<()> {
    let number = |n: u64| Cell::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let set = [vec![
        Cell::Int(brake.link),
        side_cell(brake.side),
        kind_cell(brake.kind),
        Cell::Bytes(brake.hash.clone()),
        number(brake.records),
        number(brake.pairs),
        Cell::Int(brake.at),
        brake.approved.clone().map_or(Cell::Null, Cell::Bytes),
    ]];
    session.execute("brake_write", &set).await?;
    Ok(())
}

/// Lets exactly the set with this hash through.
pub async fn approve(session: &mut dyn Session, brake: &Brake) -> Result<u64> {
    let set = [vec![Cell::Int(brake.link), side_cell(brake.side), kind_cell(brake.kind), Cell::Bytes(brake.hash.clone())]];
    session.execute("brake_approve", &set).await
}

/// Releases a brake.
pub async fn clear_brake(session: &mut dyn Session, link: &Link, side: Side, kind: BrakeKind) -> Result<()> {
    session.execute("brake_delete", &[vec![Cell::Int(link.number), side_cell(side), kind_cell(kind)]]).await?;
    Ok(())
}

/// Adds records written on a side to the rolling window.
pub async fn count_recent(
    session: &mut dyn Session,
    link: &Link,
    side: Side,
    kind: BrakeKind,
    hour: i64,
    records: u64,
) -> Result<()> {
    let records = i64::try_from(records).unwrap_or(i64::MAX);
    let set = [vec![Cell::Int(link.number), side_cell(side), kind_cell(kind), Cell::Int(hour), Cell::Int(records)]];
    session.execute("brake_count", &set).await?;
    Ok(())
}

/// What the rolling window holds of a kind since `hour`.
pub async fn recent(session: &mut dyn Session, link: &Link, kind: BrakeKind, hour: i64) -> Result<Both<u64>> {
    let mut counts = Both::default();
    for row in session.query("brake_window", &[vec![Cell::Int(link.number), Cell::Int(hour)]]).await? {
        if let [side, of, records] = row.as_slice()
            && *of == kind_cell(kind)
        {
            counts[side_of(int(side)?)] = u64::try_from(int(records)?).unwrap_or(0);
        }
    }
    Ok(counts)
}

/// Empties the rolling window: a person has approved.
pub async fn reset_recent(session: &mut dyn Session, link: &Link, side: Side, kind: BrakeKind) -> Result<()> {
    session.execute("brake_reset", &[vec![Cell::Int(link.number), side_cell(side), kind_cell(kind)]]).await?;
    Ok(())
}
