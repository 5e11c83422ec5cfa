//! An app that was emptied, or lost records nobody deleted: nothing of it spreads.

use serde_json::json;
use twinrow::error::Kind;

use super::scene::{Scene, own_servers, scenes};

/// Twelve records, in step.
async fn twelve(scene: &Scene) {
    let values: Vec<String> = (0..12).map(|n| format!("('Name {n:02}', 'n{n}@x')")).collect();
    scene.database.user(&format!("insert into contact (name, email) values {}", values.join(", "))).await;
    scene.run().await;
    assert_eq!((scene.rows().await.len(), scene.records().await), (12, scene.rows().await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_a_restarted_app_empties_nothing_and_is_not_filled_again() {
    for side in ["target", "source"] {
        for policies in ["safety: mirror", "safety: protect", "deletes: recreate"] {
            own_servers("i6_a_restarted_app", json!({}), |mut scene, mut server| async move {
                (scene.app_is, scene.policies) = (side, policies);
                twelve(&scene).await;
                let before = scene.rows().await;
                let mut running = scene.start().await.unwrap();
                server.restart();
                let error = running.run_once(&mut |_| {}).await.unwrap_err();
                assert_eq!(error.kind(), Kind::Identity, "{error}");
                drop(running);
                assert!(scene.try_run().await.is_err(), "its collection is not there");
                scene.kinto.make(json!({})).await;
                scene.database.user("update contact set age = 1 where name = 'Name 03'").await;
                for _ in 0..2 {
                    assert_eq!(scene.try_run().await.unwrap_err().kind(), Kind::Identity, "what was read last is not there");
                }
                assert_eq!((scene.rows().await.len(), scene.records().await.len()), (before.len(), 0), "nothing spreads");
                // Its users begin anew, one of them with a record we know.
                scene.kinto.create("other", json!({"name": "Other", "email": "other@x"})).await;
                scene.kinto.create("again", json!({"name": "Name 05", "email": "n5@x"})).await;
                assert_eq!(scene.try_run().await.unwrap_err().kind(), Kind::Identity, "nor do new records explain it");
                begin_anew(&scene).await;
                scene
            })
            .await;
        }
    }
}

/// The way out of an app that is meant to be as it is: a first sync, which a person approves, and in which the records find
/// each other.
async fn begin_anew(scene: &Scene) {
    let said = program(scene, &["uninstall", "--all", "--yes", "--take-over"], "");
    assert!(said.starts_with("0:"), "{said}");
    let config = std::fs::read_to_string(scene.config()).unwrap();
    std::fs::write(scene.dir.path().join("ask.yaml"), config.replace("first_sync: auto", "first_sync: ask")).unwrap();
    let ask = |arguments: &[&str]| run_program(&scene.dir.path().join("ask.yaml"), arguments, "");
    let said = ask(&["run", "--once"]);
    assert!(!said.starts_with("0:") && said.contains("both sides hold data"), "{said}");
    assert_eq!((scene.rows().await.len(), scene.records().await.len()), (12, 2), "nothing before it is approved");
    let said = ask(&["run", "--once", "--approve"]);
    assert!(said.starts_with("0:"), "{said}");
    let rows = scene.rows().await;
    assert_eq!((rows.len(), &rows[3], &rows[12]), (13, &"Name 03 n3@x 1".to_owned(), &"Other other@x -".to_owned()));
    assert_eq!(scene.records().await, rows, "each once");
    assert_eq!(scene.kinto.id("Name 05").await, "again", "it was found");
    scene.assert_quiet().await;
}

/// Records that are missing though nobody deleted them wait for an approval; then the policy decides, and none is doubled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_an_approval_lets_the_policy_decide_and_doubles_nothing() {
    for (policies, rows, records) in [("safety: mirror", 1, 1), ("deletes: recreate", 12, 12), ("safety: protect", 12, 1)] {
        scenes("i6_an_approval", &["target", "source"], |mut scene| async move {
            scene.policies = policies;
            twelve(&scene).await;
            // The witness is deleted by its users, the rest goes with its collection.
            scene.database.user("delete from contact where name = 'Name 00'").await;
            scene.kinto.delete(&scene.kinto.id("Name 00").await).await;
            scene.run().await;
            scene.kinto.call("DELETE", &format!("/buckets/crm/collections/{}", scene.kinto.collection), None).await;
            scene.kinto.make(json!({})).await;
            scene.kinto.create("new", json!({"name": "New", "email": "new@x"})).await;
            for _ in 0..2 {
                scene.run().await;
                assert_eq!(
                    (scene.rows().await.len(), scene.records().await.len()),
                    (11, 1),
                    "nothing before that, nor what is new"
                );
            }
            let said = program(&scene, &["approve", "contacts"], "");
            assert!(said.starts_with("0:"), "{said}");
            scene.run().await;
            assert_eq!((scene.rows().await.len(), scene.records().await.len()), (rows, records), "{policies}");
            scene.assert_quiet().await;
            scene
        })
        .await;
    }
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
        assert_eq!(scene.rows().await.len(), 11, "nothing was deleted, and what is new waits with the rest");
        assert_eq!(scene.records().await, ["New new@x -"], "nothing was created again");
        assert_eq!(scene.ours("select records from twinrow.brake").await, "11");
        scene
    })
    .await;
}

/// What the built program says and how it ends, as `code: output`.
pub(super) fn program(scene: &Scene, arguments: &[&str], kill_at: &str) -> String {
    run_program(&scene.config(), arguments, kill_at)
}

fn run_program(config: &std::path::Path, arguments: &[&str], kill_at: &str) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_twinrow"));
    command.arg("--config").arg(config).args(arguments).env("TWINROW_KILL_AT", kill_at).stdin(std::process::Stdio::null());
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
