//! A database in memory: users' tables, a change log, locks, transactions in flight.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use twinrow::error::{Error, Kind, Result};
use twinrow::model::{Row, Value};

use crate::options::{OnDelete, Options, Rounding, Shape};
use crate::session::Own;
use crate::users::{Effect, UserTx};

/// The fields of a row: business key (the entity's number), two values, a reference.
pub const ENTITY: usize = 0;
pub const X: usize = 1;
pub const Y: usize = 2;
pub const PARENT: usize = 3;
/// Where keys are copied, the key is a field.
pub const KEY: usize = 4;

/// What a log entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    Insert(i64),
    Update(i64),
    Delete(i64),
    Rename(i64, i64),
    Truncate,
    /// Nothing, but that a trigger says: compare everything.
    Mark,
}

impl Did {
    pub fn old(self) -> Option<i64> {
        match self {
            Did::Insert(_) | Did::Truncate | Did::Mark => None,
            Did::Update(key) | Did::Delete(key) | Did::Rename(key, _) => Some(key),
        }
    }

    pub fn key_after(self) -> Option<i64> {
        match self {
            Did::Insert(key) | Did::Update(key) | Did::Rename(_, key) => Some(key),
            Did::Delete(_) | Did::Truncate | Did::Mark => None,
        }
    }
}

/// An entry of the change log: its lsn is given when the statement runs, it is visible from the commit on.
#[derive(Clone, Debug)]
pub struct Logged {
    pub table: usize,
    pub did: Did,
    pub lsn: i64,
    pub xid: u64,
    pub commit: i64,
    /// The integration that wrote it.
    pub own: Option<usize>,
}

/// A statement's effect, before its transaction commits.
#[derive(Clone, Debug)]
pub struct Pending {
    pub entry: Logged,
    pub row: Option<Row>,
    pub why: Why,
}

/// Why a row is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A statement says so.
    Asked,
    /// A foreign key takes it along.
    Taken,
    /// The same, and no trigger fires for it.
    Silent,
}

/// One of our transactions.
#[derive(Clone, Debug)]
pub struct Ours {
    pub locks: BTreeSet<(usize, i64)>,
    pub shares: BTreeSet<(usize, i64)>,
    /// Business keys it has looked for, to create what it does not find.
    pub looked_for: BTreeSet<(usize, i64)>,
    /// Whose it is.
    pub integration: usize,
    pub pending: Vec<Pending>,
    /// What triggers of the application did on the way.
    pub effects: Vec<Effect>,
    pub own: Arc<Own>,
    pub xid: u64,
    /// COMMIT is on its way.
    pub sent: bool,
    /// Its process is no more.
    pub orphan: bool,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub rows: BTreeMap<i64, Row>,
    pub first: i64,
    pub last: i64,
    pub reuse: bool,
    /// The table its references lead to.
    pub refers: Option<usize>,
    /// Which of its logs this is: a log that is made anew knows nothing of the positions in the one before.
    pub log: i64,
}

#[derive(Clone)]
pub struct Database {
    pub tables: Vec<Table>,
    pub log: Vec<Logged>,
    /// What was pruned, to notice a log that was pruned too early.
    pub pruned: Vec<Logged>,
    /// Who reads the log of which table, and how far: nothing else may be pruned.
    pub consumers: BTreeMap<(usize, String), Seen>,
    pub commits: i64,
    pub lsn: i64,
    pub xid: u64,
    pub own: Arc<Own>,
    pub ours: BTreeMap<u64, Ours>,
    pub users: Vec<UserTx>,
    pub rounds: bool,
    pub unique: bool,
    /// Whether the first value is unique too.
    swaps: bool,
    pub on_delete: OnDelete,
    /// Whether rows that refer to one follow its key.
    pub on_update: bool,
    /// Whether keys have two parts.
    pub composite: bool,
}

/// How far a log was read: every entry of the commits up to `whole`; of those up to `part`, the
/// entries up to `lsn`. As PostgreSQL's `pg_snapshot` with an lsn inside the next one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub whole: i64,
    pub part: i64,
    pub lsn: i64,
}

impl Seen {
    pub fn covers(&self, entry: &Logged) -> bool {
        entry.commit <= self.whole || (entry.commit <= self.part && entry.lsn <= self.lsn)
    }
}

impl Database {
    pub fn new(at: usize, options: &Options) -> Database {
        let reuse = options.reuses(at);
        let table = |table: i64, refers| {
            let first = 1 + at as i64 * 10_000 + table * 1_000;
            Table { rows: BTreeMap::new(), first, last: first - 1, reuse, refers, log: 0 }
        };
        let tables = match options.shape {
            _ if at >= options.data() => Vec::new(),
            Shape::Flat => vec![table(0, None)],
            Shape::Family => vec![table(0, None), table(1, Some(0))],
            Shape::Circle => vec![table(0, Some(0))],
        };
        Database {
            tables,
            log: Vec::new(),
            pruned: Vec::new(),
            consumers: BTreeMap::new(),
            commits: 0,
            lsn: 0,
            xid: 0,
            own: Arc::new(Own::default()),
            ours: BTreeMap::new(),
            users: Vec::new(),
            rounds: at == 1 && options.rounding == Rounding::Silent,
            unique: options.unique,
            swaps: options.swaps,
            on_delete: options.on_delete[at.min(1)],
            on_update: options.on_update[at.min(1)],
            composite: options.composite[at.min(1)],
        }
    }

    /// Locked by anybody but `but` (one of ours) and the user transaction `user`.
    pub fn locked(&self, table: usize, key: i64, but: Option<u64>, user: Option<u64>) -> bool {
        let place = (table, key);
        self.users.iter().any(|tx| Some(tx.xid) != user && (tx.locks.contains(&place) || tx.shares.contains(&place)))
            || self.ours.iter().any(|(id, tx)| Some(*id) != but && (tx.locks.contains(&place) || tx.shares.contains(&place)))
    }

    /// The same, but an earlier reference to it is no obstacle.
    pub fn locked_hard(&self, table: usize, key: i64, but: Option<u64>, user: Option<u64>) -> bool {
        let place = (table, key);
        self.users.iter().any(|tx| Some(tx.xid) != user && tx.locks.contains(&place))
            || self.ours.iter().any(|(id, tx)| Some(*id) != but && tx.locks.contains(&place))
    }

    /// Whether anybody has touched the table and not yet committed: then nobody else can empty it.
    pub fn in_use(&self, table: usize) -> bool {
        let users = self.users.iter().flat_map(|tx| tx.locks.iter().chain(&tx.shares));
        let ours = self.ours.values().flat_map(|tx| tx.locks.iter().chain(&tx.shares));
        users.chain(ours).any(|(at, _)| *at == table)
    }

    pub fn entry(&mut self, table: usize, did: Did, xid: u64, own: Option<usize>) -> Logged {
        self.lsn += 1;
        Logged { table, did, lsn: self.lsn, xid, commit: 0, own }
    }

    /// The row as a transaction with these statements sees it.
    pub fn row<'a>(&'a self, pending: &'a [Pending], table: usize, key: i64) -> Option<&'a Row> {
        for step in pending.iter().rev().filter(|step| step.entry.table == table) {
            if step.entry.did == Did::Truncate {
                return None;
            }
            if step.entry.did.key_after() == Some(key) {
                return step.row.as_ref();
            }
            if step.entry.did.old() == Some(key) {
                return None;
            }
        }
        self.tables[table].rows.get(&key)
    }

    /// All rows of a table as a transaction with these statements sees them.
    pub fn rows(&self, pending: &[Pending], table: usize) -> BTreeMap<i64, Row> {
        let mut rows = self.tables[table].rows.clone();
        pending.iter().filter(|step| step.entry.table == table).for_each(|step| put(&mut rows, step));
        rows
    }

    /// Whether any row, committed or about to be, refers to this one.
    pub fn referred(&self, pending: &[Pending], table: usize, key: i64) -> bool {
        let value = Value::Int(i128::from(key));
        let refers = |at: usize| self.tables[at].refers == Some(table);
        let open = self.users.iter().map(|tx| &tx.pending).chain(self.ours.values().map(|tx| &tx.pending)).flatten();
        open.filter(|step| refers(step.entry.table)).any(|step| step.row.as_ref().is_some_and(|row| row[PARENT] == value))
            || (0..self.tables.len())
                .filter(|at| refers(*at))
                .any(|at| self.rows(pending, at).iter().any(|(own, row)| row[PARENT] == value && (at, *own) != (table, key)))
    }

    /// The rows that refer to one, but itself, as a transaction with these statements sees them.
    pub fn children(&self, pending: &[Pending], table: usize, key: i64) -> Vec<(usize, i64)> {
        let value = Value::Int(i128::from(key));
        let below = (0..self.tables.len()).filter(|at| self.tables[*at].refers == Some(table));
        let refers = |at: usize| {
            let rows = self.rows(pending, at).into_iter().filter(|(_, row)| row[PARENT] == value);
            rows.map(|(own, _)| (at, own)).filter(|place| *place != (table, key)).collect::<Vec<_>>()
        };
        below.flat_map(refers).collect()
    }

    /// The rows that a delete of this one changes too.
    pub fn reached(&self, pending: &[Pending], table: usize, key: i64) -> Vec<(usize, i64)> {
        let mut reached = match self.on_delete {
            OnDelete::Restrict => Vec::new(),
            _ => self.children(pending, table, key),
        };
        let mut at = 0;
        while at < reached.len() && self.on_delete != OnDelete::SetNull {
            let (table_at, key_at) = reached[at];
            for place in self.children(pending, table_at, key_at) {
                if !reached.contains(&place) && place != (table, key) {
                    reached.push(place);
                }
            }
            at += 1;
        }
        reached
    }

    /// Gives a row another key, and tells those that refer to it, as its foreign keys say; itself, if it refers to itself.
    pub fn moving(
        &mut self,
        pending: &[Pending],
        table: usize,
        (key, to): (i64, i64),
        mut row: Row,
        (xid, own): (u64, Option<usize>),
    ) -> Vec<Pending> {
        let refers = |row: &Row| row.get(PARENT) == Some(&Value::Int(i128::from(key)));
        if self.tables[table].refers == Some(table) && refers(&row) {
            row[PARENT] = Value::Int(i128::from(to));
        }
        let mut steps =
            vec![Pending { entry: self.entry(table, Did::Rename(key, to), xid, own), row: Some(row), why: Why::Asked }];
        let followers = if self.on_update { self.children(pending, table, key) } else { Vec::new() };
        for (at, child) in followers {
            let mut row = self.row(pending, at, child).cloned().unwrap_or_default();
            row[PARENT] = Value::Int(i128::from(to));
            steps.push(Pending { entry: self.entry(at, Did::Update(child), xid, own), row: Some(row), why: Why::Taken });
        }
        steps
    }

    /// Deletes a row, and does to others what its foreign keys say. `own`: the integration that does it.
    pub fn deletion(&mut self, pending: &[Pending], (table, key): (usize, i64), xid: u64, own: Option<usize>) -> Vec<Pending> {
        let mut steps = Vec::new();
        let mut marked = Vec::new();
        // Its own entry may stand before those of its children, or behind them.
        let first = key % 2 == 0;
        if first {
            steps.push(Pending { entry: self.entry(table, Did::Delete(key), xid, own), row: None, why: Why::Asked });
        }
        for (at, child) in self.reached(pending, table, key) {
            let (did, row) = match self.on_delete {
                OnDelete::SetNull => {
                    let mut row = self.row(pending, at, child).cloned().unwrap_or_default();
                    row[PARENT] = Value::Null;
                    (Did::Update(child), Some(row))
                }
                _ => (Did::Delete(child), None),
            };
            let why = if self.on_delete == OnDelete::Marked { Why::Silent } else { Why::Taken };
            if why == Why::Silent && !marked.contains(&at) {
                marked.push(at);
                steps.push(Pending { entry: self.entry(at, Did::Mark, xid, own), row: None, why: Why::Taken });
            }
            steps.push(Pending { entry: self.entry(at, did, xid, own), row, why });
        }
        if !first {
            steps.push(Pending { entry: self.entry(table, Did::Delete(key), xid, own), row: None, why: Why::Asked });
        }
        steps
    }

    /// Unique business keys: refused if another row has it, in doubt while somebody's statement is open.
    pub fn check_unique(&self, pending: &[Pending], table: usize, entity: &Value) -> Result<()> {
        let open = self.users.iter().flat_map(|tx| &tx.pending).any(|step| {
            let before = step.entry.did.old().and_then(|key| self.tables[table].rows.get(&key));
            step.entry.table == table && step.row.iter().chain(before).any(|row| row[ENTITY] == *entity)
        });
        if open {
            return Err(Error::new(Kind::Retry, "lock time-out"));
        }
        if self.rows(pending, table).values().any(|row| row[ENTITY] == *entity) {
            return Err(Error::new(Kind::Duplicate, "entity_unique"));
        }
        Ok(())
    }

    /// Whether another row than this one has a unique first value, or somebody's open statement has to do with it.
    pub fn taken(&self, pending: &[Pending], table: usize, key: Option<i64>, x: &Value, but: Option<u64>) -> Result<()> {
        if !self.swaps || x.is_null() {
            return Ok(());
        }
        let users = self.users.iter().filter(|tx| Some(tx.xid) != but).flat_map(|tx| &tx.pending);
        let ours = self.ours.values().filter(|tx| Some(tx.xid) != but).flat_map(|tx| &tx.pending);
        let mut open = users.chain(ours).filter(|step| step.entry.table == table);
        let before = |step: &Pending| step.entry.did.old().and_then(|key| self.tables[table].rows.get(&key)).cloned();
        if open.any(|step| step.row.iter().cloned().chain(before(step)).any(|row| row[X] == *x)) {
            return Err(Error::new(Kind::Retry, "lock time-out"));
        }
        if self.rows(pending, table).iter().any(|(at, row)| Some(*at) != key && row[X] == *x) {
            return Err(Error::new(Kind::Duplicate, "x_unique"));
        }
        Ok(())
    }

    /// What the database makes of a row it is given.
    pub fn stored(&self, mut row: Row) -> Row {
        if self.rounds
            && let Value::Int(y) = row[Y]
        {
            row[Y] = Value::Int(y / 10 * 10);
        }
        row
    }

    fn commit(&mut self, pending: Vec<Pending>) {
        self.commits += 1;
        for mut step in pending {
            put(&mut self.tables[step.entry.table].rows, &step);
            step.entry.commit = self.commits;
            if step.why != Why::Silent {
                self.log.push(step.entry);
            }
        }
    }

    /// Removes what all who read it have.
    pub fn prune(&mut self) {
        let consumers = &self.consumers;
        let read = |entry: &Logged| {
            let mut readers = consumers.iter().filter(|((table, _), _)| *table == entry.table).map(|(_, seen)| seen).peekable();
            readers.peek().is_some() && readers.all(|seen| seen.covers(entry))
        };
        let (mut pruned, log): (Vec<Logged>, Vec<Logged>) = self.log.drain(..).partition(read);
        self.log = log;
        self.pruned.append(&mut pruned);
    }

    /// The log of a table is dropped, and made anew.
    pub fn forget_log(&mut self, table: usize) {
        self.tables[table].log += 1;
        self.log.retain(|entry| entry.table != table);
        self.pruned.retain(|entry| entry.table != table);
        self.consumers.retain(|(at, _), _| *at != table);
    }

    pub fn commit_user(&mut self, tx: UserTx) {
        self.commit(tx.pending);
    }

    pub fn commit_ours(&mut self, tx: Ours) {
        self.own = tx.own;
        self.commit(tx.pending);
    }
}

fn put(rows: &mut BTreeMap<i64, Row>, step: &Pending) {
    if step.entry.did == Did::Truncate {
        rows.clear();
    }
    if let Some(old) = step.entry.did.old() {
        rows.remove(&old);
    }
    if let (Some(new), Some(row)) = (step.entry.did.key_after(), &step.row) {
        rows.insert(new, row.clone());
    }
}

/// A value of a row: the number of the statement that wrote it, and a digit a rounding target loses.
pub fn value(number: i64, digit: i64, options: &Options, field: usize) -> Value {
    if field == Y && options.rounding == Rounding::Mapped {
        return Value::Decimal(BigDecimal::new(BigInt::from(number * 10 + digit), 1));
    }
    Value::Int(i128::from(number * 10 + digit))
}

/// What [`value`] was made of, as one number.
pub fn raw(value: &Value) -> i64 {
    match value {
        Value::Int(value) => i64::try_from(*value).unwrap_or(i64::MIN),
        Value::Decimal(value) => {
            let scaled = value.with_scale(1).into_bigint_and_exponent().0;
            i64::try_from(scaled).unwrap_or(i64::MIN)
        }
        _ => 0,
    }
}

pub fn entity(row: &Row) -> i64 {
    raw(&row[ENTITY])
}
