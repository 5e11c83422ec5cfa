//! Listing an app's records, and whether a list is whole: what it leaves out would never be met.

use serde_json::Value as Json;

use super::client::{Client, shapeless};
use super::feed::number;
use super::http::Call;
use super::template::Place;
use crate::error::{Error, Kind, Result};

/// Records of a listing are asked for so many at a time; the app may give fewer.
const PAGE: usize = 1_000;

/// So often a list that does not have what the app counts is listed again: it may have changed meanwhile.
const LISTINGS: u32 = 3;

/// Records in the order of their ids after `after`: at least `limit`, or all there are.
///
/// # Errors
/// [`Kind::Unreachable`] if the app counts others than it lists, and nothing has changed (E11, E31).
pub(super) async fn list(client: &Client, object: &str, after: &str, limit: usize) -> Result<Vec<(String, Json)>> {
    let mut seen = None;
    for _ in 0..LISTINGS {
        let records = pages(client, object, after, limit).await?;
        let Some(counted) = count(client, object, after, &records, limit).await? else { return Ok(records) };
        if counted.records == records.len() as u64 {
            return Ok(records);
        }
        if seen.replace(counted.revision) == Some(counted.revision) {
            let message = "the app lists other records than it counts: nothing is concluded from its list";
            return Err(Error::new(Kind::Unreachable, message).hint("twinrow check"));
        }
    }
    // Others write to it all the time: what was missed stands in the feed.
    pages(client, object, after, limit).await
}

async fn pages(client: &Client, object: &str, after: &str, limit: usize) -> Result<Vec<(String, Json)>> {
    let request = &client.object().list;
    let mut all: Vec<(String, Json)> = Vec::new();
    loop {
        let last = all.last().map_or_else(|| after.to_owned(), |(id, _)| id.clone());
        let size = limit.saturating_sub(all.len()).min(PAGE).to_string();
        let mut next = Some(client.call(request, object, &[(Place::After, &last), (Place::Limit, &size)])?);
        let before = all.len();
        while let Some(call) = next.take().filter(|_| all.len() < limit) {
            let (records, following, _) = client.page(request, &call).await?;
            next = following.filter(|_| !records.is_empty());
            for record in records {
                let id = client.id(&record).ok_or_else(shapeless)?.to_owned();
                all.push((id, record));
            }
        }
        // The end is only the end if nothing follows the last record: a page without a next link may be a
        // part (E11).
        if all.len() >= limit || all.len() == before {
            return Ok(all);
        }
    }
}

/// What the app counts in the part that was listed, and the collection's revision then.
struct Counted {
    records: u64,
    revision: u64,
}

async fn count(client: &Client, object: &str, after: &str, records: &[(String, Json)], limit: usize) -> Result<Option<Counted>> {
    let Some(total) = &client.object().list.total else { return Ok(None) };
    let mut address = total.head.address(&[(Place::Path, &client.path(object)), (Place::After, after)]);
    // A full list may go on.
    if let Some((last, _)) = records.last().filter(|_| records.len() >= limit) {
        address.push_str(&total.upto.address(&[(Place::Last, last)]));
    }
    let answer = client.succeeded(client.http.read(&Call::new("HEAD", address)).await?)?;
    let counted = (number(&answer, &total.header), number(&answer, &client.object().revision.header));
    let (Some(records), Some(revision)) = counted else { return Err(shapeless()) };
    Ok(Some(Counted { records, revision }))
}
