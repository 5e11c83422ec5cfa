//! What must be true in the end. Knows nothing of the identity map: it reads whole tables of both sides and
//! joins them by what people call the records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::business::SIDES;
use super::journal::Journal;
use crate::support::Lab;

/// One side's records: fields, and for a child the parent's name.
pub type Records = BTreeMap<String, Vec<Option<String>>>;

/// Both sides agree, nothing was lost, doubled or deleted.
pub async fn judge(labs: [&Arc<dyn Lab>; 2], home: &dyn Lab, journal: &Journal) {
    let source = records(labs[0], 0).await;
    let target = records(labs[1], 1).await;
    agree(&source, &target);
    let kept = kept_losers(home).await;
    every_value_is_somewhere(&source, journal, &kept);
    no_value_from_nowhere(&source, journal);
    presence(&source, journal);
    one_writer_means_its_last_word(&source, journal, &kept);
}

pub async fn records(lab: &Arc<dyn Lab>, side: usize) -> Records {
    let mut records = Records::new();
    for sql in [SIDES[side].all_parents(), SIDES[side].all_children()] {
        for mut row in lab.user_rows(&sql).await {
            let name = row.remove(0).unwrap();
            let doubled = records.insert(name.clone(), row).is_some();
            assert!(!doubled, "{name} is there twice in side {side}");
        }
    }
    records
}

pub fn agree(source: &Records, target: &Records) {
    let mut wrong = Vec::new();
    for name in source.keys().chain(target.keys()).collect::<BTreeSet<_>>() {
        if source.get(name) != target.get(name) {
            wrong.push(format!("{name}: {:?} / {:?}", source.get(name), target.get(name)));
        }
    }
    assert!(wrong.is_empty(), "the sides differ:\n{}", wrong.join("\n"));
}

/// The values of kept conflicts' losers.
async fn kept_losers(home: &dyn Lab) -> BTreeSet<String> {
    let table = if home.dialect().statements.ends_with("postgres") { "twinrow.conflict" } else { "twinrow_conflict" };
    let sql = format!("select case loser when 0 then s_row else t_row end from {table} where kept = 1");
    let mut values = BTreeSet::new();
    for row in home.user_rows(&sql).await {
        let row: Vec<Option<String>> = serde_json::from_str(row[0].as_deref().unwrap()).unwrap();
        values.extend(row.into_iter().flatten());
    }
    values
}

/// I1: a committed value is there, or a user overwrote it knowingly, or it is kept as a conflict's loser.
fn every_value_is_somewhere(source: &Records, journal: &Journal, kept: &BTreeSet<String>) {
    let lost: Vec<_> = journal
        .values
        .iter()
        .filter(|(value, (record, field))| {
            let there = source.get(record).and_then(|row| row[field - 1].as_ref());
            there != Some(value) && !journal.gone.contains(*value) && !kept.contains(*value)
        })
        .map(|(value, (record, field))| format!("{record}.{field} {value}: now {:?}", source.get(record)))
        .collect();
    assert!(lost.is_empty(), "lost:\n{}", lost.join("\n"));
}

/// What is there was committed by someone, in this field of this record.
fn no_value_from_nowhere(source: &Records, journal: &Journal) {
    for (name, row) in source {
        for (at, value) in row.iter().take(2).enumerate() {
            let Some(value) = value else { continue };
            let origin = journal.values.get(value);
            // The same new record on both sides: its value names two fields of one record.
            assert_eq!(origin.map(|(record, field)| (record, *field)), Some((name, at + 1)), "{name} has {value}");
        }
    }
}

fn presence(source: &Records, journal: &Journal) {
    for name in &journal.inserted {
        assert!(source.contains_key(name) || journal.deleted.contains(name), "{name} is gone, and nobody deleted it");
    }
    for (side, own) in ["s-old", "t-old"].iter().enumerate() {
        let n = source.keys().filter(|name| name.starts_with(own)).count();
        assert_eq!(n, 40, "old records of side {side}");
    }
    for (side, wrote) in journal.wrote.iter().enumerate() {
        for (name, deleted) in wrote.iter().filter(|(name, _)| !journal.wrote[1 - side].contains_key(*name)) {
            if *deleted {
                assert!(!source.contains_key(name), "{name} was deleted, and is back");
            }
        }
    }
}

fn one_writer_means_its_last_word(source: &Records, journal: &Journal, kept: &BTreeSet<String>) {
    for (side, last) in journal.last.iter().enumerate() {
        for ((record, field), value) in last {
            // A record the other side may delete or make again is no record of one writer.
            let shared = record.starts_with("hot/") || record.starts_with("same");
            if shared || journal.last[1 - side].contains_key(&(record.clone(), *field)) {
                continue;
            }
            // Two writers of one side may tell the journal in another order than they committed; and where
            // the twins are found, the source's blank is a value too.
            if journal.gone.contains(value) || kept.contains(value) {
                continue;
            }
            let now = source.get(record).and_then(|row| row[field - 1].as_ref());
            assert_eq!(now, Some(value), "{record}.{field}: only side {side} wrote it");
        }
    }
}
