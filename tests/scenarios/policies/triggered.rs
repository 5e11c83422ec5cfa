//! Triggers of the application's that change keys of the very table whose change set them off. What they do is logged first: on
//! PostgreSQL by their names, on SQLite if they are newer than ours (rule 8, A20, A26).

use crate::scene::{Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    a26_a_trigger_closes_the_gap_that_a_delete_leaves,
    a26_a_trigger_closes_the_gap_where_deletes_stay,
    a26_a_trigger_spells_a_changed_key_in_capitals,
    a20_a_trigger_puts_a_deleted_row_back,
}

scenarios! { postgres_sqlite:
    a26_a_trigger_closes_the_gap_that_a_delete_leaves,
    a26_a_trigger_closes_the_gap_where_deletes_stay,
    a26_a_trigger_spells_a_changed_key_in_capitals,
    a20_a_trigger_puts_a_deleted_row_back,
}

/// A trigger on `track` that runs `statements` for the row `old`, or `new`.
async fn trigger(scene: &Scene, event: &str, when: &str, statements: &str) {
    let sql = if scene.source.url().starts_with("postgres") {
        format!(
            "create function a_moves() returns trigger language plpgsql as $$ begin {statements}; return null; end $$; \
             create trigger a_moves after {event} on track for each row when ({when}) execute function a_moves()"
        )
    } else {
        format!("create trigger a_moves after {event} on track when {when} begin {statements}; end")
    };
    scene.source.user(&sql).await;
}

/// Songs in a list, by the place they have there: on both sides, with something that only the target knows.
async fn songs(scene: &Scene, safety: &str) {
    let text = scene.source.dialect().text;
    scene.source.user(&format!("create table track (list int, place {text}, song {text}, primary key (list, place))")).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table piece (nr {key}, album int, position {text}, title {text}, note {text})")).await;
    scene.target.user("insert into piece (nr) values (700)").await;
    let link = format!(
        "    source: track\n    target: piece\n    safety: {safety}\n    fields: {{list: album, place: position, song: title}}"
    );
    scene.link(&[("songs", &link)]);
    scene.target.user("delete from piece").await;
    for (place, song) in ["a", "b", "c", "d"].into_iter().zip(["One", "Two", "Three", "Four"]) {
        scene.source.user(&format!("insert into track values (1, '{place}', '{song}')")).await;
    }
    scene.sync().await;
    scene.target.user("update piece set note = title").await;
    scene.sync().await;
}

async fn pieces(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select position, title, note from piece order by nr").await
}

async fn closes_gaps(scene: &Scene) {
    let down = "update track set place = 'b' where list = old.list and place = 'c'; \
                update track set place = 'c' where list = old.list and place = 'd'";
    trigger(scene, "delete", "old.place = 'b'", down).await;
    scene.source.user("delete from track where place = 'b'").await;
    scene.sync().await;
}

pub async fn a26_a_trigger_closes_the_gap_that_a_delete_leaves(scene: &Scene) {
    songs(scene, "mirror").await;
    closes_gaps(scene).await;
    assert_eq!(pieces(scene).await, ["a|One|One", "b|Three|Three", "c|Four|Four"]);
    scene.quiet().await;
}

pub async fn a26_a_trigger_closes_the_gap_where_deletes_stay(scene: &Scene) {
    songs(scene, "protect").await;
    closes_gaps(scene).await;
    assert_eq!(pieces(scene).await, ["a|One|One", "b|Two|Two", "b|Three|Three", "c|Four|Four"]);
    scene.quiet().await;
}

pub async fn a26_a_trigger_spells_a_changed_key_in_capitals(scene: &Scene) {
    songs(scene, "mirror").await;
    trigger(scene, "update", "new.place <> upper(new.place)", "update track set place = upper(place) where place = new.place")
        .await;
    scene.source.user("update track set place = 'x' where place = 'a'").await;
    scene.sync().await;
    assert_eq!(pieces(scene).await, ["X|One|One", "b|Two|Two", "c|Three|Three", "d|Four|Four"]);
    scene.quiet().await;
}

pub async fn a20_a_trigger_puts_a_deleted_row_back(scene: &Scene) {
    songs(scene, "mirror").await;
    trigger(scene, "delete", "old.song <> 'gone'", "insert into track values (old.list, old.place, 'gone')").await;
    scene.source.user("delete from track where place = 'b'").await;
    scene.sync().await;
    assert_eq!(pieces(scene).await, ["a|One|One", "b|gone|Two", "c|Three|Three", "d|Four|Four"]);
    scene.quiet().await;
}
