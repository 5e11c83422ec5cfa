//! Writing records: in batches, each under its condition, and what became of each.

use serde_json::Value as Json;

use super::client::{Client, Refusal, id_of};
use super::http::{Call, NoAnswer};
use super::look::look;
use super::manifest::{Class, Request};
use super::record::{self, Mapped};
use super::template::{Op, Place};
use crate::endpoint::{Edit, Edited, Fetched, Looked, Outcome};
use crate::error::Result;
use crate::model::{Collection, Key, Pos, Row};

pub(super) async fn write(client: &Client, collection: &Collection, edits: &[Edit]) -> Result<Vec<Edited>> {
    let mut all = Vec::with_capacity(edits.len());
    for some in edits.chunks(client.manifest.batch.max) {
        match send(client, collection, some).await {
            Ok(edited) => all.extend(edited),
            Err(NoAnswer::NotSent(error)) if all.is_empty() => return Err(error),
            // What was sent before it has its answers: they count.
            Err(none) => {
                tracing::info!(error = %none.error(), "a write waits");
                all.extend(edits[all.len()..].iter().map(|_| without(Outcome::Later)));
                return Ok(all);
            }
        }
    }
    Ok(all)
}

/// One batch. A lost answer is an answer here: nobody knows of any of them.
async fn send(client: &Client, collection: &Collection, edits: &[Edit]) -> std::result::Result<Vec<Edited>, NoAnswer> {
    let mapped = client.mapped(collection).map_err(NoAnswer::NotSent)?;
    let form = |edit: &Edit| call(client, collection, &mapped, edit);
    let forms = edits.iter().map(form).collect::<Result<Vec<_>>>().map_err(NoAnswer::NotSent)?;
    let ops: Vec<Op> = forms.iter().filter_map(|form| form.as_ref().ok()).map(|call| client.op(call.clone())).collect();
    let answers = match client.batch(&ops).await {
        _ if ops.is_empty() => Vec::new(),
        Ok(answers) => answers,
        Err(none @ (NoAnswer::Lost(_) | NoAnswer::Failed(_))) => {
            let over = matches!(none, NoAnswer::Failed(_));
            tracing::warn!(error = %none.error(), records = ops.len(), "what became of a write is not known");
            let unknown = |form: std::result::Result<Call, String>| form.map_or_else(Outcome::Rejected, |_| Outcome::Unknown);
            let mut all: Vec<Edited> = forms.into_iter().map(|form| without(unknown(form))).collect();
            let created = |at: &usize| over && all[*at].outcome == Outcome::Unknown && is_create(&edits[*at]);
            let failed: Vec<usize> = (0..all.len()).filter(created).collect();
            look_at_failures(client, collection, edits, &failed, &mut all).await;
            return Ok(all);
        }
        Err(none) => return Err(none),
    };
    let (mut all, mut failed, mut answers) = (Vec::with_capacity(edits.len()), Vec::new(), answers.into_iter());
    for (at, (edit, form)) in edits.iter().zip(forms).enumerate() {
        let answer = form.map(|_| answers.next());
        all.push(match answer {
            Err(cause) => without(Outcome::Rejected(cause)),
            Ok(None) => without(Outcome::Unknown),
            Ok(Some((status, body))) => {
                let over = !(200..300).contains(&status) && client.classify(status, &body).class == Class::Failed;
                failed.extend((over && is_create(edit)).then_some(at));
                edited(client, edit, status, &body, &mapped)
            }
        });
    }
    look_at_failures(client, collection, edits, &failed, &mut all).await;
    Ok(all)
}

/// An app that answers that it has failed is done with the request, and a look tells at once whether it has created the record
/// all the same, if its writes show at once. (Where an answer was lost, the request may be under way still.)
async fn look_at_failures(client: &Client, collection: &Collection, edits: &[Edit], failed: &[usize], all: &mut [Edited]) {
    if failed.is_empty() || client.manifest.limits.lag_s > 0 {
        return;
    }
    let keys: Vec<Key> = failed.iter().map(|at| key(&edits[*at]).clone()).collect();
    let looked = match look(client, collection, &keys).await {
        Ok(looked) => looked,
        // They stay in doubt.
        Err(error) => return tracing::warn!(%error, "what became of failed writes can't be looked up yet"),
    };
    for (at, looked) in failed.iter().zip(looked) {
        if looked == Looked::Never {
            all[*at] = without(Outcome::Later);
        }
    }
}

fn is_create(edit: &Edit) -> bool {
    matches!(edit, Edit::Create { .. })
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
            Class::Throttled => Outcome::Later,
            Class::Transient | Class::Failed => Outcome::Unknown,
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
        Fetched::Absent | Fetched::Unreadable(_) | Fetched::Later => without(Outcome::Unknown),
    }
}
