//! What Twinrow installs in a database, and what it may do there.

use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Position, Table, TableName};

/// What Twinrow installs in a database: its own tables, a change log and triggers per tracked table.
#[async_trait]
pub trait Tracking: Send + Sync {
    /// The exact script [`Tracking::install`] would run, for a DBA; running it by hand is as good.
    /// Empty if all is in place. `home`: this database also holds the state.
    async fn script(&self, tables: &[Table], home: bool) -> Result<String>;

    /// Brings Twinrow's own tables to this program's version: before anything else is read of them or written. A
    /// no-op if they are, or if none are there. The logs and triggers follow when they are inspected. Returns what it
    /// did, a line each.
    ///
    /// # Errors
    /// [`Kind::Tracking`](crate::error::Kind) if a newer program has installed them; so do all other methods but `uninstall`.
    async fn upgrade(&self, home: bool) -> Result<Vec<String>>;

    /// Creates what is missing, replaces what is older, one table per transaction, never blocking the
    /// application for more than 2 s (A33); a no-op if all is in place. Returns what it did, a line each.
    ///
    /// Where tracking is repaired and changes may have been missed, the log says so itself, in an [`Op::Truncate`](crate::model::Op),
    /// or is made anew: so the gap is compared whoever repaired it, and by whatever script.
    async fn install(&self, tables: &[Table], home: bool) -> Result<Vec<String>>;

    /// Compares what is there with what should be. Cheap: called at every poll.
    async fn inspect(&self, tables: &[Table]) -> Result<Vec<Finding>>;

    /// What this login may not do though it must, and what it does not see and can do without. With no needs: on our own tables.
    async fn rights(&self, _needs: &[Need]) -> Result<Rights> {
        Ok(Rights::default())
    }

    /// Refuses what [`Tracking::uninstall`] could not finish with the rights of this login, and leaves all as it is: with the
    /// triggers gone and the rest there, nothing is captured any more.
    ///
    /// # Errors
    /// [`Kind::Denied`](crate::error::Kind), with what is missing and the statements that grant it.
    async fn may_uninstall(&self, _integration: Option<&str>, _tables: &[TableName]) -> Result<()> {
        Ok(())
    }

    /// Removes the tracking of these tables for `integration` (what another integration uses stays),
    /// or everything of Twinrow's with `None`; triggers first, then functions, then tables (A69); works
    /// on half-removed installations. Returns what it removed, a line each.
    async fn uninstall(&self, integration: Option<&str>, tables: &[TableName]) -> Result<Vec<String>>;

    /// Registers `integration` as a consumer of these tables' logs, so that nothing it has not read is
    /// removed, and returns the position from which it will miss nothing: for each table the current one.
    /// Repeated: the registered one stays, and is not moved.
    async fn register(&self, integration: &str, tables: &[Table]) -> Result<Vec<Position>>;

    /// For each cursor that was taken on a log that is no more (dropped, emptied, made again: A11), on another history of it
    /// (a standby took over: A65), or that `integration` is no longer registered with (it was uninstalled, S2-19), registers
    /// it with the log there is now, and returns a position there: what lies between can only be compared. `None`: the
    /// cursor is good, or it is not for a new log to mend. Asked once the fences have been found to agree (rule 17).
    async fn renew(&self, integration: &str, cursors: &[(Table, Position)]) -> Result<Vec<Option<Position>>>;
}

/// What is done with a table, which is read in any case.
#[derive(Clone, Debug)]
pub struct Need {
    /// The table.
    pub table: TableName,
    /// The columns that are read: the key's, and the mapped ones.
    pub columns: Vec<String>,
    /// The columns that a new record leaves to their defaults.
    pub defaults: Vec<String>,
    /// Records are created and changed in it.
    pub write: bool,
    /// Deletes travel to it.
    pub delete: bool,
    /// Its log and triggers are still to be made.
    pub install: bool,
}

/// What a login lacks, a sentence each, with the statement that grants it where the engine has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// What must be granted: `this login lacks INSERT on public.customer`.
    pub missing: Vec<String>,
    /// What may be.
    pub warnings: Vec<String>,
}

/// Something is not as installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table.
    pub table: TableName,
    /// What is wrong, in words: `trigger zz_twinrow_… is disabled`.
    pub problem: String,
    /// Changes may have been missed: after the repair the collection is compared.
    pub gap: bool,
    /// It may be another table under the name of the old one: its numbers may have been given out again.
    pub replaced: bool,
}
