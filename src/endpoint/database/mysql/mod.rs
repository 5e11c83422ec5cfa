//! MySQL and MariaDB.
//!
//! A log table for each tracked table and row triggers that write it. Positions in a log are not in the order
//! of commits, so what was read is removed row by row (A1, A8); several readers share a queue.

/// A statement's text.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/mysql/", $name, ".sql"))
    };
}

mod cascaded;
mod catalog;
mod compact;
mod connection;
mod error;
mod find;
mod flavour;
mod grants;
mod install;
mod log;
mod named;
mod open;
mod present;
mod reach;
mod removable;
mod replaced;
mod rights;
mod rows;
mod session;
mod tracking;
mod triggers;
mod unable;
mod value;
mod window;
mod write;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use mysql_async::{Opts, OptsBuilder, SslOpts};
use url::Url;

use crate::endpoint::{
    Acknowledge, Born, Capabilities, Endpoint, OpenTransactions, Tracked, Tracking, Whereabouts, Window, Write,
};
use crate::error::{Context, Error, Kind, OTHER_FILE, Result};
use crate::model::{Table, TableName};
use crate::sql::{Fence, Session, Store, Transaction};

use connection::Pool;
use named::Named;
use session::Fenced;

/// What the signs of such endpoints begin with; they are names of locks.
const SIGN: &str = "twinrow_at_";

/// A database of a MySQL or MariaDB server.
pub struct Mysql {
    pool: Arc<Pool>,
    name: String,
    /// The integrations that write through this endpoint: their entries are our own.
    own: Mutex<HashSet<String>>,
    watch: tracking::Watch,
    compactions: tokio::sync::Mutex<HashMap<String, compact::Compactions>>,
}

impl Mysql {
    /// The database `url` names; `name` is what the endpoint is called in errors. Connects when first used.
    ///
    /// `mysql://user:password@host:port/database`, with two parameters: `sslmode` (`disable`, `prefer`, `require`,
    /// `verify-ca`, `verify-full`) and `sslrootcert` (a file of certificate authorities).
    ///
    /// # Errors
    /// [`Kind::Config`] for a URL that can't be read.
    pub fn open(url: &str, name: &str) -> Result<Mysql> {
        let opts = options(url).context(format!("endpoint {name}"))?;
        Ok(Mysql {
            pool: Pool::new(name, opts),
            name: name.to_owned(),
            own: Mutex::default(),
            watch: tracking::Watch::default(),
            compactions: tokio::sync::Mutex::default(),
        })
    }

    async fn connection(&self) -> Result<connection::Connection> {
        self.pool.get().await.context(self.place())
    }

    async fn fenced(&self, fence: &Fence) -> Result<Fenced> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).insert(fence.integration.clone());
        Fenced::begin(self.connection().await?, fence).await.context(self.place())
    }

    fn own(&self) -> HashSet<String> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn place(&self) -> String {
        format!("endpoint {}", self.name)
    }
}

/// What to try, in order: without a stated mode TLS first, then without it, as libpq does.
fn options(text: &str) -> Result<Vec<Opts>> {
    let config = |why: String| Error::new(Kind::Config, why);
    let mut url = Url::parse(text).map_err(|error| config(format!("the URL can't be read: {error}")))?;
    if !matches!(url.scheme(), "mysql" | "mariadb") {
        return Err(config(format!("{} is not a scheme of MySQL", url.scheme())));
    }
    let (mut mode, mut authority) = ("prefer".to_owned(), None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "sslmode" => mode = value.into_owned(),
            "sslrootcert" => authority = Some(PathBuf::from(&*value)),
            other => {
                let error = config(format!("the URL has an unknown parameter {other}"));
                return Err(error.hint("known are sslmode and sslrootcert"));
            }
        }
    }
    url.set_query(None);
    let rest = &url.as_str()[url.scheme().len()..];
    let opts = Opts::from_url(&format!("mysql{rest}")).map_err(|error| error::classify(error.into()))?;
    let with = |ssl: Option<SslOpts>| -> Opts {
        let builder = OptsBuilder::from_opts(opts.clone())
            // Rows that an update matched count, changed or not: 0 means that a condition failed.
            .client_found_rows(true)
            .stmt_cache_size(Some(256))
            .prefer_socket(Some(false))
            .tcp_keepalive(Some(std::time::Duration::from_secs(15)))
            .ssl_opts(ssl);
        builder.into()
    };
    let unchecked = || SslOpts::default().with_danger_accept_invalid_certs(true);
    Ok(match mode.as_str() {
        "disable" => vec![with(None)],
        "prefer" => vec![with(Some(unchecked())), with(None)],
        "require" => vec![with(Some(unchecked()))],
        "verify-ca" => vec![with(Some(verified(authority)?.with_danger_skip_domain_validation(true)))],
        "verify-full" => vec![with(Some(verified(authority)?))],
        other => {
            let error = config(format!("sslmode can't be {other}"));
            return Err(error.hint("it is one of disable, prefer, require, verify-ca, verify-full"));
        }
    })
}

/// A certificate of the named authorities, or of those the system knows.
fn verified(authority: Option<PathBuf>) -> Result<SslOpts> {
    let roots = match authority {
        Some(file) => {
            let pem = std::fs::read(&file).map_err(|error| {
                Error::new(Kind::Config, format!("sslrootcert {} can't be used: {error}", file.display())).hint(OTHER_FILE)
            })?;
            vec![pem.into()]
        }
        None => rustls_native_certs::load_native_certs().certs.iter().map(|cert| cert.to_vec().into()).collect(),
    };
    Ok(SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true))
}

#[async_trait]
impl Endpoint for Mysql {
    async fn capabilities(&self) -> Result<Capabilities> {
        let connection = self.connection().await?;
        Ok(Capabilities { transactions: true, deletes: true, version: connection.server.flavour.name() })
    }

    async fn describe(&self, names: Option<&[TableName]>) -> Result<Vec<Table>> {
        catalog::describe(&mut self.connection().await?, names).await.context(self.place())
    }

    async fn born(&self, tables: &[TableName]) -> Result<Vec<Vec<Born>>> {
        catalog::born(&mut self.connection().await?, tables).await.context(self.place())
    }

    async fn window(&self, collections: &[Tracked], limit: usize) -> Result<Box<dyn Window>> {
        let connection = self.connection().await?;
        Ok(Box::new(window::Snapshot::open(connection, collections, limit, &self.own()).await.context(self.place())?))
    }

    async fn begin(&self, fence: &Fence) -> Result<Box<dyn Write>> {
        Ok(Box::new(write::Writing::new(self.fenced(fence).await?)))
    }

    async fn acknowledge(&self, fence: &Fence, upto: &[Acknowledge]) -> Result<()> {
        let mut fenced = self.fenced(fence).await?;
        log::acknowledge(fenced.connection()?, &fence.integration, upto).await.context(self.place())?;
        fenced.commit().await.context(self.place())
    }

    async fn compact(&self, fence: &Fence, tables: &[Table]) -> Result<bool> {
        let mut compactions = self.compactions.lock().await;
        let mut any = false;
        for table in tables {
            let mut fenced = self.fenced(fence).await?;
            let connection = fenced.connection()?;
            let log = log::Log::of(table, &connection.server.database);
            // After an error the walk begins anew.
            let mut state = compactions.remove(&log.name).unwrap_or_default();
            any |= compact::step(connection, &log, &mut state).await.context(self.place())?;
            fenced.commit().await.context(self.place())?;
            compactions.insert(log.name, state);
        }
        Ok(any)
    }

    async fn backlog(&self, collections: &[Tracked], most: u64) -> Result<Vec<u64>> {
        let mut connection = self.connection().await?;
        let mut all = Vec::with_capacity(collections.len());
        for tracked in collections {
            let log = log::Log::of(&tracked.collection.table, &connection.server.database);
            all.push(compact::backlog(&mut connection, &log, tracked, most).await.context(self.place())?);
        }
        Ok(all)
    }

    async fn open_transactions(&self, tables: &[Table]) -> Result<OpenTransactions> {
        open::transactions(&mut self.connection().await?, tables).await.context(self.place())
    }

    async fn whereabouts(&self) -> Result<Option<Whereabouts>> {
        let connection = self.connection().await?;
        let (sign, schema) = (format!("{SIGN}{}", uuid::Uuid::new_v4().simple()), connection.server.database.clone());
        let shown = Named::show(connection, &sign).await.context(self.place())?;
        Ok(shown.map(|shown| Whereabouts { sign, schema, _shown: Some(Box::new(shown)) }))
    }

    async fn leads_to(&self, sign: &str) -> Result<bool> {
        if !sign.starts_with(SIGN) {
            return Ok(false);
        }
        Named::is_shown(self.connection().await?, sign).await.context(self.place())
    }

    fn store(&self) -> Option<&dyn Store> {
        Some(self)
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        Some(self)
    }
}

#[async_trait]
impl Store for Mysql {
    async fn begin(&self, fence: &Fence) -> Result<Box<dyn Transaction>> {
        Ok(Box::new(self.fenced(fence).await?))
    }

    async fn session(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.connection().await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_verified_as_the_url_asks() {
        let modes = |url: &str| -> Vec<Option<(bool, bool)>> {
            let ssl = |opts: &Opts| opts.ssl_opts().map(|ssl| (ssl.accept_invalid_certs(), ssl.skip_domain_validation()));
            options(url).unwrap().iter().map(ssl).collect()
        };
        assert_eq!(modes("mysql://u:p@db.example/shop"), [Some((true, false)), None]);
        assert_eq!(modes("mariadb://u:p@db.example:3307/shop?sslmode=disable"), [None]);
        assert_eq!(modes("mysql://u@h/shop?sslmode=require"), [Some((true, false))]);
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert_eq!(modes(&format!("mysql://u@h/shop?sslmode=verify-ca&sslrootcert={file}")), [Some((false, true))]);
        assert_eq!(modes(&format!("mysql://u@h/shop?sslmode=verify-full&sslrootcert={file}")), [Some((false, false))]);
        let missing = options("mysql://u@h/shop?sslmode=verify-full&sslrootcert=/no/ca.pem").unwrap_err();
        assert_eq!(missing.kind(), Kind::Config);
        assert!(missing.to_string().contains("/no/ca.pem can't be used"), "{missing}");
        for wrong in ["mysql://u@h/d?sslmode=maybe", "mysql://u@h/d?ssl=1", "postgres://u@h/d"] {
            assert_eq!(options(wrong).unwrap_err().kind(), Kind::Config);
        }
    }
}
