//! `REPLACE` deletes a row and inserts another one under its key: the same record (A15). In a log of which
//! many write at once the two need not be neighbours, and a reading that ends somewhere may end between them. Who wrote them tells
//! one statement from two: an insert right behind the delete of its number may put the same record back, and may be another one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mysql_async::Row;

use super::catalog::quoted;
use super::connection::{Connection, field_optional};
use super::log::{self, Log, Logged, What};
use crate::error::Result;
use crate::model::KeyBytes;

/// Who wrote an entry, and by which statement: `now` is when it began, also within its triggers. Two statements of one session in
/// the same fraction of a second, with no other entry of its between them, are as good as impossible, unless it has set its own
/// `timestamp`.
pub(super) const WRITER: &str = "connection_id() * 1000000 + microsecond(now(6))";

/// The session of a writer, here and in SQL. Entries that an older version wrote do not say whose they are: they are taken for
/// those of one session, which no session is.
pub(super) fn session(writer: Option<u64>) -> u64 {
    writer.map_or(0, |writer| writer / 1_000_000)
}
const SESSION: &str = "ifnull(writer div 1000000, 0)";

/// What one session has deleted last, with nothing else in between: the keys, where they stand in what was read, and the statement
/// that deleted the last of them.
#[derive(Default)]
struct Run {
    deleted: Vec<(KeyBytes, usize)>,
    writer: Option<u64>,
}

impl Run {
    fn delete(&mut self, key: KeyBytes, at: usize, writer: Option<u64>) {
        if self.writer != writer {
            self.deleted.clear();
        }
        self.writer = writer;
        self.deleted.push((key, at));
    }

    /// Which delete an insert of `key` belongs to: one of its own statement, for a REPLACE deletes a row for each unique index that it
    /// meets one by, and then inserts; or else the one right before it (`next`), by whatever statement.
    fn replaced(&self, key: &KeyBytes, writer: Option<u64>, next: bool) -> Option<Deleted> {
        let by_the_same = writer.is_some() && self.writer == writer;
        let within = if by_the_same { self.deleted.len() } else { usize::from(next) };
        let (_, at) = self.deleted.iter().rev().take(within).find(|(deleted, _)| deleted == key)?;
        Some(Deleted { at: *at, by_the_same })
    }
}

/// The delete that an insert belongs to.
struct Deleted {
    at: usize,
    /// One statement did both: a REPLACE, and not a delete and an insert.
    by_the_same: bool,
}

impl Deleted {
    /// Whether it may have been the record that the insert has put there. By two statements another one may have got a key that
    /// people give (rule 8).
    fn is_of_it(&self, generated: bool) -> bool {
        self.by_the_same || generated
    }
}

/// What each session has deleted last, by log; `replaced` is told of each delete that an insert belongs to, and of the insert.
fn runs(read: &[Logged], mut replaced: impl FnMut(Deleted, usize)) -> HashMap<(usize, u64), Run> {
    let mut runs: HashMap<(usize, u64), Run> = HashMap::new();
    for (at, logged) in read.iter().enumerate() {
        let of = (logged.log, session(logged.writer));
        match &logged.what {
            What::Delete(key) => runs.entry(of).or_default().delete(key.encode(), at, logged.writer),
            What::Insert(key) => {
                let run = runs.remove(&of);
                let deleted = run.and_then(|run| run.replaced(&key.encode(), logged.writer, true));
                deleted.into_iter().for_each(|deleted| replaced(deleted, at));
            }
            What::Update(..) | What::Replace(_) | What::PutBack(_) | What::Anything | What::Epoch => _ = runs.remove(&of),
        }
    }
    runs
}

/// Puts entries in the order in which they were written, and marks those of a REPLACE, or of what may be one: the delete says no
/// more than that the row changed.
pub(super) fn mark(read: &mut [Logged], generated: impl Fn(usize) -> bool) {
    read.sort_by_key(|logged| (logged.log, logged.n.is_none(), logged.n, logged.seq));
    let mut pairs = Vec::new();
    runs(read, |deleted, inserted| pairs.push((deleted, inserted)));
    for (deleted, inserted) in pairs {
        let What::Insert(key) = &read[inserted].what else { continue };
        let key = key.clone();
        if deleted.is_of_it(generated(read[inserted].log)) {
            read[deleted.at].what = What::Update(key.clone(), key.clone());
            read[deleted.at].hint = false;
            read[inserted].what = if deleted.by_the_same { What::Replace(key) } else { What::PutBack(key) };
        }
    }
}

/// Adds the inserts that belong to what was deleted last, where a reading of this log ends before them: in the same transaction, so
/// they are there. What lies between is about other keys, for the row was locked. Returns their numbers.
pub(super) async fn complete(connection: &mut Connection, log: &Log, read: &mut Vec<Logged>, after: i64) -> Result<Vec<i64>> {
    let open: BTreeMap<u64, Run> = runs(read, |_, _| {}).into_iter().map(|((_, session), run)| (session, run)).collect();
    let at = read.first().map_or(0, |logged| logged.log);
    let mut added = Vec::new();
    for (inserted, next) in first_inserts(connection, log, after, open.keys()).await? {
        let (Some(run), What::Insert(key)) = (open.get(&session(inserted.writer)), &inserted.what) else { continue };
        let deleted = run.replaced(&key.encode(), inserted.writer, next);
        if deleted.is_some_and(|deleted| deleted.is_of_it(log.generated)) {
            added.push(inserted.seq);
            read.push(Logged { log: at, ..inserted });
        }
    }
    Ok(added)
}

/// The first row that each of these sessions has inserted after a number, and whether it did nothing else before.
async fn first_inserts(
    connection: &mut Connection,
    log: &Log,
    after: i64,
    sessions: impl Iterator<Item = &u64>,
) -> Result<Vec<(Logged, bool)>> {
    let sessions: Vec<String> = sessions.map(u64::to_string).collect();
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select min(seq), min(if(op = 'I', seq, null)) from {} where seq > {after} and {SESSION} in ({}) group by {SESSION}",
        quoted(&log.name),
        sessions.join(", ")
    );
    let mut next: BTreeSet<i64> = BTreeSet::new();
    let mut first = Vec::new();
    for row in connection.rows(&sql, Vec::new()).await.map_err(log::missing)? {
        next.insert(log::number(&row, 0)?);
        first.extend(inserted(&row)?);
    }
    let found = log::numbered(connection, log, &first).await?;
    let with = |logged: Logged| {
        let next = next.contains(&logged.seq);
        (logged, next)
    };
    Ok(found.into_iter().map(with).collect())
}

fn inserted(row: &Row) -> Result<Option<i64>> {
    field_optional(row, 1)?.map(|_| log::number(row, 1)).transpose()
}
