//! A database is set back to an earlier moment, or all of them are (rule 17).

use crate::configuration::named;
use crate::database::Database;
use crate::oracle::Ledger;
use crate::users::Effect;
use crate::world::{World, name};

/// How the databases stood once.
pub struct Backup {
    /// The one that is set back; `None`: all.
    at: Option<usize>,
    databases: Vec<Database>,
    ledger: Ledger,
    /// What users did since, and where.
    since: Vec<(usize, Effect)>,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Restored {
    /// Nothing of it may be noticed: all went back together, or nothing had happened since.
    harmless: bool,
    /// What the integrations had written by then, or had sent.
    pub writes: [u64; 2],
    /// The last transaction that had begun by then.
    pub begun: u64,
    /// Whether the first process of each that started was refused.
    refused: [Option<bool>; 2],
}

impl Restored {
    /// As from now.
    pub fn of(world: &World) -> Restored {
        Restored { harmless: false, writes: world.writes, begun: world.next_id, refused: [None; 2] }
    }
}

impl World {
    /// Now and then: first a backup, later it is put back. `true`: it was, and every process has lost its connections.
    pub fn restore(&mut self) -> bool {
        if !self.options.restore || self.restored.is_some() || !self.chance.one_in(0.01) {
            return false;
        }
        let Some(backup) = self.backup.take() else {
            let count = self.databases.len();
            let at = if self.chance.one_in(0.25) { None } else { Some(self.chance.below(count)) };
            let databases = self.databases.clone();
            self.backup = Some(Backup { at, databases, ledger: self.ledger.clone(), since: Vec::new() });
            self.tell(|| format!("a backup of {}", at.map_or("all", name)));
            return false;
        };
        self.settle(true);
        let mut harmless = backup.at.is_none();
        for (at, before) in backup.databases.into_iter().enumerate().filter(|(at, _)| backup.at.is_none_or(|one| one == *at)) {
            let same = before.commits == self.databases[at].commits && *before.own == *self.databases[at].own;
            harmless |= same;
            self.databases[at] = before;
            self.databases[at].users.clear();
            self.databases[at].ours.clear();
        }
        if backup.at.is_none() {
            self.ledger = backup.ledger;
        }
        for (at, effect) in backup.since {
            if backup.at == Some(at) {
                self.ledger.excuse(effect);
            }
        }
        self.restored = Some(Restored { harmless, writes: self.writes, begun: self.next_id, refused: [None; 2] });
        self.tell(|| format!("{} restored", backup.at.map_or("all", name)));
        true
    }

    /// A user's effect is committed.
    pub fn note(&mut self, at: usize, effect: Effect) {
        self.ledger.user(at, effect);
        if let Some(backup) = &mut self.backup {
            backup.since.push((at, effect));
        }
    }

    /// A process of an integration starts, or is refused.
    pub fn starts(&mut self, integration: usize, refused: bool) {
        let Some(restored) = &mut self.restored else { return };
        match restored.refused[integration] {
            None => restored.refused[integration] = Some(refused),
            Some(before) if before != refused => {
                self.ledger.fault(format!("rule 17: refused at first: {before}, and later: {refused}"));
            }
            Some(_) => {}
        }
    }

    /// Whether a process may end because a database is not what it was.
    pub fn may_refuse(&self) -> bool {
        self.restored.is_some_and(|restored| !restored.harmless)
    }

    /// Whether an integration does not run any more because a database was set back.
    pub fn is_refused(&self, integration: usize) -> bool {
        self.restored.is_some_and(|restored| restored.refused[integration] == Some(true))
    }

    /// Whether one of them does not; none that does not may have written anything.
    pub fn any_refused(&self, wrong: &mut Vec<String>) -> bool {
        let Some(restored) = self.restored else { return false };
        let refused: Vec<usize> = (0..self.options.integrations()).filter(|which| self.is_refused(*which)).collect();
        for which in refused.iter().copied().filter(|which| self.writes[*which] != restored.writes[*which]) {
            let more = self.writes[which] - restored.writes[which];
            wrong.push(format!("rule 17: {more} writes of {} after a database was set back", named(which)));
        }
        !refused.is_empty()
    }
}
