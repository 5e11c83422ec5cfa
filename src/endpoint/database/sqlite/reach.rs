//! How far a delete goes: rows that refer to the deleted ones and would go with them.

use rusqlite::{Connection, params_from_iter};

use super::catalog::{self, quoted};
use super::rows::{self, by_key};
use super::session::fault;
use crate::endpoint::Reach;
use crate::error::{Error, Kind, Result};
use crate::model::{Key, Table, TableName};

/// See [`Write::reach`](crate::endpoint::Write::reach). The whole file is ours meanwhile.
pub(super) fn reach(connection: &Connection, table: &Table, keys: &[Key]) -> Result<Vec<Reach>> {
    let mut reach = vec![Reach::Row; keys.len()];
    for (child, foreign) in catalog::cascades_to(connection, &table.name.name)? {
        // The parent's column decides how the two compare.
        let parts = foreign.referenced.iter().zip(&foreign.columns);
        let refers: Vec<String> = parts.map(|(parent, own)| format!("t.{} = c.{}", quoted(parent), quoted(own))).collect();
        let sql = format!(
            "select 1 from main.{} as t join main.{} as c on {} where {}",
            quoted(&table.name.name),
            quoted(&child),
            refers.join(" and "),
            by_key(table, 1)
        );
        let mut statement = connection.prepare_cached(&sql).map_err(fault)?;
        for (key, reach) in keys.iter().zip(&mut reach) {
            let refused = |cause| Error::new(Kind::Rejected, format!("{}: {cause}", table.name));
            let bound = rows::parameters(table, key).map_err(refused)?;
            if statement.exists(params_from_iter(bound)).map_err(fault)? {
                *reach = Reach::Cascades(TableName { schema: String::new(), name: child.clone() });
            }
        }
    }
    Ok(reach)
}
