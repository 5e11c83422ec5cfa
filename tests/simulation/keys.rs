//! Keys, and those of two parts: a region that people give, which travels, and a number.
//!
//! In memory a key is one number, and so is a reference; the two columns they stand for are told apart only towards the
//! pipeline.

use twinrow::model::{Collection, Key, Row, Value};

use crate::database::{Database, KEY, PARENT, raw};

/// Where a region is a part of keys, or may be: it is a field of every row.
pub const REGION: usize = 5;
/// The two columns of a reference to a key of two parts.
pub const PARENT_REGION: usize = 6;
const PARENT_NUMBER: usize = 7;

/// How many numbers there are.
pub const NUMBERS: i64 = 1_000_000;

pub fn region(key: i64) -> i64 {
    key / NUMBERS
}

/// The key of a row, in memory.
pub fn int(key: &Key) -> i64 {
    key.0.iter().fold(0, |key, part| key * NUMBERS + raw(part))
}

/// The same, as the pipeline names it.
pub fn named(key: i64, composite: bool) -> Key {
    if composite { Key([region(key), key % NUMBERS].map(number).to_vec()) } else { Key::int(key) }
}

pub fn number(number: i64) -> Value {
    Value::Int(i128::from(number))
}

/// Where the fields of a collection stand in a row.
pub fn places(collection: &Collection) -> Vec<usize> {
    let parts = collection.table.key.len();
    let place = |column: &usize| match column {
        0 => KEY,
        4 if parts == 2 => PARENT_NUMBER,
        5.. => *column,
        _ => column - 1,
    };
    collection.columns.iter().map(place).collect()
}

/// A row as a link sees it.
pub fn project(row: &Row, places: &[usize]) -> Row {
    places.iter().map(|place| column(row, *place)).collect()
}

/// What stands in a column.
pub fn column(row: &Row, place: usize) -> Value {
    let part = |of: fn(i64) -> i64| match &row[PARENT] {
        Value::Null => Value::Null,
        parent => number(of(raw(parent))),
    };
    match place {
        PARENT_REGION => part(region),
        PARENT_NUMBER => part(|key| key % NUMBERS),
        place => row[place].clone(),
    }
}

/// Writes columns of a row.
pub fn assign<'a>(row: &mut Row, columns: impl Iterator<Item = (usize, &'a Value)>) {
    let mut parent = None;
    for (place, value) in columns {
        match place {
            PARENT_REGION | PARENT_NUMBER => {
                let parts = parent.get_or_insert_with(|| [PARENT_REGION, PARENT_NUMBER].map(|part| column(row, part)));
                parts[place - PARENT_REGION] = value.clone();
            }
            place => row[place] = value.clone(),
        }
    }
    if let Some([region, own]) = parent {
        // Half a reference is none.
        let whole = !region.is_null() && !own.is_null();
        row[PARENT] = if whole { number(raw(&region) * NUMBERS + raw(&own)) } else { Value::Null };
    }
}

impl Database {
    /// The key that a number makes with a region.
    pub fn keyed(&self, region: i64, number: i64) -> i64 {
        if self.composite { region * NUMBERS + number } else { number }
    }

    /// The key a row should have by what stands in it.
    pub fn key_of(&self, row: &Row, copied: bool, before: i64) -> i64 {
        match (self.composite, copied) {
            (true, _) => raw(&row[REGION]) * NUMBERS + raw(&row[KEY]),
            (false, true) => raw(&row[KEY]),
            (false, false) => before,
        }
    }

    /// The number of a key.
    pub fn number_of(&self, key: i64) -> i64 {
        if self.composite { key % NUMBERS } else { key }
    }

    /// Writes down the key in the row that has it.
    pub fn note_key(&self, row: &mut Row, key: i64) {
        if row.len() > KEY {
            row[KEY] = number(self.number_of(key));
        }
        if self.composite {
            row[REGION] = number(region(key));
        }
    }

    /// The number of a new row.
    pub fn new_key(&mut self, table: usize) -> i64 {
        if !self.tables[table].reuse {
            self.tables[table].last += 1;
            return self.tables[table].last;
        }
        let in_use = self.users.iter().flat_map(|tx| &tx.locks).chain(self.ours.values().flat_map(|tx| &tx.locks));
        let locked = in_use.filter(|(at, _)| *at == table).map(|(_, key)| *key);
        let first = self.tables[table].first;
        // Of its own: where keys are copied, the other side's stand here too.
        let own = |key: &i64| *key < first + 1_000;
        let taken = self.tables[table].rows.keys().copied().chain(locked).map(|key| self.number_of(key)).filter(own);
        taken.max().unwrap_or(0).max(first - 1) + 1
    }

    /// A number nobody has and nobody is about to have, as a person who types keys would find one.
    pub fn free_key(&mut self, table: usize, choice: usize) -> i64 {
        if !self.tables[table].reuse {
            return self.new_key(table);
        }
        let first = self.tables[table].first;
        let mut free: Vec<i64> = (first..first + 12).collect();
        let regions = if self.composite { 1..=REGIONS } else { 0..=0 };
        let taken = |number: &i64| {
            regions
                .clone()
                .map(|region| self.keyed(region, *number))
                .any(|key| self.tables[table].rows.contains_key(&key) || self.locked(table, key, None, None))
        };
        free.retain(|number| !taken(number));
        if free.is_empty() { self.new_key(table) } else { free[choice % free.len()] }
    }
}

/// So many regions people give.
pub const REGIONS: i64 = 3;
