//! Unique values that records pass on to each other: a list that is numbered anew, as long as it likes.

use crate::scene::{Scene, rows, scenarios};

scenarios! { each_engine:
    c12_a_long_list_is_numbered_anew,
    c12_a_ring_may_be_longer_than_a_batch,
    c12_values_that_can_not_be_parked_pass_on_in_order,
    i7_an_exchange_does_not_wait_for_who_is_refused_beside_it,
}

scenarios! { sqlite_sqlite:
    i7_who_waits_for_a_refused_one_goes_with_it,
    c12_values_pass_on_whatever_makes_them_unique,
}

scenarios! { mysql_postgres:
    c12_values_pass_on_whatever_makes_them_unique,
}

scenarios! { postgres_mysql:
    c12_values_pass_on_whatever_makes_them_unique,
}

scenarios! { sqlite_mariadb:
    c12_values_pass_on_whatever_makes_them_unique,
}

scenarios! { mariadb_mysql:
    i7_who_waits_for_a_refused_one_goes_with_it,
}

/// A list, each entry at a place of its own, on both sides; `check`: what the target demands of a place.
async fn list(scene: &Scene, entries: usize, check: &str) {
    let (key, text) = (scene.source.dialect().generated_key, scene.source.dialect().text);
    scene.source.user(&format!("create table song (id {key}, title {text}, place bigint not null unique)")).await;
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table track (no {key}, name {text}, pos bigint not null unique{check})")).await;
    scene.target.user("insert into track (no, name, pos) values (70000, 'x', 1)").await;
    scene.target.user("delete from track").await;
    scene.link(&[("songs", "    source: song\n    target: track\n    fields: {title: name, place: pos}")]);
    for first in (1..=entries).step_by(500) {
        let values: Vec<String> = (first..=entries.min(first + 499)).map(|n| format!("('song {n}', {n})")).collect();
        scene.source.user(&format!("insert into song (title, place) values {}", values.join(", "))).await;
    }
    scene.sync().await;
}

/// Every place becomes another one, in one transaction.
async fn renumber(scene: &Scene, place: &str) {
    let mut tx = scene.source.open().await;
    tx.run("update song set place = -place").await;
    tx.run(&format!("update song set place = {place}")).await;
    tx.commit().await;
}

/// Both sides have the same list, with the twins there were, and nothing is left to be done.
async fn same_list(scene: &Scene) {
    let theirs = rows(&scene.target, "select pos, name from track order by pos").await;
    assert_eq!(rows(&scene.source, "select place, title from song order by place").await, theirs);
    assert_eq!(scene.held().await, Vec::<String>::new());
    scene.quiet().await;
}

async fn twins(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select name, no from track where name <> 'first' order by name").await
}

pub async fn c12_a_long_list_is_numbered_anew(scene: &Scene) {
    list(scene, 300, "").await;
    let before = twins(scene).await;
    // Something goes in front.
    renumber(scene, "1 - place").await;
    scene.source.user("insert into song (title, place) values ('first', 1)").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("songs", "updated_target"), counts.of("songs", "created_target")), (300, 1), "{counts:?}");
    same_list(scene).await;
    // And comes out again.
    scene.source.user("update song set place = 1000 where title = 'first'").await;
    renumber(scene, "- place - 1").await;
    scene.sync().await;
    same_list(scene).await;
    assert_eq!(twins(scene).await, before);
}

/// What is written together are 2,000 records else.
pub async fn c12_a_ring_may_be_longer_than_a_batch(scene: &Scene) {
    list(scene, 4_300, "").await;
    let before = twins(scene).await;
    renumber(scene, "case place when -4300 then 1 else 1 - place end").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("songs", "updated_target"), counts.of("songs", "held")), (4_300, 0), "{counts:?}");
    same_list(scene).await;
    assert_eq!(twins(scene).await, before);
}

pub async fn c12_values_that_can_not_be_parked_pass_on_in_order(scene: &Scene) {
    list(scene, 130, " check (pos between 1 and 200)").await;
    renumber(scene, "1 - place").await;
    scene.sync().await;
    same_list(scene).await;
}

pub async fn i7_an_exchange_does_not_wait_for_who_is_refused_beside_it(scene: &Scene) {
    list(scene, 6, "").await;
    // Its survivor keeps the place.
    scene.source.user("delete from song where title = 'song 6'").await;
    scene.sync().await;
    renumber(scene, "case place when -1 then 2 when -2 then 1 when -3 then 6 when -4 then 3 else -place end").await;
    scene.sync().await;
    let places = rows(&scene.target, "select name, pos from track order by name").await;
    assert_eq!(places, ["song 1|2", "song 2|1", "song 3|3", "song 4|4", "song 5|5", "song 6|6"]);
    let held = scene.held().await;
    assert_eq!(held.len(), 2, "{held:?}");
    // Once the place is free, both go.
    scene.target.user("delete from track where name = 'song 6'").await;
    scene.program.run(&["held", "retry"]).await.code(0);
    scene.sync().await;
    same_list(scene).await;
}

/// A row of records, each of which gets the next one's place: where one of them is refused, those behind it go.
pub async fn i7_who_waits_for_a_refused_one_goes_with_it(scene: &Scene) {
    list(scene, 250, " check (pos <> 121)").await;
    renumber(scene, "1 - place").await;
    scene.sync().await;
    let moved = "select count(*) from track where pos > 121 and name = concat('song ', pos - 1)";
    assert_eq!(rows(&scene.target, moved).await, ["130"]);
    assert_eq!(rows(&scene.target, "select count(*) from track where pos < 121").await, ["120"]);
    scene.source.user("update song set place = 900 where title = 'song 120'").await;
    scene.program.run(&["held", "retry"]).await.code(0);
    scene.sync().await;
    same_list(scene).await;
}

/// Unique indexes that are not over whole columns, or not over all rows.
fn indexes(scene: &Scene) -> &'static [&'static str] {
    let target = scene.target.dialect();
    match (target.quote, target.concurrent_writers) {
        ('`', _) => &["track (name(6))", "track (folded)"],
        (_, true) => &["track (lower(name))", "track (name) where no > 0", "track (folded)", "track (name) nulls not distinct"],
        (_, false) => &["track (lower(name))", "track (name) where no > 0", "track (folded)"],
    }
}

pub async fn c12_values_pass_on_whatever_makes_them_unique(scene: &Scene) {
    let folded = format!(", folded {} generated always as (lower(name)) stored", scene.target.dialect().text);
    list(scene, 8, &folded).await;
    let before = rows(&scene.target, "select no, pos from track order by no").await;
    let mut titles: Vec<String> = (1..=5).map(|place| format!("song {place}")).collect();
    for (round, index) in indexes(scene).iter().enumerate() {
        scene.target.user(&format!("create unique index only_{round} on {index}")).await;
        titles.swap(0, 1);
        titles[2..].rotate_left(1);
        titles[1].make_ascii_uppercase();
        let mut tx = scene.source.open().await;
        for (place, title) in titles.iter().enumerate() {
            tx.run(&format!("update song set title = '{title}' where place = {}", place + 1)).await;
        }
        tx.commit().await;
        scene.sync().await;
        same_list(scene).await;
    }
    assert_eq!(rows(&scene.target, "select no, pos from track order by no").await, before);
}
