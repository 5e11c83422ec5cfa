//! An app that was emptied, or lost records nobody deleted: nothing of it spreads.

use serde_json::json;
use twinrow::error::Kind;

use super::scene::{Scene, own_servers, scenes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_a_restarted_app_empties_nothing_and_is_not_filled_again() {
    own_servers("i6_a_restarted_app", json!({}), |scene, mut server| async move {
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
        scene
    })
    .await;
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
