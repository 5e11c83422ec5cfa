//! What an app is like, as data: addresses, forms, conditions, errors. The vocabulary is closed: what a
//! manifest says and this version does not know is refused when it is read, not when it is needed.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use super::template::{Body, Template};
use crate::error::{Error, Kind, Result};

/// The manifests that are built in, by the scheme that chooses them.
pub(super) fn built_in(scheme: &str) -> Option<&'static str> {
    match scheme {
        "kinto+http" | "kinto+https" => Some(include_str!("kinto.yaml")),
        _ => None,
    }
}

/// An app.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    manifest: u32,
    pub name: String,
    pub base_url: Template,
    pub auth: Auth,
    pub check: Check,
    pub limits: Limits,
    pub errors: Vec<ErrorRule>,
    pub numbers: Numbers,
    /// What every object has, unless it says otherwise.
    pub defaults: Object,
    pub batch: Batch,
}

/// How it knows us.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, tag = "type", rename_all = "snake_case")]
pub(super) enum Auth {
    Basic { username: Template, password: Template },
}

/// Where it says what it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Check {
    pub get: Template,
    pub version: Pointer,
}

/// What it bears.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    /// Requests under way at once.
    pub concurrency: usize,
    /// After so long an answer is lost.
    pub timeout_s: u64,
    /// How long after its answer a write may still be invisible to a look by id.
    pub lag_s: u64,
    /// Headers that say how long to be quiet.
    pub observe: Vec<String>,
}

/// What an error means; the first that matches.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrorRule {
    pub status: Vec<u16>,
    pub class: Class,
    /// The app's own number for it.
    pub code: Option<Pointer>,
    /// The name of the field it is about.
    pub field: Option<Pointer>,
}

/// The classes of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Class {
    Throttled,
    /// It can't answer now, and whether it has done what was asked nobody knows.
    Transient,
    /// It has failed, and is done with the request: a look tells what it did.
    Failed,
    Auth,
    Forbidden,
    Conflict,
    Missing,
    InvalidRow,
}

/// What the app stores of a number with a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Numbers {
    /// The nearest double: 15 digits come back.
    Double,
    /// What it was sent.
    Exact,
}

/// What can be asked of one object type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Object {
    pub path: Template,
    pub id: Id,
    pub version: Version,
    pub tombstone: Tombstone,
    pub absent: AbsentField,
    pub revision: Revision,
    pub changes: Request,
    #[allow(dead_code)] // One word so far: it says what the engine relies on.
    deletes: DeleteDiscovery,
    pub list: Request,
    pub find: Option<Request>,
    pub get: Request,
    /// By several ids, with what was deleted: a list that has of each its record, or its tombstone, or nothing where there never
    /// was one. Without it nobody can tell the last two apart.
    pub look: Option<Request>,
    pub create: Request,
    pub update: Request,
    pub delete: Request,
}

/// A record's id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Id {
    pub path: Pointer,
    #[allow(dead_code)] // As above.
    assigned_by: AssignedBy,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AssignedBy {
    /// A writer may bring it.
    Either,
}

/// A record's version, and the condition a write carries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Version {
    /// A number that grows with every write to the collection.
    pub path: Pointer,
    /// The header of a conditional write.
    pub send: String,
    #[serde(rename = "as")]
    pub form: Template,
}

/// How a deleted record looks among the changes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tombstone {
    pub path: Pointer,
    pub equals: Json,
}

/// What it means that a record does not have a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AbsentField {
    /// Nobody has filled it.
    Empty,
    /// It may be hidden from us: nothing may be concluded (E13).
    Unreadable,
}

/// The collection's own version, and how many records it has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revision {
    pub head: Template,
    pub header: String,
    pub count: String,
}

/// How deletes are found out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DeleteDiscovery {
    /// As tombstones among the changes.
    InChanges,
}

/// One request. Exactly one of the methods is named, with its address.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Request {
    get: Option<Template>,
    put: Option<Template>,
    post: Option<Template>,
    patch: Option<Template>,
    delete: Option<Template>,
    pub headers: BTreeMap<String, String>,
    pub body: Option<Body>,
    /// Where the answer has its records, or its record.
    pub records: Option<Pointer>,
    pub record: Option<Pointer>,
    pub page: Option<Page>,
    /// Of a list: how many records there are in a part of it.
    pub total: Option<Total>,
    /// For a search: one condition.
    #[serde(rename = "where")]
    pub condition: Option<Template>,
    #[allow(dead_code)] // As above.
    idempotent_with: Option<IdempotentWith>,
}

impl Request {
    /// Its method and address.
    ///
    /// # Errors
    /// [`Kind::Config`] unless there is exactly one.
    pub fn line(&self) -> Result<(&'static str, &Template)> {
        let all =
            [("GET", &self.get), ("PUT", &self.put), ("POST", &self.post), ("PATCH", &self.patch), ("DELETE", &self.delete)];
        let mut named = all.into_iter().filter_map(|(method, url)| Some((method, url.as_ref()?)));
        match (named.next(), named.next()) {
            (Some(line), None) => Ok(line),
            _ => Err(Error::new(Kind::Config, "a request needs exactly one of get, put, post, patch and delete")),
        }
    }
}

/// Where the next page is named.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// In this header of the answer.
    pub header: String,
}

/// How many records a list has between two ids: whether it is whole.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Total {
    /// After an id, without an end.
    pub head: Template,
    /// What ends it with another id.
    pub upto: Template,
    /// The header that says it.
    pub header: String,
}

/// How a create whose answer was lost is recognised.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum IdempotentWith {
    /// By the id we chose.
    ClientId,
}

/// Several requests in one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    pub post: Template,
    pub max: usize,
    /// If one request of a batch is answered so, all of it was undone.
    pub undone_by: Vec<u16>,
    /// What stands before the path of each.
    pub prefix: String,
    pub body: Body,
    pub results: Results,
}

/// How the answers to a batch are told apart.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Results {
    pub at: Pointer,
    #[allow(dead_code)] // As above.
    correlate: Correlate,
    pub status: Pointer,
    pub headers: Option<Pointer>,
    pub body: Pointer,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Correlate {
    /// They stand in the order of the requests.
    Position,
}

/// A JSON Pointer.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Pointer(String);

impl TryFrom<String> for Pointer {
    type Error = String;
    fn try_from(text: String) -> std::result::Result<Pointer, String> {
        if text.is_empty() || text.starts_with('/') { Ok(Pointer(text)) } else { Err("a JSON Pointer begins with /".into()) }
    }
}

impl Pointer {
    /// What stands there.
    pub fn of<'a>(&self, document: &'a Json) -> Option<&'a Json> {
        document.pointer(&self.0)
    }
}

/// The objects of an app that has no schema to read, as a person declares them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Objects {
    pub objects: BTreeMap<String, Declared>,
}

/// One object type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Declared {
    pub fields: BTreeMap<String, FieldType>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FieldType {
    /// Text.
    Text,
    /// A 64-bit integer.
    Integer,
    /// A decimal as a JSON number.
    Decimal,
    /// A decimal as a JSON text: exact in every app.
    DecimalText,
    /// A double.
    Float,
    /// True or false.
    Boolean,
    /// `2026-11-22`
    Date,
    /// `2026-11-22T13:45:00.5`
    Datetime,
    /// `2026-11-22T13:45:00.5Z`
    Instant,
    /// A UUID.
    Uuid,
    /// Anything.
    Json,
}

/// Reads a manifest.
pub(super) fn parse(text: &str, origin: &str) -> Result<Manifest> {
    let manifest: Manifest = read(text, origin)?;
    if manifest.manifest != 1 {
        return Err(wrong(origin, format!("manifests of version {} are not known", manifest.manifest)));
    }
    let object = &manifest.defaults;
    let requests = [&object.changes, &object.list, &object.get, &object.create, &object.update, &object.delete];
    for request in requests.into_iter().chain(&object.find).chain(&object.look) {
        request.line().map_err(|error| error.context(origin.to_owned()))?;
    }
    Ok(manifest)
}

/// Reads the objects a person declares.
pub(super) fn objects(path: &Path) -> Result<Objects> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(Kind::Config, format!("the manifest `{shown}` can't be read: {}", error.kind())).hint(format!("ls -l {shown}"))
    })?;
    let objects: Objects = read(&text, &shown)?;
    if objects.objects.is_empty() {
        return Err(wrong(&shown, "it declares no objects"));
    }
    Ok(objects)
}

fn read<T: serde::de::DeserializeOwned>(text: &str, origin: &str) -> Result<T> {
    // Strict: YAML 1.1's `no` and `off` are words.
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = error.without_snippet();
        let place = error.location().map_or_else(|| origin.to_owned(), |at| format!("{origin}:{}:{}", at.line(), at.column()));
        wrong(&place, error.to_string())
    })
}

fn wrong(origin: &str, message: impl Into<String>) -> Error {
    Error::new(Kind::Config, message).context(origin.to_owned()).hint("see docs/apps.md")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_manifest_is_one() {
        let manifest = parse(built_in("kinto+https").unwrap(), "kinto.yaml").unwrap();
        assert_eq!((manifest.name.as_str(), manifest.batch.max), ("Kinto", 100));
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_place() {
        let text = built_in("kinto+http").unwrap();
        let refused = |from: &str, to: &str| {
            assert!(text.contains(from));
            parse(&text.replacen(from, to, 1), "kinto.yaml").unwrap_err().to_string()
        };
        let error = refused("class: missing", "class: mising");
        assert!(error.starts_with("kinto.yaml:10:") && error.contains("mising"), "{error}");
        let error = refused("{path}/{id}", "{path}/{ident}");
        assert!(error.contains("`{ident}` is not known"), "{error}");
        let error = refused("absent: empty", "absent: empty\n  color: blue");
        assert!(error.contains("color"), "{error}");
        let error = refused("manifest: 1", "manifest: 2");
        assert_eq!(error, "kinto.yaml: manifests of version 2 are not known");
        let error = refused("delete: {delete:", "delete: {post: /x, delete:");
        assert!(error.contains("exactly one"), "{error}");
    }

    #[test]
    fn the_documented_objects_are_read() {
        let page = include_str!("../../../docs/apps.md");
        let text = page.split("```yaml crm.yaml\n").nth(1).unwrap().split("```").next().unwrap();
        let objects: Objects = read(text, "crm.yaml").unwrap();
        assert_eq!(objects.objects["contacts"].fields["balance"], FieldType::Decimal);
        // Every type of the table, and no other.
        let types = page.split("| type | in JSON |").nth(1).unwrap().split("\n\n").next().unwrap();
        let named: Vec<&str> = types.lines().skip(2).flat_map(|line| line.split('|').nth(1).unwrap().split('`')).collect();
        let named: Vec<&str> = named.into_iter().filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).collect();
        assert_eq!(named.len(), 11);
        for name in named {
            read::<Objects>(&format!("objects: {{a: {{fields: {{x: {name}}}}}}}"), "crm.yaml").unwrap();
        }
    }
}
