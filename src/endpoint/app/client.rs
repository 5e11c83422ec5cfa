//! What talks to an app: the manifest's requests, filled in, sent, and their answers told apart.

use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;

use super::http::{Access, Answer, Call, Http, NoAnswer, TRIES};
use super::manifest::{self, Class, Manifest, Objects, Request};
use super::record::{self, Mapped};
use super::template::{Op, Place};
use crate::endpoint::{Fetched, Tls};
use crate::error::{Error, Kind, OTHER_LOGIN, Result};
use crate::model::{Charset, Collection, Column, Key, KeySource, Kind as Type, Table, TableName, Value};

/// What to do where a server does not have, or does not show, what the URL and the manifest name.
const OTHER_BUCKET: &str =
    "correct the bucket in the URL of this endpoint, or the collection in its manifest, then: twinrow check";

/// What talks to it.
pub(super) struct Client {
    pub manifest: Manifest,
    pub objects: Objects,
    bucket: String,
    pub http: Http,
}

impl Client {
    pub fn open(url: &str, tls: &Tls, file: &Path) -> Result<Client> {
        let unusable = || Error::new(Kind::Config, "the URL can't be used").hint("kinto+https://user:password@host/bucket");
        let (scheme, rest) = url.split_once("://").ok_or_else(unusable)?;
        let text = manifest::built_in(scheme)
            .ok_or_else(|| Error::new(Kind::Config, format!("no app is built in for `{scheme}:`")).hint("see docs/apps.md"))?;
        let manifest = manifest::parse(text, scheme)?;
        let transport = scheme.split_once('+').map_or(scheme, |(_, transport)| transport);
        let url = url::Url::parse(&format!("{transport}://{rest}")).map_err(|_| unusable())?;
        let bucket = decoded(url.path().trim_matches('/')).filter(|bucket| !bucket.is_empty()).ok_or_else(unusable)?;
        let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or("")));
        let (user, password) = (user.ok_or_else(unusable)?, password.ok_or_else(unusable)?);
        let secrets = [(Place::User, user.as_str()), (Place::Password, password.as_str())];
        let manifest::Auth::Basic { username, password } = &manifest.auth;
        let http = Http::new(Access {
            base: manifest.base_url.address(&[(Place::Url, &url.origin().ascii_serialization())]),
            user: username.text(&secrets),
            password: password.text(&secrets),
            ca: tls.ca.clone(),
            concurrency: manifest.limits.concurrency,
            timeout: Duration::from_secs(manifest.limits.timeout_s),
            observed: manifest.limits.observe.clone(),
        })?;
        let objects = manifest::objects(file)?;
        Ok(Client { manifest, objects, bucket, http })
    }

    pub fn object(&self) -> &manifest::Object {
        &self.manifest.defaults
    }

    /// Where its objects are, whoever asks for them.
    pub fn place(&self) -> String {
        format!("app {} {}", self.http.base(), self.bucket)
    }

    /// The path of an object's records.
    pub fn path(&self, object: &str) -> String {
        self.object().path.address(&[(Place::Bucket, &self.bucket), (Place::Object, object)])
    }

    /// A request of the manifest, with its places filled.
    pub fn call(&self, request: &Request, object: &str, values: &[(Place, &str)]) -> Result<Call> {
        let (method, address) = request.line()?;
        let path = self.path(object);
        let mut all = vec![(Place::Path, path.as_str())];
        all.extend(values);
        let mut call = Call::new(method, address.address(&all));
        call.headers = request.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(call)
    }

    /// The mapped columns of a collection, as records have them.
    pub fn mapped(&self, collection: &Collection) -> Result<Vec<Mapped>> {
        let object = &collection.table.name.name;
        let declared = self.objects.objects.get(object).ok_or_else(|| undeclared(object))?;
        let column = |column: &usize| {
            if collection.table.key.contains(column) {
                return Ok(Mapped::Id);
            }
            let name = &collection.table.columns[*column].name;
            let field = declared.fields.get(name).ok_or_else(|| undeclared(&format!("{object}.{name}")))?;
            Ok(Mapped::Field(name.clone(), *field))
        };
        collection.columns.iter().map(column).collect()
    }

    /// What an error's status and body mean.
    pub fn classify(&self, status: u16, body: &Json) -> Refusal {
        let rule = self.manifest.errors.iter().find(|rule| rule.status.contains(&status));
        let class = rule.map_or(if status >= 500 { Class::Transient } else { Class::InvalidRow }, |rule| rule.class);
        let said = |pointer: Option<&manifest::Pointer>| pointer.and_then(|pointer| pointer.of(body)).map(plain);
        let code = said(rule.and_then(|rule| rule.code.as_ref())).map(|code| format!(", error {code}"));
        let field = said(rule.and_then(|rule| rule.field.as_ref())).filter(|field| field != "null");
        let field = field.map(|field| format!(", field {field}"));
        let words = format!("the app refuses it: HTTP {status}{}{}", code.unwrap_or_default(), field.unwrap_or_default());
        Refusal { class, words }
    }

    /// An answer that must be a success.
    pub fn succeeded(&self, answer: Answer) -> Result<Answer> {
        if answer.ok() {
            return Ok(answer);
        }
        let Refusal { class, words } = self.classify(answer.status, &answer.body);
        Err(match class {
            Class::Auth => Error::new(Kind::Unreachable, "the app refuses the user or the password").hint(OTHER_LOGIN),
            Class::Forbidden => {
                Error::new(Kind::Denied, "the app does not let this user in, or the bucket does not exist").hint(OTHER_BUCKET)
            }
            Class::Missing => Error::new(Kind::Schema, "the app does not have it").hint(OTHER_BUCKET),
            Class::Throttled | Class::Transient | Class::Failed => {
                Error::new(Kind::Unreachable, format!("the app can't answer now: HTTP {}", answer.status))
            }
            Class::Conflict | Class::InvalidRow => Error::new(Kind::Rejected, words),
        })
    }

    /// Several writes in one; the answers in their order.
    pub async fn batch(&self, ops: &[Op]) -> std::result::Result<Vec<(u16, Json)>, NoAnswer> {
        self.answers(ops, self.http.send_now(&self.batched(ops)).await?)
    }

    fn batched(&self, ops: &[Op]) -> Call {
        let batch = &self.manifest.batch;
        Call { body: Some(batch.body.of_batch(ops)), ..Call::new("POST", batch.post.address(&[])) }
    }

    /// The answers to the requests of a batch.
    fn answers(&self, ops: &[Op], answer: Answer) -> std::result::Result<Vec<(u16, Json)>, NoAnswer> {
        let batch = &self.manifest.batch;
        let class = self.classify(answer.status, &answer.body).class;
        if !answer.ok() && matches!(class, Class::Throttled | Class::Failed) {
            let error = Error::new(Kind::Unreachable, format!("the app can't do it now: HTTP {}", answer.status));
            return Err(if class == Class::Throttled { NoAnswer::Later(error) } else { NoAnswer::Failed(error) });
        }
        let lost = |what: String| NoAnswer::Lost(Error::new(Kind::Unreachable, what));
        if answer.status >= 500 {
            return Err(lost(format!("the app failed: HTTP {}", answer.status)));
        }
        let answer = self.succeeded(answer).map_err(NoAnswer::NotSent)?;
        let results = batch.results.at.of(&answer.body).and_then(Json::as_array).filter(|results| results.len() == ops.len());
        let results = results.ok_or_else(|| lost("the app answered other requests than it was asked".into()))?;
        let one = |result: &Json| {
            let status = batch.results.status.of(result).and_then(Json::as_u64).and_then(|status| u16::try_from(status).ok());
            let body = batch.results.body.of(result).cloned().unwrap_or(Json::Null);
            if let Some(Json::Object(headers)) = batch.results.headers.as_ref().and_then(|headers| headers.of(result)) {
                let named = |name: &str| headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
                self.http.note_wait(|name| named(name).map(|(_, value)| plain(value)));
            }
            status.map(|status| (status, body)).ok_or_else(|| lost("the app's answer has no status".into()))
        };
        let answers = results.iter().map(one).collect::<std::result::Result<Vec<_>, _>>()?;
        if answers.iter().any(|(status, _)| batch.undone_by.contains(status)) {
            return Err(NoAnswer::Failed(Error::new(Kind::Unreachable, "the app has undone a batch")));
        }
        Ok(answers)
    }

    /// A request as an element of a batch.
    pub fn op(&self, call: Call) -> Op {
        let headers = call.headers.into_iter().map(|(name, value)| (name, Json::String(value))).collect();
        Op {
            method: call.method.to_owned(),
            path: format!("{}{}", self.manifest.batch.prefix, call.address),
            headers,
            body: call.body,
        }
    }

    /// Reads records by id: what answers "not found" is absent, any other failure fails all.
    pub async fn fetch(&self, collection: &Collection, mapped: &[Mapped], ids: &[String]) -> Result<Vec<Fetched>> {
        let object = &collection.table.name.name;
        let mut all = Vec::with_capacity(ids.len());
        for some in ids.chunks(self.manifest.batch.max) {
            let get = |id: &String| Ok(self.op(self.call(&self.object().get, object, &[(Place::Id, id)])?));
            let ops = some.iter().map(get).collect::<Result<Vec<Op>>>()?;
            let answers = self.read_batch(&ops).await?;
            for (id, (status, body)) in some.iter().zip(answers) {
                all.push(self.fetched(id, status, &body, mapped)?);
            }
        }
        Ok(all)
    }

    fn fetched(&self, id: &str, status: u16, body: &Json, mapped: &[Mapped]) -> Result<Fetched> {
        if (200..300).contains(&status) {
            let record = self.object().get.record.as_ref().and_then(|record| record.of(body)).ok_or_else(shapeless)?;
            return Ok(self.parsed(id, record, mapped));
        }
        let Refusal { class, words } = self.classify(status, body);
        match class {
            Class::Missing => Ok(Fetched::Absent),
            Class::Throttled | Class::Transient | Class::Failed => {
                Err(Error::new(Kind::Unreachable, format!("the app can't answer now: HTTP {status}")))
            }
            Class::Auth | Class::Forbidden | Class::Conflict | Class::InvalidRow => Ok(Fetched::Unreadable(words)),
        }
    }

    pub fn parsed(&self, id: &str, record: &Json, mapped: &[Mapped]) -> Fetched {
        match record::row(record, id, mapped, self.object().absent) {
            Ok(row) => Fetched::Row(row, self.version(record).map(|version| version.to_string())),
            Err(cause) => Fetched::Unreadable(cause),
        }
    }

    /// A batch that only reads may be asked again, also where only a part of it could not be answered.
    async fn read_batch(&self, ops: &[Op]) -> Result<Vec<(u16, Json)>> {
        let mut tries = 0;
        loop {
            tries += 1;
            let answers = match self.http.send(&self.batched(ops)).await {
                Ok(answer) => self.answers(ops, answer),
                Err(none) => Err(none),
            };
            match answers {
                Ok(answers) if tries == TRIES || !answers.iter().any(|(status, body)| self.is_busy(*status, body)) => {
                    return Ok(answers);
                }
                Err(none) if tries == TRIES => return Err(none.error()),
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn is_busy(&self, status: u16, body: &Json) -> bool {
        let class = || self.classify(status, body).class;
        !(200..300).contains(&status) && matches!(class(), Class::Throttled | Class::Transient | Class::Failed)
    }

    pub fn version(&self, record: &Json) -> Option<i64> {
        self.object().version.path.of(record)?.as_i64()
    }

    pub fn id<'a>(&self, record: &'a Json) -> Option<&'a str> {
        self.object().id.path.of(record)?.as_str()
    }

    pub fn is_tombstone(&self, record: &Json) -> bool {
        let tombstone = &self.object().tombstone;
        tombstone.path.of(record) == Some(&tombstone.equals)
    }

    /// One page of a listing and the address of the next.
    pub async fn page(&self, request: &Request, call: &Call) -> Result<(Vec<Json>, Option<Call>, Answer)> {
        let answer = self.succeeded(self.http.read(call).await?)?;
        let records = request.records.as_ref().and_then(|at| at.of(&answer.body)).and_then(Json::as_array);
        // An empty list counts only as one that is there (E31).
        let records = records.ok_or_else(shapeless)?.clone();
        let next = request.page.as_ref().and_then(|page| answer.header(&page.header)).map(str::to_owned);
        Ok((records, next.map(|address| Call { address, ..call.clone() }), answer))
    }

    /// A table as a person declared it.
    pub fn table(&self, name: &str, declared: &manifest::Declared) -> Table {
        let id = Column {
            name: "id".to_owned(),
            kind: Type::Text { max: None, padded: false, charset: Charset::Unicode },
            native: "id".to_owned(),
            nullable: false,
            computed: false,
            has_default: true,
            numbered: false,
        };
        let fields = declared.fields.iter().map(|(name, field)| field.column(name));
        Table {
            name: TableName { schema: String::new(), name: name.to_owned() },
            columns: std::iter::once(id).chain(fields).collect(),
            key: vec![0],
            key_source: KeySource::Default,
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            blind_spots: Vec::new(),
            refused: None,
        }
    }
}

pub(super) struct Refusal {
    pub class: Class,
    /// Status, the app's code and the field's name: its sentence may quote values (I10).
    pub words: String,
}

pub(super) fn plain(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

pub(super) fn shapeless() -> Error {
    Error::new(Kind::Unreachable, "the answer does not have the form the manifest says").hint("twinrow check")
}

pub(super) fn undeclared(name: &str) -> Error {
    Error::new(Kind::Schema, format!("`{name}` is not declared in the app's manifest")).hint("see docs/apps.md")
}

/// The id a key stands for.
pub(super) fn id_of(key: &Key) -> String {
    key.0.first().map(Value::to_text).unwrap_or_default()
}

pub(super) fn key_of(id: &str) -> Key {
    Key(vec![Value::Text(id.to_owned())])
}

/// Percent-decoded.
fn decoded(text: &str) -> Option<String> {
    let (mut out, mut bytes) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}
