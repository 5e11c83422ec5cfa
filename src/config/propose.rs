//! What two schemas have in common, by names, types and foreign keys: the links `init` proposes.
//!
//! Pure, and the same for the same catalogs. A proposal is for a person to read; what it says resolves.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::composite::composite_keys;
use super::resolve::unassigned;
use super::words::Words;
use crate::mapping::{Compatibility, compatible};
use crate::model::{Both, Column, KeySource, Keys, Kind, Side, Table};

/// Names less alike than this are different names.
const ALIKE: f64 = 0.6;

/// The links proposed for two catalogs, and what is left of them.
pub(super) struct Proposal<'a> {
    /// In the order of the source's tables.
    pub links: Vec<ProposedLink<'a>>,
    /// Tables in no link, with why, where that is not simply that nothing is like them.
    pub left: Both<Vec<(&'a Table, Option<String>)>>,
}

/// Two tables and the columns that belong together.
pub(super) struct ProposedLink<'a> {
    pub name: String,
    pub table: Both<&'a Table>,
    pub keys: Keys,
    pub fields: Vec<ProposedField>,
    /// Indexes into `fields`; empty: no unique key of both sides is mapped.
    pub matching: Vec<usize>,
}

/// Two columns, as indexes into their tables' columns.
pub(super) struct ProposedField {
    pub column: Both<usize>,
    /// The link its foreign key goes through.
    pub via: Option<usize>,
    /// It would close a ring of links in which no column takes NULL: left as a comment.
    pub ring: bool,
}

/// Pairs tables, then columns, then foreign keys.
pub(super) fn propose<'a>(source: &'a [Table], target: &'a [Table]) -> Proposal<'a> {
    let mut left = Both { source: refused(source), target: refused(target) };
    let mut links: Vec<ProposedLink<'_>> = Vec::new();
    for table in table_pairs(source, target) {
        let name = link_name(table.source, &links);
        links.push(ProposedLink { name, table, keys: keys(table), fields: Vec::new(), matching: Vec::new() });
    }
    links.sort_by_key(|link| source.iter().position(|table| std::ptr::eq(table, link.table.source)));
    let mut through = foreign_keys(&mut links);
    links.iter_mut().for_each(plain_fields);
    composite_keys(&mut links, &mut through);
    for link in &mut links {
        link.fields.sort_by_key(|field| field.column.source);
        link.matching = matching(link);
    }
    drop_unkeyed(&mut links, &mut left);
    for (side, tables) in [(Side::Source, source), (Side::Target, target)] {
        let free = tables.iter().filter(|table| {
            let linked = links.iter().any(|link| std::ptr::eq(link.table[side], *table));
            !linked && !left[side].iter().any(|(other, _)| std::ptr::eq(*other, *table))
        });
        let free: Vec<_> = free.map(|table| (table, None)).collect();
        left[side].extend(free);
    }
    Proposal { links, left }
}

fn refused(tables: &[Table]) -> Vec<(&Table, Option<String>)> {
    tables.iter().filter(|table| table.refused.is_some()).map(|table| (table, table.refused.clone())).collect()
}

/// A table with what is compared of it.
struct Described<'a> {
    table: &'a Table,
    name: Words,
    /// Its columns' names, sorted.
    columns: Vec<String>,
}

fn described(tables: &[Table]) -> Vec<Described<'_>> {
    let usable = tables.iter().filter(|table| table.refused.is_none() && !table.key.is_empty());
    let describe = |table| {
        let mut columns: Vec<String> = column_words(table).iter().map(Words::joined).collect();
        columns.sort_unstable();
        Described { table, name: Words::of(&table.name.name), columns }
    };
    usable.map(describe).collect()
}

/// Best pairs first, each table once: by name, then the rest by columns alone.
fn table_pairs<'a>(source: &'a [Table], target: &'a [Table]) -> Vec<Both<&'a Table>> {
    let (sources, targets) = (described(source), described(target));
    let (mut by_name, mut by_columns) = (Vec::new(), Vec::new());
    for (a, s) in sources.iter().enumerate() {
        for (b, t) in targets.iter().enumerate() {
            let name = s.name.likeness(&t.name);
            let least = s.columns.len().min(t.columns.len()).max(1) as f64;
            if name >= ALIKE {
                let fields = column_pairs(s.table, t.table, &[]).len() + foreign(s.table).min(foreign(t.table));
                by_name.extend((fields > 0).then_some((0.6 * name + 0.4 * fields as f64 / least, a, b)));
            } else {
                let shared = in_both(&s.columns, &t.columns);
                by_columns.extend((shared >= 4 && shared as f64 / least >= ALIKE).then_some((shared as f64 / least, a, b)));
            }
        }
    }
    let mut pairs = Vec::new();
    take_best(by_name, |a, b| pairs.push((a, b)));
    by_columns.retain(|(_, a, b)| pairs.iter().all(|(s, t)| s != a && t != b));
    take_best(only_best(by_columns), |a, b| pairs.push((a, b)));
    pairs.into_iter().map(|(a, b)| Both { source: sources[a].table, target: targets[b].table }).collect()
}

/// Tables that many others are equally like are like none of them: every lookup table has id, code and name.
fn only_best(scored: Vec<(f64, usize, usize)>) -> Vec<(f64, usize, usize)> {
    let mut best: HashMap<(Side, usize), (f64, usize)> = HashMap::new();
    for (score, a, b) in &scored {
        for end in [(Side::Source, *a), (Side::Target, *b)] {
            let (most, count) = best.entry(end).or_insert((*score, 0));
            match score.total_cmp(most) {
                Ordering::Greater => (*most, *count) = (*score, 1),
                Ordering::Equal => *count += 1,
                Ordering::Less => {}
            }
        }
    }
    let unique = |end, score: f64| best.get(&end).is_some_and(|(most, count)| *most == score && *count == 1);
    scored.into_iter().filter(|(score, a, b)| unique((Side::Source, *a), *score) && unique((Side::Target, *b), *score)).collect()
}

/// How many of two sorted lists' entries are the same.
fn in_both(a: &[String], b: &[String]) -> usize {
    let (mut i, mut j, mut same) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            Ordering::Less => i += 1,
            Ordering::Greater => j += 1,
            Ordering::Equal => (i, j, same) = (i + 1, j + 1, same + 1),
        }
    }
    same
}

fn foreign(table: &Table) -> usize {
    table.foreign_keys.len()
}

/// Takes the best of the scored pairs, then the best of what is left; ties in catalog order.
pub(super) fn take_best(mut scored: Vec<(f64, usize, usize)>, mut take: impl FnMut(usize, usize)) {
    scored.sort_by(|x, y| y.0.total_cmp(&x.0).then((x.1, x.2).cmp(&(y.1, y.2))));
    let (mut sources, mut targets) = (HashSet::new(), HashSet::new());
    for (_, a, b) in scored {
        if !sources.contains(&a) && !targets.contains(&b) {
            sources.insert(a);
            targets.insert(b);
            take(a, b);
        }
    }
}

fn column_words(table: &Table) -> Vec<Words> {
    let own = Words::of(&table.name.name);
    table.columns.iter().map(|column| Words::of(&column.name).within(&own)).collect()
}

/// Columns of like names whose types fit in both directions, but for `taken` ones and keys.
fn column_pairs(source: &Table, target: &Table, taken: &[ProposedField]) -> Vec<Both<usize>> {
    let (s_words, t_words) = (column_words(source), column_words(target));
    let keys = keys(Both { source, target });
    let mut scored = Vec::new();
    for (i, from) in source.columns.iter().enumerate().filter(|(i, _)| plain(source, *i, keys)) {
        for (j, to) in target.columns.iter().enumerate().filter(|(j, _)| plain(target, *j, keys)) {
            if taken.iter().any(|field| field.column.source == i || field.column.target == j) {
                continue;
            }
            let full = Words::of(&from.name).likeness(&Words::of(&to.name));
            let name = full.max(s_words[i].likeness(&t_words[j]) - 0.01);
            if let Some(fit) = fitness(from, to).filter(|_| name >= ALIKE) {
                scored.push((name + fit, i, j));
            }
        }
    }
    let mut pairs = Vec::new();
    take_best(scored, |source, target| pairs.push(Both { source, target }));
    pairs
}

/// A column that is neither foreign key nor computed, nor a key that the engine assigns or both share.
fn plain(table: &Table, column: usize, keys: Keys) -> bool {
    let name = &table.columns[column].name;
    let refers = table.foreign_keys.iter().any(|key| key.columns.contains(name));
    !refers && writable(table, column, keys)
}

/// A key part may be mapped only where nobody else assigns it.
pub(super) fn writable(table: &Table, column: usize, keys: Keys) -> bool {
    let free = !table.key.contains(&column) || (keys == Keys::Own && !assigned(table, column));
    free && !table.columns[column].computed
}

/// Whether a part of the key is its own side's: a number, or what a trigger or a default makes up. A date says something of the
/// record, also where the default is today.
pub(super) fn assigned(table: &Table, part: usize) -> bool {
    let column = &table.columns[part];
    let dated = matches!(column.kind, Kind::Date | Kind::Time { .. } | Kind::DateTime { .. } | Kind::Instant { .. });
    match table.key_source {
        KeySource::Given => false,
        KeySource::Generated | KeySource::GeneratedReused => column.numbered,
        KeySource::Default => column.has_default && !dated,
        KeySource::Trigger => true,
    }
}

fn fitness(from: &Column, to: &Column) -> Option<f64> {
    match (compatible(from, to), compatible(to, from)) {
        (Compatibility::Never(_), _) | (_, Compatibility::Never(_)) => None,
        (Compatibility::Exact, Compatibility::Exact) => Some(0.2),
        _ => Some(0.1),
    }
}

/// Natural keys are copied; a key made of foreign keys is mapped part by part.
fn keys(table: Both<&Table>) -> Keys {
    let given = |side: Side| table[side].key_source == KeySource::Given;
    let made_of_parents = Side::BOTH.iter().any(|side| {
        let table = table[*side];
        table.key_columns().any(|part| table.foreign_keys.iter().any(|key| key.columns.contains(&part.name)))
    });
    let same_shape = table.source.key.len() == table.target.key.len()
        && table.source.key_columns().zip(table.target.key_columns()).all(|(from, to)| fitness(from, to).is_some());
    if given(Side::Source) && given(Side::Target) && !made_of_parents && same_shape { Keys::Copy } else { Keys::Own }
}

/// Pairs foreign keys of one column whose parents are linked, and goes through that link. Returns which link goes through which, by
/// columns that take no NULL.
fn foreign_keys(links: &mut [ProposedLink<'_>]) -> Vec<Vec<usize>> {
    let mut through: Vec<Vec<usize>> = vec![Vec::new(); links.len()];
    for at in 0..links.len() {
        let table = links[at].table;
        let mut scored = Vec::new();
        let mut parents = Vec::new();
        for (i, from) in table.source.columns.iter().enumerate() {
            for (j, to) in table.target.columns.iter().enumerate() {
                let parent = (0..links.len())
                    .find(|p| refers(table.source, i, links[*p].table.source) && refers(table.target, j, links[*p].table.target));
                let free = writable(table.source, i, links[at].keys) && writable(table.target, j, links[at].keys);
                if let Some(parent) = parent.filter(|_| free) {
                    scored.push((Words::of(&from.name).likeness(&Words::of(&to.name)), i, j));
                    parents.push((i, j, parent));
                }
            }
        }
        take_best(scored, |source, target| {
            let parent = parents.iter().find(|(i, j, _)| (*i, *j) == (source, target)).map(|(_, _, parent)| *parent);
            // A ring is fine where a column of it takes NULL: its records are written without it first.
            let first = table.source.columns[source].nullable && table.target.columns[target].nullable;
            let needed = parent.filter(|parent| *parent != at && !first);
            let ring = needed.is_some_and(|parent| reaches(&through, parent, at));
            through[at].extend(needed.filter(|_| !ring));
            links[at].fields.push(ProposedField { column: Both { source, target }, via: parent, ring });
        });
    }
    through
}

/// Whether the column is a foreign key to the key, of one column, of `parent`.
fn refers(table: &Table, column: usize, parent: &Table) -> bool {
    let name = table.columns[column].name.as_str();
    let [key] = parent.key.as_slice() else { return false };
    table.foreign_keys.iter().any(|foreign| {
        foreign.references == parent.name
            && foreign.columns == [name]
            && foreign.referenced == [parent.columns[*key].name.as_str()]
    })
}

pub(super) fn reaches(through: &[Vec<usize>], from: usize, to: usize) -> bool {
    from == to || through[from].iter().any(|next| reaches(through, *next, to))
}

fn plain_fields(link: &mut ProposedLink<'_>) {
    let pairs = column_pairs(link.table.source, link.table.target, &link.fields);
    link.fields.extend(pairs.into_iter().map(|column| ProposedField { column, via: None, ring: false }));
}

/// The shortest unique key of both sides whose columns are mapped to each other.
fn matching(link: &ProposedLink<'_>) -> Vec<usize> {
    let mapped = |side: Side, unique: &[usize]| -> Option<Vec<usize>> {
        let field = |column: &usize| link.fields.iter().position(|field| !field.ring && field.column[side] == *column);
        let mut fields: Vec<usize> = unique.iter().map(field).collect::<Option<_>>()?;
        fields.sort_unstable();
        Some(fields)
    };
    let of = |side: Side| {
        let keys = std::iter::once(&link.table[side].key).chain(&link.table[side].uniques);
        keys.filter_map(|unique| mapped(side, unique)).collect::<Vec<_>>()
    };
    let (sources, targets) = (of(Side::Source), of(Side::Target));
    let both = sources.iter().filter(|unique| targets.contains(unique)).min_by_key(|unique| unique.len());
    // Unique on one side only is still better than nothing.
    let one = || sources.iter().chain(&targets).min_by_key(|unique| unique.len());
    both.or_else(one).cloned().unwrap_or_default()
}

/// A link in which nobody assigns keys would be refused: it is left out, with the reason (S4-5).
fn drop_unkeyed<'a>(links: &mut Vec<ProposedLink<'a>>, left: &mut Both<Vec<(&'a Table, Option<String>)>>) {
    while let Some(at) = links.iter().position(|link| link.fields.iter().all(|field| field.ring) || unkeyed(link)) {
        let link = links.remove(at);
        for side in Side::BOTH {
            let why = format!("like `{}`, but nobody assigns the keys of new rows", link.table[side.other()].name);
            left[side].push((link.table[side], Some(why)));
        }
        for other in links.iter_mut() {
            other.fields.retain(|field| field.via != Some(at));
            for field in &mut other.fields {
                field.via = field.via.map(|via| if via > at { via - 1 } else { via });
            }
            other.matching = matching(other);
        }
    }
}

fn unkeyed(link: &ProposedLink<'_>) -> bool {
    link.keys == Keys::Own
        && Side::BOTH.iter().any(|side| {
            let mapped = |part: usize| link.fields.iter().any(|field| !field.ring && field.column[*side] == part);
            !unassigned(link.table[*side], mapped).is_empty()
        })
}

/// The source table's name as a link's: lower case, and one of its own.
fn link_name(table: &Table, links: &[ProposedLink<'_>]) -> String {
    let lower = table.name.name.to_lowercase();
    let mut name: String = lower.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' }).collect();
    name = name.trim_matches('_').to_owned();
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name = format!("link_{name}");
    }
    let taken = |name: &str| links.iter().any(|link| link.name == name);
    if !taken(&name) {
        return name;
    }
    (2..).map(|n| format!("{name}_{n}")).find(|name| !taken(name)).unwrap_or(name)
}
