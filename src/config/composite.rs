//! Foreign keys of several columns in a proposal: one reference, with the same `via` at each of its columns.

use super::propose::{ProposedField, ProposedLink, reaches, take_best, writable};
use super::words::Words;
use crate::model::{Both, ForeignKey, Side, Table};

/// A pair of foreign keys, as places in their tables' lists, and the link they go through.
struct Reference {
    key: Both<usize>,
    parent: usize,
    columns: Vec<Both<usize>>,
}

/// Pairs foreign keys of several columns whose parents are linked. A column that is in several goes through the longest: what was
/// proposed for it alone gives way.
pub(super) fn composite_keys(links: &mut [ProposedLink<'_>], through: &mut [Vec<usize>]) {
    for at in 0..links.len() {
        let found = references(links, at);
        let scored = found.iter().map(|one| (likeness(links[at].table, &one.columns), one.key.source, one.key.target)).collect();
        let mut best = Vec::new();
        take_best(scored, |source, target| best.push(Both { source, target }));
        let mut chosen: Vec<Reference> = found.into_iter().filter(|one| best.contains(&one.key)).collect();
        chosen.sort_by_key(|one| std::cmp::Reverse(one.columns.len()));
        let mut taken: Vec<Both<usize>> = Vec::new();
        for one in chosen {
            if !one.columns.iter().any(|column| shares(&taken, column)) {
                taken.extend(&one.columns);
                propose_one(&mut links[at], at, one, through);
            }
        }
    }
}

/// Whether one of the two columns is among these.
fn shares(columns: &[Both<usize>], column: &Both<usize>) -> bool {
    columns.iter().any(|other| Side::BOTH.iter().any(|side| other[*side] == column[*side]))
}

fn propose_one(link: &mut ProposedLink<'_>, at: usize, one: Reference, through: &mut [Vec<usize>]) {
    let Reference { parent, columns, .. } = one;
    link.fields.retain(|field| !shares(&columns, &field.column));
    // A ring is fine where all of it takes NULL: its records are written without it first.
    let nullable = |column: &Both<usize>| Side::BOTH.iter().all(|side| link.table[*side].columns[column[*side]].nullable);
    let needed = parent != at && !columns.iter().all(nullable);
    let ring = needed && reaches(through, parent, at);
    through[at].extend((needed && !ring).then_some(parent));
    link.fields.extend(columns.into_iter().map(|column| ProposedField { column, via: Some(parent), ring }));
}

/// All that could be.
fn references(links: &[ProposedLink<'_>], at: usize) -> Vec<Reference> {
    let (table, keys) = (links[at].table, links[at].keys);
    let mut found = Vec::new();
    for (i, from) in table.source.foreign_keys.iter().enumerate() {
        for (j, to) in table.target.foreign_keys.iter().enumerate() {
            let through = |parent: &ProposedLink<'_>| whole(from, parent.table.source) && whole(to, parent.table.target);
            let Some(parent) = links.iter().position(through) else { continue };
            let Some(columns) = columns(table, Both { source: from, target: to }, &links[parent]) else { continue };
            let writes = |column: &Both<usize>| Side::BOTH.iter().all(|side| writable(table[*side], column[*side], keys));
            if columns.iter().all(writes) {
                found.push(Reference { key: Both { source: i, target: j }, parent, columns });
            }
        }
    }
    found
}

/// Whether it refers to the key of `parent`, which has several columns.
fn whole(key: &ForeignKey, parent: &Table) -> bool {
    let parts = parent.key.len();
    let all = parent.key_columns().all(|part| key.referenced.contains(&part.name));
    parts > 1 && key.references == parent.name && key.columns.len() == parts && key.referenced.len() == parts && all
}

/// Which columns hold parts of the parents' keys that belong together: those that the parents' link maps to each other, and what is
/// left in the order of the keys.
fn columns(table: Both<&Table>, key: Both<&ForeignKey>, parent: &ProposedLink<'_>) -> Option<Vec<Both<usize>>> {
    let parents = parent.table;
    if parents.source.key.len() != parents.target.key.len() {
        return None;
    }
    let mapped = |part: usize| {
        let column = parents.source.key[part];
        let field = parent.fields.iter().find(|field| !field.ring && field.column.source == column)?;
        parents.target.key.iter().position(|other| *other == field.column.target)
    };
    let known: Vec<Option<usize>> = (0..parents.source.key.len()).map(mapped).collect();
    let mut left = (0..parents.target.key.len()).filter(|part| !known.contains(&Some(*part)));
    let parts: Vec<usize> = known.iter().map(|part| part.or_else(|| left.next())).collect::<Option<_>>()?;
    let holds = |side: Side, part: usize| {
        let name = &parents[side].columns[parents[side].key[part]].name;
        let at = key[side].referenced.iter().position(|referenced| referenced == name)?;
        table[side].column(&key[side].columns[at])
    };
    let pair = |(s, t): (usize, &usize)| Some(Both { source: holds(Side::Source, s)?, target: holds(Side::Target, *t)? });
    parts.iter().enumerate().map(pair).collect()
}

/// How alike the names of the columns are, on average.
fn likeness(table: Both<&Table>, columns: &[Both<usize>]) -> f64 {
    let name = |side: Side, column: usize| Words::of(&table[side].columns[column].name);
    let one = |column: &Both<usize>| name(Side::Source, column.source).likeness(&name(Side::Target, column.target));
    columns.iter().map(one).sum::<f64>() / columns.len().max(1) as f64
}
