//! What the writers committed: the only thing the oracle believes.

use std::collections::{BTreeMap, BTreeSet};

/// A record by what people call it.
pub type Name = String;

/// One committed effect of a writer.
#[derive(Clone, Debug)]
pub enum Effect {
    /// A field now has a value no other write ever has.
    Set {
        record: Name,
        field: usize,
        value: String,
    },
    /// A value the writer saw under its lock, and overwrote or deleted.
    Gone(String),
    Inserted(Name),
    Deleted(Name),
}

/// Everything that was committed, in an order that is right for each record of one side.
#[derive(Debug, Default)]
pub struct Journal {
    /// By value: its record and field.
    pub values: BTreeMap<String, (Name, usize)>,
    pub gone: BTreeSet<String>,
    pub inserted: BTreeSet<Name>,
    pub deleted: BTreeSet<Name>,
    /// The last value of each record and field as each side wrote it; a delete clears them.
    pub last: [BTreeMap<(Name, usize), String>; 2],
    /// Records each side wrote, and whether its last write was a delete.
    pub wrote: [BTreeMap<Name, bool>; 2],
    pub commits: usize,
    pub rollbacks: usize,
    pub failures: usize,
}

impl Journal {
    /// Takes a committed transaction in.
    pub fn commit(&mut self, side: usize, effects: Vec<Effect>) {
        self.commits += 1;
        for effect in effects {
            match effect {
                Effect::Set { record, field, value } => {
                    self.values.insert(value.clone(), (record.clone(), field));
                    self.wrote[side].insert(record.clone(), false);
                    self.last[side].insert((record, field), value);
                }
                Effect::Gone(value) => drop(self.gone.insert(value)),
                Effect::Inserted(record) => {
                    self.wrote[side].insert(record.clone(), false);
                    self.inserted.insert(record);
                }
                Effect::Deleted(record) => {
                    self.last[side].retain(|(name, _), _| *name != record);
                    self.wrote[side].insert(record.clone(), true);
                    self.deleted.insert(record);
                }
            }
        }
    }
}
