//! How far a delete goes: rows that refer to the deleted ones and would go with them.

use super::catalog::{quote, quote_table};
use super::rows::{self, named_key, same_key, unnest_keyed};
use super::session::Conn;
use crate::endpoint::Reach;
use crate::error::Result;
use crate::model::{Collection, Key, Table, TableName};

/// A foreign key with ON DELETE CASCADE that refers to the table.
struct Cascade {
    child: TableName,
    readable: bool,
    /// `t."id" = c."parent_id" and …`
    refers: String,
}

/// See [`Write::reach`](crate::endpoint::Write::reach).
pub(super) async fn reach(conn: &mut Conn, collection: &Collection, keys: &[Key]) -> Result<Vec<Reach>> {
    let table = &collection.table;
    let mut reach = vec![Reach::Row; keys.len()];
    let cascades = cascades(conn, table).await?;
    if keys.is_empty() || cascades.is_empty() {
        return Ok(reach);
    }
    let columns = rows::key_columns(table, keys)?;
    let columns = rows::as_params(&columns);
    let params = rows::params(&columns);
    let (unnest, same, name) = (unnest_keyed(named_key(table)), same_key(table), quote_table(&table.name));
    // From here on nobody can add a row that refers to them; whoever is about to holds them (rule 19).
    let lock = format!("select v.ord from {unnest} join {name} t on {same} for update of t skip locked");
    let locked = conn.query(&lock, &params).await?;
    reach.fill(Reach::Locked);
    locked.iter().for_each(|answer| set(&mut reach, answer.get(0), Reach::Row));
    for cascade in cascades {
        if !cascade.readable {
            reach
                .iter_mut()
                .filter(|reach| **reach == Reach::Row)
                .for_each(|reach| *reach = Reach::Hidden(cascade.child.clone()));
            continue;
        }
        // A statement of its own: it sees what was committed before the lock was ours.
        let sql = format!(
            "select v.ord from {unnest} join {name} t on {same} \
             where exists (select from {} c where {})",
            quote_table(&cascade.child),
            cascade.refers
        );
        for answer in conn.query(&sql, &params).await? {
            set(&mut reach, answer.get(0), Reach::Cascades(cascade.child.clone()));
        }
    }
    Ok(reach)
}

fn set(reach: &mut [Reach], ord: i64, to: Reach) {
    if let Some(reach) = usize::try_from(ord - 1).ok().and_then(|at| reach.get_mut(at)) {
        *reach = to;
    }
}

async fn cascades(conn: &mut Conn, table: &Table) -> Result<Vec<Cascade>> {
    let found = conn.query(include_str!("../../../../sql/postgres/catalog_cascades.sql"), &[&quote_table(&table.name)]).await?;
    let cascade = |row: &tokio_postgres::Row| {
        let (columns, referenced, equal): (Vec<String>, Vec<String>, Vec<String>) = (row.get(3), row.get(4), row.get(5));
        let parts = referenced.iter().zip(&columns).zip(&equal);
        let refers = parts.map(|((parent, child), equal)| format!("t.{} {equal} c.{}", quote(parent), quote(child)));
        Cascade {
            child: TableName { schema: row.get(0), name: row.get(1) },
            readable: row.get(2),
            refers: refers.collect::<Vec<_>>().join(" and "),
        }
    };
    Ok(found.iter().map(cascade).collect())
}
