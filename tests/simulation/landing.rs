//! Our transactions commit: what they may not have done is told at once.

use std::collections::BTreeSet;

use crate::database::{ENTITY, Ours, PARENT, Why, X, Y, entity, raw};
use crate::keys::REGION;
use crate::world::{World, name};

impl World {
    /// One of our transactions commits.
    pub fn land(&mut self, at: usize, tx: Ours) {
        for effect in &tx.effects {
            self.ledger.user(at, *effect);
        }
        for step in &tx.pending {
            let table = step.entry.table;
            self.writes[tx.integration] += 1;
            if !self.may_write(at, table) {
                self.ledger.fault(format!("a write to the source of a one-way link: {:?}", step.entry.did));
            }
            if step.why != Why::Asked && step.row.is_none() {
                self.ledger.fault(format!("rule 18: a delete of ours took along {:?} in {}", step.entry.did, name(at)));
            }
            let before = step.entry.did.old().and_then(|key| self.databases[at].row(&[], table, key)).cloned();
            match (&before, &step.row) {
                (Some(before), None) => self.ledger.we_deleted(&before[ENTITY], name(at)),
                (Some(before), Some(after)) if before[ENTITY] != after[ENTITY] => {
                    self.ledger.fault(format!("mixed: {} {:?} became another record", name(at), step.entry.did));
                }
                _ => {}
            }
            if let (Some(key), Some(row)) = (step.entry.did.key_after(), &step.row) {
                self.ledger.stood(at, table, key, &row[ENTITY]);
            }
            let did = step.entry.did;
            self.tell(|| {
                format!("{} ours {did:?} table {table} e{}", name(at), before.as_ref().or(step.row.as_ref()).map_or(0, entity))
            });
        }
        let written: BTreeSet<(usize, i64)> =
            tx.pending.iter().filter_map(|step| Some((step.entry.table, step.entry.did.key_after()?))).collect();
        self.databases[at].commit_ours(tx);
        for (table, key) in written {
            self.check_written(at, table, key);
        }
    }

    /// What we have written must be what a user once wrote for this very record.
    fn check_written(&mut self, at: usize, table: usize, key: i64) {
        let database = &self.databases[at];
        let Some(row) = database.row(&[], table, key) else { return };
        let of = entity(row);
        let mut facts: Vec<(usize, i64)> =
            [X, Y].into_iter().filter(|field| !row[*field].is_null()).map(|field| (field, raw(&row[field]) / 10)).collect();
        facts.extend(row.get(REGION).map(|region| (REGION, raw(region))));
        if let (Some(parents), Some(parent)) = (database.tables[table].refers, row.get(PARENT).filter(|parent| !parent.is_null()))
        {
            facts.push((PARENT, database.row(&[], parents, raw(parent)).map_or(-1, entity)));
        }
        for (field, fact) in facts {
            if !self.ledger.wrote(of, field, fact) {
                self.tell(|| format!("mixed: {} e{of} under {key}, field {field}: {fact}", name(at)));
                self.ledger.fault(format!("mixed: e{of} in {} got {fact} in field {field}, which is not its own", name(at)));
            }
        }
    }
}
