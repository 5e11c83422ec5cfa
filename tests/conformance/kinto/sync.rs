//! A database and Kinto kept in step, both ways, and what may go wrong in between.

use serde_json::json;

use super::scene::{own_servers, scenes};
use crate::support::kinto::Proxy;

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

/// Both changed, and before the write arrives the app's record changes again: what was written down of the first
/// conflict has not happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule11_a_conflict_that_was_not_settled_leaves_nothing_pending() {
    scenes("rule11_a_conflict_that_was_not_settled_leaves_nothing_pending", &["target"], |scene| async move {
        scene.database.user("insert into contact (name, email) values ('Ann', 'a@x')").await;
        scene.run().await;
        scene.database.user("update contact set age = 1").await;
        let (kinto, id) = (scene.kinto.clone(), scene.kinto.id("Ann").await);
        kinto.change(&id, json!({"age": 2})).await;
        scene.act_at("app.begun", async move { kinto.change(&id, json!({"age": 3})).await });
        scene.run().await;
        scene.assert_both(&["Ann a@x 1"]).await;
        assert_eq!(scene.ours("select count(*) from twinrow.conflict where kept = 0").await, "0");
        let kept = scene.ours("select t_row from twinrow.conflict where kept = 1").await;
        assert!(kept.contains('3'), "what was overwritten is kept: {kept}");
        scene
    })
    .await;
}

/// The write arrived, and nobody heard of it: what it has overwritten is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule11_a_conflict_whose_write_nobody_heard_of_is_kept() {
    scenes("rule11_a_conflict_whose_write_nobody_heard_of_is_kept", &["target"], |scene| async move {
        scene.database.user("insert into contact (name, email) values ('Ann', 'a@x')").await;
        scene.run().await;
        scene.database.user("update contact set age = 1").await;
        scene.kinto.change(&scene.kinto.id("Ann").await, json!({"age": 2})).await;
        scene.run_dying_at("app.sent").await;
        scene.run().await;
        scene.assert_both(&["Ann a@x 1"]).await;
        assert_eq!(scene.ours("select count(*) from twinrow.conflict where kept = 0").await, "0");
        let kept = scene.ours("select t_row from twinrow.conflict where kept = 1").await;
        assert!(kept.contains('2'), "what was overwritten is kept: {kept}");
        scene
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e6_rejected_records_are_held_and_the_others_pass() {
    let schema = json!({"type": "object", "properties": {"age": {"type": ["integer", "null"], "maximum": 1000}}});
    own_servers("e6_rejected_records", json!({ "schema": schema }), |scene, server| async move {
        let _up = server;
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
        assert_eq!(scene.ours("select count(*) from twinrow.work where reason = 2").await, "3");
        let cause = scene.ours("select min(cause) from twinrow.work where reason = 2").await;
        assert!(cause.contains("HTTP 400") && !cause.contains("77777777"), "I10: {cause}");
        assert_eq!(scene.in_doubt().await, "0");
        scene.database.user("update contact set age = 1 where age > 1000").await;
        scene.run().await;
        assert_eq!(scene.records().await, scene.rows().await);
        scene
    })
    .await;
}

/// Nothing can be locked there, but it is looked again right before a create is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule13_a_match_that_came_up_meanwhile_is_linked() {
    for matching in ["[email]", "[{field: email, case: ignore, blanks: trim}]"] {
        scenes("rule13_a_match_that_came_up", &["target", "source"], |mut scene| async move {
            scene.matching = matching;
            let values: Vec<String> = (0..150).map(|n| format!("('Name {n:03}', 'n{n}@x')")).collect();
            scene.database.user(&format!("insert into contact (name, email) values {}", values.join(", "))).await;
            let kinto = scene.kinto.clone();
            let email = if matching.contains("trim") { " N7@X" } else { "n7@x" };
            scene.act_at("app.begun", async move {
                kinto.create("theirs", json!({"name": "Name 007", "email": email})).await;
                kinto.create("other", json!({"name": "Other", "email": "other@x"})).await;
            });
            scene.run().await;
            assert_eq!((scene.records().await.len(), scene.rows().await.len()), (151, 151), "one of each");
            assert_eq!(scene.kinto.id("Name 007").await, "theirs");
            assert_eq!(scene.records().await, scene.rows().await);
            scene.assert_quiet().await;
            scene
        })
        .await;
    }
}
