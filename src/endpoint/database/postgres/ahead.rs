//! Rows that are read before they are asked for, while the pipeline is busy with others.

use std::collections::HashMap;

use tokio::task::JoinHandle;

use super::rows::{self, Rows};
use super::session::Conn;
use crate::endpoint::{Fetched, Keys};
use crate::error::{Error, Kind, Result};
use crate::model::{Collection, Key, KeyBytes};

/// The connection of a window, which one reader has at a time.
pub(super) struct Reader {
    /// Per collection, what is read of its rows.
    what: Vec<Rows>,
    /// `None`: `reading` has it.
    conn: Option<Conn>,
    reading: Option<JoinHandle<(Conn, Ahead)>>,
    ahead: Option<Ahead>,
}

/// What was read ahead: of which collection, and the rows.
struct Ahead {
    collection: usize,
    rows: Result<HashMap<KeyBytes, Fetched>>,
}

impl Reader {
    pub(super) fn new(conn: Conn, what: Vec<Rows>) -> Reader {
        Reader { what, conn: Some(conn), reading: None, ahead: None }
    }

    fn what(&self, at: usize) -> Rows {
        self.what.get(at).copied().unwrap_or(Rows::Plain)
    }

    /// The connection, once what is being read ahead is there.
    pub(super) async fn conn(&mut self) -> Result<&mut Conn> {
        if let Some(reading) = self.reading.take() {
            let broken = |error| Error::new(Kind::Internal, "reading ahead ended without an answer").source(error);
            let (conn, ahead) = reading.await.map_err(broken)?;
            self.conn = Some(conn);
            self.ahead = Some(ahead);
        }
        self.conn.as_mut().ok_or_else(|| Error::new(Kind::Internal, "a window without a connection"))
    }

    /// Begins to read these rows, unless others are being read.
    pub(super) fn begin(&mut self, at: usize, collection: Collection, keys: Keys) {
        let what = self.what(at);
        let Some(mut conn) = self.conn.take() else { return };
        self.ahead = None;
        self.reading = Some(tokio::spawn(async move {
            let keys = keys.await;
            let read = rows::fetch(&mut conn, &collection, what, &keys).await;
            let read_now = |(_, row): &(KeyBytes, Fetched)| *row != Fetched::Later;
            let rows = read.map(|rows| keys.iter().map(Key::encode).zip(rows).filter(read_now).collect());
            (conn, Ahead { collection: at, rows })
        }));
    }

    /// The rows under these keys, in their order; those that were not read ahead are read now.
    pub(super) async fn fetch(&mut self, at: usize, collection: &Collection, keys: &[Key]) -> Result<Vec<Fetched>> {
        let what = self.what(at);
        self.conn().await?;
        let mut known = match self.ahead.take().filter(|ahead| ahead.collection == at) {
            Some(ahead) => ahead.rows?,
            None => return rows::fetch(self.conn().await?, collection, what, keys).await,
        };
        let mut all: Vec<Option<Fetched>> = keys.iter().map(|key| known.remove(&key.encode())).collect();
        let missing: Vec<usize> = (0..keys.len()).filter(|i| all[*i].is_none()).collect();
        let asked: Vec<Key> = missing.iter().map(|i| keys[*i].clone()).collect();
        for (i, row) in missing.into_iter().zip(rows::fetch(self.conn().await?, collection, what, &asked).await?) {
            all[i] = Some(row);
        }
        Ok(all.into_iter().flatten().collect())
    }
}
