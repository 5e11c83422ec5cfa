//! Parking: unique values that go out of others' way for a moment, within a transaction.

use std::collections::{BTreeMap, HashSet};

use super::apply::Do;
use super::item::Item;
use super::job::{Job, changed};
use crate::endpoint::{Change, Write};
use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Kind as Type, Link, Value};

/// Who lets go of unique values before anybody gets one.
#[derive(Clone, Debug, Default)]
pub(super) struct Parking {
    /// The items, by their places in the batch.
    pub(super) who: HashSet<usize>,
    /// What they let go of.
    pub(super) what: Parked,
}

/// What is let go of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Parked {
    /// One field of each unique key that is written.
    #[default]
    Keys,
    /// All fields that are written, where it does not show what is unique: an index may be over expressions, over the first
    /// characters, or over some of the rows.
    All,
    /// The same; by values that nobody has, for an index may take NULLs for alike.
    AllByValues,
}

impl Job<'_> {
    /// Moves unique values out of others' way: NULL, or a value nobody has.
    pub(super) async fn park(
        &self,
        write: &mut dyn Write,
        items: &[Item],
        jobs: &[(usize, Do)],
        parking: &Parking,
    ) -> Result<()> {
        let collection = self.collection();
        let mut groups: BTreeMap<Vec<usize>, Vec<Change>> = BTreeMap::new();
        for (n, (at, what)) in jobs.iter().enumerate().filter(|(_, (at, _))| parking.who.contains(at)) {
            let (Do::Update(fields), Some(key)) = (what, self.key_of(&items[*at])) else { continue };
            let (parked, values): (Vec<usize>, Vec<Value>) = match parking.what {
                Parked::Keys => of_keys(self.link, collection, fields, n)?,
                Parked::All => of_all(self.link, collection, fields, |field| parking_value(collection, field, n).ok()),
                Parked::AllByValues => of_all(self.link, collection, fields, |field| {
                    value_of_nobody(collection, field, n).or_else(|| parking_value(collection, field, n).ok())
                }),
            }
            .into_iter()
            .unzip();
            if !parked.is_empty() {
                groups.entry(parked).or_default().push(Change { key, version: None, values });
            }
        }
        for (fields, changes) in groups {
            for outcome in write.update(collection, &fields, &changes).await? {
                changed(collection, outcome)?;
            }
        }
        Ok(())
    }
}

/// Of each unique key that is written, one field is enough: one that takes NULL, or refers to nothing. A new key has its own way.
fn of_keys(link: &Link, collection: &Collection, written: &[(usize, Value)], n: usize) -> Result<Vec<(usize, Value)>> {
    let mut parked: Vec<usize> = Vec::new();
    for unique in &collection.table.uniques {
        let part = |field: &usize| unique.contains(&collection.columns[*field]);
        if parked.iter().any(part) {
            continue;
        }
        let fields = written.iter().map(|(field, _)| *field).filter(|field| part(field) && !is_of_key(collection, *field));
        parked.extend(fields.min_by_key(|field| (!collection.column(*field).nullable, link.fields[*field].via.is_some())));
    }
    parked.sort_unstable();
    parked.into_iter().map(|field| Ok((field, parking_value(collection, field, n)?))).collect()
}

/// Every field that can be parked; one that refers to something takes nothing but NULL.
fn of_all(
    link: &Link,
    collection: &Collection,
    written: &[(usize, Value)],
    value: impl Fn(usize) -> Option<Value>,
) -> Vec<(usize, Value)> {
    let fields = written.iter().map(|(field, _)| *field).filter(|field| !is_of_key(collection, *field));
    let parked = fields.filter_map(|field| {
        let refers = link.fields[field].via.is_some();
        let value = if refers { collection.column(field).nullable.then_some(Value::Null) } else { value(field) };
        Some((field, value?))
    });
    parked.collect()
}

fn is_of_key(collection: &Collection, field: usize) -> bool {
    collection.table.key.contains(&collection.columns[field])
}

/// The `n`-th value to put into a field for a moment.
///
/// # Errors
/// [`Kind::Duplicate`] if there is none: the field takes no NULL, and any other value might be somebody's.
pub(super) fn parking_value(collection: &Collection, field: usize, n: usize) -> Result<Value> {
    let column = collection.column(field);
    // SQLite lets a key be NULL, and then it is none.
    if column.nullable && !is_of_key(collection, field) {
        return Ok(Value::Null);
    }
    let none = || Error::new(Kind::Duplicate, format!("{} holds a value another record has", column.name));
    value_of_nobody(collection, field, n).ok_or_else(none)
}

/// A value that most likely no record has in a field.
fn value_of_nobody(collection: &Collection, field: usize, n: usize) -> Option<Value> {
    let n = i128::try_from(n).unwrap_or(0);
    match &collection.column(field).kind {
        Type::Text { max, .. } => {
            let text = format!("~{n:x}~");
            let room = max.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
            Some(Value::Text(text.chars().take(room).collect()))
        }
        Type::Int { min, max } if *min < 0 => Some(Value::Int(if n < max - min { min + 1 + n } else { *min })),
        // A number near the greatest would be the one an engine counts on from.
        Type::Int { .. } if is_of_key(collection, field) => Some(Value::Int(n)),
        Type::Int { max, .. } => Some(Value::Int(max - 1 - n)),
        Type::Uuid => Some(Value::Uuid(*uuid::Uuid::from_u128(u128::MAX - u128::try_from(n).unwrap_or(0)).as_bytes())),
        _ => None,
    }
}
