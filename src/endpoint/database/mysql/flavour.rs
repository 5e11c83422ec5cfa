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
        if self.mariadb {
            "wait_timeout = 60, idle_transaction_timeout = 30, max_statement_time = 60"
        } else {
            // MySQL bounds statements that read only; those that write are bounded by the lock time-outs.
            "wait_timeout = 60, max_execution_time = 60000, information_schema_stats_expiry = 0"
        }
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

    /// Whether the triggers of a table must write its log through one procedure.
    ///
    /// `LOCK TABLES t WRITE` opens the log once for each trigger of `t`. MariaDB (10.11.19) then takes one of these for
    /// used by the statement if the log was read before, and the application's INSERT fails with 1442. Three triggers
    /// that call one procedure open it once. MySQL has no such trouble, and the call costs time.
    pub(super) fn one_writer(&self) -> bool {
        self.mariadb
    }

    /// Where InnoDB says the number of a table, which TRUNCATE and a rebuild change. Needs PROCESS.
    pub(super) fn table_ids(&self) -> &'static str {
        if self.mariadb { "information_schema.innodb_sys_tables" } else { "information_schema.innodb_tables" }
    }

    /// Who holds the metadata lock a definition statement waits for, as far as a user may see it.
    pub(super) fn blockers(&self) -> &'static str {
        if self.mariadb {
            "select trx_mysql_thread_id as id from information_schema.innodb_trx where trx_mysql_thread_id <> connection_id() \
             order by trx_started limit 3"
        } else {
            "select distinct t.processlist_id as id from performance_schema.metadata_locks as l \
             join performance_schema.threads as t on t.thread_id = l.owner_thread_id \
             where l.lock_status = 'GRANTED' and l.object_type = 'TABLE' and l.object_schema = ? and l.object_name = ? \
             and t.processlist_id <> connection_id() limit 3"
        }
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
