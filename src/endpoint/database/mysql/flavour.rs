//! Where MySQL and MariaDB differ: all of it, in one place.

use crate::error::{Error, Kind, Result};

/// Which of the two a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flavour {
    /// MariaDB.
    pub(super) mariadb: bool,
    /// Major, minor.
    version: (u16, u16),
    /// As the server says it.
    text: String,
}

impl Flavour {
    /// From `select version()`.
    ///
    /// # Errors
    /// [`Kind::Config`] for a server older than what the statements need (JSON_TABLE, SKIP LOCKED).
    pub(super) fn parse(version: &str) -> Result<Flavour> {
        let mariadb = version.contains("MariaDB");
        // Replication-safe MariaDB versions begin with a fixed `5.5.5-`.
        let numbers = if mariadb { version.trim_start_matches("5.5.5-") } else { version };
        let mut parts = numbers.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u16>().unwrap_or(0));
        let pair = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        let flavour = Flavour { mariadb, version: pair, text: version.to_owned() };
        let oldest = if mariadb { (10, 6) } else { (8, 0) };
        if pair < oldest {
            return Err(Error::new(Kind::Config, format!("{} is too old: MySQL 8.0 or MariaDB 10.6 is needed", flavour.name())));
        }
        Ok(flavour)
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        let product = if self.mariadb { "MariaDB" } else { "MySQL" };
        format!("{product} {}", self.text.split('-').next().unwrap_or(&self.text))
    }

    /// What ends a session of ours that hangs in a transaction, from the server's side (rule 4).
    pub(super) fn timeouts(&self) -> &'static str {
        if self.mariadb { sql!("session_limits_mariadb") } else { sql!("session_limits_mysql") }
    }

    /// Locks the rows of `t` that nobody holds, and waits for none. MySQL takes the other tables of the statement for
    /// locked twice unless it is told which one is meant.
    pub(super) fn lock_free(&self) -> &'static str {
        if self.mariadb { "for update skip locked" } else { "for update of t skip locked" }
    }

    /// Locks the rows of `t`.
    pub(super) fn lock(&self) -> &'static str {
        if self.mariadb { "for update" } else { "for update of t" }
    }

    /// What a statement that writes begins with, so that it waits for no row lock: an error comes in its place.
    ///
    /// A row to insert may have its parent locked already when it meets a gap that the application has locked. If the
    /// application then changes that parent, both wait for each other, and of the two InnoDB ends the one that wrote less:
    /// the application (rule 19). MySQL waits for a second at least.
    pub(super) fn without_waiting(&self) -> &'static str {
        if self.mariadb { "set statement innodb_lock_wait_timeout = 0 for " } else { "" }
    }

    /// Whether the triggers of a table must write its log through one procedure.
    ///
    /// `LOCK TABLES t WRITE` opens the log once for each trigger of `t`. MariaDB (10.11.19) then takes one of these for
    /// used by the statement if the log was read before, and the application's INSERT fails with 1442. Three triggers
    /// that call one procedure open it once. MySQL has no such trouble, and the call costs time.
    pub(super) fn one_writer(&self) -> bool {
        self.mariadb
    }

    /// Who holds the metadata lock a definition statement waits for, as far as a user may see it.
    pub(super) fn blockers(&self) -> &'static str {
        if self.mariadb { sql!("tracking_blockers_mariadb") } else { sql!("tracking_blockers_mysql") }
    }

    /// Whether a cascade may also fire the child's triggers, if a session asks for it.
    pub(super) fn cascade_triggers(&self) -> bool {
        !self.mariadb && self.version >= (9, 6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        assert_eq!(Flavour::parse("9.7.4-2").unwrap().name(), "MySQL 9.7.4");
        assert_eq!(Flavour::parse("5.5.5-10.11.19-MariaDB-log").unwrap().version, (10, 11));
        assert!(Flavour::parse("11.8.9-MariaDB").unwrap().mariadb);
        assert_eq!(Flavour::parse("5.7.44").unwrap_err().kind(), Kind::Config);
        assert_eq!(Flavour::parse("10.5.1-MariaDB").unwrap_err().kind(), Kind::Config);
    }
}
