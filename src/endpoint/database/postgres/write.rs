//! Write transactions.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::types::ToSql;

use super::Shared;
use super::catalog::{literal, quote, quote_table};
use super::find;
use super::log::{Range, collection_name, named_keys, others_sql, unread_sql};
use super::position::Cursor;
use super::reach;
use super::returned::Returned;
use super::rows::{self, Rows, named_key, same_key, select_key, unnest_keyed};
use super::session::{Conn, in_order};
use super::value::{Param, cast};
use crate::endpoint::{Change, Create, Fetched, Locked, MovedBy, Outcome, Reach, ReadReceipt, Unread, Write};
use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Column, Key, KeyBytes, Normal, Pos, Position, Row, Value};
use crate::sql::{Cell, Fence, Session};

/// A [`Write`] of PostgreSQL.
pub(super) struct PgWrite {
    pub(super) conn: Conn,
    pub(super) shared: Arc<Shared>,
    pub(super) returned: Returned,
}

/// Begins a transaction and takes the fence; both leave in one round trip, and nothing else before the
/// answer (rule 4).
pub(super) async fn begin(mut conn: Conn, fence: &Fence) -> Result<Conn> {
    // The application's own triggers and defaults find their objects where they always do. A process that is
    // frozen here holds the fence: the server ends its session, and the next one takes over (rule 4).
    let begin = format!(
        "begin isolation level read committed, read write; set local search_path to default; \
         set local idle_in_transaction_session_timeout = '15s'; select pg_catalog.set_config('twinrow.origin', {}, true)",
        literal(&fence.integration)
    );
    let check = conn.prepare(include_str!("../../../../sql/postgres/fence_check.sql")).await.map_err(no_fence)?;
    let params: [&(dyn ToSql + Sync); 2] = [&fence.integration, &fence.epoch];
    conn.opened();
    let (begun, hit) = conn.begin_with(&begin, &check, &params).await?;
    conn.check(begun)?;
    if conn.check(hit).map_err(no_fence)? != 1 {
        conn.rollback_now().await?;
        return Err(Error::new(Kind::Fenced, format!("another process has taken over integration {}", fence.integration)));
    }
    Ok(conn)
}

fn no_fence(error: Error) -> Error {
    match error.kind() {
        Kind::Schema => Error::new(Kind::Tracking, "Twinrow's tables are missing in this database").hint("twinrow install"),
        _ => error,
    }
}

impl PgWrite {
    /// Over a transaction that holds the fence.
    pub(super) fn new(conn: Conn, shared: Arc<Shared>) -> PgWrite {
        PgWrite { conn, shared, returned: Returned::default() }
    }
}

/// Whether each value has a form here. MySQL's zero date has none, though its column's type has the same
/// name (D3); everything else was settled by the mapping.
fn takes(collection: &Collection, fields: &[usize], values: &[Value]) -> Result<()> {
    for (field, value) in fields.iter().zip(values) {
        if matches!(value, Value::Other { kind: "zero date", .. }) {
            let column = collection.column(*field);
            let why = format!("{}: {} has no counterpart in {}", column.name, value.kind(), column.native);
            return Err(Error::new(Kind::Rejected, why));
        }
    }
    Ok(())
}

#[async_trait]
impl Write for PgWrite {
    async fn lock(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let columns = rows::key_columns(&collection.table, keys)?;
        let columns = rows::as_params(&columns);
        let sql = rows::fetch_sql(collection, Rows::Plain, rows::LOCK);
        let answers = self.conn.query(&sql, &rows::params(&columns)).await?;
        let row = |fetched| match fetched {
            Fetched::Row(row, _) => Some(row),
            Fetched::Absent | Fetched::Unreadable(_) | Fetched::Later => None,
        };
        Ok(rows::fetched(collection, Rows::Plain, keys, &answers)?.into_iter().map(row).collect())
    }

    async fn lock_read(&mut self, collection: &Collection, wanted: &[(Key, Option<String>)]) -> Result<Vec<Option<Locked>>> {
        let keys: Vec<Key> = wanted.iter().map(|(key, _)| key.clone()).collect();
        if wanted.iter().any(|(_, version)| version.is_none()) {
            return Ok(self.lock(collection, &keys).await?.into_iter().map(|row| row.map(Locked::Now)).collect());
        }
        let columns = rows::key_columns(&collection.table, &keys)?;
        let columns = rows::as_params(&columns);
        let answers = self.conn.query(&rows::lock_versions_sql(collection), &rows::params(&columns)).await?;
        let mut locked = vec![None; wanted.len()];
        let mut changed = Vec::new();
        for answer in &answers {
            let ord: i64 = answer.get(0);
            let Some(at) = usize::try_from(ord - 1).ok().filter(|at| *at < wanted.len()) else { continue };
            match rows::read_version(answer, 1) {
                version @ Some(_) if version == wanted[at].1 => locked[at] = Some(Locked::AsRead),
                _ => changed.push(at),
            }
        }
        // Locked now, so they stay as they are.
        let again: Vec<Key> = changed.iter().map(|at| keys[*at].clone()).collect();
        for (at, row) in changed.into_iter().zip(rows::fetch(&mut self.conn, collection, Rows::Plain, &again).await?) {
            // One for which there is no room now is as one that is locked: it comes again.
            if let Fetched::Row(row, _) = row {
                locked[at] = Some(Locked::Now(row));
            }
        }
        Ok(locked)
    }

    /// What the snapshot of the window did not see, under the locks: whoever moved one of these rows has committed.
    async fn moved(
        &mut self,
        collection: &Collection,
        keys: &[Key],
        since: &Position,
        _read: &ReadReceipt,
        by: MovedBy,
    ) -> Result<HashSet<KeyBytes>> {
        let range = Range::after(&Cursor::parse(since)?);
        let columns = rows::key_columns(&collection.table, keys)?;
        let columns = rows::as_params(&columns);
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&range.from, &range.open, &range.mid, &range.lsn];
        params.extend(rows::params(&columns));
        let sql = match by {
            MovedBy::Anybody => unread_sql(&collection.table, Unread::Births),
            MovedBy::Others => others_sql(&collection.table, Unread::Births),
        };
        Ok(named_keys(keys, &self.conn.query(&sql, &params).await?))
    }

    /// A foreign key may refer to any unique key, and PostgreSQL does not ask whether one does.
    async fn lock_identity(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<bool>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let table = &collection.table;
        let (unnest, same, name) = (unnest_keyed(named_key(table)), same_key(table), quote_table(&table.name));
        let sql = format!("select v.ord from {unnest} join {name} t on {same} for update of t skip locked");
        let columns = rows::key_columns(table, keys)?;
        let columns = rows::as_params(&columns);
        let mut held = vec![false; keys.len()];
        for answer in self.conn.query(&sql, &rows::params(&columns)).await? {
            let at = usize::try_from(answer.get::<_, i64>(0) - 1).ok();
            if let Some(held) = at.and_then(|at| held.get_mut(at)) {
                *held = true;
            }
        }
        Ok(held)
    }

    async fn find(&mut self, collection: &Collection, rule: &[(usize, Normal)], values: &[Vec<Value>]) -> Result<Vec<Vec<Key>>> {
        let name = collection_name(&collection.table.name);
        if Session::execute(&mut self.conn, "collection_lock", &[vec![Cell::Text(name)]]).await? != 1 {
            return Err(Error::new(Kind::Tracking, format!("{} is not tracked", collection.table.name)).hint("twinrow install"));
        }
        find::find(&mut self.conn, collection, rule, values).await
    }

    async fn insert(&mut self, collection: &Collection, fields: &[usize], rows: &[Create]) -> Result<Vec<Outcome>> {
        rows.iter().try_for_each(|row| takes(collection, fields, &row.values))?;
        let name = &collection.table.name;
        let remembered = self.shared.described(name).is_some();
        self.insert_all(collection, fields, rows).await.map_err(|error| {
            // The table may be another one by now, with a sequence of its own.
            self.shared.forget(name);
            if remembered && error.kind() == Kind::Schema {
                return Error::new(Kind::Retry, format!("{name} may be another table than before")).source(error);
            }
            error
        })
    }

    async fn update(&mut self, collection: &Collection, fields: &[usize], rows: &[Change]) -> Result<Vec<Outcome>> {
        if rows.is_empty() || fields.is_empty() {
            return Ok(rows.iter().map(|row| Outcome::Done(row.key.clone())).collect());
        }
        rows.iter().try_for_each(|row| takes(collection, fields, &row.values))?;
        let table = &collection.table;
        let keys: Vec<Key> = rows.iter().map(|row| row.key.clone()).collect();
        let key_columns = rows::key_columns(table, &keys)?;
        let mut columns = rows::as_params(&key_columns);
        for at in 0..fields.len() {
            let missing = || Error::new(Kind::Internal, "a row to change lacks a field");
            columns.push(rows.iter().map(|row| row.values.get(at).map(Param).ok_or_else(missing)).collect::<Result<_>>()?);
        }
        let named: Vec<(&Column, String)> =
            fields.iter().enumerate().map(|(i, field)| (collection.column(*field), format!("c{}", i + 1))).collect();
        let set: Vec<String> = named
            .iter()
            .map(|(column, name)| format!("{} = {}", quote(&column.name), cast(column, &format!("v.{name}"))))
            .collect();
        let returning = self.returning(collection, 1);
        let sql = format!(
            "update {} t set {} from {} where {} returning v.ord, {}",
            quote_table(&table.name),
            set.join(", "),
            unnest_keyed(named_key(table).chain(named)),
            same_key(table),
            returning.sql(collection)
        );
        let answers = self.write_returning(collection, &sql, &rows::params(&columns), &returning).await?;
        let mut written = rows::by_ordinal(table, &answers)?;
        Ok((0..rows.len()).map(|i| written.remove(&i).map_or(Outcome::Stale, Outcome::Done)).collect())
    }

    async fn reach(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Reach>> {
        reach::reach(&mut self.conn, collection, keys).await
    }

    async fn delete(&mut self, collection: &Collection, keys: &[Key]) -> Result<Vec<Outcome>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let table = &collection.table;
        self.returned.writes(&table.name);
        let (unnest, same, name) = (unnest_keyed(named_key(table)), same_key(table), quote_table(&table.name));
        // A row whose children are being inserted is locked against its end: we do not wait for them (rule 19).
        let sql = format!(
            "with free as materialized (select v.* from {unnest} join {name} t on {same} for update of t skip locked) \
             delete from {name} t using free v where {same} returning v.ord, {}",
            select_key(table)
        );
        let columns = rows::key_columns(table, keys)?;
        let columns = rows::as_params(&columns);
        let answers = self.conn.query(&sql, &rows::params(&columns)).await?;
        let mut deleted = rows::by_ordinal(table, &answers)?;
        Ok((0..keys.len()).map(|i| deleted.remove(&i).map_or(Outcome::Stale, Outcome::Done)).collect())
    }

    async fn read_back(&mut self, collection: &Collection, keys: &[Key]) -> Result<(Vec<Fetched>, Pos)> {
        let returned = self.returned.take(keys);
        let position =
            self.conn.prepare("select (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn)::int8").await?;
        let read = match returned {
            Some(_) => None,
            None => Some(self.conn.prepare(&rows::fetch_sql(collection, Rows::Plain, "")).await?),
        };
        let columns = if read.is_some() { rows::key_columns(&collection.table, keys)? } else { Vec::new() };
        let columns = rows::as_params(&columns);
        let params = rows::params(&columns);
        let answers = {
            // What deferred triggers and constraints do belongs to what we wrote.
            let mut requests = vec![self.conn.command("set constraints all immediate")?];
            if let Some(read) = &read {
                requests.push(self.conn.request(read, &params)?);
            }
            requests.push(self.conn.request(&position, &[])?);
            in_order(requests).await
        };
        let mut answers = answers.into_iter().map(|answer| self.conn.check(answer)).collect::<Result<Vec<_>>>()?;
        let position = answers.pop().and_then(|rows| rows.first().map(|row| row.get(0)));
        let position = position.ok_or_else(|| Error::new(Kind::Internal, "the server told no position"))?;
        let rows = match returned {
            Some(rows) => rows,
            None => rows::fetched(collection, Rows::Plain, keys, &answers.pop().unwrap_or_default())?,
        };
        Ok((rows, Pos(position)))
    }

    fn session(&mut self) -> &mut dyn Session {
        &mut self.conn
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.conn.commit().await
    }

    async fn rollback(mut self: Box<Self>) -> Result<()> {
        self.conn.rollback_now().await
    }
}
