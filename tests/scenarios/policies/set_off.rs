//! What the application's own triggers do in a write of ours.

use std::sync::Arc;

use crate::scene::{Scene, rows, scenarios};
use crate::support::Lab;

scenarios! { sqlite_sqlite:
    i6_what_our_create_leaves_empty_clears_nothing,
    what_our_write_sets_off_goes_back,
    what_our_write_sets_off_in_a_one_way_field_goes_back,
    a_change_meanwhile_does_not_undo_what_was_set_off,
    a_blank_that_comes_back_filled_goes_back,
    a_default_of_a_field_we_do_not_send_goes_back,
    what_was_set_off_survives_a_crash,
    b7_two_triggers_that_set_each_other_off_are_held,
    i1_a_cascade_of_ours_does_not_undo_a_delete,
    i1_a_trigger_in_our_write_does_not_undo_a_delete,
    i1_a_users_change_beside_what_we_set_off_is_not_deleted,
    i1_what_another_link_brings_stands_against_a_delete,
}

scenarios! { postgres_mysql:
    i6_what_our_create_leaves_empty_clears_nothing,
    what_our_write_sets_off_goes_back,
    what_our_write_sets_off_in_a_one_way_field_goes_back,
    a_change_meanwhile_does_not_undo_what_was_set_off,
    a_blank_that_comes_back_filled_goes_back,
    a_default_of_a_field_we_do_not_send_goes_back,
    what_was_set_off_survives_a_crash,
    b7_two_triggers_that_set_each_other_off_are_held,
    i1_a_cascade_of_ours_does_not_undo_a_delete,
    i1_a_trigger_in_our_write_does_not_undo_a_delete,
    i1_a_users_change_beside_what_we_set_off_is_not_deleted,
    i1_what_another_link_brings_stands_against_a_delete,
}

scenarios! { mysql_mariadb:
    i6_what_our_create_leaves_empty_clears_nothing,
    what_our_write_sets_off_goes_back,
    a_blank_that_comes_back_filled_goes_back,
    b7_two_triggers_that_set_each_other_off_are_held,
    i1_a_cascade_of_ours_does_not_undo_a_delete,
    i1_a_trigger_in_our_write_does_not_undo_a_delete,
    i1_a_users_change_beside_what_we_set_off_is_not_deleted,
}

scenarios! { sqlite_postgres:
    what_our_write_sets_off_goes_back,
    a_blank_that_comes_back_filled_goes_back,
    i1_a_cascade_of_ours_does_not_undo_a_delete,
    i1_a_trigger_in_our_write_does_not_undo_a_delete,
    i1_a_users_change_beside_what_we_set_off_is_not_deleted,
}

scenarios! { mariadb_postgres:
    i1_a_cascade_of_ours_does_not_undo_a_delete,
    i1_a_trigger_in_our_write_does_not_undo_a_delete,
    i1_a_users_change_beside_what_we_set_off_is_not_deleted,
}

const LINES: &str = "
    source: line
    target: item
    match: [code]
    fields:
      code: code
      qty: qty
      price: price
";

/// Order lines on both sides; `total` is the mapping of their totals.
async fn lines(scene: &Scene, total: &str, more: &str) {
    for (lab, table) in [(&scene.source, "line"), (&scene.target, "item")] {
        let (key, text) = (lab.dialect().generated_key, lab.dialect().text);
        let columns = format!("code {text} not null unique, qty int, price int, total int, stock int default 7");
        lab.user(&format!("create table {table} (id {key}, {columns})")).await;
    }
    scene.link(&[("lines", &format!("{LINES}      total: {total}\n{more}"))]);
}

/// The application's rule: whenever one of `of` is written, `column` becomes `value` (of `new`).
async fn rule(lab: &Arc<dyn Lab>, table: &str, of: &str, column: &str, value: &str) {
    let changed = |new: &str, old: &str| {
        let each = of.split(',').map(|of| format!("{new}.{of} is distinct from {old}.{of}"));
        each.collect::<Vec<_>>().join(" or ")
    };
    match lab.dialect().statements {
        statements if statements.ends_with("sqlite") => {
            let body = format!("update {table} set {column} = {value} where id = new.id");
            lab.user(&format!("create trigger {table}_{column}_i after insert on {table} begin {body}; end")).await;
            let when = changed("new", "old");
            let on = format!("after update of {of} on {table} when {when}");
            lab.user(&format!("create trigger {table}_{column}_u {on} begin {body}; end")).await;
        }
        statements if statements.ends_with("postgres") => {
            let body = format!(
                "begin if tg_op = 'INSERT' then new.{column} := {value}; \
                 elsif {} then new.{column} := {value}; end if; return new; end",
                changed("new", "old")
            );
            lab.user(&format!("create function {table}_{column}() returns trigger language plpgsql as $${body}$$")).await;
            let on = format!("before insert or update on {table} for each row execute function {table}_{column}()");
            lab.user(&format!("create trigger {table}_{column} {on}")).await;
        }
        _ => {
            let set = format!("set new.{column} = {value}");
            lab.user(&format!("create trigger {table}_{column}_i before insert on {table} for each row {set}")).await;
            let same = of.split(',').map(|of| format!("new.{of} <=> old.{of}")).collect::<Vec<_>>().join(" and ");
            let set = format!("set new.{column} = if({same}, new.{column}, {value})");
            lab.user(&format!("create trigger {table}_{column}_u before update on {table} for each row {set}")).await;
        }
    }
}

const TOTAL: &str = "new.qty * new.price";

async fn line(scene: &Scene, columns: &str, values: &str) {
    scene.source.user(&format!("insert into line (code, {columns}) values ('x', {values})")).await;
}

async fn both(scene: &Scene, columns: &str) -> [Vec<String>; 2] {
    [
        rows(&scene.source, &format!("select {columns} from line order by code")).await,
        rows(&scene.target, &format!("select {columns} from item order by code")).await,
    ]
}

async fn qty(scene: &Scene, qty: u32) {
    scene.source.user(&format!("update line set qty = {qty} where code = 'x'")).await;
}

pub async fn what_our_write_sets_off_goes_back(scene: &Scene) {
    lines(scene, "total", "").await;
    line(scene, "qty, price, total", "2, 10, 20").await;
    scene.sync().await;
    rule(&scene.target, "item", "qty,price", "total", TOTAL).await;
    qty(scene, 3).await;
    let counts = scene.sync().await;
    assert_eq!(both(scene, "qty, total").await, [["3|30"], ["3|30"]]);
    assert_eq!((counts.of("lines", "updated_target"), counts.of("lines", "updated_source")), (1, 1));
    scene.quiet().await;
    assert_eq!(scene.status("lines", "diverged").await, 0);
}

pub async fn what_our_write_sets_off_in_a_one_way_field_goes_back(scene: &Scene) {
    lines(scene, "{to: total, direction: to_source}", "").await;
    rule(&scene.target, "item", "qty,price", "total", TOTAL).await;
    line(scene, "qty, price, total", "2, 10, 1").await;
    scene.sync().await;
    assert_eq!(both(scene, "qty, total").await, [["2|20"], ["2|20"]]);
    qty(scene, 3).await;
    scene.sync().await;
    assert_eq!(both(scene, "qty, total").await, [["3|30"], ["3|30"]]);
    scene.quiet().await;
}

/// The source's own row wins, but for a field that it may not send.
pub async fn a_change_meanwhile_does_not_undo_what_was_set_off(scene: &Scene) {
    lines(scene, "{to: total, direction: to_source}", "").await;
    rule(&scene.target, "item", "qty,price", "total", TOTAL).await;
    line(scene, "qty, price", "2, 10").await;
    scene.sync().await;
    scene.target.user("update item set price = 11 where code = 'x'").await;
    qty(scene, 3).await;
    scene.sync().await;
    assert_eq!(both(scene, "qty, price, total").await, [["3|10|30"], ["3|10|30"]]);
    scene.quiet().await;
}

/// Rule: a blank that comes back filled is that side's change. `blanks: keep` does not stand in the way.
pub async fn a_blank_that_comes_back_filled_goes_back(scene: &Scene) {
    lines(scene, "total", "").await;
    rule(&scene.target, "item", "qty,price", "total", TOTAL).await;
    line(scene, "qty, price", "2, 10").await;
    scene.sync().await;
    assert_eq!(both(scene, "qty, total").await, [["2|20"], ["2|20"]]);
    scene.quiet().await;
}

pub async fn a_default_of_a_field_we_do_not_send_goes_back(scene: &Scene) {
    lines(scene, "total", "      stock: {to: stock, direction: to_source}\n").await;
    line(scene, "qty, stock", "2, null").await;
    scene.sync().await;
    assert_eq!(both(scene, "qty, stock").await, [["2|7"], ["2|7"]]);
    scene.quiet().await;
}

/// The write is committed, and the process dies before it has noted that there is more to do.
pub async fn what_was_set_off_survives_a_crash(scene: &Scene) {
    lines(scene, "total", "").await;
    // The target's writes leave receipts: the state is elsewhere.
    scene.configure("first_sync: auto\nstate: shop", &[("lines", &format!("{LINES}      total: total\n"))]);
    line(scene, "qty, price, total", "1, 10, 10").await;
    scene.sync().await;
    rule(&scene.target, "item", "qty,price", "total", TOTAL).await;
    let steps = ["apply.committed", "apply.absorbed", "finish.recorded", "close.recorded", "acknowledge.done"];
    for (step, wanted) in steps.into_iter().zip(2..) {
        qty(scene, wanted).await;
        let killed = scene.program.start(&["run", "--once"], Some(&format!("{step}:1"))).wait().await.unwrap();
        assert!(!killed.success(), "not killed at {step}");
        scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
        let total = format!("{wanted}|{}", wanted * 10);
        assert_eq!(both(scene, "qty, total").await, [[total.clone()], [total]], "killed at {step}");
    }
    scene.quiet().await;
}

/// Also I3: there, `total` changes whenever `stock` does; here, `stock` whenever `total` does.
pub async fn b7_two_triggers_that_set_each_other_off_are_held(scene: &Scene) {
    lines(scene, "total", "      stock: stock\n").await;
    line(scene, "qty, total, stock", "1, 1, 1").await;
    scene.source.user("insert into line (code, qty) values ('quiet', 1)").await;
    scene.sync().await;
    rule(&scene.source, "line", "total", "stock", "new.stock + 1").await;
    rule(&scene.target, "item", "qty,stock", "total", "new.total + 1").await;
    qty(scene, 5).await;
    scene.sync().await;
    let held = scene.held().await;
    assert_eq!(held.len(), 1, "{held:?}");
    assert!(held[0].starts_with("lines source ") && held[0].ends_with("every such change sets it off again"), "{held:?}");
    let before = both(scene, "total, stock").await;
    scene.quiet().await;
    assert_eq!(both(scene, "total, stock").await, before);
    // The others go on, and so does the next change of this one.
    scene.source.user("update line set price = 2").await;
    qty(scene, 6).await;
    scene.sync().await;
    assert_eq!(both(scene, "code, qty, price").await, [["quiet|1|2", "x|6|2"], ["quiet|1|2", "x|6|2"]]);
    scene.quiet().await;
}

/// A field that only the other side may write is not sent when a record is created there: that it is empty then is nobody's
/// word. What its owner says later is.
pub async fn i6_what_our_create_leaves_empty_clears_nothing(scene: &Scene) {
    lines(scene, "{to: total, direction: to_source}", "    safety: mirror").await;
    line(scene, "qty, total", "2, 77").await;
    scene.sync().await;
    assert_eq!(both(scene, "qty, coalesce(total, -1)").await, [["2|77"], ["2|-1"]]);
    scene.quiet().await;
    qty(scene, 3).await;
    scene.sync().await;
    scene.program.run(&["resync", "full"]).await.code(0);
    scene.sync().await;
    assert_eq!(both(scene, "qty, coalesce(total, -1)").await, [["3|77"], ["3|-1"]]);
    assert!(scene.conflicts().await.is_empty());
    for (owner, total) in [("5", "5"), ("null", "-1")] {
        scene.target.user(&format!("update item set total = {owner} where code = 'x'")).await;
        scene.sync().await;
        let now = format!("3|{total}");
        assert_eq!(both(scene, "qty, coalesce(total, -1)").await, [[now.clone()], [now]]);
    }
    scene.quiet().await;
}

/// A parent and its children: people give the parents' keys, each side numbers the children.
async fn families(scene: &Scene) {
    for (lab, parent, child, first) in [(&scene.source, "par", "chi", 500), (&scene.target, "eltern", "kind", 7000)] {
        let (key, text) = (lab.dialect().generated_key, lab.dialect().text);
        lab.user(&format!("create table {parent} (code {text} not null primary key, v bigint)")).await;
        let reference = format!("foreign key (f) references {parent} (code) on update cascade");
        lab.user(&format!("create table {child} (id {key}, ref {text} not null unique, f {text} not null, {reference})")).await;
        lab.user(&format!("insert into {parent} values ('none', 0)")).await;
        lab.user(&format!("insert into {child} (id, ref, f) values ({first}, 'none', 'none')")).await;
    }
    scene.link(&[
        ("p", "\n    source: par\n    target: eltern\n    keys: copy\n    safety: mirror\n    fields: {v: v}\n"),
        (
            "c",
            "\n    source: chi\n    target: kind\n    match: [ref]\n    safety: mirror\n    fields:\n      ref: ref\n      f: {to: f, via: p}\n",
        ),
    ]);
    scene.source.user("insert into par values ('P1', 1), ('P2', 2)").await;
    scene.source.user("insert into chi (ref, f) values ('c1', 'P1'), ('c2', 'P2')").await;
    scene.sync().await;
    assert_eq!(of_families(scene).await, [["none 0", "P1 1", "P2 2", "c1 P1", "c2 P2", "none none"]; 2]);
}

async fn of_families(scene: &Scene) -> [Vec<String>; 2] {
    let mut all = [Vec::new(), Vec::new()];
    for (at, (lab, parent, child)) in [(&scene.source, "par", "chi"), (&scene.target, "eltern", "kind")].into_iter().enumerate() {
        all[at].extend(rows(lab, &format!("select code, v from {parent} order by v, code")).await);
        all[at].extend(rows(lab, &format!("select ref, f from {child} order by ref")).await);
    }
    all.map(|all| all.into_iter().map(|row| row.replace('|', " ")).collect())
}

/// Whenever a child goes, its parent in the source counts down.
async fn counter(scene: &Scene) {
    let lab = &scene.source;
    let body = "update par set v = v - 1 where code = old.f";
    match lab.dialect().statements {
        statements if statements.ends_with("sqlite") => {
            lab.user(&format!("create trigger counter after delete on chi begin {body}; end")).await;
        }
        statements if statements.ends_with("postgres") => {
            let body = format!("begin {body}; return null; end");
            lab.user(&format!("create function counter() returns trigger language plpgsql as $${body}$$")).await;
            lab.user("create trigger counter after delete on chi for each row execute function counter()").await;
        }
        _ => lab.user(&format!("create trigger counter after delete on chi for each row {body}")).await,
    }
}

async fn in_one_transaction(lab: &Arc<dyn Lab>, statements: [&str; 2]) {
    let mut transaction = lab.open().await;
    for sql in statements {
        transaction.run(sql).await;
    }
    transaction.commit().await;
}

/// The parent's new key comes down on the child in the source, which nobody has touched there.
pub async fn i1_a_cascade_of_ours_does_not_undo_a_delete(scene: &Scene) {
    families(scene).await;
    let statements = ["delete from kind where ref = 'c1'", "update eltern set code = 'R1' where code = 'P1'"];
    in_one_transaction(&scene.target, statements).await;
    scene.sync().await;
    assert_eq!(of_families(scene).await, [["none 0", "R1 1", "P2 2", "c2 P2", "none none"]; 2]);
    // What was set off is kept.
    assert_eq!((scene.held().await, scene.conflicts().await.len()), (vec![], 1));
    scene.quiet().await;
}

pub async fn i1_a_trigger_in_our_write_does_not_undo_a_delete(scene: &Scene) {
    families(scene).await;
    counter(scene).await;
    let statements = ["delete from kind where ref = 'c1'", "delete from eltern where code = 'P1'"];
    in_one_transaction(&scene.target, statements).await;
    scene.sync().await;
    assert_eq!(of_families(scene).await, [["none 0", "P2 2", "c2 P2", "none none"]; 2]);
    // What was set off is kept.
    assert_eq!((scene.held().await, scene.conflicts().await.len()), (vec![], 1));
    scene.quiet().await;
}

pub async fn i1_a_users_change_beside_what_we_set_off_is_not_deleted(scene: &Scene) {
    families(scene).await;
    counter(scene).await;
    let statements = ["delete from kind where ref = 'c1'", "delete from eltern where code = 'P1'"];
    in_one_transaction(&scene.target, statements).await;
    scene.source.user("update par set v = 50 where code = 'P1'").await;
    scene.sync().await;
    assert_eq!(of_families(scene).await, [["none 0", "P2 2", "P1 49", "c2 P2", "none none"]; 2]);
    scene.quiet().await;
}

/// What another link has brought into a table is a change, though we have written it.
pub async fn i1_what_another_link_brings_stands_against_a_delete(scene: &Scene) {
    for (lab, tables) in [(&scene.source, ["inbox", "outbox"].as_slice()), (&scene.target, &["note"])] {
        let (key, text) = (lab.dialect().generated_key, lab.dialect().text);
        for (at, table) in tables.iter().enumerate() {
            let (first, code) = (1 + 40 * at + 3000 * tables.len(), format!("{text} not null unique"));
            lab.user(&format!("create table {table} (id {key}, code {code}, v bigint)")).await;
            lab.user(&format!("insert into {table} (id, code, v) values ({first}, 'first', 0)")).await;
        }
    }
    let to = |table: &str| {
        let link = "target: note\n    match: [code]\n    safety: mirror\n    conflict: target\n    fields: {code: code, v: v}";
        format!("\n    source: {table}\n    {link}\n")
    };
    scene.link(&[("in", &to("inbox")), ("out", &to("outbox"))]);
    scene.source.user("insert into inbox (code, v) values ('x', 1)").await;
    scene.sync().await;
    let all = async || {
        let mut all = rows(&scene.source, "select v from inbox where code = 'x'").await;
        all.extend(rows(&scene.target, "select v from note where code = 'x'").await);
        all.extend(rows(&scene.source, "select v from outbox where code = 'x'").await);
        all
    };
    assert_eq!(all().await, ["1", "1", "1"]);
    in_one_transaction(&scene.source, ["update inbox set v = 2 where code = 'x'", "delete from outbox where code = 'x'"]).await;
    scene.sync().await;
    assert_eq!(all().await, ["2", "2", "2"]);
    scene.quiet().await;
}
