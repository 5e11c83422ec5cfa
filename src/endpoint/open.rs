//! From a URL to the endpoint it names.

use std::sync::Arc;

use super::{Endpoint, app, database};
use crate::error::{Error, Kind, Result};

/// How a connection is protected; an endpoint without a network has no use for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// How much is asked of the server.
    #[serde(default)]
    pub mode: TlsMode,
    /// The certificate authority's file; the system's authorities if absent.
    pub ca: Option<std::path::PathBuf>,
}

/// What is asked of the server, in libpq's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// No TLS.
    Disable,
    /// TLS if the server offers it; its certificate is not checked.
    #[default]
    Prefer,
    /// TLS, certificate unchecked.
    Require,
    /// TLS with a certificate of a known authority.
    VerifyCa,
    /// TLS with a certificate of a known authority for this host.
    VerifyFull,
}

/// Opens the endpoint a URL names. No connection is made yet.
///
/// # Errors
/// [`Kind::Config`] if no endpoint is built in for this scheme. The URL is never shown.
pub async fn open(name: &str, url: &str, tls: &Tls) -> Result<Arc<dyn Endpoint>> {
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    match scheme {
        "sqlite" => Ok(Arc::new(database::sqlite::Sqlite::open(rest.strip_prefix("//").unwrap_or(rest), name))),
        "postgres" | "postgresql" => Ok(Arc::new(database::postgres::Postgres::open(&with_tls(url, tls), name)?)),
        "mysql" | "mariadb" => Ok(Arc::new(database::mysql::Mysql::open(&with_tls(url, tls), name)?)),
        _ => {
            let refused = Error::new(Kind::Config, format!("no endpoint is built in for `{scheme}:`"));
            Err(refused.context(format!("endpoint {name}")).hint("use sqlite:, postgres:, mysql: or mariadb:"))
        }
    }
}

/// As [`open`] for an app, whose objects a file of the user's declares.
///
/// # Errors
/// [`Kind::Config`] for a URL or a file that can't be used, with line and column.
pub fn open_app(name: &str, url: &str, tls: &Tls, manifest: &std::path::Path) -> Result<Arc<dyn Endpoint>> {
    Ok(Arc::new(app::App::open(name, url, tls, manifest)?))
}

/// The URL with what the configuration says of TLS, in libpq's words; what the URL says itself stands.
fn with_tls(url: &str, tls: &Tls) -> String {
    let mode = match tls.mode {
        TlsMode::Disable => "disable",
        TlsMode::Prefer => "prefer",
        TlsMode::Require => "require",
        TlsMode::VerifyCa => "verify-ca",
        TlsMode::VerifyFull => "verify-full",
    };
    let mut url = url.to_owned();
    let mut add = |name: &str, value: &str| {
        if !url.contains(&format!("{name}=")) {
            let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            url = format!("{url}{}{name}={value}", if url.contains('?') { '&' } else { '?' });
        }
    };
    add("sslmode", mode);
    if let Some(ca) = &tls.ca {
        add("sslrootcert", &ca.to_string_lossy());
    }
    url
}
