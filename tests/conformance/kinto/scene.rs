//! A database, Kinto, and a link between them.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use twinrow::config::{self, Resolved};
use twinrow::endpoint::{
    Acknowledge, Capabilities, Conditional, Edit, Edited, Endpoint, Looked, Tls, Tracked, Tracking, Window, Write, open_app,
};
use twinrow::error::{Error, Kind, Result};
use twinrow::model::{Collection, Key, Table, TableName};
use twinrow::pipeline::{Counts, Door, Pipeline, Real, Rival};
use twinrow::sql::{Fence, Store};

use crate::support::kinto::{Kinto, Server, shared};
use crate::support::{Lab, postgres, skip, sqlite};

type Act = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// The real world, with a clock that can be put forward, and a place where the process dies or a user acts.
#[derive(Default)]
pub(super) struct Stage {
    real: Real,
    pub(super) ahead: AtomicI64,
    pub(super) dies_at: Mutex<Option<&'static str>>,
    pub(super) acts_at: Mutex<Option<(&'static str, Act)>>,
}

#[async_trait]
impl Door for Stage {
    fn now(&self) -> i64 {
        self.real.now() + self.ahead.load(Ordering::SeqCst)
    }

    fn instance(&self) -> String {
        self.real.instance()
    }

    async fn step(&self, step: &'static str) -> Result<()> {
        let act = {
            let mut acts = self.acts_at.lock().unwrap();
            if acts.as_ref().is_some_and(|(at, _)| *at == step) { acts.take() } else { None }
        };
        if let Some((_, act)) = act {
            act().await;
        }
        let mut dies = self.dies_at.lock().unwrap();
        if *dies == Some(step) {
            *dies = None;
            return Err(Error::new(Kind::Internal, format!("died at {step}")));
        }
        Ok(())
    }
}

/// A database with the table `contact`, a collection of Kinto's, and a link between them.
pub(super) struct Scene {
    pub(super) database: Arc<dyn Lab>,
    pub(super) kinto: Kinto,
    /// Where Twinrow finds Kinto.
    pub(super) host: String,
    pub(super) app_is: &'static str,
    pub(super) policies: &'static str,
    /// How records are matched.
    pub(super) matching: &'static str,
    /// The app forgets what was deleted.
    pub(super) forgets: bool,
    pub(super) stage: Arc<Stage>,
    pub(super) dir: tempfile::TempDir,
}

impl Scene {
    pub(super) async fn new(database: Arc<dyn Lab>, kinto: Kinto) -> Scene {
        let key = database.dialect().generated_key;
        database.user(&format!("create table contact (id {key}, name text, email text, age bigint)")).await;
        Scene {
            database,
            host: kinto.host.clone(),
            kinto,
            app_is: "target",
            policies: "safety: mirror",
            matching: "[email]",
            forgets: false,
            stage: Arc::default(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn config(&self) -> PathBuf {
        let (file, manifest) = (self.dir.path().join("twinrow.yaml"), self.dir.path().join("crm.yaml"));
        std::fs::write(&manifest, self.kinto.manifest()).unwrap();
        let (source, target) = if self.app_is == "target" { ("db", "app") } else { ("app", "db") };
        let (table, collection) = ("contact", self.kinto.collection.as_str());
        let (from, to) = if self.app_is == "target" { (table, collection) } else { (collection, table) };
        let text = format!(
            "integration: contacts\nfirst_sync: auto\nendpoints:\n  db: {{url: \"{}\"}}\n  app: {{url: \"{}\", manifest: crm.yaml}}\n\
             source: {source}\ntarget: {target}\nlinks:\n  contacts:\n    source: {from}\n    target: {to}\n    match: {}\n    \
             fields: {{name: name, email: email, age: age}}\n    {}\n",
            self.database.url(),
            self.kinto.url_by(&self.host),
            self.matching,
            self.policies
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    pub(super) async fn start(&self) -> Result<Pipeline> {
        let config = config::load(&self.config())?;
        let mut endpoints: Vec<Arc<dyn Endpoint>> = Vec::new();
        for one in &config.endpoints {
            endpoints.push(match &one.manifest {
                Some(file) => {
                    let app = open_app(&one.name, one.url.expose(), &Tls::default(), file)?;
                    if self.forgets { Arc::new(Forgetful(app)) } else { app }
                }
                None => self.database.endpoint().await,
            });
        }
        let mut catalogs = Vec::new();
        for endpoint in &endpoints {
            catalogs.push(endpoint.describe(None).await?);
        }
        let Resolved { integration, .. } = config::resolve(&config, &catalogs)?;
        Pipeline::start(integration, endpoints, self.stage.clone(), "test", Rival::TakeOver).await
    }

    /// A process that runs until nothing moves, and ends.
    pub(super) async fn try_run(&self) -> Result<Counts> {
        self.start().await?.run_once(&mut |_| {}).await
    }

    pub(super) async fn run(&self) -> Counts {
        self.try_run().await.unwrap()
    }

    /// A process that dies at this step.
    pub(super) async fn run_dying_at(&self, step: &'static str) {
        *self.stage.dies_at.lock().unwrap() = Some(step);
        let error = self.try_run().await.unwrap_err().to_string();
        assert!(error.contains("died at"), "{error}");
    }

    pub(super) fn act_at(&self, step: &'static str, act: impl Future<Output = ()> + Send + 'static) {
        *self.stage.acts_at.lock().unwrap() = Some((step, Box::new(|| Box::pin(act))));
    }

    pub(super) async fn rows(&self) -> Vec<String> {
        let sql =
            "select coalesce(name, '-'), coalesce(email, '-'), coalesce(cast(age as text), '-') from contact order by name, id";
        let rows = self.database.user_rows(sql).await;
        rows.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")).collect()
    }

    pub(super) async fn records(&self) -> Vec<String> {
        let word = |value: &Json| match value {
            Json::Null => "-".to_owned(),
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        let records = self.kinto.records().await;
        records.iter().map(|record| ["name", "email", "age"].map(|name| word(&record[name])).join(" ")).collect()
    }

    pub(super) async fn assert_both(&self, expected: &[&str]) {
        assert_eq!(self.rows().await, expected, "the database");
        assert_eq!(self.records().await, expected, "the app");
    }

    /// Another run finds nothing to write (I3).
    pub(super) async fn assert_quiet(&self) {
        let counts = self.run().await;
        assert_eq!((counts.writes(), counts.total().conflicts, counts.total().busy), (0, 0, 0), "{counts:?}");
    }

    pub(super) async fn ours(&self, sql: &str) -> String {
        let prefix = if self.database.dialect().quote == '"' && self.database.url().starts_with("sqlite") {
            "twinrow_"
        } else {
            "twinrow."
        };
        let rows = self.database.user_rows(&sql.replace("twinrow.", prefix)).await;
        rows[0][0].clone().unwrap_or_default()
    }

    pub(super) async fn in_doubt(&self) -> String {
        self.ours("select count(*) from twinrow.intent").await
    }
}

/// One scene on each database, with the app on either side.
pub(super) async fn scenes<F: Future<Output = Scene>>(test: &str, sides: &[&'static str], body: impl Fn(Scene) -> F) {
    for side in sides {
        for database in ["sqlite", "postgres"] {
            let lab = if database == "sqlite" { sqlite::lab().await } else { postgres::lab("TWINROW_TEST_POSTGRES15").await };
            let (lab, kinto) = match (lab, shared().await) {
                (Ok(lab), Ok(kinto)) => (lab, kinto),
                (Err(reason), _) | (_, Err(reason)) => {
                    skip(&format!("{test} ({database})"), &reason);
                    continue;
                }
            };
            let mut scene = Scene::new(lab, kinto).await;
            scene.app_is = side;
            let scene = body(scene).await;
            scene.database.close().await;
        }
    }
}

/// One scene on SQLite with a server of its own, which has these settings.
pub(super) async fn server_with(test: &str, settings: &[&str]) -> Option<(Scene, Server)> {
    match Server::with(settings) {
        Ok(server) => {
            let kinto = Kinto::on(server.host(), json!({})).await.unwrap();
            Some((Scene::new(sqlite::lab().await.unwrap(), kinto).await, server))
        }
        Err(reason) => {
            skip(test, &reason);
            None
        }
    }
}

/// One scene on each database, each with a server of its own.
pub(super) async fn own_servers<F: Future<Output = Scene>>(test: &str, metadata: Json, body: impl Fn(Scene, Server) -> F) {
    for lab in [sqlite::lab().await, postgres::lab("TWINROW_TEST_POSTGRES15").await] {
        match (lab, Server::start()) {
            (Ok(lab), Ok(server)) => {
                let kinto = Kinto::on(server.host(), metadata.clone()).await.unwrap();
                body(Scene::new(lab, kinto).await, server).await.database.close().await;
            }
            (Err(reason), _) | (_, Err(reason)) => skip(test, &reason),
        }
    }
}

/// An app that keeps no tombstones: what is not there may have been, for all it says.
struct Forgetful(Arc<dyn Endpoint>);

#[async_trait]
impl Endpoint for Forgetful {
    async fn capabilities(&self) -> Result<Capabilities> {
        self.0.capabilities().await
    }

    async fn describe(&self, names: Option<&[TableName]>) -> Result<Vec<Table>> {
        self.0.describe(names).await
    }

    async fn window(&self, collections: &[Tracked], limit: usize) -> Result<Box<dyn Window>> {
        self.0.window(collections, limit).await
    }

    async fn begin(&self, fence: &Fence) -> Result<Box<dyn Write>> {
        self.0.begin(fence).await
    }

    async fn acknowledge(&self, fence: &Fence, upto: &[Acknowledge]) -> Result<()> {
        self.0.acknowledge(fence, upto).await
    }

    fn store(&self) -> Option<&dyn Store> {
        self.0.store()
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        self.0.tracking()
    }

    fn conditional(&self) -> Option<&dyn Conditional> {
        Some(self)
    }
}

impl Forgetful {
    fn app(&self) -> &dyn Conditional {
        self.0.conditional().unwrap()
    }
}

#[async_trait]
impl Conditional for Forgetful {
    fn batch(&self) -> usize {
        self.app().batch()
    }

    fn settled_after(&self) -> Duration {
        self.app().settled_after()
    }

    async fn ready(&self) -> Result<()> {
        self.app().ready().await
    }

    fn new_key(&self, token: &str) -> Key {
        self.app().new_key(token)
    }

    async fn write(&self, collection: &Collection, edits: &[Edit]) -> Result<Vec<Edited>> {
        self.app().write(collection, edits).await
    }

    async fn look(&self, collection: &Collection, keys: &[Key]) -> Result<Vec<Looked>> {
        let looked = self.app().look(collection, keys).await?;
        Ok(looked.into_iter().map(|one| if matches!(one, Looked::There(_)) { one } else { Looked::Absent }).collect())
    }
}
