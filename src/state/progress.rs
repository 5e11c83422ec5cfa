//! Whose turn it is, how far each log was read, what runs there were.

use super::{side_cell, side_of, text_cell};
use crate::error::{Error, Kind, Result};
use crate::model::{Both, Link, Position, Scan, ScanPart};
use crate::sql::{Cell, Cells, Session, bytes, int, text};

/// Who has the integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Counted up by every take-over.
    pub epoch: i64,
    /// Host and process, for people.
    pub holder: String,
    /// The holder has promised to be alive until then, in seconds since 1970. Politeness only: the
    /// fence is what protects.
    pub until: i64,
}

/// Takes the integration over and returns the new epoch: one that no integration with its state here ever had, for the
/// ids of pairs and intents begin with it, and are unique in their tables.
pub async fn take_lease(session: &mut dyn Session, integration: &str, holder: &str, until: i64) -> Result<i64> {
    let mut others = other_epochs(session, integration).await?;
    loop {
        let set = [vec![text_cell(integration), text_cell(holder), Cell::Int(until), Cell::Int(others + 1)]];
        let epoch = first_number(session.query("lease_take", &set).await?)?;
        // Another one that starts at this moment may have taken the same: whoever looks last sees it.
        others = other_epochs(session, integration).await?;
        if epoch > others {
            return Ok(epoch);
        }
    }
}

/// The highest epoch of the other integrations.
async fn other_epochs(session: &mut dyn Session, integration: &str) -> Result<i64> {
    first_number(session.query("lease_others", &[vec![text_cell(integration)]]).await?)
}

fn first_number(rows: Vec<Cells>) -> Result<i64> {
    match rows.first().and_then(|row| row.first()) {
        Some(number) => int(number),
        None => Err(Error::new(Kind::Internal, "the lease was not recorded")),
    }
}

/// Who has the integration, if anybody ever had.
pub async fn read_lease(session: &mut dyn Session, integration: &str) -> Result<Option<Lease>> {
    let rows = session.query("lease_read", &[vec![text_cell(integration)]]).await?;
    let Some([epoch, holder, until]) = rows.first().map(Vec::as_slice) else { return Ok(None) };
    Ok(Some(Lease { epoch: int(epoch)?, holder: text(holder)?.to_owned(), until: int(until)? }))
}

/// Says that the holder of `epoch` is alive.
pub async fn beat(session: &mut dyn Session, integration: &str, epoch: i64, until: i64) -> Result<()> {
    session.execute("lease_beat", &[vec![text_cell(integration), Cell::Int(epoch), Cell::Int(until)]]).await?;
    Ok(())
}

/// The instance and the fence number of each endpoint when the state last saw it (rule 17).
pub async fn seen(session: &mut dyn Session, integration: &str) -> Result<Vec<(String, String, i64)>> {
    let mut all = Vec::new();
    for row in session.query("seen_read", &[vec![text_cell(integration)]]).await? {
        if let [endpoint, instance, n] = row.as_slice() {
            all.push((text(endpoint)?.to_owned(), text(instance)?.to_owned(), int(n)?));
        }
    }
    Ok(all)
}

/// Remembers instance and fence number of endpoints.
pub async fn write_seen(session: &mut dyn Session, integration: &str, endpoints: &[(String, String, i64)]) -> Result<()> {
    let set: Vec<_> = endpoints
        .iter()
        .map(|(endpoint, instance, n)| vec![text_cell(integration), text_cell(endpoint), text_cell(instance), Cell::Int(*n)])
        .collect();
    session.execute("seen_write", &set).await?;
    Ok(())
}

/// The links the state knows, by name: number and the JSON of their fields' numbers.
pub type Links = Vec<(String, i64, String)>;

/// The links of an integration.
pub async fn links(session: &mut dyn Session, integration: &str) -> Result<Links> {
    let mut all = Vec::new();
    for row in session.query("link_read", &[vec![text_cell(integration)]]).await? {
        if let [name, number, fields] = row.as_slice() {
            all.push((text(name)?.to_owned(), int(number)?, text(fields)?.to_owned()));
        }
    }
    Ok(all)
}

/// A number no link of this state has.
pub async fn next_link_number(session: &mut dyn Session) -> Result<i64> {
    let rows = session.query("link_next", &[vec![]]).await?;
    rows.first().and_then(|row| row.first()).map_or(Ok(1), int)
}

/// Records a link.
pub async fn write_link(session: &mut dyn Session, integration: &str, name: &str, number: i64, fields: &str) -> Result<()> {
    let set = [vec![text_cell(integration), text_cell(name), Cell::Int(number), text_cell(fields)]];
    session.execute("link_write", &set).await?;
    Ok(())
}

/// How far each side's log was read; `None`: never.
pub type Cursors = Both<Option<Position>>;

/// The cursors of a link.
pub async fn cursors(session: &mut dyn Session, link: &Link) -> Result<Cursors> {
    let mut cursors = Cursors::default();
    for row in session.query("cursor_read", &[vec![Cell::Int(link.number)]]).await? {
        if let [side, position] = row.as_slice() {
            cursors[side_of(int(side)?)] = Some(Position(text(position)?.to_owned()));
        }
    }
    Ok(cursors)
}

/// Moves cursors, in the transaction that recorded everything before them.
pub async fn write_cursors(session: &mut dyn Session, cursors: &[(i64, crate::model::Side, Position)]) -> Result<()> {
    let set: Vec<_> =
        cursors.iter().map(|(link, side, position)| vec![Cell::Int(*link), side_cell(*side), text_cell(&position.0)]).collect();
    session.execute("cursor_write", &set).await?;
    Ok(())
}

/// The full compare under way for a link.
pub async fn scan(session: &mut dyn Session, link: &Link) -> Result<Option<Scan>> {
    let rows = session.query("scan_read", &[vec![Cell::Int(link.number)]]).await?;
    let Some([number, part, after, asked]) = rows.first().map(Vec::as_slice) else { return Ok(None) };
    Ok(Some(Scan {
        link: int(number)?,
        part: match int(part)? {
            0 => ScanPart::Source,
            1 => ScanPart::Target,
            number @ 4..=7 => ScanPart::Recheck(Both { source: number & 1 != 0, target: number & 2 != 0 }),
            _ => ScanPart::Pairs,
        },
        after: bytes(after)?.map(<[u8]>::to_vec),
        asked: int(asked)?,
    }))
}

/// Starts or moves a full compare.
pub async fn write_scan(session: &mut dyn Session, scan: &Scan) -> Result<()> {
    let part = match scan.part {
        ScanPart::Source => 0,
        ScanPart::Target => 1,
        ScanPart::Pairs => 2,
        ScanPart::Recheck(sides) => 4 + i64::from(sides.source) + 2 * i64::from(sides.target),
    };
    let after = scan.after.clone().map_or(Cell::Null, Cell::Bytes);
    session.execute("scan_write", &[vec![Cell::Int(scan.link), Cell::Int(part), after, Cell::Int(scan.asked)]]).await?;
    Ok(())
}

/// Ends a full compare.
pub async fn scan_done(session: &mut dyn Session, link: &Link) -> Result<()> {
    session.execute("scan_delete", &[vec![Cell::Int(link.number)]]).await?;
    Ok(())
}

/// One run, for `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number, increasing.
    pub id: i64,
    /// `incremental` or `full`.
    pub kind: String,
    /// Seconds since 1970.
    pub started: i64,
    /// Seconds since 1970; `None` while it runs, or if it died.
    pub ended: Option<i64>,
    /// What it did, as JSON.
    pub counts: String,
}

/// Records a run.
pub async fn write_run(session: &mut dyn Session, integration: &str, run: &Run) -> Result<()> {
    let set = [vec![
        text_cell(integration),
        Cell::Int(run.id),
        text_cell(&run.kind),
        Cell::Int(run.started),
        run.ended.map_or(Cell::Null, Cell::Int),
        text_cell(&run.counts),
    ]];
    session.execute("run_write", &set).await?;
    Ok(())
}

/// The latest runs, newest first.
pub async fn runs(session: &mut dyn Session, integration: &str, limit: i64) -> Result<Vec<Run>> {
    let mut all = Vec::new();
    for row in session.query("run_read", &[vec![text_cell(integration), Cell::Int(limit)]]).await? {
        if let [id, kind, started, ended, counts] = row.as_slice() {
            all.push(Run {
                id: int(id)?,
                kind: text(kind)?.to_owned(),
                started: int(started)?,
                ended: if *ended == Cell::Null { None } else { Some(int(ended)?) },
                counts: text(counts)?.to_owned(),
            });
        }
    }
    all.sort_by_key(|run| std::cmp::Reverse(run.id));
    Ok(all)
}

/// All settings of an integration: the parameters and what the first run was told.
pub async fn settings(session: &mut dyn Session, integration: &str) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for row in session.query("setting_read", &[vec![text_cell(integration)]]).await? {
        if let [name, value] = row.as_slice() {
            all.push((text(name)?.to_owned(), text(value)?.to_owned()));
        }
    }
    Ok(all)
}

/// One setting.
pub async fn setting(session: &mut dyn Session, integration: &str, name: &str) -> Result<Option<String>> {
    Ok(settings(session, integration).await?.into_iter().find(|(found, _)| found == name).map(|(_, value)| value))
}

/// Sets one.
pub async fn write_setting(session: &mut dyn Session, integration: &str, name: &str, value: &str) -> Result<()> {
    session.execute("setting_write", &[vec![text_cell(integration), text_cell(name), text_cell(value)]]).await?;
    Ok(())
}

/// Adds to one that is a number.
pub async fn add_to_setting(session: &mut dyn Session, integration: &str, name: &str, by: i64) -> Result<()> {
    session.execute("setting_add", &[vec![text_cell(integration), text_cell(name), Cell::Int(by)]]).await?;
    Ok(())
}
