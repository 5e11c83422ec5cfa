//! Creates whose answer was lost: at most one record, and none that its user has deleted.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::scene::{Scene, scenes};
use crate::support::kinto::{Proxy, Spoilt, Trouble, shared};
use crate::support::{skip, sqlite};

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
                scene.kinto.change(&scene.kinto.id("Ann").await, json!({"age": 5, "email": "ann@x"})).await;
            }
            scene.stage.ahead.store(3600, Ordering::SeqCst);
            scene.run().await;
            // The two differ and nobody knows since when: the source wins, what the other has is kept; what is empty is filled.
            let edited = step == "app.sent";
            let ann = match (edited, scene.app_is == "source") {
                (true, true) => "Ann ann@x 5",
                (true, false) => "Ann a@x 5",
                (false, _) => "Ann a@x -",
            };
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

/// Its tombstone tells that it was there: the policy decides, as if its creation had been heard of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c2_what_was_created_unheard_and_deleted_since_is_not_created_again() {
    let (both, one): ([&str; 2], [&str; 1]) = (["Ann a@x -", "Bob b@x -"], ["Bob b@x -"]);
    for (policies, rows, records) in
        [("safety: mirror", &one[..], &one[..]), ("safety: protect", &both, &one), ("deletes: recreate", &both, &both)]
    {
        for in_doubt in [false, true] {
            scenes("c2_what_was_created_unheard", &["target", "source"], |mut scene| async move {
                let proxy = Proxy::to(&scene.kinto.host).await;
                scene.host = proxy.host.clone();
                scene.policies = policies;
                scene.database.user("insert into contact (name, email) values ('Ann', 'a@x'), ('Bob', 'b@x')").await;
                if in_doubt {
                    // This very run looks it up, after a user was there.
                    let kinto = scene.kinto.clone();
                    proxy.arm(Trouble::AnswerLost);
                    proxy.before("_since=0&in_id=", async move { kinto.delete(&kinto.id("Ann").await).await });
                    scene.run().await;
                    assert!(proxy.acted() && proxy.struck());
                } else {
                    scene.run_dying_at("app.sent").await;
                    scene.kinto.delete(&scene.kinto.id("Ann").await).await;
                    scene.run().await;
                }
                assert_eq!((scene.rows().await, scene.records().await), (owned(rows), owned(records)), "{policies}");
                assert_eq!(scene.in_doubt().await, "0");
                scene.assert_quiet().await;
                scene
            })
            .await;
        }
    }
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// The database's word is newer than the delete (rule 12): what was created unheard is no exception.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c2_a_change_since_the_lost_answer_counts_against_the_delete() {
    scenes("c2_a_change_since", &["target", "source"], |scene| async move {
        scene.database.user("insert into contact (name, email) values ('Ann', 'a@x'), ('Bob', 'b@x')").await;
        scene.run_dying_at("app.sent").await;
        scene.kinto.delete(&scene.kinto.id("Ann").await).await;
        scene.database.user("update contact set age = 7 where name = 'Ann'").await;
        scene.run().await;
        let expected: &[&str] = if scene.app_is == "target" { &["Ann a@x 7", "Bob b@x -"] } else { &["Bob b@x -"] };
        scene.assert_both(expected).await;
        if scene.app_is == "source" {
            let kept = scene.ours("select t_row from twinrow.conflict where kept = 1").await;
            assert!(kept.contains("\"7\""), "what the user wrote is kept: {kept}");
        }
        scene.assert_quiet().await;
        scene
    })
    .await;
}

/// What is found as it was sent agrees with the database as of then: what the database says since is an update.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule20_what_is_found_as_it_was_sent_is_no_conflict() {
    scenes("rule20_what_is_found_as_it_was_sent", &["target", "source"], |scene| async move {
        scene.database.user("insert into contact (name, email) values ('Ann', 'a@x'), ('Bob', 'b@x')").await;
        scene.run_dying_at("app.sent").await;
        scene.database.user("update contact set age = 7 where name = 'Ann'").await;
        scene.run().await;
        scene.assert_both(&["Ann a@x 7", "Bob b@x -"]).await;
        assert_eq!(scene.ours("select count(*) from twinrow.conflict").await, "0");
        scene.assert_quiet().await;
        scene
    })
    .await;
}

/// A key that is brought along may have been deleted there before: that says nothing of the create in doubt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c2_an_older_tombstone_of_the_same_key_is_no_answer() {
    scenes("c2_an_older_tombstone", &["target"], |mut scene| async move {
        let proxy = Proxy::to(&scene.kinto.host).await;
        scene.host = proxy.host.clone();
        scene.policies = "keys: copy\n    deletes: recreate";
        scene.database.user("insert into contact (name, email) values ('Ann', 'a@x')").await;
        scene.run().await;
        let id = scene.kinto.id("Ann").await;
        assert_eq!(scene.database.user_rows("select cast(id as text) from contact").await, [[Some(id.clone())]]);
        scene.kinto.delete(&id).await;
        proxy.arm(Trouble::RequestLost);
        scene.run().await;
        assert!(proxy.struck());
        assert_eq!(scene.in_doubt().await, "1", "the old tombstone settles nothing");
        scene.stage.ahead.store(3600, Ordering::SeqCst);
        scene.run().await;
        scene.assert_both(&["Ann a@x -"]).await;
        assert_eq!((scene.kinto.id("Ann").await, scene.in_doubt().await.as_str()), (id, "0"));
        scene.assert_quiet().await;
        scene
    })
    .await;
}

/// An app that keeps no tombstones can't tell "never created" from "deleted since": held, and never created twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule20_what_no_look_can_prove_is_held() {
    for trouble in [Trouble::AnswerLost, Trouble::RequestLost] {
        scenes("rule20_what_no_look_can_prove", &["target", "source"], |mut scene| async move {
            let proxy = Proxy::to(&scene.kinto.host).await;
            scene.host = proxy.host.clone();
            scene.forgets = true;
            scene.database.user("insert into contact (name, email) values ('Ann', 'a@x')").await;
            proxy.arm(trouble);
            if trouble == Trouble::AnswerLost {
                let kinto = scene.kinto.clone();
                proxy.before("_since=0&in_id=", async move { kinto.delete(&kinto.id("Ann").await).await });
            }
            scene.run().await;
            assert!(proxy.acted() && proxy.struck());
            scene.stage.ahead.store(3600, Ordering::SeqCst);
            for _ in 0..3 {
                scene.run().await;
                scene.database.user("update contact set age = coalesce(age, 0) + 1").await;
            }
            assert_eq!((scene.records().await.len(), scene.rows().await.len()), (0, 1), "not a second time");
            let cause = scene.ours("select cause from twinrow.work where reason = 2").await;
            assert!(cause.contains("whether it was created"), "{cause}");
            // A person makes it.
            scene.kinto.create("by-hand", json!({"name": "Ann", "email": "a@x", "age": 9})).await;
            scene.database.user("update contact set age = 9").await;
            scene.run().await;
            scene.run().await;
            scene.assert_both(&["Ann a@x 9"]).await;
            assert_eq!(scene.in_doubt().await, "0");
            assert_eq!(scene.ours("select count(*) from twinrow.work").await, "0");
            scene.assert_quiet().await;
            scene
        })
        .await;
    }
}

/// The log still tells of its birth when its creation is looked up: that is no other record's, whatever has changed since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c1_what_changed_since_a_lost_answer_keeps_its_twin() {
    for (policies, at_the_app) in [("safety: mirror", false), ("safety: protect", false), ("safety: mirror", true)] {
        scenes("c1_what_changed_since_a_lost_answer", &["target"], |mut scene| async move {
            (scene.matching, scene.policies) = ("[]", policies);
            scene.database.user("insert into contact (name, email) values ('Ann', 'a@x')").await;
            scene.run().await;
            scene.database.user("insert into contact (name, email) values ('Bob', 'b@x')").await;
            scene.run_dying_at("app.sent").await;
            let twin = scene.kinto.id("Bob").await;
            if at_the_app {
                scene.kinto.change(&twin, json!({"name": "Rob"})).await;
            } else {
                scene.database.user("update contact set name = 'Rob' where name = 'Bob'").await;
            }
            scene.run().await;
            // Where nobody knows since when the two differ, the source wins.
            let bob = if at_the_app { "Bob" } else { "Rob" };
            scene.assert_both(&["Ann a@x -", &format!("{bob} b@x -")]).await;
            assert_eq!(scene.kinto.id(bob).await, twin, "the record that was made");
            assert_eq!(scene.ours("select count(*) from twinrow.work").await, "0");
            scene.assert_quiet().await;
            scene
        })
        .await;
    }
}

/// What a record was made from may be gone, have another key, or its key be another one's, before anybody knows that it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule6_a_create_in_doubt_goes_with_its_record_and_not_with_the_key() {
    let gone = ["delete from contact where name = 'Bob'"];
    let renamed = ["update contact set id = 50 where name = 'Bob'"];
    let reused = [gone[0], "insert into contact (id, name, email) values (1, 'Cid', 'c@x')"];
    for (deeds, expected) in [(&gone[..], &[][..]), (&renamed[..], &["Bob b@x -"][..]), (&reused[..], &["Cid c@x -"][..])] {
        let (Ok(database), Ok(kinto)) = (sqlite::lab().await, shared().await) else {
            return skip("rule6_a_create_in_doubt", "no Kinto");
        };
        let mut scene = Scene::new(database, kinto).await;
        let proxy = Proxy::to(&scene.kinto.host).await;
        (scene.host, scene.matching) = (proxy.host.clone(), "[]");
        scene.database.user("insert into contact (id, name, email) values (1, 'Bob', 'b@x')").await;
        proxy.arm(Trouble::RequestLost);
        scene.run().await;
        assert_eq!((scene.records().await.len(), scene.in_doubt().await.as_str()), (0, "1"), "it may still arrive");
        let late = scene.ours("select token from twinrow.intent").await;
        for deed in deeds {
            scene.database.user(deed).await;
        }
        scene.run().await;
        assert_eq!(scene.records().await.iter().filter(|record| record.starts_with("Bob")).count(), 0, "not a second time");
        scene.kinto.create(&late, json!({"name": "Bob", "email": "b@x"})).await;
        scene.run().await;
        scene.run().await;
        scene.assert_both(expected).await;
        assert_eq!(scene.in_doubt().await, "0");
        scene.assert_quiet().await;
        scene.database.close().await;
    }
}

/// A create that comes to light when its record has another twin takes that one's place from nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule20_a_create_that_arrives_after_all_takes_nobodys_place() {
    scenes("rule20_a_create_that_arrives_after_all", &["target"], |mut scene| async move {
        let proxy = Proxy::to(&scene.kinto.host).await;
        scene.host = proxy.host.clone();
        scene.forgets = true;
        scene.database.user("insert into contact (name, email) values ('Ann', 'a@x')").await;
        proxy.arm(Trouble::RequestLost);
        scene.run().await;
        let late = scene.ours("select token from twinrow.intent").await;
        scene.stage.ahead.store(3600, Ordering::SeqCst);
        scene.run().await;
        // A person makes it, and then the first one arrives.
        scene.kinto.create("by-hand", json!({"name": "Ann", "email": "a@x"})).await;
        let kinto = scene.kinto.clone();
        scene.act_at("close.recorded", async move { kinto.create(&late, json!({"name": "Ann", "email": "a@x"})).await });
        scene.run().await;
        scene.run().await;
        assert_eq!((scene.rows().await.len(), scene.records().await.len()), (1, 2), "nothing is made of what is one too many");
        scene.kinto.change("by-hand", json!({"age": 7})).await;
        scene.run().await;
        assert_eq!(scene.rows().await, ["Ann a@x 7"], "the twin is the one it was");
        scene
    })
    .await;
}

/// Twins that were found, and differ: what the app's user loses is kept and shown, also if nobody heard that it was overwritten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule11_a_conflict_of_new_twins_whose_write_nobody_heard_of_is_kept() {
    for dies in [false, true] {
        scenes("rule11_a_conflict_of_new_twins", &["target"], |mut scene| async move {
            let proxy = Proxy::to(&scene.kinto.host).await;
            scene.host = proxy.host.clone();
            scene.database.user("insert into contact (name, email, age) values ('Ann', 'a@x', 3)").await;
            scene.kinto.create("theirs", json!({"name": "Ann", "email": "a@x", "age": 9})).await;
            if dies {
                scene.run_dying_at("app.sent").await;
            } else {
                proxy.spoil(Some(("\"method\":\"PATCH\"", Spoilt::Cut)));
                scene.run().await;
                proxy.spoil(None);
            }
            scene.run().await;
            scene.assert_both(&["Ann a@x 3"]).await;
            let kept = scene.ours("select count(*) from twinrow.conflict where kept = 1").await;
            assert_eq!((kept.as_str(), scene.ours("select count(*) from twinrow.conflict").await.as_str()), ("1", "1"));
            let lost = scene.ours("select t_row from twinrow.conflict").await;
            assert!(lost.contains("\"9\""), "what the user wrote: {lost}");
            scene.assert_quiet().await;
            scene
        })
        .await;
    }
}
