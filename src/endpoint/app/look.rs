//! Looking for records by key where it matters whether one was there before.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::client::{Client, id_of, shapeless};
use super::manifest::Request;
use super::record::Mapped;
use super::template::{Place, several};
use crate::endpoint::{Fetched, Looked};
use crate::error::Result;
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
    let mut all = Vec::with_capacity(ids.len());
    for some in ids.chunks(client.manifest.batch.max) {
        let found = found(client, request, collection, some).await?;
        for id in some {
            all.push(looked(client, id, found.get(id), &mapped)?);
        }
    }
    Ok(all)
}

/// Records and tombstones by id.
async fn found(client: &Client, request: &Request, collection: &Collection, ids: &[String]) -> Result<HashMap<String, Json>> {
    let mut next = Some(client.call(request, &collection.table.name.name, &[(Place::Ids, &several(ids.iter()))])?);
    let mut found = HashMap::new();
    while let Some(call) = next.take() {
        let (records, following, _) = client.page(request, &call).await?;
        next = following.filter(|_| !records.is_empty());
        for record in records {
            let id = client.id(&record).ok_or_else(shapeless)?.to_owned();
            // An app that overlooks the condition would answer with others.
            if !ids.contains(&id) || found.insert(id, record).is_some() {
                return Err(shapeless());
            }
        }
    }
    Ok(found)
}

fn looked(client: &Client, id: &str, record: Option<&Json>, mapped: &[Mapped]) -> Result<Looked> {
    let Some(record) = record else { return Ok(Looked::Never) };
    if client.is_tombstone(record) {
        return client.version(record).map(|stamp| Looked::Deleted(Pos(stamp))).ok_or_else(shapeless);
    }
    Ok(Looked::There(client.parsed(id, record, mapped)))
}
