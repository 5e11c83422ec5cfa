//! How far a delete goes: rows that refer to the deleted ones and would go with them.

use mysql_async::Value as Wire;

use super::catalog::{qualified, quoted, schema_of};
use super::connection::{Connection, field_text};
use super::rows::{json_table, key_json, keyed};
use super::session::documents;
use crate::endpoint::Reach;
use crate::error::{Kind, Result};
use crate::model::{Collection, Key, Table, TableName};

/// A foreign key with ON DELETE CASCADE that refers to the table.
struct Cascade {
    child: TableName,
    /// ``t.`id` = c.`parent_id` and …``
    refers: Vec<String>,
}

/// See [`Write::reach`](crate::endpoint::Write::reach). The rows are locked, and whoever adds a row that refers
/// to one waits for it, or has locked it before us.
pub(super) async fn reach(connection: &mut Connection, collection: &Collection, keys: &[Key]) -> Result<Vec<Reach>> {
    let table = &collection.table;
    let mut reach = vec![Reach::Row; keys.len()];
    if keys.is_empty() {
        return Ok(reach);
    }
    for cascade in cascades(connection, &table.name).await? {
        match reached(connection, table, keys, &cascade).await {
            Ok(reached) => reached.into_iter().for_each(|at| reach[at] = Reach::Cascades(cascade.child.clone())),
            Err(error) if error.kind() == Kind::Denied => reach.fill(Reach::Hidden(cascade.child.clone())),
            Err(error) => return Err(error),
        }
    }
    Ok(reach)
}

/// The places of those keys whose row others refer to.
async fn reached(connection: &mut Connection, table: &Table, keys: &[Key], cascade: &Cascade) -> Result<Vec<usize>> {
    let (set, joined) = (json_table(&[("k", table.key.len())]), keyed(connection, table).await?);
    let database = connection.server.database.clone();
    let sql = format!(
        "select a.at_row from {set} straight_join {joined} where exists (select 1 from {} as c where {})",
        qualified(&cascade.child, &database),
        cascade.refers.join(" and ")
    );
    let (mut places, mut offset) = (Vec::new(), 0);
    for (json, size) in documents(keys.iter().map(|key| key_json(table, key)), connection.json_max()) {
        for row in connection.rows(&sql, vec![Wire::Bytes(json)]).await? {
            let place = super::log::number(&row, 0)?;
            places.extend(usize::try_from(place - 1).ok().map(|place| offset + place).filter(|place| *place < keys.len()));
        }
        offset += size;
    }
    Ok(places)
}

/// The server shows only those of tables this user has some right on.
async fn cascades(connection: &mut Connection, table: &TableName) -> Result<Vec<Cascade>> {
    let sql = sql!("catalog_cascades");
    let database = connection.server.database.clone();
    let rows = connection.rows(sql, vec![schema_of(table, &database).into(), table.name.as_str().into()]).await?;
    let mut all: Vec<((String, String, String), Cascade)> = Vec::new();
    for row in &rows {
        let text = |at| field_text(row, at);
        let (schema, name, constraint) = (text(0)?, text(1)?, text(2)?);
        let place = (schema.clone(), name.clone(), constraint);
        if all.last().is_none_or(|(last, _)| *last != place) {
            let schema = if schema == database { String::new() } else { schema };
            all.push((place, Cascade { child: TableName { schema, name }, refers: Vec::new() }));
        }
        if let Some((_, cascade)) = all.last_mut() {
            cascade.refers.push(format!("t.{} = c.{}", quoted(&text(4)?), quoted(&text(3)?)));
        }
    }
    Ok(all.into_iter().map(|(_, cascade)| cascade).collect())
}

/// The tables whose rows go along with deleted ones, as far as they are shown.
pub(super) async fn children(connection: &mut Connection, table: &TableName) -> Result<Vec<(String, String)>> {
    let database = connection.server.database.clone();
    let cascades = cascades(connection, table).await?;
    Ok(cascades.into_iter().map(|c| (schema_of(&c.child, &database).to_owned(), c.child.name)).collect())
}
