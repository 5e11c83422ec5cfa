//! One ordered pair of engines: every case that concerns it, in one wide table, through the real pipeline.
//!
//! Each value stands alone in its row, so that a value that is held holds nothing else up. It travels twice:
//! in a row that is created with it, and in one that is created empty and updated.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use tokio::task::{LocalSet, spawn_local};
use twinrow::config;
use twinrow::endpoint::{self, Endpoint, Tls};
use twinrow::pipeline::{Pipeline, Real, Rival};
use twinrow::state;

use crate::cases::{Becomes, Case, all};
use crate::side::{Engine, Raw, read_all, spelled};
use crate::support::{Lab, skip};

/// A mapped column with the values that go through it.
struct Field<'a> {
    name: String,
    from: String,
    to: String,
    case: &'a Case,
}

/// The cases of a pair, a column for each two types.
fn fields(cases: &[Case], source: Engine, target: Engine) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    for case in cases {
        for from in case.from.iter().filter_map(|column| of_engine(column, source)) {
            for to in case.to.iter().filter_map(|column| of_engine(column, target)) {
                let name = format!("f{:03}", fields.len());
                fields.push(Field { name, from: from.clone(), to, case });
            }
        }
    }
    fields
}

/// `MA tinyint(1)`: the type, if the letters name the engine.
fn of_engine(column: &str, engine: Engine) -> Option<String> {
    let (letters, native) = column.split_once(' ').unwrap_or((column, ""));
    letters.contains(engine.letter()).then(|| native.to_owned())
}

/// Runs the cases of one pair.
pub async fn pair(source: Engine, target: Engine) {
    let test = format!("{source:?} to {target:?}");
    let (source_lab, target_lab) = match (source.lab().await, target.lab().await) {
        (Ok(source_lab), Ok(target_lab)) => (source_lab, target_lab),
        (Err(reason), Ok(lab)) | (Ok(lab), Err(reason)) => {
            lab.close().await;
            return skip(&test, &reason);
        }
        (Err(reason), Err(_)) => return skip(&test, &reason),
    };
    let (a, b) = (source_lab.clone(), target_lab.clone());
    // A task of its own, so that the databases are dropped whatever becomes of it.
    let ring = Box::pin(async move { Ring::new(source, target, &*a, &*b).run().await });
    let result = LocalSet::new().run_until(async { spawn_local(ring).await }).await;
    source_lab.close().await;
    target_lab.close().await;
    match result {
        Ok(failures) => assert!(failures.is_empty(), "{test}: {} failures\n{}", failures.len(), failures.join("\n")),
        Err(failure) => std::panic::resume_unwind(failure.into_panic()),
    }
}

struct Ring<'a> {
    source: Engine,
    target: Engine,
    source_lab: &'a dyn Lab,
    target_lab: &'a dyn Lab,
    failures: Vec<String>,
}

impl<'a> Ring<'a> {
    fn new(source: Engine, target: Engine, source_lab: &'a dyn Lab, target_lab: &'a dyn Lab) -> Ring<'a> {
        Ring { source, target, source_lab, target_lab, failures: Vec::new() }
    }

    async fn run(mut self) -> Vec<String> {
        let cases = all();
        let fields = fields(&cases, self.source, self.target);
        let from: Vec<String> = fields.iter().map(|field| field.from.clone()).collect();
        let to: Vec<String> = fields.iter().map(|field| field.to.clone()).collect();
        self.create(&fields).await;
        self.put(&fields).await;
        let mut pipeline = self.start(&fields).await;
        pipeline.run_once(&mut |_| {}).await.unwrap();
        self.update(&fields).await;
        let before = read_all(self.source, self.source_lab, &from).await;
        self.check_put(&fields, &before);
        pipeline.run_once(&mut |_| {}).await.unwrap();
        let arrived = read_all(self.target, self.target_lab, &to).await;
        let causes = self.causes(&pipeline).await;
        self.check_target(&fields, &arrived, &causes);
        self.quiet(&mut pipeline).await;
        // Another column is changed on the target's side (D14).
        self.target_lab.user("update vals set memo = 'touched'").await;
        pipeline.run_once(&mut |_| {}).await.unwrap();
        let after = read_all(self.source, self.source_lab, &from).await;
        self.check_unharmed(&before, &after, &arrived, &causes);
        self.check_same("target", &arrived, &read_all(self.target, self.target_lab, &to).await);
        self.quiet(&mut pipeline).await;
        self.failures
    }

    async fn create(&self, fields: &[Field<'_>]) {
        for (lab, is_source) in [(self.source_lab, true), (self.target_lab, false)] {
            let mut sql = format!("create table vals (id {}, note varchar(40), memo varchar(40)", lab.dialect().generated_key);
            for field in fields {
                let _ = write!(sql, ", {} {} null", field.name, if is_source { &field.from } else { &field.to });
            }
            lab.user(&(sql + ")")).await;
        }
    }

    /// A row with each value, and an empty one for each.
    async fn put(&self, fields: &[Field<'_>]) {
        let lab = self.source_lab;
        lab.user("begin").await;
        for field in fields {
            let values =
                field.case.values.iter().enumerate().map(|(at, (value, _))| {
                    format!("('{}', {})", note('c', &field.name, at), self.source.put(&field.from, value))
                });
            let values: Vec<String> = values.collect();
            lab.user(&format!("insert into vals (note, {}) values {}", field.name, values.join(", "))).await;
            let empty: Vec<String> =
                (0..field.case.values.len()).map(|at| format!("('{}')", note('u', &field.name, at))).collect();
            lab.user(&format!("insert into vals (note) values {}", empty.join(", "))).await;
        }
        lab.user("commit").await;
    }

    async fn update(&self, fields: &[Field<'_>]) {
        let lab = self.source_lab;
        lab.user("create index vals_note on vals (note)").await;
        lab.user("begin").await;
        for field in fields {
            for (at, (value, _)) in field.case.values.iter().enumerate() {
                let value = self.source.put(&field.from, value);
                let note = note('u', &field.name, at);
                lab.user(&format!("update vals set {} = {value} where note = '{note}'", field.name)).await;
            }
        }
        lab.user("commit").await;
    }

    async fn start(&self, fields: &[Field<'_>]) -> Pipeline {
        let mut yaml = format!(
            "integration: ring\nendpoints:\n  one: {{url: \"{}\"}}\n  two: {{url: \"{}\"}}\n\
             source: one\ntarget: two\nfirst_sync: auto\nlinks:\n  vals:\n    source: vals\n    target: vals\n    \
             brake: {{deletes: off}}\n    fields:\n      note: note\n      memo: memo\n",
            self.source_lab.url(),
            self.target_lab.url()
        );
        for field in fields {
            let lossy = if field.case.fit { ", lossy: fit" } else { "" };
            let direction = if field.case.one_way { ", direction: to_target" } else { "" };
            let _ = writeln!(yaml, "      {0}: {{to: {0}{lossy}{direction}}}", field.name);
        }
        start_at(&yaml, &[self.source_lab.url(), self.target_lab.url()]).await
    }

    /// What was put in is what is there, before we had anything to do with it.
    fn check_put(&mut self, fields: &[Field<'_>], rows: &Raw) {
        for (at, field) in fields.iter().enumerate() {
            for (n, (value, _)) in field.case.values.iter().enumerate() {
                for way in ['c', 'u'] {
                    let raw = rows.get(&note(way, &field.name, n)).map(|row| &row[at + 1]);
                    let is = raw.and_then(|raw| spelled(self.source, &field.from, raw));
                    if !is.as_ref().is_some_and(|is| self.source.same(&field.from, is, value)) {
                        let is = is.as_deref().map(short);
                        self.failures.push(format!("{} {}: put {:?}, read {is:?}", field.case.row, field.from, short(value)));
                    }
                }
            }
        }
    }

    /// The causes of held records, by note.
    async fn causes(&self, pipeline: &Pipeline) -> BTreeMap<String, String> {
        let notes = self.source_lab.user_rows("select id, note from vals").await;
        let notes: BTreeMap<String, String> =
            notes.into_iter().map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap())).collect();
        let endpoint = self.target_lab.endpoint().await;
        let mut session = endpoint.store().unwrap().session().await.unwrap();
        let link = &pipeline.integration().links[0];
        let mut causes = BTreeMap::new();
        let mut after = None;
        loop {
            let page = state::list_work(&mut *session, link, after, 1000).await.unwrap();
            let Some(last) = page.last() else { return causes };
            after = Some((last.side, last.name()));
            for work in &page {
                let key = work.key.decode().unwrap().0[0].to_text();
                causes.insert(notes[&key].clone(), work.cause.clone());
            }
        }
    }

    fn check_target(&mut self, fields: &[Field<'_>], rows: &Raw, causes: &BTreeMap<String, String>) {
        for (at, field) in fields.iter().enumerate() {
            for (n, (value, becomes)) in field.case.values.iter().enumerate() {
                for way in ['c', 'u'] {
                    let note = note(way, &field.name, n);
                    let row = rows.get(&note).map(|row| &row[at + 1]);
                    let problem = match (row, becomes) {
                        (row, Becomes::Held) => self.not_held(field, value, row, causes.get(&note)),
                        (Some(raw), Becomes::Is(should)) => {
                            let is = spelled(self.target, &field.to, raw);
                            let same = is.as_ref().is_some_and(|is| self.target.same(&field.to, is, should));
                            let is = is.as_deref().map(short);
                            (!same).then(|| format!("should be {:?}, is {is:?} {:?}", short(should), causes.get(&note)))
                        }
                        (None, Becomes::Is(_)) => Some(format!("did not arrive: {:?}", causes.get(&note))),
                    };
                    if let Some(problem) = problem {
                        let (row, from, to) = (field.case.row, &field.from, &field.to);
                        self.failures.push(format!("{row} ({from} -> {to}) {way} {:?}: {problem}", short(value)));
                    }
                }
            }
        }
    }

    /// What is wrong with a value that should be held: not written, a cause that names the field and not the value.
    fn not_held(&self, field: &Field<'_>, value: &str, row: Option<&Option<String>>, cause: Option<&String>) -> Option<String> {
        if let Some(Some(raw)) = row {
            return Some(format!("should be held, is {:?}", self.spelled_short(field, raw)));
        }
        match cause {
            None => Some("should be held, no cause".to_owned()),
            Some(cause) if !cause.contains(&field.name) => Some(format!("the cause does not name the field: {cause}")),
            Some(cause) if value.len() > 8 && cause.contains(value) => Some(format!("the cause tells the value: {cause}")),
            Some(_) => None,
        }
    }

    fn spelled_short(&self, field: &Field<'_>, raw: &str) -> String {
        short(&spelled(self.target, &field.to, &Some(raw.to_owned())).unwrap_or_default())
    }

    /// Nothing is written any more (I3), though every cycle looks at everything that is due.
    async fn quiet(&mut self, pipeline: &mut Pipeline) {
        for _ in 0..20 {
            let counts = pipeline.cycle().await.unwrap();
            if counts.writes() > 0 {
                return self.failures.push(format!("an idle cycle writes: {:?}", counts.total()));
            }
        }
        for _ in 0..3 {
            let counts = pipeline.run_once(&mut |_| {}).await.unwrap();
            if counts.writes() > 0 {
                return self.failures.push(format!("an idle run writes: {:?}", counts.total()));
            }
        }
    }

    fn check_unharmed(&mut self, before: &Raw, after: &Raw, arrived: &Raw, causes: &BTreeMap<String, String>) {
        self.check_same("source", before, after);
        for note in arrived.keys().filter(|note| !causes.contains_key(*note)) {
            if after.get(note).is_none_or(|row| row[0].as_deref() != Some("touched")) {
                self.failures.push(format!("{note}: the target's change of another column did not come back"));
            }
        }
    }

    fn check_same(&mut self, side: &str, before: &Raw, after: &Raw) {
        if before.len() != after.len() {
            self.failures.push(format!("{side}: {} rows became {}", before.len(), after.len()));
        }
        for (note, row) in before {
            let Some(now) = after.get(note) else {
                self.failures.push(format!("{side} {note}: gone"));
                continue;
            };
            for (at, (was, is)) in row.iter().zip(now).enumerate().skip(1) {
                if was != is {
                    let (was, is) = (was.as_deref().map(short), is.as_deref().map(short));
                    self.failures.push(format!("{side} {note} f{:03}: was {was:?}, is {is:?}", at - 1));
                }
            }
        }
    }
}

/// A pipeline of this configuration, whose endpoints these are, in order.
pub async fn start_at(yaml: &str, urls: &[String]) -> Pipeline {
    let config = config::parse(yaml, Path::new("twinrow.yaml")).unwrap();
    let mut endpoints: Vec<Arc<dyn Endpoint>> = Vec::new();
    let mut catalogs = Vec::new();
    for url in urls {
        let endpoint = endpoint::open("ring", url, &Tls::default()).await.unwrap();
        catalogs.push(endpoint.describe(None).await.unwrap());
        endpoints.push(endpoint);
    }
    let integration = config::resolve(&config, &catalogs).unwrap_or_else(|error| panic!("{error}")).integration;
    let mut pipeline = Pipeline::start(integration, endpoints, Arc::new(Real::new()), "test", Rival::TakeOver).await.unwrap();
    pipeline.approve_first_sync().await.unwrap();
    pipeline
}

fn note(way: char, field: &str, value: usize) -> String {
    format!("{way} {field} {value}")
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}
