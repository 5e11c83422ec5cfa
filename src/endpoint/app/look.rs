//! Looking for records by key where it matters whether one was there before.

use serde_json::Value as Json;

use super::client::{Client, id_of, shapeless};
use super::record::Mapped;
use crate::endpoint::{Fetched, Looked};
use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Key, Pos};

/// One answer for each key: from the app's own look if it has one that shows tombstones, else from a plain get.
pub(super) async fn look(client: &Client, collection: &Collection, keys: &[Key]) -> Result<Vec<Looked>> {
    let ids: Vec<String> = keys.iter().map(id_of).collect();
    let mapped = client.mapped(collection)?;
    let Some(request) = &client.object().look else {
        let fetched = client.fetch(collection, &mapped, &ids).await?;
        return Ok(fetched
            .into_iter()
            .map(|one| if one == Fetched::Absent { Looked::Absent } else { Looked::There(one) })
            .collect());
    };
    let answers = client.each(request, &collection.table.name.name, &ids).await?;
    let of = |(id, (status, body)): (&String, (u16, Json))| {
        if !(200..300).contains(&status) {
            return Err(Error::new(Kind::Unreachable, format!("the app can't say what became of a record: HTTP {status}")));
        }
        let records = request.records.as_ref().and_then(|at| at.of(&body)).and_then(Json::as_array);
        looked(client, id, records.ok_or_else(shapeless)?, &mapped)
    };
    ids.iter().zip(answers).map(of).collect()
}

/// A list of one record, or of its tombstone, or of nothing.
fn looked(client: &Client, id: &str, records: &[Json], mapped: &[Mapped]) -> Result<Looked> {
    let record = match records {
        [] => return Ok(Looked::Never),
        // An app that overlooks the condition would answer with others.
        [record] if client.id(record) == Some(id) => record,
        _ => return Err(shapeless()),
    };
    if client.is_tombstone(record) {
        return client.version(record).map(|stamp| Looked::Deleted(Pos(stamp))).ok_or_else(shapeless);
    }
    Ok(Looked::There(client.parsed(id, record, mapped)))
}
