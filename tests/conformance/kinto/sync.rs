//! A database and Kinto kept in step, both ways, and what may go wrong in between.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use twinrow::config::{self, Resolved};
use twinrow::endpoint::{Endpoint, Tls, open_app};
use twinrow::error::{Error, Kind, Result};
use twinrow::pipeline::{Counts, Door, Pipeline, Real, Rival};

use crate::support::kinto::{Kinto, Proxy, Server, Trouble, shared};
use crate::support::{Lab, postgres, skip, sqlite};

type Act = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// The real world, with a clock that can be put forward, and a place where the process dies or a user acts.
#[derive(Default)]
struct Stage {
    real: Real,
    ahead: AtomicI64,
    dies_at: Mutex<Option<&'static str>>,
    acts_at: Mutex<Option<(&'static str, Act)>>,
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
struct Scene {
    database: Arc<dyn Lab>,
    kinto: Kinto,
    /// Where Twinrow finds Kinto.
    host: String,
    app_is: &'static str,
    policies: &'static str,
    stage: Arc<Stage>,
    dir: tempfile::TempDir,
}

impl Scene {
    async fn new(database: Arc<dyn Lab>, kinto: Kinto) -> Scene {
        let key = database.dialect().generated_key;
        database.user(&format!("create table contact (id {key}, name text, email text, age bigint)")).await;
        Scene {
            database,
            host: kinto.host.clone(),
            kinto,
            app_is: "target",
            policies: "safety: mirror",
            stage: Arc::default(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn config(&self) -> PathBuf {
        let (file, manifest) = (self.dir.path().join("twinrow.yaml"), self.dir.path().join("crm.yaml"));
        std::fs::write(&manifest, self.kinto.manifest()).unwrap();
        let (source, target) = if self.app_is == "target" { ("db", "app") } else { ("app", "db") };
        let (table, collection) = ("contact", self.kinto.collection.as_str());
        let (from, to) = if self.app_is == "target" { (table, collection) } else { (collection, table) };
        let text = format!(
            "integration: contacts\nfirst_sync: auto\nendpoints:\n  db: {{url: \"{}\"}}\n  app: {{url: \"{}\", manifest: crm.yaml}}\n\
             source: {source}\ntarget: {target}\nlinks:\n  contacts:\n    source: {from}\n    target: {to}\n    match: [email]\n    \
             fields: {{name: name, email: email, age: age}}\n    {}\n",
            self.database.url(),
            self.kinto.url_by(&self.host),
            self.policies
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    async fn start(&self) -> Result<Pipeline> {
        let config = config::load(&self.config())?;
        let mut endpoints: Vec<Arc<dyn Endpoint>> = Vec::new();
        for one in &config.endpoints {
            endpoints.push(match &one.manifest {
                Some(file) => open_app(&one.name, one.url.expose(), &Tls::default(), file)?,
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
    async fn try_run(&self) -> Result<Counts> {
        self.start().await?.run_once(&mut |_| {}).await
    }

    async fn run(&self) -> Counts {
        self.try_run().await.unwrap()
    }

    /// A process that dies at this step.
    async fn run_dying_at(&self, step: &'static str) {
        *self.stage.dies_at.lock().unwrap() = Some(step);
        let error = self.try_run().await.unwrap_err().to_string();
        assert!(error.contains("died at"), "{error}");
    }

    fn act_at(&self, step: &'static str, act: impl Future<Output = ()> + Send + 'static) {
        *self.stage.acts_at.lock().unwrap() = Some((step, Box::new(|| Box::pin(act))));
    }

    async fn rows(&self) -> Vec<String> {
        let sql =
            "select coalesce(name, '-'), coalesce(email, '-'), coalesce(cast(age as text), '-') from contact order by name, id";
        let rows = self.database.user_rows(sql).await;
        rows.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")).collect()
    }

    async fn records(&self) -> Vec<String> {
        let word = |value: &Json| match value {
            Json::Null => "-".to_owned(),
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        let records = self.kinto.records().await;
        records.iter().map(|record| ["name", "email", "age"].map(|name| word(&record[name])).join(" ")).collect()
    }

    async fn assert_both(&self, expected: &[&str]) {
        assert_eq!(self.rows().await, expected, "the database");
        assert_eq!(self.records().await, expected, "the app");
    }

    /// Another run finds nothing to write (I3).
    async fn assert_quiet(&self) {
        let counts = self.run().await;
        assert_eq!((counts.writes(), counts.total().conflicts, counts.total().busy), (0, 0, 0), "{counts:?}");
    }

    async fn ours(&self, sql: &str) -> String {
        let prefix = if self.database.dialect().quote == '"' && self.database.url().starts_with("sqlite") {
            "twinrow_"
        } else {
            "twinrow."
        };
        let rows = self.database.user_rows(&sql.replace("twinrow.", prefix)).await;
        rows[0][0].clone().unwrap_or_default()
    }

    async fn in_doubt(&self) -> String {
        self.ours("select count(*) from twinrow.intent").await
    }
}

/// One scene on each database, with the app on either side.
async fn scenes<F: Future<Output = Scene>>(test: &str, sides: &[&'static str], body: impl Fn(Scene) -> F) {
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

/// One scene on SQLite with a server of its own.
async fn own_server(test: &str, metadata: Json) -> Option<(Scene, Server)> {
    match Server::start() {
        Ok(server) => {
            let kinto = Kinto::on(server.host(), metadata).await.unwrap();
            Some((Scene::new(sqlite::lab().await.unwrap(), kinto).await, server))
        }
        Err(reason) => {
            skip(test, &reason);
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_1_records_travel_both_ways() {
    scenes("s4_1_records_travel_both_ways", &["target", "source"], |scene| async move {
        let (database, kinto) = (&scene.database, &scene.kinto);
        database.user("insert into contact (name, email, age) values ('Ann', 'a@x', 31), ('Bob', 'b@x', null)").await;
        kinto.create("c", json!({"name": "Cy", "email": "c@x", "age": 9_007_199_254_740_993_i64})).await;
        kinto.create("b", json!({"name": "Bob", "email": "b@x"})).await;
        scene.run().await;
        let all = ["Ann a@x 31", "Bob b@x -", "Cy c@x 9007199254740993"];
        scene.assert_both(&all).await;
        scene.assert_quiet().await;
        database.user("update contact set age = 32 where name = 'Ann'").await;
        kinto.change("b", json!({"age": 40})).await;
        scene.run().await;
        scene.assert_both(&["Ann a@x 32", "Bob b@x 40", all[2]]).await;
        database.user("delete from contact where name = 'Cy'").await;
        kinto.delete("b").await;
        scene.run().await;
        scene.assert_both(&["Ann a@x 32"]).await;
        scene.assert_quiet().await;
        scene
    })
    .await;
}

/// The feed names it twice then: on one page as it was, on a later one as deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e3_a_record_deleted_while_the_pages_of_the_feed_are_read_is_gone() {
    scenes("e3_a_record_deleted_while_the_pages_of_the_feed_are_read_is_gone", &["target", "source"], |mut scene| async move {
        let proxy = Proxy::to(&scene.kinto.host).await;
        scene.host = proxy.host.clone();
        scene.run().await;
        for n in 0..=100 {
            scene.kinto.create(&format!("n{n}"), json!({"name": format!("Name {n:03}"), "email": format!("n{n}@x")})).await;
        }
        let kinto = scene.kinto.clone();
        proxy.before("_token=", async move { kinto.delete("n7").await });
        scene.run().await;
        assert!(proxy.acted(), "one page only");
        scene.run().await;
        assert_eq!(scene.records().await.len(), 100);
        assert_eq!(scene.rows().await, scene.records().await);
        scene.assert_quiet().await;
        scene
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i4_the_source_wins_and_the_loser_is_kept() {
    scenes("i4_the_source_wins_and_the_loser_is_kept", &["target", "source"], |scene| async move {
        scene.database.user("insert into contact (name, email) values ('Ann', 'a@x')").await;
        scene.run().await;
        scene.database.user("update contact set age = 1").await;
        scene.kinto.change(&scene.kinto.id("Ann").await, json!({"age": 2})).await;
        scene.run().await;
        scene.assert_both(&[if scene.app_is == "target" { "Ann a@x 1" } else { "Ann a@x 2" }]).await;
        assert_eq!(scene.ours("select count(*) from twinrow.conflict where kept = 1").await, "1");
        scene.assert_quiet().await;
        scene
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e25_an_edit_between_read_and_write_is_not_lost() {
    scenes("e25_an_edit_between_read_and_write_is_not_lost", &["target"], |scene| async move {
        scene.database.user("insert into contact (name, email) values ('Ann', 'a@x')").await;
        scene.run().await;
        scene.database.user("update contact set age = 1").await;
        let (kinto, id) = (scene.kinto.clone(), scene.kinto.id("Ann").await);
        scene.act_at("app.begun", async move { kinto.change(&id, json!({"email": "new@x", "age": 2})).await });
        scene.run().await;
        scene.assert_both(&["Ann a@x 1"]).await;
        let kept = scene.ours("select t_row from twinrow.conflict where kept = 1").await;
        assert!(kept.contains("new@x"), "what the user wrote is kept: {kept}");
        scene.assert_quiet().await;
        scene
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e6_rejected_records_are_held_and_the_others_pass() {
    let schema = json!({"type": "object", "properties": {"age": {"type": ["integer", "null"], "maximum": 1000}}});
    let Some((scene, _server)) = own_server("e6_rejected_records", json!({ "schema": schema })).await else { return };
    let mut rows: Vec<String> = (0..250).map(|n| format!("('Name {n:03}', 'n{n}@x', {n})")).collect();
    for at in [3, 120, 249] {
        rows[at] = format!("('Name {at:03}', 'n{at}@x', 77777777)");
    }
    scene.database.user(&format!("insert into contact (name, email, age) values {}", rows.join(", "))).await;
    let counts = scene.run().await;
    assert_eq!(counts.total().created_target, 247);
    assert_eq!(scene.records().await.len(), 247);
    for _ in 0..3 {
        scene.run().await;
    }
    let held = scene.database.user_rows("select cause from twinrow_work where reason = 2").await;
    assert_eq!(held.len(), 3, "{held:?}");
    let cause = held[0][0].clone().unwrap();
    assert!(cause.contains("HTTP 400") && !cause.contains("77777777"), "I10: {cause}");
    assert_eq!(scene.in_doubt().await, "0");
    scene.database.user("update contact set age = 1 where age > 1000").await;
    scene.run().await;
    assert_eq!(scene.records().await, scene.rows().await);
    scene.database.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c2_a_lost_answer_creates_one_record() {
    scenes("c2_a_lost_answer_creates_one_record", &["target", "source"], |mut scene| async move {
        let proxy = Proxy::to(&scene.kinto.host).await;
        scene.host = proxy.host.clone();
        scene.database.user("insert into contact (name, email) values ('Ann', 'a@x'), ('Bob', 'b@x')").await;
        proxy.arm(Trouble::AnswerLost);
        scene.run().await;
        assert!(proxy.struck());
        scene.assert_both(&["Ann a@x -", "Bob b@x -"]).await;
        assert_eq!(scene.in_doubt().await, "0");
        scene.assert_quiet().await;
        scene
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c2_a_lost_request_is_sent_again_once_it_can_not_arrive_any_more() {
    scenes("c2_a_lost_request_is_sent_again", &["target"], |mut scene| async move {
        let proxy = Proxy::to(&scene.kinto.host).await;
        scene.host = proxy.host.clone();
        scene.database.user("insert into contact (name, email) values ('Ann', 'a@x')").await;
        proxy.arm(Trouble::RequestLost);
        scene.run().await;
        assert!(proxy.struck());
        assert_eq!((scene.records().await.len(), scene.in_doubt().await.as_str()), (0, "1"), "it may still arrive");
        scene.run().await;
        assert_eq!(scene.records().await.len(), 0, "not before its time");
        scene.stage.ahead.store(3600, Ordering::SeqCst);
        scene.run().await;
        scene.assert_both(&["Ann a@x -"]).await;
        assert_eq!(scene.in_doubt().await, "0");
        scene
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c1_a_crash_between_note_answer_and_record_doubles_nothing() {
    for step in ["app.noted", "app.sent", "app.recorded", "app.resolved"] {
        scenes("c1_a_crash", &["target", "source"], |scene| async move {
            scene.database.user("insert into contact (name, email) values ('Ann', 'a@x'), ('Bob', 'b@x')").await;
            // To die while looking up, there must be something to look up.
            if step == "app.resolved" {
                scene.run_dying_at("app.sent").await;
            }
            scene.run_dying_at(step).await;
            // A user edits what we made before we know of it.
            if step == "app.sent" {
                scene.kinto.change(&scene.kinto.id("Ann").await, json!({"age": 5})).await;
            }
            scene.stage.ahead.store(3600, Ordering::SeqCst);
            scene.run().await;
            // The two differ and nobody knows since when: the source wins, what the user wrote is kept.
            let edited = step == "app.sent";
            let ann = if edited && scene.app_is == "source" { "Ann a@x 5" } else { "Ann a@x -" };
            scene.assert_both(&[ann, "Bob b@x -"]).await;
            let kept = scene.ours("select count(*) from twinrow.conflict where kept = 1").await;
            assert_eq!(kept, if edited { "1" } else { "0" });
            assert_eq!(scene.in_doubt().await, "0");
            scene.assert_quiet().await;
            scene
        })
        .await;
    }
}

/// Whether the other side's record has changed since, nobody knows: it is there on both sides or on none, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c1_what_was_created_unheard_and_deleted_since_is_not_left_on_one_side() {
    for later in [false, true] {
        scenes("c1_what_was_created_unheard", &["target", "source"], |scene| async move {
            scene.database.user("insert into contact (name, email) values ('Ann', 'a@x'), ('Bob', 'b@x')").await;
            scene.run_dying_at("app.sent").await;
            scene.kinto.delete(&scene.kinto.id("Ann").await).await;
            if later {
                // Its tombstone is read while it is still in doubt.
                scene.run().await;
            }
            scene.stage.ahead.store(3600, Ordering::SeqCst);
            scene.run().await;
            assert_eq!(scene.rows().await, scene.records().await);
            assert!(scene.rows().await.len() <= 2, "{:?}", scene.rows().await);
            assert_eq!(scene.in_doubt().await, "0");
            scene.assert_quiet().await;
            scene
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c1_a_crash_after_an_update_or_a_delete_finds_it_done() {
    scenes("c1_a_crash_after_an_update", &["target"], |scene| async move {
        scene.database.user("insert into contact (name, email) values ('Ann', 'a@x'), ('Bob', 'b@x')").await;
        scene.run().await;
        scene.database.user("update contact set age = 1 where name = 'Ann'").await;
        scene.run_dying_at("app.sent").await;
        scene.run().await;
        scene.assert_both(&["Ann a@x 1", "Bob b@x -"]).await;
        scene.database.user("delete from contact where name = 'Bob'").await;
        scene.run_dying_at("app.sent").await;
        scene.run().await;
        scene.assert_both(&["Ann a@x 1"]).await;
        scene.assert_quiet().await;
        scene
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_a_restarted_app_empties_nothing_and_is_not_filled_again() {
    let Some((scene, mut server)) = own_server("i6_a_restarted_app", json!({})).await else { return };
    let values: Vec<String> = (0..12).map(|n| format!("('Name {n:02}', 'n{n}@x')")).collect();
    scene.database.user(&format!("insert into contact (name, email) values {}", values.join(", "))).await;
    scene.run().await;
    let before = scene.rows().await;
    assert_eq!(scene.records().await, before);
    let mut running = scene.start().await.unwrap();
    server.restart();
    let error = running.run_once(&mut |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Identity, "{error}");
    assert!(scene.try_run().await.is_err());
    scene.kinto.make(json!({})).await;
    scene.database.user("update contact set age = 1 where name = 'Name 03'").await;
    for _ in 0..2 {
        assert_eq!(scene.try_run().await.unwrap_err().kind(), Kind::Identity, "what was read last is not there");
    }
    assert_eq!((scene.rows().await.len(), scene.records().await.len()), (before.len(), 0), "nothing spreads");
    scene.database.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_records_that_are_missing_without_being_deleted_wait_for_a_person() {
    scenes("i6_records_that_are_missing", &["target", "source"], |scene| async move {
        let values: Vec<String> = (0..12).map(|n| format!("('Name {n:02}', 'n{n}@x')")).collect();
        scene.database.user(&format!("insert into contact (name, email) values {}", values.join(", "))).await;
        scene.run().await;
        scene.kinto.delete(&scene.kinto.id("Name 00").await).await;
        scene.run().await;
        assert_eq!(scene.rows().await.len(), 11, "one that was deleted there is deleted here");
        scene.kinto.call("DELETE", &format!("/buckets/crm/collections/{}", scene.kinto.collection), None).await;
        scene.kinto.make(json!({})).await;
        scene.kinto.create("new", json!({"name": "New", "email": "new@x"})).await;
        scene.database.user("update contact set age = 1 where name = 'Name 03'").await;
        for _ in 0..3 {
            scene.run().await;
        }
        assert_eq!(scene.rows().await.len(), 12, "nothing was deleted, what is new came over");
        assert_eq!(scene.records().await, ["New new@x -"], "nothing was created again");
        assert_eq!(scene.ours("select records from twinrow.brake").await, "11");
        scene
    })
    .await;
}

/// What the built program says and how it ends, as `code: output`.
fn program(scene: &Scene, arguments: &[&str], kill_at: &str) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_twinrow"));
    command
        .arg("--config")
        .arg(scene.config())
        .args(arguments)
        .env("TWINROW_KILL_AT", kill_at)
        .stdin(std::process::Stdio::null());
    let output = command.output().unwrap();
    let code = output.status.code().map_or_else(|| "killed".to_owned(), |code| code.to_string());
    format!("{code}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f1_the_program_is_killed_and_goes_on() {
    scenes("f1_the_program_is_killed_and_goes_on", &["target"], |scene| async move {
        scene.database.user("insert into contact (name, email) values ('Ann', 'a@x'), ('Bob', 'b@x')").await;
        let run = ["run", "--once", "--take-over"];
        for step in ["app.sent:1", "app.resolved:1", "finish.recorded:1", "close.recorded:1"] {
            let said = program(&scene, &run, step);
            assert!(said.starts_with("killed"), "{step}: {said}");
        }
        let said = program(&scene, &run, "");
        assert!(said.starts_with("0:"), "{said}");
        scene.assert_both(&["Ann a@x -", "Bob b@x -"]).await;
        // The way out of an app that is meant to be empty.
        scene.kinto.call("DELETE", &format!("/buckets/crm/collections/{}", scene.kinto.collection), None).await;
        scene.kinto.make(json!({})).await;
        let said = program(&scene, &run, "");
        assert!(said.starts_with("1:") && said.contains("docs/apps.md") && !said.contains("s3cr3t"), "{said}");
        assert_eq!(scene.records().await.len(), 0);
        let said = program(&scene, &["uninstall", "--all", "--yes"], "");
        assert!(said.starts_with("0:"), "{said}");
        let said = program(&scene, &run, "");
        assert!(said.starts_with("0:"), "{said}");
        scene.assert_both(&["Ann a@x -", "Bob b@x -"]).await;
        scene
    })
    .await;
}
