//! A tracked table and a consumer of its log: where most of the suite begins.

use std::sync::Arc;

use twinrow::endpoint::{Acknowledge, Create, Endpoint, Fetched, Outcome, Tracked, Tracking, Window, Write};
use twinrow::error::{Kind, Result};
use twinrow::model::{Collection, Entry, Key, Normal, Op, Row, Table, Value};
use twinrow::sql::{Cell, Fence, Session, Store};

use crate::support::Lab;

/// The integration the suite writes for.
pub const INTEGRATION: &str = "suite";

/// An endpoint with tracking installed on some tables, registered and fenced as `suite`, epoch 1.
pub struct Bench<'a> {
    pub lab: &'a dyn Lab,
    pub endpoint: Arc<dyn Endpoint>,
    pub fence: Fence,
    pub tracked: Vec<Tracked>,
}

/// `item (id generated, code unique, name, qty)`.
pub fn item(lab: &dyn Lab, name: &str) -> String {
    let dialect = lab.dialect();
    let (key, text) = (dialect.generated_key, dialect.text);
    format!("create table {name} (id {key}, code {text} unique, name {text}, qty integer not null default 1 check (qty >= 0))")
}

impl<'a> Bench<'a> {
    /// With the table `item`.
    pub async fn item(lab: &'a dyn Lab) -> Bench<'a> {
        lab.user(&item(lab, "item")).await;
        Bench::new(lab, &["item"]).await
    }

    /// With these tables, which exist.
    pub async fn new(lab: &'a dyn Lab, tables: &[&str]) -> Bench<'a> {
        let endpoint = lab.endpoint().await;
        let described = describe(lab, &*endpoint, tables).await;
        tracking(&*endpoint).install(&described, true).await.unwrap();
        Bench::installed(lab, endpoint, described).await
    }

    /// With these tables, which are tracked.
    pub async fn installed(lab: &'a dyn Lab, endpoint: Arc<dyn Endpoint>, described: Vec<Table>) -> Bench<'a> {
        let fence = fence(&*endpoint, INTEGRATION).await;
        let since = tracking(&*endpoint).register(INTEGRATION, &described).await.unwrap();
        let tracked = described
            .into_iter()
            .zip(since)
            .map(|(table, since)| Tracked { collection: whole(table), since: Some(since) })
            .collect();
        Bench { lab, endpoint, fence, tracked }
    }

    /// Another integration on the same tables, from now on: with an endpoint of its own, as another process.
    pub async fn beside(&self, integration: &str) -> Bench<'a> {
        let endpoint = self.lab.endpoint().await;
        let fence = fence(&*endpoint, integration).await;
        let since = tracking(&*endpoint).register(integration, &self.tables()).await.unwrap();
        let tracked = self.tracked.iter().zip(since);
        let tracked = tracked.map(|(one, since)| Tracked { since: Some(since), ..one.clone() }).collect();
        Bench { lab: self.lab, endpoint, fence, tracked }
    }

    pub fn tracking(&self) -> &dyn Tracking {
        tracking(&*self.endpoint)
    }

    pub fn store(&self) -> &dyn Store {
        self.endpoint.store().unwrap()
    }

    pub fn collection(&self) -> &Collection {
        &self.tracked[0].collection
    }

    pub fn tables(&self) -> Vec<Table> {
        self.tracked.iter().map(|tracked| tracked.collection.table.clone()).collect()
    }

    pub async fn window(&self) -> Box<dyn Window> {
        self.endpoint.window(&self.tracked, 10_000).await.unwrap()
    }

    /// One cycle's reading: the entries since the last, acknowledged.
    pub async fn read(&mut self) -> Vec<Entry> {
        let mut entries = Vec::new();
        loop {
            let window = self.window().await;
            entries.extend_from_slice(window.entries());
            let more = window.more();
            self.acknowledge(window).await;
            if !more {
                return entries;
            }
        }
    }

    /// Acknowledges a window whole, and moves on.
    pub async fn acknowledge(&mut self, window: Box<dyn Window>) {
        let mut upto = Vec::new();
        for (i, tracked) in self.tracked.iter_mut().enumerate() {
            let position = window.position(i);
            tracked.since = Some(position.clone());
            upto.push(Acknowledge { table: tracked.collection.table.name.clone(), position, receipt: window.receipt(i) });
        }
        drop(window);
        // Under load the database may have no turn for us: then nothing was done, and we come again.
        for _ in 0..30 {
            match self.endpoint.acknowledge(&self.fence, &upto).await {
                Err(error) if error.kind() == Kind::Retry => {}
                result => return result.unwrap(),
            }
        }
        panic!("never acknowledged");
    }

    /// As [`Bench::read`]: what happened, short enough to compare.
    pub async fn ops(&mut self) -> Vec<String> {
        self.read().await.iter().map(op).collect()
    }

    pub async fn begin(&self) -> Box<dyn Write> {
        self.endpoint.begin(&self.fence).await.unwrap()
    }

    /// The keys of a query's first column, as integers.
    pub async fn ids(&self, sql: &str) -> Vec<Key> {
        self.lab.user_rows(sql).await.into_iter().map(|row| Key::int(row[0].as_deref().unwrap().parse().unwrap())).collect()
    }

    /// Creates one row with these fields and commits; its key.
    pub async fn create(&self, fields: &[usize], values: Row) -> Result<Key> {
        let mut write = self.begin().await;
        let outcome = write.insert(self.collection(), fields, &[Create { key: None, values }]).await?.remove(0);
        write.commit().await?;
        match outcome {
            Outcome::Done(key) => Ok(key),
            other => panic!("{other:?}"),
        }
    }
}

/// `insert 1`, `rename 1 to 2`.
pub fn op(entry: &Entry) -> String {
    let key = &entry.key;
    match &entry.op {
        Op::Insert => format!("insert {key}"),
        Op::Update => format!("update {key}"),
        Op::Delete => format!("delete {key}"),
        Op::Rename { to } => format!("rename {key} to {to}"),
        Op::Replace => format!("replace {key}"),
        Op::PutBack => format!("put back {key}"),
        Op::Return { .. } => format!("return {key}"),
        Op::Truncate => "truncate".to_owned(),
    }
}

/// The tables of these names.
pub async fn describe(lab: &dyn Lab, endpoint: &dyn Endpoint, tables: &[&str]) -> Vec<Table> {
    let names: Vec<_> = tables.iter().map(|name| lab.table(name)).collect();
    let described = endpoint.describe(Some(&names)).await.unwrap();
    assert_eq!(described.iter().map(|table| &table.name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    described
}

/// A collection of all columns.
pub fn whole(table: Table) -> Collection {
    Collection { columns: (0..table.columns.len()).collect(), table }
}

pub fn tracking(endpoint: &dyn Endpoint) -> &dyn Tracking {
    endpoint.tracking().unwrap()
}

/// Takes over `integration` with epoch 1.
pub async fn fence(endpoint: &dyn Endpoint, integration: &str) -> Fence {
    let fence = Fence { integration: integration.to_owned(), epoch: 1 };
    let mut session = endpoint.store().unwrap().session().await.unwrap();
    session.execute("fence_insert", &[vec![text(integration), text("instance")]]).await.unwrap();
    assert_eq!(take(&mut *session, integration, 1).await, 1);
    fence
}

/// `fence_take`: how many rows it hit.
pub async fn take(session: &mut dyn Session, integration: &str, epoch: i64) -> u64 {
    session.execute("fence_take", &[vec![text(integration), Cell::Int(epoch)]]).await.unwrap()
}

pub fn text(value: &str) -> Cell {
    Cell::Text(value.to_owned())
}

/// A text value.
pub fn t(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// An integer value.
pub fn int(value: i64) -> Value {
    Value::Int(i128::from(value))
}

/// Compared as they are.
pub const EXACT: Normal = Normal { fold_case: false, trim: false };

/// The row, or a failed test.
pub fn row(fetched: &Fetched) -> &Row {
    match fetched {
        Fetched::Row(row, _) => row,
        other => panic!("{other:?}"),
    }
}
