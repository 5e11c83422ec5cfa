//! Databases.

mod compaction;
pub(crate) mod migrations;
pub mod mysql;
pub mod postgres;
pub mod sqlite;

use crate::model::{Fingerprint, TableName};

/// What the names of a table's tracking objects end in: no identifier limit, quote, case rule or
/// equal name in another schema can make two of them collide (A57).
pub(crate) fn name_hash(table: &TableName) -> String {
    let Fingerprint(hash) = Fingerprint::of(format!("{}\0{}", table.schema, table.name).as_bytes());
    format!("{hash:016x}")
}
