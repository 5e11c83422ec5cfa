//! The configuration: one YAML file, read into [`Config`], and with both sides' catalogs resolved
//! into the [`Integration`](crate::model::Integration) the pipeline runs.
//!
//! [`load`] needs the file only, [`resolve`] the catalogs: `twinrow check` says what is wrong in the
//! file before it asks any server.

mod composite;
mod expand;
mod load;
mod order;
mod propose;
mod references;
mod resolve;
mod scaffold;
mod shape;
mod words;

use std::fmt;
use std::path::PathBuf;

use crate::endpoint::Tls;
use crate::model::{Both, FirstSync, TableName};

pub use load::{CORRECT, load, parse};
pub use resolve::{Resolved, resolve, resolve_each};
pub use scaffold::{Scaffold, scaffold, without_password};
pub use shape::{FieldConfig, LinkConfig, MatchConfig, Newest, Safety, Text};

/// A configuration whose names fit together; the tables are not looked up yet.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it was read from.
    pub path: PathBuf,
    /// The integration's name.
    pub integration: String,
    /// The endpoints, in the order of the file.
    pub endpoints: Vec<EndpointConfig>,
    /// The endpoint of each side, as an index into `endpoints`.
    pub side: Both<usize>,
    /// The endpoint that holds the state, as an index into `endpoints`.
    pub home: usize,
    /// Whether the first run may write at once.
    pub first_sync: FirstSync,
    /// Whether kept conflicts hold values.
    pub keep_values: bool,
    /// So many entries of a change log are read one by one; of more, everything is compared.
    pub log_max: u64,
    /// The links by name, in the order of the file.
    pub links: Vec<(Text, LinkConfig)>,
}

/// An endpoint and how to reach it.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// How the connection is protected.
    pub tls: Tls,
    /// For an app: the file that declares its objects.
    pub manifest: Option<PathBuf>,
}

/// An endpoint's URL: it may hold a password, so it prints as its scheme only.
#[derive(Clone)]
pub struct Url(String);

impl Url {
    /// Wraps a URL.
    pub fn new(url: impl Into<String>) -> Url {
        Url(url.into())
    }

    /// The URL itself, for the endpoint that opens it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon, if it is a word at all.
    pub fn scheme(&self) -> &str {
        let scheme = self.0.split_once(':').map_or("", |(scheme, _)| scheme);
        if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+') { scheme } else { "" }
    }

    /// The name of a table that is not in the catalog: without a schema it is in the one that PostgreSQL takes by default.
    pub fn table_name(&self, written: &str) -> TableName {
        let (schema, name) = match self.scheme() {
            "sqlite" => ("", written),
            "postgres" | "postgresql" => written.split_once('.').unwrap_or(("public", written)),
            _ => written.split_once('.').unwrap_or(("", written)),
        };
        TableName { schema: schema.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:…", self.scheme())
    }
}

/// The one of `names` a person most likely meant by `typed`.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = typed.to_lowercase();
    names
        .into_iter()
        .map(|name| (likeness(&lower, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// From 0 to 1. Short names with two letters swapped have little in common by Jaro's measure, long ones
/// with another ending little by edit distance.
fn likeness(a: &str, b: &str) -> f64 {
    let swapped = strsim::osa_distance(a, b) == 1;
    strsim::jaro_winkler(a, b).max(if swapped { 0.9 } else { 0.0 })
}

/// `, did you mean \`fields\`?`, or nothing.
fn did_you_mean<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(typed, names).map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

#[cfg(test)]
mod scaffold_tests;
#[cfg(test)]
mod tests;
