//! From the file to a [`Config`]: syntax, secrets, and the names that need no server.

use std::path::{Path, PathBuf};

use serde_saphyr::{Error as Yaml, Location};

use super::expand::{Outside, Process, expand, expand_url};
use super::shape::{EndpointShape, File, LinkConfig, Named, Text};
use super::{Config, EndpointConfig, Url, did_you_mean};
use crate::error::{Error, Kind, Result};
use crate::model::{Both, ConflictPolicy};

/// What to do about a mistake in the file, which the message points at.
pub const CORRECT: &str = "correct it, then: twinrow check";

const DATABASES: [&str; 5] = ["postgres", "postgresql", "mysql", "mariadb", "sqlite"];
const APPS: [&str; 2] = ["kinto+http", "kinto+https"];

/// Reads and checks the file.
///
/// # Errors
/// [`Kind::Config`], with file, line and column, and the nearest right name; never with a secret.
pub fn load(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let shown = path.display();
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no configuration `{shown}`"),
            kind => format!("the configuration `{shown}` can't be read: {kind}"),
        };
        Error::new(Kind::Config, message).hint("twinrow init --source URL --target URL, or --config with another file")
    })?;
    parse(&text, path)
}

/// As [`load`], from the file's text; `path` is for messages and for `${file:…}`.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, path: &Path) -> Result<Config> {
    parse_with(text, path, &Process { folder: path.parent().unwrap_or(Path::new("")) })
}

pub(super) fn parse_with(text: &str, path: &Path, outside: &dyn Outside) -> Result<Config> {
    // Without snippet: a secret may stand on the next line. Strict: YAML 1.1's `no` and `off` are words.
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    let file: File = serde_saphyr::from_str_with_options(text, options).map_err(|error| syntax(path, error.without_snippet()))?;
    Checked { path, outside }.config(file)
}

struct Checked<'a> {
    path: &'a Path,
    outside: &'a dyn Outside,
}

impl Checked<'_> {
    fn config(&self, mut file: File) -> Result<Config> {
        for text in [&mut file.integration, &mut file.source, &mut file.target].into_iter().chain(file.state.as_mut()) {
            self.expand(text)?;
        }
        for (_, link) in &mut file.links.0 {
            self.expand(&mut link.source)?;
            self.expand(&mut link.target)?;
        }
        self.name(&file.integration)?;
        let endpoints = self.endpoints(file.endpoints)?;
        let side = Both { source: self.endpoint(&endpoints, &file.source)?, target: self.endpoint(&endpoints, &file.target)? };
        if side.source == side.target {
            return Err(self.wrong(&file.target, "source and target are the same endpoint"));
        }
        let home = self.home(&endpoints, side, file.state.as_ref(), &file.target)?;
        if file.links.0.is_empty() {
            return Err(self.wrong(&file.integration, "the integration has no links"));
        }
        for (name, link) in &file.links.0 {
            self.name(name)?;
            self.link(link, &file.links)?;
        }
        Ok(Config {
            path: self.path.to_owned(),
            integration: file.integration.value,
            endpoints,
            side,
            home,
            first_sync: file.first_sync,
            keep_values: file.keep_values,
            log_max: file.log_max,
            links: file.links.0,
        })
    }

    fn endpoints(&self, shapes: Named<EndpointShape>) -> Result<Vec<EndpointConfig>> {
        shapes.0.into_iter().map(|(name, shape)| self.open(&name, shape)).collect()
    }

    fn open(&self, name: &Text, mut shape: EndpointShape) -> Result<EndpointConfig> {
        self.name(name)?;
        expand_url(&mut shape.url, self.outside).map_err(|error| self.at(shape.url.referenced, error))?;
        let url = Url::new(shape.url.value.as_str());
        if !DATABASES.contains(&url.scheme()) && !APPS.contains(&url.scheme()) {
            let suggestion = did_you_mean(url.scheme(), DATABASES.into_iter().chain(APPS));
            let message = format!(
                "the URL of endpoint `{}` is none of postgres: mysql: mariadb: sqlite: kinto+https:{suggestion}",
                name.value
            );
            return Err(self.wrong(&shape.url, message));
        }
        let manifest = self.manifest(&shape, &url)?;
        Ok(EndpointConfig { name: name.value.clone(), url, tls: shape.tls, manifest })
    }

    /// An app has no catalog to read: a file says what its objects are. It lies beside the configuration.
    fn manifest(&self, shape: &EndpointShape, url: &Url) -> Result<Option<PathBuf>> {
        match (&shape.manifest, is_app(url)) {
            (Some(file), true) => Ok(Some(self.path.parent().unwrap_or(Path::new("")).join(&file.value))),
            (None, false) => Ok(None),
            (Some(file), false) => Err(self.wrong(file, "`manifest` is for apps: a database's tables are in its catalog")),
            (None, true) => {
                Err(self.wrong(&shape.url, "an app needs `manifest: FILE`, which declares its objects").hint("see docs/apps.md"))
            }
        }
    }

    /// The state lives in a database: the target if it is one, else the source.
    fn home(&self, endpoints: &[EndpointConfig], side: Both<usize>, state: Option<&Text>, target: &Text) -> Result<usize> {
        let refused = |at: usize, text: &Text, message: &str| {
            if is_app(&endpoints[at].url) { Err(self.wrong(text, message)) } else { Ok(at) }
        };
        match state {
            Some(name) => refused(self.endpoint(endpoints, name)?, name, "an app can't hold the state"),
            None if is_app(&endpoints[side.target].url) => {
                refused(side.source, target, "an app can't hold the state: name a database as `state:`")
            }
            None => Ok(side.target),
        }
    }

    fn endpoint(&self, endpoints: &[EndpointConfig], name: &Text) -> Result<usize> {
        endpoints.iter().position(|endpoint| endpoint.name == name.value).ok_or_else(|| {
            let suggestion = did_you_mean(&name.value, endpoints.iter().map(|endpoint| endpoint.name.as_str()));
            self.wrong(name, format!("there is no endpoint `{}`{suggestion}", name.value))
        })
    }

    fn link(&self, link: &LinkConfig, links: &Named<LinkConfig>) -> Result<()> {
        if link.fields.0.is_empty() {
            return Err(self.wrong(&link.source, "the link maps no fields"));
        }
        if (link.conflict == ConflictPolicy::Newest) != link.newest.is_some() {
            let message = "`conflict: newest` and `newest: {source: …, target: …}` need each other";
            return Err(self.wrong(link.newest.as_ref().map_or(&link.source, |newest| &newest.source), message));
        }
        for matching in &link.matching {
            if !link.fields.0.iter().any(|(source, _)| source.value == matching.field.value) {
                let typed = &matching.field.value;
                let suggestion = did_you_mean(typed, link.fields.0.iter().map(|(source, _)| source.value.as_str()));
                return Err(
                    self.wrong(&matching.field, format!("`match` names `{typed}`, which `fields` does not map{suggestion}"))
                );
            }
        }
        for via in link.fields.0.iter().filter_map(|(_, field)| field.via.as_ref()) {
            if !links.0.iter().any(|(name, _)| name.value == via.value) {
                let suggestion = did_you_mean(&via.value, links.0.iter().map(|(name, _)| name.value.as_str()));
                return Err(self.wrong(via, format!("there is no link `{}`{suggestion}", via.value)));
            }
        }
        Ok(())
    }

    /// `[a-z][a-z0-9_-]*`: names go into object names, file names and URLs.
    fn name(&self, name: &Text) -> Result<()> {
        let mut bytes = name.value.bytes();
        let starts = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        if starts && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')) {
            return Ok(());
        }
        let message = format!("`{}` is no name: a lower-case letter, then lower-case letters, digits, `_` and `-`", name.value);
        Err(self.wrong(name, message))
    }

    fn expand(&self, text: &mut Text) -> Result<()> {
        expand(text, self.outside).map_err(|error| self.at(text.referenced, error))
    }

    fn wrong(&self, text: &Text, message: impl Into<String>) -> Error {
        wrong(self.path, text, message)
    }

    fn at(&self, location: Location, error: Error) -> Error {
        error.context(place(self.path, location))
    }
}

fn is_app(url: &Url) -> bool {
    APPS.contains(&url.scheme())
}

/// An error about what stands at `text`.
pub(super) fn wrong(path: &Path, text: &Text, message: impl Into<String>) -> Error {
    Error::new(Kind::Config, message).context(place(path, text.referenced)).hint(CORRECT)
}

pub(super) fn place(path: &Path, location: Location) -> String {
    match location.line() {
        0 => path.display().to_string(),
        line => format!("{}:{line}:{}", path.display(), location.column()),
    }
}

/// A parser's error in our words: its own text may quote what stands in the file.
fn syntax(path: &Path, error: &Yaml) -> Error {
    let message = match error {
        Yaml::SerdeUnknownField { field, expected, .. } => {
            format!("unknown key `{field}`{}", did_you_mean(field, expected.iter().copied()))
        }
        Yaml::SerdeUnknownVariant { variant, expected, .. } => {
            format!("`{variant}` is not one of {}{}", expected.join(", "), did_you_mean(variant, expected.iter().copied()))
        }
        Yaml::SerdeMissingField { field, .. } => format!("the key `{field}` is missing"),
        Yaml::SerdeInvalidType { expected, .. } | Yaml::SerdeInvalidValue { expected, .. } => format!("expected {expected}"),
        Yaml::Unexpected { expected: "mapping start", .. } => "expected a mapping: lines of `key: value`".to_owned(),
        Yaml::Unexpected { expected: "sequence start", .. } => "expected a list: `[one, two]`".to_owned(),
        Yaml::Unexpected { expected: "string scalar", .. } => "expected a word".to_owned(),
        Yaml::Unexpected { expected, .. } => format!("expected {expected}"),
        Yaml::DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` stands there twice"),
        Yaml::InvalidBooleanStrict { .. } => "expected true or false".to_owned(),
        Yaml::InvalidScalar { ty, .. } if ty.starts_with(['i', 'u']) => "expected a whole number".to_owned(),
        Yaml::InvalidScalar { ty, .. } => format!("expected {ty}"),
        Yaml::Message { msg, .. } => msg.clone(),
        // The character may be one of a password.
        Yaml::ExternalMessage { msg, .. } if msg.starts_with("unexpected character") => {
            "this is not valid YAML: a text that begins with this character needs quotes".to_owned()
        }
        Yaml::ExternalMessage { msg, .. } => format!("this is not valid YAML: {msg}"),
        Yaml::Eof { .. } => "this is not valid YAML: the file is empty, or ends too early".to_owned(),
        Yaml::MultipleDocuments { .. } => "expected one document: a line `---` begins another".to_owned(),
        _ => "this is not valid YAML".to_owned(),
    };
    let location = error.location().unwrap_or(Location::UNKNOWN);
    Error::new(Kind::Config, message).context(place(path, location)).hint(CORRECT)
}
