//! Answers that are not what they seem: nothing is inferred from them, and the link says so.

use serde_json::{Value as Json, json};
use twinrow::error::Kind;

use super::scene::{Scene, scenes};
use crate::support::kinto::{Proxy, Spoilt};

/// Twelve records, in step, behind a proxy.
async fn twelve(scene: &mut Scene) -> Proxy {
    let proxy = Proxy::to(&scene.kinto.host).await;
    scene.host = proxy.host.clone();
    let values: Vec<String> = (0..12).map(|n| format!("('Name {n:02}', 'n{n}@x')")).collect();
    scene.database.user(&format!("insert into contact (name, email) values {}", values.join(", "))).await;
    scene.run().await;
    assert_eq!((scene.rows().await.len(), scene.records().await), (12, scene.rows().await));
    proxy
}

/// While an answer is spoilt no run does anything; then all that happened meanwhile arrives.
async fn assert_nothing_is_inferred(scene: &Scene, proxy: &Proxy, spoilt: (&'static str, Spoilt), kinds: &[Kind], words: &str) {
    scene.kinto.change(&scene.kinto.id("Name 03").await, json!({"age": 3})).await;
    scene.database.user("update contact set age = 4 where name = 'Name 04'").await;
    let before = (scene.rows().await, scene.records().await);
    proxy.spoil(Some(spoilt));
    for _ in 0..2 {
        let error = scene.try_run().await.unwrap_err();
        assert!(kinds.contains(&error.kind()) && error.to_string().contains(words), "{error:?}");
        assert!(!error.to_string().contains("n3@x"), "I10: {error}");
    }
    assert_eq!((scene.rows().await, scene.records().await), before, "nothing is written");
    proxy.spoil(None);
    scene.run().await;
    assert_eq!(scene.rows().await, scene.records().await);
    let rows = scene.rows().await;
    assert_eq!((rows.len(), &rows[3], &rows[4]), (12, &"Name 03 n3@x 3".to_owned(), &"Name 04 n4@x 4".to_owned()));
    assert_eq!(scene.ours("select count(*) from twinrow.brake").await, "0");
    scene.assert_quiet().await;
    scene.database.user("update contact set age = null").await;
    scene.run().await;
}

const HTML: Spoilt = Spoilt::Instead(|_| (200, "<html><body>Please log in</body></html>".to_owned()));
const NO_LIST: Spoilt = Spoilt::Instead(|_| (200, "{\"message\": \"try later\"}".to_owned()));
const NULL_LIST: Spoilt = Spoilt::Instead(|_| (200, "{\"data\": null}".to_owned()));
const FEWER_ANSWERS: Spoilt = Spoilt::Instead(|_| (200, "{\"responses\": []}".to_owned()));
const NOT_FOUND: Spoilt = Spoilt::Instead(|_| (404, "{\"code\": 404, \"errno\": 111}".to_owned()));
const GONE: Spoilt = Spoilt::Instead(|_| (410, "{\"code\": 410, \"errno\": 202}".to_owned()));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e31_an_answer_that_is_none_infers_nothing() {
    scenes("e31_an_answer_that_is_none", &["target", "source"], |mut scene| async move {
        let proxy = twelve(&mut scene).await;
        let form = "does not have the form";
        for (text, spoilt, words) in [
            // The feed, then what is asked by id, or written, in batches.
            ("?_since=", HTML, "not JSON"),
            ("?_since=", NO_LIST, form),
            ("?_since=", NULL_LIST, form),
            ("?_since=", Spoilt::Cut, "the app's answer was"),
        ] {
            assert_nothing_is_inferred(&scene, &proxy, (text, spoilt), &[Kind::Unreachable], words).await;
        }
        scene
    })
    .await;
}

/// The revision, or the whole collection, of an app whose address has moved: not its records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e18_not_found_for_everything_is_no_delete() {
    scenes("e18_not_found_for_everything", &["target", "source"], |mut scene| async move {
        let proxy = twelve(&mut scene).await;
        // Asked for its collections at the start, it is an error of the schema; while it runs, it is another app.
        let kinds = [Kind::Schema, Kind::Identity];
        assert_nothing_is_inferred(&scene, &proxy, ("/v1/", NOT_FOUND), &kinds, "").await;
        assert_nothing_is_inferred(&scene, &proxy, ("/v1/", GONE), &[Kind::Rejected, Kind::Schema], "410").await;
        scene
    })
    .await;
}

/// Answers to writes: whatever stands there, each is looked up, and made once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e31_an_answer_to_a_write_that_is_none_doubles_nothing() {
    scenes("e31_an_answer_to_a_write", &["target", "source"], |mut scene| async move {
        let proxy = twelve(&mut scene).await;
        for (n, spoilt) in [HTML, FEWER_ANSWERS, Spoilt::Cut].into_iter().enumerate() {
            let n = n + 12;
            scene.database.user(&format!("insert into contact (name, email) values ('Name {n}', 'n{n}@x')")).await;
            proxy.spoil(Some(("\"method\":\"PUT\"", spoilt)));
            scene.run().await;
            proxy.spoil(None);
            scene.stage.ahead.fetch_add(3600, std::sync::atomic::Ordering::SeqCst);
            scene.run().await;
            assert_eq!((scene.records().await.len(), scene.rows().await), (n + 1, scene.records().await));
            assert_eq!(scene.in_doubt().await, "0");
        }
        scene.assert_quiet().await;
        scene
    })
    .await;
}

/// By id, every record "is not there": only a compare would conclude anything, and a person decides.
fn every_record_missing(request: &str) -> (u16, String) {
    let body: Json = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    let one = json!({"status": 404, "path": "", "headers": {}, "body": {"code": 404, "errno": 110}});
    (200, json!({"responses": vec![one; body["requests"].as_array().unwrap().len()]}).to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e18_records_that_seem_missing_are_not_deleted_and_come_back() {
    scenes("e18_records_that_seem_missing", &["target", "source"], |mut scene| async move {
        let proxy = twelve(&mut scene).await;
        let before = (scene.rows().await, scene.records().await);
        proxy.spoil(Some(("\"method\":\"GET\"", Spoilt::Instead(every_record_missing))));
        let mut running = scene.start().await.unwrap();
        running.ask_scan(&[0]).await.unwrap();
        for _ in 0..3 {
            running.run_once(&mut |_| {}).await.unwrap();
        }
        assert_eq!((scene.rows().await, scene.records().await), before, "nothing is deleted, nothing made again");
        assert_eq!(scene.ours("select records from twinrow.brake").await, "12", "the link says so");
        proxy.spoil(None);
        drop(running);
        // An approval of what was missing is void now that nothing is; another one lets go of it.
        for _ in 0..2 {
            let said = super::emptied::program(&scene, &["approve", "contacts"], "");
            assert!(said.starts_with("0:"), "{said}");
            scene.run().await;
        }
        assert_eq!((scene.rows().await, scene.records().await), before, "decided again, they are there");
        assert_eq!(scene.ours("select count(*) from twinrow.brake").await, "0");
        scene.assert_quiet().await;
        scene
    })
    .await;
}

/// A list that leaves records out, though the app counts them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e11_a_list_that_is_not_whole_is_no_list() {
    let empty = Spoilt::Instead(|_| (200, "{\"data\": []}".to_owned()));
    // The first page has two of them, the next begins after the last.
    let some = Spoilt::Instead(|request| {
        let record = |id: &str| json!({"id": id, "last_modified": 1, "name": id, "email": format!("{id}@x")});
        let first = request.contains("gt_id=%22%22");
        (200, json!({"data": if first { vec![record("r01"), record("r11")] } else { vec![] }}).to_string())
    });
    for spoilt in [empty, some] {
        scenes("e11_a_list_that_is_not_whole", &["target", "source"], |mut scene| {
            let spoilt = spoilt.clone();
            async move {
                let proxy = Proxy::to(&scene.kinto.host).await;
                scene.host = proxy.host.clone();
                for n in 0..12 {
                    scene
                        .kinto
                        .create(&format!("r{n:02}"), json!({"name": format!("Name {n:02}"), "email": format!("r{n:02}@x")}))
                        .await;
                }
                proxy.spoil(Some(("_sort=id", spoilt)));
                let error = scene.try_run().await.unwrap_err();
                assert!(error.kind() == Kind::Unreachable && error.to_string().contains("lists other records"), "{error:?}");
                proxy.spoil(None);
                scene.run().await;
                assert_eq!((scene.rows().await.len(), scene.records().await), (12, scene.rows().await), "none is missed");
                scene.assert_quiet().await;
                scene
            }
        })
        .await;
    }
}
