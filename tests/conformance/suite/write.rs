//! Write transactions: fenced, exact, read back.

use twinrow::endpoint::{Acknowledge, Change, Create, Fetched, MovedBy, Outcome, Reach, Write};
use twinrow::error::Kind;
use twinrow::model::{Key, KeySource, Value};

use super::bench::{Bench, int, item, op, row, t, take};
use crate::support::Lab;

const CODE: usize = 1;
const NAME: usize = 2;
const QTY: usize = 3;

pub async fn insert_returns_generated_keys(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (name) values ('user')").await;
    let mut write = bench.begin().await;
    let rows: Vec<Create> = (0..500).map(|i| Create { key: None, values: vec![t(&format!("code{i}")), int(i)] }).collect();
    let outcomes = write.insert(bench.collection(), &[CODE, QTY], &rows).await.unwrap();
    let keys: Vec<Key> = outcomes.iter().map(|outcome| done(outcome).clone()).collect();
    let (stored, _) = write.read_back(bench.collection(), &keys).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(keys.len(), 500);
    for (i, (key, stored)) in keys.iter().zip(&stored).enumerate() {
        assert_eq!(row(stored), &[key.0[0].clone(), t(&format!("code{i}")), Value::Null, int(i as i64)]);
    }
    let count = lab.user_rows("select count(*) from item").await;
    assert_eq!(count[0][0].as_deref(), Some("501"));
    // C5: the application's next key is free.
    lab.user("insert into item (name) values ('after')").await;
}

fn done(outcome: &Outcome) -> &Key {
    match outcome {
        Outcome::Done(key) => key,
        other => panic!("{other:?}"),
    }
}

pub async fn insert_returns_keys_of_triggers(lab: &dyn Lab) {
    let triggers = lab.dialect().trigger_key;
    assert!(!triggers.is_empty());
    let text = lab.dialect().text;
    lab.user(&format!("create table stamped (id {text} not null primary key, name {text})")).await;
    for statement in triggers {
        lab.user(statement).await;
    }
    let mut bench = Bench::new(lab, &["stamped"]).await;
    bench.tracked[0].collection.table.key_source = KeySource::Trigger;
    let mut write = bench.begin().await;
    let rows: Vec<Create> = ["Ann", "Bob"].map(|name| Create { key: None, values: vec![t(name)] }).to_vec();
    let outcomes = write.insert(bench.collection(), &[1], &rows).await.unwrap();
    write.commit().await.unwrap();
    let keys: Vec<String> = outcomes.iter().map(|outcome| done(outcome).to_string()).collect();
    assert_eq!(keys, ["made-by-trigger-Ann", "made-by-trigger-Bob"]);
}

pub async fn insert_takes_given_keys(lab: &dyn Lab) {
    let text = lab.dialect().text;
    lab.user(&format!("create table part (a {text} not null, b bigint not null, c {text}, primary key (a, b))")).await;
    let bench = Bench::new(lab, &["part"]).await;
    let mut write = bench.begin().await;
    let keys = [Key(vec![t("é"), int(1)]), Key(vec![t("it's"), int(-2)])];
    let rows: Vec<Create> = keys.iter().map(|key| Create { key: Some(key.clone()), values: vec![t("x")] }).collect();
    let outcomes = write.insert(bench.collection(), &[2], &rows).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(outcomes.iter().map(done).collect::<Vec<_>>(), keys.iter().collect::<Vec<_>>());
    // The key's columns may be mapped as well, and then bring it.
    let mut write = bench.begin().await;
    let rows = [Create { key: None, values: vec![t("z"), int(9), t("y")] }];
    let outcomes = write.insert(bench.collection(), &[0, 1, 2], &rows).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(done(&outcomes[0]), &Key(vec![t("z"), int(9)]));
    let stored = lab.user_rows("select c from part order by b").await;
    assert_eq!(stored, [[Some("x".to_owned())], [Some("x".to_owned())], [Some("y".to_owned())]]);
}

pub async fn update_touches_the_fields_named(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (id, code, name, qty) values (1, 'a', 'Ann', 1), (2, 'b', 'Bob', 2)").await;
    let mut write = bench.begin().await;
    let changes = [change(1, vec![int(5), t("Bea")]), change(2, vec![int(6), Value::Null])];
    let outcomes = write.update(bench.collection(), &[QTY, NAME], &changes).await.unwrap();
    assert_eq!(outcomes, [Outcome::Done(Key::int(1)), Outcome::Done(Key::int(2))]);
    // To what it holds already: written all the same.
    assert_eq!(write.update(bench.collection(), &[QTY], &[change(1, vec![int(5)])]).await.unwrap(), [Outcome::Done(Key::int(1))]);
    assert_eq!(write.update(bench.collection(), &[QTY], &[change(9, vec![int(5)])]).await.unwrap(), [Outcome::Stale]);
    write.commit().await.unwrap();
    let rows = lab.user_rows("select code, name, qty from item order by id").await;
    assert_eq!(rows[0], ["a", "Bea", "5"].map(|text| Some(text.to_owned())));
    assert_eq!(rows[1], [Some("b".to_owned()), None, Some("6".to_owned())]);
}

fn change(id: i64, values: Vec<Value>) -> Change {
    Change { key: Key::int(id), version: None, values }
}

pub async fn delete_deletes(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'Ann'), (2, 'Bob'), (3, 'Cid')").await;
    let mut write = bench.begin().await;
    let outcomes = write.delete(bench.collection(), &[Key::int(3), Key::int(9), Key::int(1)]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Done(Key::int(3)), Outcome::Stale, Outcome::Done(Key::int(1))]);
    let (stored, _) = write.read_back(bench.collection(), &[Key::int(1), Key::int(2)]).await.unwrap();
    assert_eq!(stored[0], Fetched::Absent);
    write.commit().await.unwrap();
    assert_eq!(bench.ids("select id from item").await, [Key::int(2)]);
}

pub async fn b1_own_writes_are_tagged(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    let key = bench.create(&[CODE], vec![t("ours")]).await.unwrap();
    lab.user("insert into item (id, code) values (5000, 'theirs')").await;
    let mut write = bench.begin().await;
    write.update(bench.collection(), &[NAME], &[Change { key: key.clone(), version: None, values: vec![t("x")] }]).await.unwrap();
    write.commit().await.unwrap();
    let entries: Vec<(String, bool)> = bench.read().await.iter().map(|entry| (op(entry), entry.own)).collect();
    let (insert, update) = (format!("insert {key}"), format!("update {key}"));
    // B2: logged all the same, for others.
    assert_eq!(entries, [(insert, true), ("insert 5000".to_owned(), false), (update, true)]);
}

pub async fn lock_returns_the_row_as_it_is_now(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'Ann'), (2, 'Bob')").await;
    let mut window = bench.window().await;
    let keys = [Key::int(2), Key::int(9), Key::int(1)];
    assert_eq!(row(&window.fetch(0, &keys).await.unwrap()[2])[NAME], t("Ann"));
    lab.user("update item set name = 'Bea' where id = 1").await;
    let mut write = bench.begin().await;
    let locked = write.lock(bench.collection(), &keys).await.unwrap();
    write.rollback().await.unwrap();
    assert_eq!(locked[0].as_ref().unwrap()[NAME], t("Bob"));
    assert_eq!(locked[1], None);
    assert_eq!(locked[2].as_ref().unwrap()[NAME], t("Bea"), "now, not when the window opened");
}

/// Rows that look as they did when the window opened, though others stand there now, or may.
pub async fn rule3_keys_that_moved_since_a_window_are_told(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    // Read from the log by one integration, and by two, each its own way.
    for round in 0..2 {
        let first = 1_000 + round * 100;
        let key = |n: i64| Key::int(first + n);
        for n in 0..9 {
            lab.user(&format!("insert into item (id, name) values ({}, 'Ann')", first + n)).await;
        }
        bench.read().await;
        let mut open = if lab.dialect().concurrent_writers { Some(lab.open().await) } else { None };
        if let Some(open) = &mut open {
            // Its entries have lower numbers than some that the window sees.
            open.run(&format!("update item set id = {} where id = {}", first + 90, first + 6)).await;
            open.run(&format!("update item set id = {} where id = {}", first + 6, first + 7)).await;
        }
        lab.user(&format!("update item set id = {} where id = {}", first + 80, first + 5)).await;
        lab.user(&format!("update item set id = {} where id = {}", first + 5, first + 80)).await;
        let window = bench.window().await;
        let (since, read) = (window.position(0), window.receipt(0));
        for (from, to) in [(0, 70), (1, 0), (70, 1)] {
            lab.user(&format!("update item set id = {} where id = {}", first + to, first + from)).await;
        }
        lab.user(&format!("delete from item where id = {}", first + 2)).await;
        lab.user(&format!("insert into item (id, name) values ({}, 'Ann')", first + 2)).await;
        lab.user(&format!("update item set name = 'Bea' where id = {}", first + 3)).await;
        if let Some(open) = open {
            open.commit().await;
        }
        // What we have made ourselves since then is nobody else's.
        let made = bench.create(&[NAME], vec![t("Ann")]).await.unwrap();
        let keys: Vec<Key> = (0..7).map(key).chain([made]).collect();
        let mut write = bench.begin().await;
        write.delete(bench.collection(), &[key(8)]).await.unwrap();
        write.commit().await.unwrap();
        lab.user(&format!("insert into item (id, name) values ({}, 'Eve')", first + 30)).await;
        let mut write = bench.begin().await;
        assert!(write.lock(bench.collection(), &keys[..6]).await.unwrap().iter().all(Option::is_some));
        let moved = write.moved(bench.collection(), &keys, &since, &read, MovedBy::Anybody).await.unwrap();
        let told: Vec<bool> = keys[..7].iter().map(|key| moved.contains(&key.encode())).collect();
        let others = lab.dialect().concurrent_writers;
        assert_eq!(told, [true, true, true, false, false, false, others], "round {round}");
        // What others have done: not what we have, in another transaction or in this one.
        write.delete(bench.collection(), &[key(3)]).await.unwrap();
        let keys: Vec<Key> = keys.into_iter().chain([key(8), key(30)]).collect();
        let moved = write.moved(bench.collection(), &keys, &since, &read, MovedBy::Others).await.unwrap();
        let told: Vec<bool> = keys.iter().map(|key| moved.contains(&key.encode())).collect();
        assert_eq!(told, [true, true, true, false, false, false, others, false, false, true], "round {round}");
        write.rollback().await.unwrap();
        drop(window);
        bench.read().await;
        let window = bench.window().await;
        let mut write = bench.begin().await;
        let moved =
            write.moved(bench.collection(), &keys, &window.position(0), &window.receipt(0), MovedBy::Anybody).await.unwrap();
        assert!(moved.is_empty(), "what was read has moved before: {moved:?}");
        write.rollback().await.unwrap();
        drop(window);
        if round == 0 {
            bench.beside("other").await;
        }
    }
}

pub async fn rule19_lock_does_not_wait(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'Ann'), (2, 'Bob')").await;
    let mut open = lab.open().await;
    open.run("update item set name = 'X' where id = 1").await;
    if lab.dialect().concurrent_writers {
        let mut write = bench.begin().await;
        let locked = write.lock(bench.collection(), &[Key::int(1), Key::int(2)]).await.unwrap();
        assert_eq!(locked[0], None);
        assert!(locked[1].is_some());
        write.rollback().await.unwrap();
    } else {
        // One writer at a time: we give up after a bounded wait, and may come again.
        let error = bench.endpoint.begin(&bench.fence).await.err().unwrap();
        assert_eq!(error.kind(), Kind::Retry, "{error}");
    }
    open.rollback().await;
}

pub async fn rule6_read_back_orders_own_writes_and_later_ones(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'Ann'), (2, 'Bob')").await;
    let before = bench.read().await;
    let mut write = bench.begin().await;
    write.update(bench.collection(), &[NAME], &[change(1, vec![t("ours")])]).await.unwrap();
    let (stored, pos) = write.read_back(bench.collection(), &[Key::int(1)]).await.unwrap();
    assert_eq!(row(&stored[0])[NAME], t("ours"));
    write.commit().await.unwrap();
    lab.user("update item set name = 'later' where id = 1").await;
    lab.user("delete from item where id = 2").await;
    let after = bench.read().await;
    assert!(before.iter().all(|entry| entry.pos < pos), "what was there before is below");
    let (own, later): (Vec<_>, Vec<_>) = after.iter().partition(|entry| entry.own);
    assert!(!own.is_empty() && own.iter().all(|entry| entry.pos <= pos), "our own is not above");
    assert_eq!(later.len(), 2);
    assert!(later.iter().all(|entry| entry.pos > pos), "what came later is above");
}

pub async fn a_rolled_back_write_leaves_nothing(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    let create = [Create { key: None, values: vec![t("a")] }];
    let mut write = bench.begin().await;
    write.insert(bench.collection(), &[CODE], &create).await.unwrap();
    write.rollback().await.unwrap();
    let mut write = bench.begin().await;
    write.insert(bench.collection(), &[CODE], &create).await.unwrap();
    drop(write);
    // Also after a write that was only dropped, the next one begins.
    let mut write = bench.begin().await;
    assert_eq!(write.lock(bench.collection(), &[Key::int(1)]).await.unwrap(), [None]);
    write.rollback().await.unwrap();
    assert_eq!(bench.ops().await, Vec::<String>::new());
    assert_eq!(lab.user_rows("select count(*) from item").await[0][0].as_deref(), Some("0"));
}

pub async fn a_duplicate_is_told_from_other_refusals(lab: &dyn Lab) {
    lab.user(&item(lab, "item")).await;
    let text = lab.dialect().text;
    lab.user(&format!(
        "create table child (id {}, item_id bigint not null, name {text} not null, foreign key (item_id) references item (id))",
        lab.dialect().generated_key
    ))
    .await;
    let bench = Bench::new(lab, &["item", "child"]).await;
    lab.user("insert into item (id, code) values (1, 'taken-value')").await;
    let child = &bench.tracked[1].collection;
    let cases = [
        (bench.collection(), vec![CODE], vec![t("taken-value")], Kind::Duplicate),
        (bench.collection(), vec![0], vec![int(1)], Kind::Duplicate),
        (bench.collection(), vec![QTY], vec![int(-4711)], Kind::Rejected),
        (bench.collection(), vec![QTY], vec![Value::Null], Kind::Rejected),
        (child, vec![1, 2], vec![int(4711), t("orphan-value")], Kind::Rejected),
        (child, vec![1], vec![int(1)], Kind::Rejected),
    ];
    for (collection, fields, values, kind) in cases {
        let mut write = bench.begin().await;
        let error = match write.insert(collection, &fields, &[Create { key: None, values }]).await {
            Err(error) => error,
            // A deferred constraint speaks when all constraints are made immediate.
            Ok(outcomes) => write.read_back(collection, &[done(&outcomes[0]).clone()]).await.unwrap_err(),
        };
        assert_eq!(error.kind(), kind, "{error}");
        let shown = error.to_string();
        assert!(!shown.contains("4711") && !shown.contains("-value"), "I10: {shown}");
        write.rollback().await.unwrap();
    }
    assert_eq!(lab.user_rows("select count(*) from item").await[0][0].as_deref(), Some("1"));
}

pub async fn rule4_another_epoch_is_fenced(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    bench.begin().await.rollback().await.unwrap();
    lab.user("insert into item (id, name) values (1, 'Ann')").await;
    let window = bench.window().await;
    let upto = [Acknowledge { table: lab.table("item"), position: window.position(0), receipt: window.receipt(0) }];
    drop(window);
    let mut session = bench.store().session().await.unwrap();
    assert_eq!(take(&mut *session, "suite", 1).await, 0, "the same epoch again hits no row");
    assert_eq!(take(&mut *session, "suite", 2).await, 1);
    assert_eq!(bench.endpoint.begin(&bench.fence).await.err().unwrap().kind(), Kind::Fenced);
    assert_eq!(bench.store().begin(&bench.fence).await.err().unwrap().kind(), Kind::Fenced);
    assert_eq!(bench.endpoint.acknowledge(&bench.fence, &upto).await.err().map(|error| error.kind()), Some(Kind::Fenced));
    let mut fence = bench.fence.clone();
    fence.epoch = 2;
    bench.endpoint.begin(&fence).await.unwrap().rollback().await.unwrap();
    fence.integration = "unknown".to_owned();
    assert_eq!(bench.endpoint.begin(&fence).await.err().unwrap().kind(), Kind::Fenced);
    // And what it wanted to acknowledge is still there for its successor.
    bench.fence.epoch = 2;
    assert_eq!(bench.ops().await, ["insert 1"]);
}

/// Also A13: what a delete would take along is told before, as of the moment of the delete.
pub async fn rule18_reach_tells_what_a_delete_would_take_along(lab: &dyn Lab) {
    let key = lab.dialect().generated_key;
    let refers = |column: &str, on_delete: &str| format!("foreign key ({column}) references tree (id) on delete {on_delete}");
    lab.user(&format!("create table tree (id {key}, up bigint, n bigint, {})", refers("up", "cascade"))).await;
    lab.user(&format!("create table leaf (id {key}, tree bigint, {})", refers("tree", "cascade"))).await;
    lab.user(&format!("create table loose (id {key}, tree bigint, {})", refers("tree", "set null"))).await;
    lab.user("insert into tree (id, up) values (1, null), (2, 1), (3, 2), (4, null), (5, null), (6, null)").await;
    lab.user("insert into leaf (tree) values (4), (4)").await;
    lab.user("insert into loose (tree) values (5)").await;
    let bench = Bench::new(lab, &["tree"]).await;
    let mut write = bench.begin().await;
    let keys: Vec<Key> = (1..=5).map(Key::int).collect();
    let reach = async |write: &mut Box<dyn Write>, keys: &[Key]| {
        write.lock(bench.collection(), keys).await.unwrap();
        write.reach(bench.collection(), keys).await.unwrap()
    };
    let (tree, leaf) = (Reach::Cascades(lab.table("tree")), Reach::Cascades(lab.table("leaf")));
    assert_eq!(reach(&mut write, &keys).await, [tree.clone(), tree.clone(), Reach::Row, leaf, Reach::Row]);
    // As of now: what was deleted in this transaction is gone.
    write.delete(bench.collection(), &[Key::int(3)]).await.unwrap();
    assert_eq!(reach(&mut write, &[Key::int(2), Key::int(1)]).await, [Reach::Row, tree]);
    assert_eq!(reach(&mut write, &[]).await, []);
    write.rollback().await.unwrap();
    if !lab.dialect().concurrent_writers {
        return;
    }
    // Another child is being added: by lock or by reach, we are told; nobody waits.
    let mut user = lab.open().await;
    user.run("insert into leaf (tree) values (6)").await;
    let mut write = bench.begin().await;
    let locked = write.lock(bench.collection(), &[Key::int(6)]).await.unwrap();
    let reach = write.reach(bench.collection(), &[Key::int(6)]).await.unwrap();
    assert!(locked[0].is_none() || reach == [Reach::Locked], "{locked:?} {reach:?}");
    write.rollback().await.unwrap();
    user.commit().await;
}
