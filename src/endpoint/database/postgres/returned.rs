//! Rows as the statements that wrote them returned them: where nothing comes after the statement that could change a row again,
//! it need not be read back.

use std::collections::HashMap;

use tokio_postgres::Row as Answer;
use tokio_postgres::types::ToSql;

use super::catalog::quote_table;
use super::rows::{read_key, read_row, select_key, select_row};
use super::session::in_order;
use super::write::PgWrite;
use crate::endpoint::Fetched;
use crate::error::Result;
use crate::model::{Collection, Key, KeyBytes, TableName};

/// What one transaction has written, as far as its statements told.
#[derive(Default)]
pub(super) struct Returned {
    /// The one table that was written.
    table: Option<TableName>,
    rows: HashMap<KeyBytes, Fetched>,
    /// Something was written that may have changed any row: from now on rows are read.
    lost: bool,
}

impl Returned {
    /// A statement on this table is about to run.
    pub(super) fn writes(&mut self, table: &TableName) {
        self.lost |= self.table.as_ref().is_some_and(|other| other != table);
        self.table.get_or_insert_with(|| table.clone());
    }

    /// The statement's triggers may change any row, and those that were kept before.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.rows.clear();
    }

    /// The rows under these keys, if all of them are known.
    pub(super) fn take(&mut self, keys: &[Key]) -> Option<Vec<Fetched>> {
        if self.lost {
            return None;
        }
        keys.iter().map(|key| self.rows.remove(&key.encode())).collect()
    }
}

/// What a statement returns of a row, after what it returns of its own.
pub(super) struct Returning {
    /// Whether all mapped columns are returned, not the key alone.
    whole: bool,
    /// Where the row begins in an answer.
    first: usize,
}

impl PgWrite {
    /// What a statement on this collection is to return from column `first` on.
    pub(super) fn returning(&self, collection: &Collection, first: usize) -> Returning {
        Returning { whole: !self.returned.lost && !self.shared.changes_again(&collection.table.name), first }
    }

    /// Runs a statement that returns rows as `returning` said, and keeps those that stand.
    pub(super) async fn write_returning(
        &mut self,
        collection: &Collection,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
        returning: &Returning,
    ) -> Result<Vec<Answer>> {
        let table = &collection.table.name;
        self.returned.writes(table);
        if !returning.whole {
            self.returned.lose();
            return self.conn.query(sql, params).await;
        }
        let statement = self.conn.prepare(sql).await?;
        let stands = self.conn.prepare(include_str!("../../../../sql/postgres/returned_stands.sql")).await?;
        let name = quote_table(table);
        let asked: [&(dyn ToSql + Sync); 1] = [&name];
        let answers = in_order(vec![self.conn.request(&statement, params)?, self.conn.request(&stands, &asked)?]).await;
        let mut answers = answers.into_iter().map(|answer| self.conn.check(answer)).collect::<Result<Vec<_>>>()?;
        let stands = answers.pop().and_then(|rows| rows.first().map(|row| row.get(0))).unwrap_or(false);
        let answers = answers.pop().unwrap_or_default();
        if !stands {
            self.shared.changes_rows_again(table);
            self.returned.lose();
            return Ok(answers);
        }
        for answer in &answers {
            let Ok(key) = read_key(answer, returning.first, &collection.table) else { continue };
            let row = match read_row(answer, returning.first, collection) {
                Ok(row) => Fetched::Row(row, None),
                Err(why) => Fetched::Unreadable(why),
            };
            self.returned.rows.insert(key.encode(), row);
        }
        Ok(answers)
    }
}

impl Returning {
    pub(super) fn sql(&self, collection: &Collection) -> String {
        if self.whole { select_row(collection) } else { select_key(&collection.table) }
    }
}
