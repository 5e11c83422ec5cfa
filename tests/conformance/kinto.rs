//! An app that is reached over HTTP, on a real Kinto: the parts of the suite that make sense for it.

mod doubt;
mod emptied;
mod scene;
mod spoilt;
mod sync;
mod waits;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use serde_json::json;
use twinrow::endpoint::{Edit, Endpoint, Fetched, Looked, Outcome, Tls, Tracked, Unread, Window, open_app};
use twinrow::error::Kind;
use twinrow::model::{Collection, Entry, Key, Normal, Op, Pos, Position, Value};

use crate::support::kinto::{Kinto, Server, shared};
use crate::support::skip;

const ALL: usize = 20_000;

/// One test on a collection of its own.
async fn with<F: Future<Output = ()>>(test: &str, body: impl FnOnce(Kinto) -> F) {
    match shared().await {
        Ok(kinto) => body(kinto).await,
        Err(reason) => skip(test, &reason),
    }
}

async fn open(kinto: &Kinto) -> (Arc<dyn Endpoint>, Collection) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("crm.yaml");
    std::fs::write(&file, kinto.manifest()).unwrap();
    let endpoint = open_app("crm", &kinto.url(), &Tls::default(), &file).unwrap();
    let table = endpoint.describe(None).await.unwrap().remove(0);
    let columns = ["name", "email", "age"].iter().map(|name| table.column(name).unwrap()).collect();
    (endpoint, Collection { table, columns })
}

async fn window(endpoint: &Arc<dyn Endpoint>, collection: &Collection, since: Option<Position>) -> Box<dyn Window> {
    endpoint.window(&[Tracked { collection: collection.clone(), since }], ALL).await.unwrap()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn key(id: &str) -> Key {
    Key(vec![text(id)])
}

fn row(name: &str, email: Option<&str>, age: Option<i64>) -> Vec<Value> {
    vec![text(name), email.map_or(Value::Null, text), age.map_or(Value::Null, |age| Value::Int(age.into()))]
}

fn ops(entries: &[Entry]) -> Vec<(String, Op)> {
    entries.iter().map(|entry| (entry.key.to_string(), entry.op.clone())).collect()
}

fn version(fetched: &Fetched) -> Option<String> {
    match fetched {
        Fetched::Row(_, version) => version.clone(),
        Fetched::Absent | Fetched::Unreadable(_) | Fetched::Later => None,
    }
}

#[tokio::test]
async fn describe_has_what_is_declared_and_asks_whether_it_is_there() {
    with("describe", |mut kinto| async move {
        let (endpoint, collection) = open(&kinto).await;
        let names: Vec<&str> = collection.table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "age", "amount", "email", "exact", "name"]);
        let capabilities = endpoint.capabilities().await.unwrap();
        assert!(!capabilities.transactions && capabilities.version.starts_with("Kinto 2"), "{}", capabilities.version);
        kinto.collection = "nowhere".to_owned();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("crm.yaml");
        std::fs::write(&file, kinto.manifest()).unwrap();
        let endpoint = open_app("crm", &kinto.url(), &Tls::default(), &file).unwrap();
        assert_eq!(endpoint.describe(None).await.unwrap_err().kind(), Kind::Schema);
        std::fs::write(&file, "objects:\n  a:\n    fields: {name: txt}\n").unwrap();
        let error = open_app("crm", &kinto.url(), &Tls::default(), &file).err().unwrap().to_string();
        assert!(error.contains("crm.yaml:3:"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn capture_is_exact_and_has_tombstones() {
    with("capture_is_exact", |kinto| async move {
        let (endpoint, collection) = open(&kinto).await;
        kinto.create("before", json!({"name": "Old"})).await;
        let since = window(&endpoint, &collection, None).await.position(0);
        assert!(window(&endpoint, &collection, Some(since.clone())).await.entries().is_empty());
        kinto.create("a", json!({"name": "Ann"})).await;
        kinto.create("b", json!({"name": "Bob"})).await;
        kinto.change("a", json!({"age": 7})).await;
        kinto.delete("before").await;
        let mut moment = window(&endpoint, &collection, Some(since)).await;
        let expected = [("b", Op::Update), ("a", Op::Update), ("before", Op::Delete)];
        assert_eq!(ops(moment.entries()), expected.map(|(id, op)| (id.to_owned(), op)));
        assert!(moment.entries().windows(2).all(|two| two[0].pos < two[1].pos));
        let rows = moment.fetch(0, &[key("a"), key("nobody"), key("b")]).await.unwrap();
        let found: Vec<Option<Vec<Value>>> =
            rows.into_iter().map(|row| if let Fetched::Row(row, Some(_)) = row { Some(row) } else { None }).collect();
        assert_eq!(found, [Some(row("Ann", None, Some(7))), None, Some(row("Bob", None, None))], "a field nobody filled is NULL");
        let end = moment.position(0);
        assert!(window(&endpoint, &collection, Some(end)).await.entries().is_empty());
    })
    .await;
}

#[tokio::test]
async fn listings_are_followed_to_their_end() {
    with("listings", |kinto| async move {
        let (endpoint, collection) = open(&kinto).await;
        let since = window(&endpoint, &collection, None).await.position(0);
        let edits: Vec<Edit> = (0..250)
            .map(|n| Edit::Create { key: key(&format!("r{n:03}")), values: vec![(0, text(&format!("Name {n}")))] })
            .collect();
        let done = endpoint.conditional().unwrap().write(&collection, &edits).await.unwrap();
        assert!(done.iter().all(|one| matches!(one.outcome, Outcome::Done(_))), "three batches of at most 100");
        let moment = window(&endpoint, &collection, Some(since.clone())).await;
        assert_eq!(moment.entries().len(), 250, "pages of 100");
        let part = endpoint.window(&[Tracked { collection: collection.clone(), since: Some(since) }], 100).await.unwrap();
        assert!(part.more() && part.entries().len() < 250);
        let rest = window(&endpoint, &collection, Some(part.position(0))).await;
        assert_eq!(part.entries().len() + rest.entries().len(), 250);
        assert!(rest.entries().iter().all(|entry| entry.op == Op::Update), "a part is no sign of missing records");
        let (mut moment, mut seen, mut after) = (rest, BTreeSet::new(), None::<Key>);
        loop {
            let page = moment.page(0, after.as_ref(), 120).await.unwrap();
            seen.extend(page.iter().map(Key::to_string));
            after = page.last().cloned();
            if page.len() < 120 {
                break;
            }
        }
        assert_eq!((seen.len(), moment.count(0).await.unwrap()), (250, 250));
    })
    .await;
}

#[tokio::test]
async fn rule2_what_changed_after_the_window_is_named() {
    with("unread", |kinto| async move {
        let (endpoint, collection) = open(&kinto).await;
        kinto.create("a", json!({"name": "Ann"})).await;
        kinto.create("b", json!({"name": "Bob"})).await;
        kinto.create("c", json!({"name": "Cy"})).await;
        let mut moment = window(&endpoint, &collection, None).await;
        assert!(moment.unread(0, &[key("a")], Unread::Moves).await.unwrap().is_empty());
        kinto.delete("a").await;
        kinto.change("b", json!({"age": 1})).await;
        let unread = moment.unread(0, &[key("a"), key("b"), key("c")], Unread::Moves).await.unwrap();
        assert_eq!(unread, [key("a").encode(), key("b").encode()].into());
    })
    .await;
}

#[tokio::test]
async fn find_by_the_app_and_by_a_pass_agree() {
    with("find", |kinto| async move {
        let (endpoint, collection) = open(&kinto).await;
        kinto.create("a", json!({"name": "Ann", "email": "a@x", "age": 7})).await;
        kinto.create("b", json!({"name": "ann ", "email": "A@x"})).await;
        kinto.create("c", json!({"name": "123", "email": ""})).await;
        kinto.create("d", json!({"name": null, "age": 7})).await;
        let mut moment = window(&endpoint, &collection, None).await;
        let exact = Normal::default();
        let found = moment.find(0, &[(0, exact)], &[vec![text("Ann")], vec![text("123")], vec![text("7")]]).await.unwrap();
        assert_eq!(found, [vec![key("a")], vec![key("c")], vec![]]);
        let both = [(0, exact), (2, exact)];
        assert_eq!(moment.find(0, &both, &[vec![text("Ann"), Value::Int(7)]]).await.unwrap(), [vec![key("a")]]);
        let loose = Normal { fold_case: true, trim: true };
        assert_eq!(moment.find(0, &[(0, loose)], &[vec![text("ANN")]]).await.unwrap(), [vec![key("a"), key("b")]]);
        let nothing = [vec![Value::Null], vec![text("")]];
        assert_eq!(moment.find(0, &[(1, exact)], &nothing).await.unwrap(), [vec![], vec![]], "C10");
        let many: Vec<Vec<Value>> = (0..60).map(|n| vec![text(&n.to_string())]).chain([vec![text("Ann")]]).collect();
        assert_eq!(moment.find(0, &[(0, exact)], &many).await.unwrap()[60], [key("a")]);
    })
    .await;
}

#[tokio::test]
async fn e25_writes_are_conditional_and_told_one_by_one() {
    with("conditional", |kinto| async move {
        let (endpoint, collection) = open(&kinto).await;
        let app = endpoint.conditional().unwrap();
        kinto.create("taken", json!({"name": "Theirs"})).await;
        kinto.create("moved", json!({"name": "Old", "age": 1})).await;
        kinto.create("still", json!({"name": "Same", "email": "kept@x"})).await;
        let keys = [key("moved"), key("still")];
        let mut moment = window(&endpoint, &collection, None).await;
        let versions: Vec<Option<String>> = moment.fetch(0, &keys).await.unwrap().iter().map(version).collect();
        kinto.change("moved", json!({"age": 2})).await;
        let update = |id: &str, version: &Option<String>| Edit::Update {
            key: key(id),
            version: version.clone(),
            values: vec![(0, text("Ours")), (2, Value::Int(9_007_199_254_740_993))],
        };
        let edits = [
            Edit::Create { key: key("new"), values: vec![(0, text("Ours"))] },
            Edit::Create { key: key("taken"), values: vec![(0, text("Ours"))] },
            update("moved", &versions[0]),
            update("still", &versions[1]),
            update("nobody", &versions[1]),
            Edit::Delete { key: key("moved"), version: versions[0].clone() },
            Edit::Delete { key: key("nobody"), version: versions[0].clone() },
        ];
        let done = app.write(&collection, &edits).await.unwrap();
        let outcomes: Vec<Outcome> = done.iter().map(|one| one.outcome.clone()).collect();
        let (stale, is) = (Outcome::Stale, |id: &str| Outcome::Done(key(id)));
        assert_eq!(outcomes, [is("new"), stale.clone(), stale.clone(), is("still"), stale.clone(), stale, is("nobody")]);
        assert_eq!(done[3].stored, row("Ours", Some("kept@x"), Some(9_007_199_254_740_993)), "E26: the rest stays");
        assert!(done[0].pos < done[3].pos);
        assert_eq!(kinto.field("age").await, [json!(2), json!(null), json!(9_007_199_254_740_993_i64), json!(null)]);
    })
    .await;
}

#[tokio::test]
async fn c2_a_look_tells_what_was_deleted_from_what_never_was() {
    with("look", |kinto| async move {
        let (endpoint, collection) = open(&kinto).await;
        kinto.create("here", json!({"name": "Ann"})).await;
        kinto.create("gone", json!({"name": "Bob"})).await;
        kinto.create("odd", json!({"name": 7})).await;
        kinto.delete("gone").await;
        let keys = ["here", "gone", "never", "odd"].map(key);
        let looked = endpoint.conditional().unwrap().look(&collection, &keys).await.unwrap();
        assert!(matches!(&looked[0], Looked::There(Fetched::Row(found, Some(_))) if *found == row("Ann", None, None)));
        assert!(matches!(looked[1], Looked::Deleted(pos) if pos > Pos(0)), "{:?}", looked[1]);
        assert_eq!(looked[2], Looked::Never);
        assert!(matches!(looked[3], Looked::There(Fetched::Unreadable(_))), "{:?}", looked[3]);
    })
    .await;
}

#[tokio::test]
async fn d7_decimals_are_exact_or_refused() {
    with("decimals", |kinto| async move {
        let (endpoint, mut collection) = open(&kinto).await;
        collection.columns = ["amount", "exact"].iter().map(|name| collection.table.column(name).unwrap()).collect();
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        let long = "12345678901234567890.12345";
        let create = |id: &str, at: usize, value: Value| Edit::Create { key: key(id), values: vec![(at, value)] };
        let edits = [create("a", 0, decimal("1234567.89")), create("b", 0, decimal(long)), create("c", 1, decimal(long))];
        let done = endpoint.conditional().unwrap().write(&collection, &edits).await.unwrap();
        assert_eq!(done[0].stored[0], decimal("1234567.89"));
        assert!(matches!(&done[1].outcome, Outcome::Rejected(cause) if cause.contains("decimal_text") && !cause.contains("123")));
        assert_eq!(done[2].stored[1], decimal(long));
    })
    .await;
}

#[tokio::test]
async fn i6_an_app_that_was_emptied_or_restored_is_refused() {
    let Ok(mut server) = Server::start().map_err(|reason| skip("an emptied app", &reason)) else { return };
    let kinto = Kinto::on(server.host(), json!({})).await.unwrap();
    let (endpoint, collection) = open(&kinto).await;
    kinto.create("a", json!({"name": "Old"})).await;
    let backup = kinto.records().await;
    kinto.change("a", json!({"name": "Ann"})).await;
    let tracked =
        [Tracked { collection: collection.clone(), since: Some(window(&endpoint, &collection, None).await.position(0)) }];
    let refused = async |why: &str| {
        let error = endpoint.window(&tracked, ALL).await.err().unwrap();
        assert_eq!(error.kind(), Kind::Identity, "{why}: {error}");
    };
    server.restart();
    refused("it is gone").await;
    kinto.make(json!({})).await;
    refused("it is there again, and empty").await;
    kinto.create("new", json!({"name": "New"})).await;
    refused("new records do not explain where the old ones are").await;
    kinto.create("a", backup[0].clone()).await;
    refused("an older version of what was read").await;
}

#[tokio::test]
async fn e11_what_the_feed_does_not_account_for_is_compared() {
    with("unaccounted", |kinto| async move {
        let (endpoint, collection) = open(&kinto).await;
        for id in ["a", "b", "c", "last"] {
            kinto.create(id, json!({"name": id})).await;
        }
        kinto.delete("last").await;
        let since = window(&endpoint, &collection, None).await.position(0);
        let path = format!("/buckets/crm/collections/{}", kinto.collection);
        kinto.call("DELETE", &path, None).await;
        kinto.make(json!({})).await;
        let truncate = (String::new(), Op::Truncate);
        let moment = window(&endpoint, &collection, Some(since.clone())).await;
        assert_eq!(ops(moment.entries()), std::slice::from_ref(&truncate), "it moved and does not say by what");
        kinto.create("new", json!({"name": "New"})).await;
        let moment = window(&endpoint, &collection, Some(since)).await;
        assert_eq!(ops(moment.entries()), [("new".to_owned(), Op::Update), truncate], "it has fewer than it deleted");
        assert!(window(&endpoint, &collection, Some(moment.position(0))).await.entries().is_empty(), "said once");
    })
    .await;
}
