//! Change logs: their names, and the statements that read them.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};
use tokio_postgres::Row as Answer;

use super::catalog::quote_table;
use super::position::{Cursor, Snapshot};
use super::value::{Raw, carrier, decode};
use crate::endpoint::Unread;
use crate::endpoint::database::all;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::{Column, Entry, Key, KeyBytes, Kind, Op, Pos, Table, TableName, hex};

/// What a table's tracking objects have in their names: of fixed length, whatever the table's name (A57).
pub(super) fn mark(name: &TableName) -> String {
    let digest = Sha256::digest(format!("{}\0{}", name.schema, name.name));
    hex(&digest[..6])
}

/// The table's log, without its schema.
pub(super) fn log_name(name: &TableName) -> String {
    format!("log_{}", mark(name))
}

/// The table's row in `twinrow.collection`.
pub(super) fn collection_name(name: &TableName) -> String {
    quote_table(name)
}

/// `l.o1` as [`read_key`] wants it.
fn select_part(kind: &Kind, sql: String) -> String {
    if matches!(kind, Kind::Decimal { .. }) { format!("{sql}::pg_catalog.text") } else { sql }
}

/// The log's columns of the old (`o`) or new (`n`) key.
fn key_parts(table: &Table, prefix: char) -> String {
    let part = |(i, column): (usize, &Column)| select_part(&column.kind, format!("l.{prefix}{}", i + 1));
    table.key_columns().enumerate().map(part).collect::<Vec<_>>().join(", ")
}

/// All entries that a cursor has not read, as `l`: what its snapshot did not see is what began later
/// and what was under way then, so the index never walks what was read long ago (A53). Parameters 1
/// to 4 are [`Range`]'s.
fn unread(table: &Table) -> String {
    unread_within(table, "")
}

/// As [`unread`], under one more condition on the log's columns.
fn unread_within(table: &Table, and: &str) -> String {
    let log = log_name(&table.name);
    // A subquery is evaluated once: a cast in the condition would read the snapshot's text for each row.
    format!(
        "(select * from twinrow.{log} where xid >= $1::text::xid8 {and} \
         union all select * from twinrow.{log} where xid = any($2::text[]::xid8[]) {and}) l \
         where ($3::text is null or not (pg_catalog.pg_visible_in_snapshot(l.xid, (select $3::text::pg_snapshot)) \
         and l.lsn <= (select $4::text::pg_lsn)))"
    )
}

/// Of a window that is read in parts: what its first part saw.
const SEEN: &str = "($3::text is null or pg_catalog.pg_visible_in_snapshot(l.xid, (select $3::text::pg_snapshot)))";

/// The parameters of [`unread`].
pub(super) struct Range {
    pub(super) from: String,
    pub(super) open: Vec<String>,
    pub(super) mid: Option<String>,
    pub(super) lsn: String,
}

impl Range {
    /// What `cursor` has not read.
    pub(super) fn after(cursor: &Cursor) -> Range {
        let Snapshot { xmax, open, .. } = &cursor.old;
        Range {
            from: xmax.to_string(),
            open: open.iter().map(u64::to_string).collect(),
            mid: cursor.partial.as_ref().map(|partial| partial.mid.to_string()),
            lsn: lsn_text(cursor.partial.as_ref().map_or(0, |partial| partial.lsn)),
        }
    }
}

/// `16/B374D848`
pub(super) fn lsn_text(lsn: i64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xffff_ffff)
}

/// Reads entries in log order, at most `$5`, but never part of those that share a position; of a
/// window that is read in parts, only what its first part saw. The position of the last one is found first:
/// `with ties` sorts everything that waits, and a limit keeps what it returns.
pub(super) fn entries_sql(table: &Table) -> String {
    let range = format!("{} and {SEEN}", unread(table));
    format!(
        "select {} from {range} \
         and l.lsn <= coalesce((select l.lsn from {range} order by l.lsn offset $5::int8 - 1 limit 1), 'FFFFFFFF/FFFFFFFF') \
         order by l.lsn",
        entry(table)
    )
}

/// As [`entries_sql`], up to position `$5`, where it is known that their transactions are those from `$6` to `$7`.
pub(super) fn part_sql(table: &Table) -> String {
    let within = unread_within(table, "and xid >= $6::int8::text::xid8 and xid <= $7::int8::text::xid8");
    format!("select {} from {within} and {SEEN} and l.lsn <= (select $5::text::pg_lsn) order by l.lsn", entry(table))
}

/// The parts of `$5` entries that [`entries_sql`] would read one after the other, at most `$6` of them: where each ends, the first
/// and the last of its transactions, whether an entry moves a key, whether one is an insert. `min(xid8)` is younger than
/// PostgreSQL 13.
pub(super) fn parts_sql(table: &Table) -> String {
    format!(
        "select (max(p.lsn) - '0/0'::pg_lsn)::int8, min(p.x), max(p.x), bool_or(p.op in ({})), bool_or(p.op = 'I') \
         from (select l.lsn, l.op, l.xid::text::int8 as x, (rank() over (order by l.lsn) - 1) / $5::int8 as part from {} and {SEEN}) p \
         group by p.part order by p.part limit $6::int8",
        ops(Unread::Moves),
        unread(table)
    )
}

/// The columns of an entry, as [`read_entry`] wants them.
fn entry(table: &Table) -> String {
    format!(
        "(l.lsn - '0/0'::pg_lsn)::int8, l.op::text, l.xid::text::int8, l.origin, {}, {}",
        key_parts(table, 'o'),
        key_parts(table, 'n')
    )
}

/// Counts entries, at most `$5`.
pub(super) fn backlog_sql(table: &Table) -> String {
    format!("select count(*) from (select from {} limit $5::int8) b", unread(table))
}

/// Whether there is an unread entry of this kind at all.
pub(super) fn unread_any_sql(table: &Table, which: Unread) -> String {
    format!("select exists (select from {} and l.op in ({}))", unread(table), ops(which))
}

fn ops(which: Unread) -> &'static str {
    match which {
        Unread::Moves => "'D', 'R', 'T'",
        Unread::Births => "'D', 'R', 'T', 'I'",
        Unread::Writes => "'D', 'R', 'T', 'I', 'U'",
    }
}

/// Which of the keys in the parameters from 5 on an unread entry of this kind names; 0 stands for all.
pub(super) fn unread_sql(table: &Table, which: Unread) -> String {
    named_sql(table, which, "")
}

/// As [`unread_sql`], of what others than the integration that writes now have done.
pub(super) fn others_sql(table: &Table, which: Unread) -> String {
    named_sql(table, which, "and l.origin is distinct from pg_catalog.current_setting('twinrow.origin', true)")
}

fn named_sql(table: &Table, which: Unread, whose: &str) -> String {
    let ops = ops(which);
    format!(
        "with u as materialized (select l.* from {} and l.op in ({ops}) {whose}), \
         v as materialized (select * from unnest({}) with ordinality as v({}, ord)) \
         select v.ord from v join u on {} union select v.ord from v join u on {} union select 0 from u where u.op = 'T'",
        unread(table),
        key_arrays(table, 5),
        key_names(table),
        same_key(table, 'o'),
        same_key(table, 'n')
    )
}

/// The keys that an answer to [`unread_sql`] about `keys` names.
pub(super) fn named_keys(keys: &[Key], answers: &[Answer]) -> HashSet<KeyBytes> {
    let named: Vec<i64> = answers.iter().map(|row| row.get(0)).collect();
    if named.contains(&0) {
        return keys.iter().map(Key::encode).collect();
    }
    named.iter().filter_map(|ord| keys.get(usize::try_from(ord - 1).ok()?)).map(Key::encode).collect()
}

/// Key columns as arrays, in the parameters from `first` on.
fn key_arrays(table: &Table, first: usize) -> String {
    let array = |(i, column): (usize, &Column)| format!("${}::{}[]", i + first, carrier(&column.kind));
    table.key_columns().enumerate().map(array).collect::<Vec<_>>().join(", ")
}

fn key_names(table: &Table) -> String {
    (1..=table.key.len()).map(|i| format!("k{i}")).collect::<Vec<_>>().join(", ")
}

/// The old (`o`) or new (`n`) key of log row `u` is that of `v`.
fn same_key(table: &Table, prefix: char) -> String {
    let part = |(i, column): (usize, &Column)| {
        let cast = if matches!(column.kind, Kind::Decimal { .. }) { "::pg_catalog.numeric" } else { "" };
        format!("u.{prefix}{0} = v.k{0}{cast}", i + 1)
    };
    table.key_columns().enumerate().map(part).collect::<Vec<_>>().join(" and ")
}

/// The last thing that happened to each of these keys in its transaction, up to position `$1`: its place among them,
/// where it stands, and the operation. `$2` the transactions of the keys from `$4` on, `$3` the same once each.
pub(super) fn read_before_sql(table: &Table) -> String {
    format!(
        "with v as materialized (select * from unnest($2::text[], {}) with ordinality as v(x, {}, ord)), \
         u as materialized (select l.* from twinrow.{} l where l.xid = any($3::text[]::xid8[]) and l.lsn <= $1::text::pg_lsn and l.op in ('D', 'R', 'I')), \
         w as (select v.ord, u.lsn, u.op from v join u on u.xid = v.x::xid8 and {} \
         union all select v.ord, u.lsn, u.op from v join u on u.op = 'R' and u.xid = v.x::xid8 and {}) \
         select distinct on (w.ord) w.ord, (w.lsn - '0/0'::pg_lsn)::int8, w.op::text from w order by w.ord, w.lsn desc",
        key_arrays(table, 4),
        key_names(table),
        log_name(&table.name),
        same_key(table, 'o'),
        same_key(table, 'n')
    )
}

/// An entry out of a row of [`entries_sql`], and its position.
pub(super) fn read_entry(answer: &Answer, collection: usize, table: &Table, own: impl Fn(&str) -> bool) -> Result<Entry> {
    let (lsn, op, xid, origin): (i64, &str, i64, Option<&str>) = (answer.get(0), answer.get(1), answer.get(2), answer.get(3));
    let key = |first| read_key(answer, first, table);
    let (op, key) = match op {
        "I" => (Op::Insert, key(4)?),
        "U" => (Op::Update, key(4)?),
        "D" => (Op::Delete, key(4)?),
        "R" => (Op::Rename { to: key(4 + table.key.len())? }, key(4)?),
        "T" => (Op::Truncate, Key(Vec::new())),
        _ => {
            return Err(Error::new(
                ErrorKind::Tracking,
                format!("the log of {} holds an operation of another version", table.name),
            )
            .hint("twinrow install"));
        }
    };
    Ok(Entry { collection, op, key, pos: Pos(lsn), transaction: u64::try_from(xid).ok(), own: origin.is_some_and(own) })
}

/// The log's columns are not the table's: they are the widest of their family.
fn read_key(answer: &Answer, first: usize, table: &Table) -> Result<Key> {
    let part = |(i, column): (usize, &Column)| {
        let raw: Raw<'_> = answer.try_get(first + i).map_err(|error| error.to_string())?;
        decode(&column.kind, &raw)
    };
    all(table.key.len(), table.key_columns().enumerate().map(part)).map(Key).map_err(|why| {
        Error::new(ErrorKind::Tracking, format!("the log of {} holds a key that can't be read: {why}", table.name))
            .hint("twinrow install")
    })
}

/// A delete and a later insert of one key in one transaction are the same record with a new row
/// (A20), if their values say so: the delete goes, the insert puts it back.
pub(super) fn fold_replacements(entries: Vec<Entry>) -> Vec<Entry> {
    let mut deleted: HashMap<(usize, Option<u64>, KeyBytes), usize> = HashMap::new();
    let mut kept: Vec<Option<Entry>> = Vec::with_capacity(entries.len());
    for mut entry in entries {
        let id = |key: &Key| (entry.collection, entry.transaction, key.encode());
        match &entry.op {
            Op::Delete => {
                deleted.insert(id(&entry.key), kept.len());
            }
            Op::Insert if !deleted.is_empty() => {
                if let Some(at) = deleted.remove(&id(&entry.key)) {
                    kept[at] = None;
                    entry.op = Op::PutBack;
                }
            }
            // The key has another record now.
            Op::Rename { to } => {
                deleted.remove(&id(to));
            }
            Op::Insert => {}
            Op::Update | Op::Replace | Op::PutBack | Op::Return { .. } | Op::Truncate => {}
        }
        kept.push(Some(entry));
    }
    kept.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(op: Op, key: i64, transaction: u64) -> Entry {
        Entry { collection: 0, op, key: Key::int(key), pos: Pos(0), transaction: Some(transaction), own: false }
    }

    fn ops(entries: Vec<Entry>) -> Vec<Op> {
        fold_replacements(entries).into_iter().map(|entry| entry.op).collect()
    }

    #[test]
    fn a20_delete_and_insert_of_one_transaction_is_a_replacement() {
        assert_eq!(ops(vec![entry(Op::Delete, 1, 5), entry(Op::Insert, 1, 5)]), [Op::PutBack]);
        assert_eq!(ops(vec![entry(Op::Delete, 1, 5), entry(Op::Insert, 1, 6)]), [Op::Delete, Op::Insert]);
        assert_eq!(
            ops(vec![entry(Op::Delete, 1, 5), entry(Op::Insert, 1, 5), entry(Op::Delete, 1, 5)]),
            [Op::PutBack, Op::Delete]
        );
        assert_eq!(ops(vec![entry(Op::Insert, 1, 5), entry(Op::Delete, 1, 5)]), [Op::Insert, Op::Delete]);
    }

    #[test]
    fn a_key_that_was_taken_over_is_not_replaced() {
        let to = Op::Rename { to: Key::int(1) };
        assert_eq!(ops(vec![entry(Op::Delete, 1, 5), entry(to.clone(), 2, 5)]), [Op::Delete, to]);
    }

    #[test]
    fn lsns_are_spelled_as_the_server_does() {
        assert_eq!(lsn_text(0x16_b374_d848), "16/B374D848");
    }

    #[test]
    fn a57_names_are_short_and_differ() {
        let name = |schema: &str, name: &str| log_name(&TableName { schema: schema.into(), name: name.into() });
        assert_ne!(name("x", "y"), name("x_y", ""));
        assert_eq!(name("x", &"n".repeat(63)).len(), 16);
    }
}
