//! Apps: systems with an interface for their records over HTTP, described by a manifest (data, not code).
//!
//! An app has no transactions and no place for our fence or our triggers. What stands in for them: its own
//! feed of changes, a version per record, and keys of our choosing (see [`Conditional`]).

mod client;
mod feed;
mod http;
mod list;
mod look;
mod manifest;
mod record;
mod search;
mod template;
mod window;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::client::{Client, key_of, plain, undeclared};
use self::http::Call;
use super::{
    Acknowledge, Capabilities, Conditional, Edit, Edited, Endpoint, Looked, Tls, Tracked, Tracking, Whereabouts, Window, Write,
};
use crate::error::{Context as _, Error, Kind, Result};
use crate::model::{Collection, Key, Table, TableName};
use crate::sql::{Fence, Store};

/// An app.
pub struct App {
    name: String,
    client: Arc<Client>,
}

impl App {
    /// The app a URL names, `kinto+https://user:password@host/bucket`, with the objects the file declares.
    /// No connection is made yet. `name`: how the configuration calls this endpoint.
    ///
    /// # Errors
    /// [`Kind::Config`] for a URL or a file that can't be used.
    pub fn open(name: &str, url: &str, tls: &Tls, file: &Path) -> Result<App> {
        Ok(App { name: name.to_owned(), client: Arc::new(Client::open(url, tls, file).context(format!("endpoint {name}"))?) })
    }

    fn context(&self) -> String {
        format!("endpoint {}", self.name)
    }
}

#[async_trait]
impl Endpoint for App {
    async fn capabilities(&self) -> Result<Capabilities> {
        let client = &self.client;
        let call = Call::new("GET", client.manifest.check.get.address(&[]));
        let answer = client.succeeded(client.http.read(&call).await.context(self.context())?).context(self.context())?;
        let version = client.manifest.check.version.of(&answer.body).map(plain).unwrap_or_default();
        Ok(Capabilities { transactions: false, deletes: true, version: format!("{} {version}", client.manifest.name) })
    }

    async fn describe(&self, names: Option<&[TableName]>) -> Result<Vec<Table>> {
        let declared = &self.client.objects.objects;
        let wanted: Vec<&str> = match names {
            Some(names) => names.iter().map(|name| name.name.as_str()).collect(),
            None => declared.keys().map(String::as_str).collect(),
        };
        let mut tables = Vec::with_capacity(wanted.len());
        for name in wanted {
            let shape = declared.get(name).ok_or_else(|| undeclared(name)).context(self.context())?;
            feed::revision(&self.client, name).await.context(name).context(self.context())?;
            tables.push(self.client.table(name, shape));
        }
        Ok(tables)
    }

    async fn window(&self, collections: &[Tracked], limit: usize) -> Result<Box<dyn Window>> {
        Ok(Box::new(window::open(&self.client, collections, limit).await.context(self.context())?))
    }

    async fn begin(&self, _fence: &Fence) -> Result<Box<dyn Write>> {
        Err(Error::new(Kind::Internal, "an app has no transactions").context(self.context()))
    }

    /// An app forgets nothing on our account.
    async fn acknowledge(&self, _fence: &Fence, _upto: &[Acknowledge]) -> Result<()> {
        Ok(())
    }

    async fn whereabouts(&self) -> Result<Option<Whereabouts>> {
        Ok(Some(Whereabouts { sign: self.client.place(), schema: String::new(), _shown: None }))
    }

    /// By its address: under another name an app is not known again.
    async fn leads_to(&self, sign: &str) -> Result<bool> {
        Ok(self.client.place() == sign)
    }

    fn store(&self) -> Option<&dyn Store> {
        None
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        None
    }

    fn conditional(&self) -> Option<&dyn Conditional> {
        Some(self)
    }
}

#[async_trait]
impl Conditional for App {
    fn batch(&self) -> usize {
        self.client.manifest.batch.max
    }

    fn settled_after(&self) -> Duration {
        self.client.http.timeout() + Duration::from_secs(self.client.manifest.limits.lag_s)
    }

    async fn ready(&self) -> Result<()> {
        self.client.http.ready().await.context(self.context())
    }

    fn new_key(&self, token: &str) -> Key {
        key_of(token)
    }

    async fn write(&self, collection: &Collection, edits: &[Edit]) -> Result<Vec<Edited>> {
        write::write(&self.client, collection, edits).await.context(self.context())
    }

    async fn look(&self, collection: &Collection, keys: &[Key]) -> Result<Vec<Looked>> {
        look::look(&self.client, collection, keys).await.context(self.context())
    }
}
