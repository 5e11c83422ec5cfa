//! Databases.

mod alike;
mod compaction;
pub(crate) mod migrations;
pub mod mysql;
pub mod postgres;
pub mod sqlite;
mod stranger;

use crate::model::{Fingerprint, Key, Table, TableName};

/// The parts of a key or a row, or the first that is none. (`collect` does not know how many come, and makes room for four of a
/// key of one, sixteen thousand times.)
pub(crate) fn all<T, E>(count: usize, parts: impl Iterator<Item = Result<T, E>>) -> Result<Vec<T>, E> {
    let mut all = Vec::with_capacity(count);
    for part in parts {
        all.push(part?);
    }
    Ok(all)
}

/// What to type again where another process had its turn for too long.
const UNINSTALL: &str = "twinrow uninstall";

/// What the names of a table's tracking objects end in: no identifier limit, quote, case rule or
/// equal name in another schema can make two of them collide (A57).
pub(crate) fn name_hash(table: &TableName) -> String {
    let Fingerprint(hash) = Fingerprint::of(format!("{}\0{}", table.schema, table.name).as_bytes());
    format!("{hash:016x}")
}

/// The places of those keys whose parts are of their columns' kinds: others are no row's, and a server would make something
/// of them (MySQL takes a word for the number 0), or refuse them all.
pub(crate) fn of_their_kinds(table: &Table, keys: &[Key]) -> Vec<usize> {
    let fits = |key: &Key| {
        key.0.len() == table.key.len() && table.key_columns().zip(&key.0).all(|(column, value)| column.kind.holds(value))
    };
    (0..keys.len()).filter(|at| fits(&keys[*at])).collect()
}
