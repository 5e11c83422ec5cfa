//! The versions of what we install (A32, F15).
//!
//! Our own tables come in two parts: what every database of an integration has, and the state. Each part is a list of
//! migrations, and a row in the table `version` says how many of them a database has had. What was released is never
//! changed: a change is a further migration.

use crate::error::{Error, Kind, Result};

/// One part of our own tables in one database.
pub(crate) struct Part {
    /// In the table `version`.
    pub(crate) name: &'static str,
    /// Oldest first.
    pub(crate) migrations: &'static [&'static str],
    /// How many it has had.
    pub(crate) had: i64,
    recorded: Option<i64>,
}

impl Part {
    /// As the database has it: `recorded` there, or, by the first version, which did not record itself, not recorded
    /// but `there`.
    ///
    /// # Errors
    /// [`Kind::Tracking`] if a newer program has been at it.
    pub(crate) fn found(
        name: &'static str,
        migrations: &'static [&'static str],
        recorded: Option<i64>,
        there: bool,
    ) -> Result<Part> {
        let part = Part { name, migrations, had: recorded.unwrap_or(i64::from(there)), recorded };
        refuse_newer(part.had, part.current())?;
        Ok(part)
    }

    /// The version this program knows.
    pub(crate) fn current(&self) -> i64 {
        self.migrations.len() as i64
    }

    /// Whether it is recorded that it has had all.
    pub(crate) fn settled(&self) -> bool {
        self.recorded == Some(self.current())
    }

    /// Whether an older program has made it.
    pub(crate) fn outdated(&self) -> bool {
        self.had > 0 && !self.settled()
    }
}

/// What a newer program has installed is not ours to touch, nor to write by.
pub(crate) fn refuse_newer(there: i64, known: i64) -> Result<()> {
    if there <= known {
        return Ok(());
    }
    let why = format!("a newer Twinrow has installed its objects here: they are of version {there}, this program knows {known}");
    Err(Error::new(Kind::Tracking, why).hint("update twinrow"))
}
