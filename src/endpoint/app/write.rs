//! Writing records: in batches, each under its condition, and what became of each.

use serde_json::Value as Json;

use super::client::{Client, Refusal, id_of};
use super::http::{Call, NoAnswer};
use super::manifest::{Class, Request};
use super::record::{self, Mapped};
use super::template::{Op, Place};
use crate::endpoint::{Edit, Edited, Fetched, Outcome};
use crate::error::Result;
use crate::model::{Collection, Key, Pos, Row};

pub(super) async fn write(client: &Client, collection: &Collection, edits: &[Edit]) -> Result<Vec<Edited>> {
    let mapped = client.mapped(collection)?;
    let mut all = Vec::with_capacity(edits.len());
    for some in edits.chunks(client.manifest.batch.max) {
        let form = |edit: &Edit| call(client, collection, &mapped, edit);
        let forms = some.iter().map(form).collect::<Result<Vec<_>>>()?;
        let ops: Vec<Op> = forms.iter().filter_map(|form| form.as_ref().ok()).map(|call| client.op(call.clone())).collect();
        let answers = match client.batch(&ops).await {
            _ if ops.is_empty() => Some(Vec::new()),
            Ok(answers) => Some(answers),
            Err(NoAnswer::Lost(error)) => {
                tracing::warn!(%error, records = ops.len(), "the answer to a write was lost");
                None
            }
            // What was sent before it has its answers: they count.
            Err(NoAnswer::NotSent(error)) if all.is_empty() => return Err(error),
            Err(NoAnswer::NotSent(_)) => {
                all.extend(edits[all.len()..].iter().map(|_| without(Outcome::Stale)));
                return Ok(all);
            }
        };
        let mut answers = answers.map(Vec::into_iter);
        for (edit, form) in some.iter().zip(forms) {
            all.push(match (form, answers.as_mut()) {
                (Err(cause), _) => without(Outcome::Rejected(cause)),
                (Ok(_), None) => without(Outcome::Unknown),
                (Ok(_), Some(answers)) => answers
                    .next()
                    .map_or_else(|| without(Outcome::Unknown), |(status, body)| edited(client, edit, status, &body, &mapped)),
            });
        }
    }
    Ok(all)
}

fn without(outcome: Outcome) -> Edited {
    Edited { outcome, stored: Row::new(), pos: Pos::default() }
}

fn key(edit: &Edit) -> &Key {
    match edit {
        Edit::Create { key, .. } | Edit::Update { key, .. } | Edit::Delete { key, .. } => key,
    }
}

fn request<'a>(client: &'a Client, edit: &Edit) -> &'a Request {
    match edit {
        Edit::Create { .. } => &client.object().create,
        Edit::Update { .. } => &client.object().update,
        Edit::Delete { .. } => &client.object().delete,
    }
}

/// The request of one record; or, if a value has no form there, why not.
fn call(client: &Client, collection: &Collection, mapped: &[Mapped], edit: &Edit) -> Result<std::result::Result<Call, String>> {
    let request = request(client, edit);
    let mut call = client.call(request, &collection.table.name.name, &[(Place::Id, &id_of(key(edit)))])?;
    if let Edit::Create { values, .. } | Edit::Update { values, .. } = edit {
        let record = match record::record(values, mapped, client.manifest.numbers) {
            Ok(record) => record,
            Err(cause) => return Ok(Err(cause)),
        };
        call.body = request.body.as_ref().map(|body| body.of_record(&record));
    }
    if let Edit::Update { version: Some(version), .. } | Edit::Delete { version: Some(version), .. } = edit {
        let how = &client.object().version;
        call.headers.push((how.send.clone(), how.form.text(&[(Place::Version, version)])));
    }
    Ok(Ok(call))
}

/// What an answer says of one record.
fn edited(client: &Client, edit: &Edit, status: u16, body: &Json, mapped: &[Mapped]) -> Edited {
    let key = key(edit);
    if !(200..300).contains(&status) {
        let Refusal { class, words } = client.classify(status, body);
        return without(match class {
            // Somebody was there before us, or it is not there any more: it is looked at again.
            Class::Conflict => Outcome::Stale,
            Class::Missing if matches!(edit, Edit::Delete { .. }) => Outcome::Done(key.clone()),
            Class::Missing => Outcome::Stale,
            Class::Throttled => Outcome::Stale,
            Class::Transient => Outcome::Unknown,
            Class::InvalidRow | Class::Auth | Class::Forbidden => Outcome::Rejected(words),
        });
    }
    let record = request(client, edit).record.as_ref().and_then(|at| at.of(body));
    let (Some(record), Some(pos)) = (record, record.and_then(|record| client.version(record))) else {
        return without(Outcome::Unknown);
    };
    if matches!(edit, Edit::Delete { .. }) {
        return Edited { outcome: Outcome::Done(key.clone()), stored: Row::new(), pos: Pos(pos) };
    }
    match client.parsed(&id_of(key), record, mapped) {
        Fetched::Row(stored, _) => Edited { outcome: Outcome::Done(key.clone()), stored, pos: Pos(pos) },
        // It was written, but does not read back: only a look can tell.
        Fetched::Absent | Fetched::Unreadable(_) => without(Outcome::Unknown),
    }
}
