//! What only PostgreSQL has, or only it can be made to do.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bigdecimal::BigDecimal;
use twinrow::endpoint::database::postgres::Postgres;
use twinrow::endpoint::{Acknowledge, Change, Create, Endpoint, Fetched, Outcome, Unread};
use twinrow::error::Kind;
use twinrow::model::{Key, KeySource, Normal, Op, Position, Value};
use twinrow::sql::Store;

pub use super::backlog::*;
pub use super::partitions::*;
pub use super::returned::*;
use crate::suite::bench::{Bench, INTEGRATION, describe, fence, int, op, row, t, tracking};
use crate::suite::texts_are_found_as_stated;
use crate::support::postgres::{PostgresLab, connect};
use crate::support::tls::{self, Certificate};
use crate::support::{Lab, skip};

type Body = for<'a> fn(&'a PostgresLab) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

pub async fn run(test: &str, variable: &str, body: Body) {
    let lab = match crate::support::postgres::new(variable).await {
        Ok(lab) => lab,
        Err(reason) => return skip(test, &reason),
    };
    let inner = Arc::clone(&lab);
    let result = tokio::spawn(async move { body(&inner).await }).await;
    lab.close().await;
    if let Err(failure) = result {
        std::panic::resume_unwind(failure.into_panic());
    }
}

/// The lab's URL as another user's, made with what it needs to use the table `item`.
async fn as_user(lab: &PostgresLab, user: &str) -> String {
    lab.user(&format!("create role {user} login password 'secret'; grant select, insert, update, delete on item to {user}"))
        .await;
    let mut url = url::Url::parse(&lab.url()).unwrap();
    url.set_username(user).unwrap();
    url.set_password(Some("secret")).unwrap();
    url.to_string()
}

async fn drop_user(lab: &PostgresLab, user: &str) {
    lab.user(&format!("drop owned by {user}; drop role {user}")).await;
}

pub async fn a4_prepared_transactions_and_other_databases_hold_up_nobody(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    lab.user("begin; insert into item (id) values (1); prepare transaction 'twinrow'").await;
    for id in 2..=20 {
        lab.user(&format!("insert into item (id) values ({id})")).await;
        assert_eq!(bench.ops().await, [format!("insert {id}")]);
    }
    lab.user("commit prepared 'twinrow'").await;
    assert_eq!(bench.ops().await, ["insert 1"]);
}

pub async fn a4_a_prepared_transaction_is_named_and_a_missing_right_too(lab: &PostgresLab) {
    let bench = Bench::item(lab).await;
    lab.user("begin; insert into item (id) values (1); prepare transaction 'of the shop'").await;
    let user = format!("onlooker_{}", lab.database());
    let url = as_user(lab, &user).await;
    lab.user(&format!("grant usage on schema twinrow to {user}; grant select on all tables in schema twinrow to {user}")).await;
    let onlooker = Postgres::open(&url, "lab").unwrap();
    let mut idle = lab.open().await;
    idle.run("insert into item (id) values (2)").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let found = bench.endpoint.open_transactions(&bench.tables()).await.unwrap();
    let named = |who: &str| found.transactions.iter().any(|one| one.who.contains(who) && one.tables == ["public.item"]);
    assert!(named("prepared transaction 'of the shop'") && named("process "), "{found:?}");
    let seen = onlooker.open_transactions(&bench.tables()).await.unwrap();
    assert_eq!(seen.missing_right, Some(format!("grant pg_read_all_stats to \"{user}\"")));
    assert!(seen.transactions.iter().any(|one| one.who.starts_with("process ") && one.since.is_none()), "{seen:?}");
    idle.rollback().await;
    lab.user("rollback prepared 'of the shop'").await;
    drop(onlooker);
    drop_user(lab, &user).await;
}

pub async fn a13_cascades_are_captured(lab: &PostgresLab) {
    lab.user("create table parent (id int primary key)").await;
    lab.user("create table child (id int primary key, up int references parent on delete cascade on update cascade)").await;
    lab.user("create table loose (id int primary key, up int references parent on delete set null)").await;
    let mut bench = Bench::new(lab, &["parent", "child", "loose"]).await;
    lab.user("insert into parent values (1), (2); insert into child values (10, 1), (11, 2); insert into loose values (20, 2)")
        .await;
    bench.read().await;
    lab.user("update parent set id = 3 where id = 1").await;
    assert_eq!(bench.ops().await, ["rename 1 to 3", "update 10"]);
    lab.user("delete from parent where id = 2").await;
    let mut ops = bench.ops().await;
    ops.sort_unstable();
    assert_eq!(ops, ["delete 11", "delete 2", "update 20"]);
}

pub async fn a12_truncate_leaves_a_mark(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id) values (1), (2)").await;
    lab.user("truncate item").await;
    assert_eq!(bench.ops().await, ["insert 1", "insert 2", "truncate"]);
    lab.user("set session_replication_role = replica; truncate item; reset session_replication_role").await;
    assert_eq!(bench.ops().await, ["truncate"]);
}

pub async fn a17_replica_role_is_captured_once(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    lab.user(
        "set session_replication_role = replica; insert into item (id, name) values (1, 'a'), (2, 'b'); update item set name = 'c' where id = 1; \
         update item set id = 3 where id = 2; delete from item where id = 1; reset session_replication_role",
    )
    .await;
    assert_eq!(bench.ops().await, ["insert 1", "insert 2", "update 1", "rename 2 to 3", "delete 1"]);
    lab.user("set session_replication_role = local; insert into item (id) values (7); reset session_replication_role").await;
    assert_eq!(bench.ops().await, ["insert 7"]);
    lab.user("alter table item disable trigger all").await;
    let disabled = bench.tracking().inspect(&bench.tables()).await.unwrap();
    assert!(disabled[0].problem.contains("is disabled") && disabled[0].gap, "{disabled:?}");
    // ENABLE TRIGGER ALL forgets that some were REPLICA and ALWAYS.
    lab.user("alter table item enable trigger all").await;
    let altered = bench.tracking().inspect(&bench.tables()).await.unwrap();
    assert!(altered[0].problem.contains("other modes"), "{altered:?}");
    bench.tracking().install(&bench.tables(), true).await.unwrap();
    assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
}

pub async fn a18_logical_replication_is_captured_once(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    let publisher = format!("{}_pub", lab.database());
    let mut url = url::Url::parse(&lab.url()).unwrap();
    lab.user(&format!("create database {publisher} template template0")).await;
    url.set_path(&publisher);
    let client = connect(url.as_str()).await.unwrap();
    let slot = client
        .batch_execute("create table item (id bigint primary key, code text, name text, qty integer not null default 1); create publication p for table item")
        .await;
    slot.unwrap();
    client.query(&format!("select pg_create_logical_replication_slot('{publisher}', 'pgoutput')"), &[]).await.unwrap();
    let conninfo = format!("host=127.0.0.1 port={} user=postgres password=secret dbname={publisher}", url.port().unwrap());
    lab.user(&format!(
        "create subscription s connection '{conninfo}' publication p with (create_slot = false, slot_name = '{publisher}')"
    ))
    .await;
    // One after the other: what the apply worker applies comes in several transactions.
    for (sql, expected) in [
        ("insert into item (id, name) values (1, 'a'), (2, 'b')", &["insert 1", "insert 2"][..]),
        ("update item set name = 'c' where id = 1", &["update 1"]),
        ("update item set id = 9 where id = 2", &["rename 2 to 9"]),
        ("delete from item where id = 1", &["delete 1"]),
        ("truncate item", &["truncate"]),
    ] {
        client.batch_execute(sql).await.unwrap();
        assert_eq!(read_until(&mut bench, expected.len()).await, expected, "{sql}");
    }
    lab.user("alter subscription s disable").await;
    lab.user("alter subscription s set (slot_name = none)").await;
    lab.user("drop subscription s").await;
    let until = Instant::now() + Duration::from_secs(10);
    while client.query(&format!("select pg_drop_replication_slot('{publisher}')"), &[]).await.is_err() {
        assert!(Instant::now() < until, "the slot stays in use");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(client);
    lab.user(&format!("drop database {publisher} with (force)")).await;
}

/// Reads until as many entries came as expected, and what came with them.
async fn read_until(bench: &mut Bench<'_>, count: usize) -> Vec<String> {
    let until = Instant::now() + Duration::from_secs(20);
    let mut ops = Vec::new();
    while ops.len() < count && Instant::now() < until {
        ops.extend(bench.ops().await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ops
}

pub async fn a21_inheritance_children_are_captured(lab: &PostgresLab) {
    lab.user("create table item (id bigint not null primary key, name text)").await;
    lab.user("create table child (note text, primary key (id)) inherits (item)").await;
    let mut bench = Bench::new(lab, &["item"]).await;
    lab.user("insert into item values (1, 'a')").await;
    lab.user("insert into child values (2, 'b', 'n')").await;
    lab.user("update item set name = 'c'").await;
    let mut ops = bench.ops().await;
    ops.sort_unstable();
    assert_eq!(ops, ["insert 1", "insert 2", "update 1", "update 2"]);
    lab.user("insert into child values (1, 'twice', 'n')").await;
    let mut window = bench.window().await;
    let fetched = window.fetch(0, &[Key::int(1), Key::int(2)]).await.unwrap();
    assert!(matches!(fetched[0], Fetched::Unreadable(_)), "two rows have this key");
    assert_eq!(row(&fetched[1])[1], t("c"));
}

pub async fn a23_copy_merge_and_ctes_are_captured(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    lab.user("create table feed (id bigint, name text); insert into feed select i, 'n' from generate_series(1, 3) i").await;
    lab.user("copy item (id) from program 'seq 41 43'").await;
    assert_eq!(bench.ops().await, ["insert 41", "insert 42", "insert 43"]);
    lab.user("insert into item (id, name) select id, name from feed where id < 3").await;
    assert_eq!(bench.ops().await, ["insert 1", "insert 2"]);
    if lab.variable().ends_with("13") {
        return; // It has no MERGE.
    }
    lab.user(
        "merge into item using feed on item.id = feed.id when matched and item.id = 1 then delete \
         when matched then update set name = 'm' when not matched then insert (id, name) values (feed.id, feed.name)",
    )
    .await;
    let mut ops = bench.ops().await;
    ops.sort_unstable();
    assert_eq!(ops, ["delete 1", "insert 3", "update 2"]);
    lab.user("with d as (delete from item where id = 2 returning 1), i as (insert into item (id) values (8)) update item set name = 'x' where id = 3").await;
    let mut ops = bench.ops().await;
    ops.sort_unstable();
    assert_eq!(ops, ["delete 2", "insert 8", "update 3"]);
    lab.user("insert into item (id, name) values (8, 'y') on conflict do nothing").await;
    assert_eq!(bench.ops().await, Vec::<String>::new());
}

/// A migration of the application's takes away, renames, exchanges or re-types a key column: its writes go on, a mark
/// is logged, the change is found, and what can be tracked again is.
pub async fn a30_a_lost_key_column_does_not_stop_the_application(lab: &PostgresLab) {
    let plain = "create table item (id bigint generated by default as identity primary key, code text, name text)";
    let parted = "create table item (id bigint not null primary key default 7, code text, name text) partition by range (id)";
    let parted = format!("{parted}; create table item_all partition of item default");
    let inherited = format!("{plain}; create table child (primary key (id)) inherits (item)");
    let renamed = "alter table item rename column id to ident";
    let dropped = "alter table item drop column id cascade";
    let retyped = "alter table item alter column id drop identity; \
         alter table item alter column id type uuid using gen_random_uuid(); alter table item alter column id set default gen_random_uuid()";
    let exchanged = "alter table item rename column id to old_id; alter table item add column id bigint default 5";
    let cases = [
        (plain, renamed, true),
        (plain, dropped, false),
        (plain, retyped, true),
        (plain, exchanged, true),
        (&parted, renamed, true),
        (&inherited, renamed, true),
        (&inherited, dropped, false),
    ];
    for (table, migration, repairable) in cases {
        lab.user(table).await;
        let mut bench = Bench::new(lab, &["item"]).await;
        let app = lab.client().await;
        // The very session that goes on has plans from before.
        for i in 0..7 {
            app.batch_execute(&format!("insert into item (code) values ('{i}'); update item set name = 'x'; delete from item"))
                .await
                .unwrap();
        }
        bench.read().await;
        app.batch_execute(migration).await.unwrap_or_else(|error| panic!("{migration}: {error}"));
        let later = connect(&lab.url()).await.unwrap();
        for (who, session) in [("the same session", &*app), ("a later one", &later)] {
            for sql in ["insert into item (code) values ('a')", "update item set name = 'y'", "delete from item"] {
                let done = session.batch_execute(sql).await;
                assert!(
                    done.is_ok(),
                    "{table}; {migration}; {sql} by {who}: {}",
                    crate::support::postgres::cause(&done.unwrap_err())
                );
            }
        }
        let findings = bench.tracking().inspect(&bench.tables()).await.unwrap();
        assert!(findings.len() == 1 && findings[0].gap, "{table}; {migration}: {findings:?}");
        let ops = bench.ops().await;
        assert!(migration == exchanged || ops.contains(&"truncate".to_owned()), "{table}; {migration}: {ops:?}");
        let repaired = bench.tracking().install(&bench.tables(), true).await;
        assert_eq!(repaired.is_ok(), repairable, "{table}; {migration}: {repaired:?}");
        if repairable {
            let tables = describe(lab, &*bench.endpoint, &["item"]).await;
            assert_eq!(bench.tracking().inspect(&tables).await.unwrap(), [], "{table}; {migration}");
        }
        app.batch_execute("insert into item (code) values ('b')").await.unwrap();
        bench.tracking().uninstall(None, &[]).await.unwrap();
        lab.user("drop table item cascade").await;
    }
}

/// What was logged of each of the bench's tables.
async fn ops_by_table(bench: &mut Bench<'_>) -> Vec<Vec<String>> {
    let mut ops = vec![Vec::new(); bench.tracked.len()];
    for entry in bench.read().await {
        ops[entry.collection].push(op(&entry));
    }
    ops
}

/// The foreign keys take the new keys along, in the same table too; one is checked at the end.
pub async fn a26_keys_that_change_by_cascade_are_renamed(lab: &PostgresLab) {
    lab.user(
        "create table orders (no text primary key, after text references orders on update cascade deferrable initially deferred)",
    )
    .await;
    lab.user("create table line (order_no text references orders on update cascade, n int, primary key (order_no, n))").await;
    lab.user("insert into orders values ('A', null), ('B', 'A'), ('C', 'B')").await;
    lab.user("insert into line values ('A', 1), ('A', 2), ('B', 1), ('C', 1)").await;
    let mut bench = Bench::new(lab, &["orders", "line"]).await;
    lab.user("update orders set no = 'A1' where no = 'A'").await;
    let moved = ["rename A,1 to A1,1", "rename A,2 to A1,2"];
    assert_eq!(ops_by_table(&mut bench).await, [&["rename A to A1", "update B"][..], &moved]);
    lab.user("begin; set constraints all deferred; update orders set no = no || '2'; commit").await;
    let [orders, lines] = ops_by_table(&mut bench).await.try_into().unwrap();
    let (mut renames, updates): (Vec<_>, Vec<_>) = orders.into_iter().partition(|op| op.starts_with("rename"));
    renames.sort_unstable();
    assert_eq!(renames, ["rename A1 to A12", "rename B to B2", "rename C to C2"]);
    assert!(updates.iter().all(|op| op == "update B2" || op == "update C2"), "{updates:?}");
    let moved = ["rename A1,1 to A12,1", "rename A1,2 to A12,2", "rename B,1 to B2,1", "rename C,1 to C2,1"];
    let mut lines = lines;
    lines.sort_unstable();
    assert_eq!(lines, moved);
}

/// By whatever statement: of each record it is said which it is now, and no key is taken before it is free.
pub async fn a26_several_keys_are_renamed_however_they_change(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (3, 'c'), (2, 'b'), (1, 'a')").await;
    bench.read().await;
    let tenfold = "create function tenfold() returns trigger language plpgsql as 'begin new.id := new.id * 10; return new; end'; \
         create trigger tenfold before update on item for each row execute function tenfold()";
    let mut cases = vec![
        ("update item set id = id + 1", vec!["rename 1 to 2", "rename 2 to 3", "rename 3 to 4"]),
        (
            "insert into item (id) values (3), (2), (3) on conflict (id) do update set id = item.id + 10",
            vec!["insert 3", "rename 2 to 12", "rename 3 to 13"],
        ),
        (
            "with f as (update item set id = 20 where id = 3), t as (update item set id = 40 where id = 4) \
             update item set id = id + 100, name = 'x' where id in (12, 13)",
            vec!["rename 12 to 112", "rename 13 to 113", "rename 3 to 20", "rename 4 to 40"],
        ),
        (
            "update item set id = item.id + 1 from (values (20), (40)) v (id) where v.id = item.id",
            vec!["rename 20 to 21", "rename 40 to 41"],
        ),
        (tenfold, vec![]),
        ("update item set name = 'y' where id < 50", vec!["rename 21 to 210", "rename 41 to 410"]),
        ("drop trigger tenfold on item", vec![]),
    ];
    if !lab.variable().ends_with("13") {
        let merge = "merge into item using (values (112), (113), (210), (410), (500)) f (id) on item.id = f.id \
             when matched and f.id = 113 then delete when matched and f.id = 410 then update set id = 777 \
             when matched then update set id = item.id + 1 when not matched then insert (id) values (410)";
        cases.push((merge, vec!["delete 113", "insert 410", "rename 112 to 113", "rename 210 to 211", "rename 410 to 777"]));
    }
    for (sql, expected) in cases {
        lab.user(sql).await;
        let mut ops = bench.ops().await;
        for (i, op) in ops.iter().enumerate() {
            let taken = op.rsplit(' ').next().unwrap();
            let freed = |later: &String| later.split(' ').nth(1) == Some(taken) && !later.starts_with("insert");
            assert!(!ops[i + 1..].iter().any(freed), "{sql}: {op} before the key is free: {ops:?}");
        }
        ops.sort_unstable();
        assert_eq!(ops, expected, "{sql}");
    }
}

/// By a plan that was made for one row, and more than fits into memory.
pub async fn a26_a_large_update_of_keys_is_captured_in_order(lab: &PostgresLab) {
    const ROWS: i64 = 30_000;
    let mut bench = Bench::item(lab).await;
    lab.user(&format!("insert into item (id) select i from generate_series({ROWS}, 1, -1) i")).await;
    let app = lab.client().await;
    app.batch_execute("set work_mem = '64kB'; set plan_cache_mode = force_generic_plan").await.unwrap();
    for _ in 0..7 {
        app.batch_execute(&format!("update item set id = -id where abs(id) = {ROWS}")).await.unwrap();
    }
    app.batch_execute("update item set id = -id where id < 0").await.unwrap();
    bench.read().await;
    let id = |key: &Key| match key.0[0] {
        Value::Int(id) => id,
        ref other => panic!("{other:?}"),
    };
    app.batch_execute("update item set id = id + 1000000, name = 'x' where id % 2 = 0").await.unwrap();
    let entries = bench.read().await;
    assert_eq!(entries.len() as i64, ROWS / 2);
    for (i, entry) in entries.iter().enumerate() {
        assert!(matches!(&entry.op, Op::Rename { to } if id(to) == id(&entry.key) + 1_000_000), "{i}: {entry:?}");
        assert!(i == 0 || entries[i - 1].pos < entry.pos, "{i}: each has a place of its own in the log");
    }
}

/// A running process knows what the table's numbers came from.
pub async fn a31_new_rows_get_numbers_of_the_table_that_is_there_now(lab: &PostgresLab) {
    let bench = Bench::item(lab).await;
    assert_eq!(bench.create(&[1], vec![t("a")]).await.unwrap(), Key::int(1));
    let swap = async |new: &str, start: i64| {
        lab.user("create table item_new (like item including defaults including indexes including identity)").await;
        lab.user(&format!("alter table item_new alter column id restart with {start}")).await;
        lab.user(&format!("alter table item rename to {new}")).await;
        lab.user("alter table item_new rename to item").await;
    };
    // The old one's sequence is gone: that is found by the first record, and the second try knows better.
    swap("item_old", 500).await;
    lab.user("drop table item_old").await;
    let error = bench.create(&[1], vec![t("b")]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{error}");
    assert_eq!(bench.create(&[1], vec![t("b")]).await.unwrap(), Key::int(500));
    // It is still there: a look at the tracking finds it.
    swap("item_older", 900).await;
    assert!(bench.tracking().inspect(&bench.tables()).await.unwrap()[0].replaced);
    assert_eq!(bench.create(&[1], vec![t("c")]).await.unwrap(), Key::int(900));
}

pub async fn a33_install_does_not_freeze_the_application(lab: &PostgresLab) {
    lab.user(&crate::suite::bench::item(lab, "item")).await;
    let endpoint = lab.endpoint().await;
    let tables = describe(lab, &*endpoint, &["item"]).await;
    let mut writer = lab.open().await;
    writer.run("insert into item (id) values (1)").await;
    let application = async {
        let mut longest = Duration::ZERO;
        for id in 100..120 {
            let began = Instant::now();
            lab.user(&format!("insert into item (id) values ({id})")).await;
            longest = longest.max(began.elapsed());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        longest
    };
    let (installed, longest) = tokio::join!(tracking(&*endpoint).install(&tables, true), application);
    let error = installed.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry);
    assert!(error.to_string().contains("idle in transaction"), "{error}");
    assert!(longest < Duration::from_secs(2), "the application waited for {longest:?}");
    writer.commit().await;
    tracking(&*endpoint).install(&tables, true).await.unwrap();
    assert_eq!(tracking(&*endpoint).inspect(&tables).await.unwrap(), []);
}

pub async fn a34_users_without_rights_and_hostile_settings(lab: &PostgresLab) {
    lab.user("create table item (at timestamptz, f float8, b bytea, d date, name text, primary key (at, f, b, d))").await;
    let user = format!("low_{}", lab.database());
    let url = as_user(lab, &user).await;
    let mut bench = Bench::new(lab, &["item"]).await;
    let low = connect(&url).await.unwrap();
    low.batch_execute(
        "set datestyle = 'german'; set timezone = 'Asia/Kolkata'; set bytea_output = 'escape'; set extra_float_digits = -5; \
         set search_path = pg_temp, public; set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; set row_security = off; \
         set check_function_bodies = off; set default_transaction_isolation = 'serializable'; set plan_cache_mode = force_generic_plan; \
         insert into public.item values ('2026-04-03 12:00:01.5+00', 0.1::float8 + 0.2, '\\x00ff', '2026-04-03', 'x')",
    )
    .await
    .unwrap();
    low.batch_execute("update public.item set name = 'y'").await.unwrap();
    let key = Key(vec![
        Value::Instant(1_775_217_601_500_000),
        Value::Float(0.1 + 0.2),
        Value::Bytes(vec![0, 255]),
        Value::Date(20_546),
    ]);
    let entries = bench.read().await;
    assert_eq!(entries.iter().map(|entry| &entry.key).collect::<Vec<_>>(), [&key, &key]);
    let mut window = bench.window().await;
    assert_eq!(row(&window.fetch(0, &[key]).await.unwrap()[0])[4], t("y"));
    assert!(low.batch_execute("select * from twinrow.consumer").await.is_err(), "our tables are not everybody's");
    drop((low, window));
    drop_user(lab, &user).await;
}

pub async fn a35_temporary_tables_catch_nothing(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    let mark = lab.mark("item").await;
    let client = lab.client().await;
    client
        .batch_execute(&format!(
            "create temporary table log_{mark} (like twinrow.log_{mark}); create temporary table new_rows (id int); create temporary table old_rows (id int); \
             create function pg_temp.current_setting(text, boolean) returns text language sql as 'select ''suite'''; \
             set search_path = pg_temp, twinrow, public; insert into public.item (id) values (1); update public.item set name = 'x'; delete from public.item"
        ))
        .await
        .unwrap();
    let entries = bench.read().await;
    assert_eq!(entries.iter().map(op).collect::<Vec<_>>(), ["insert 1", "update 1", "delete 1"]);
    assert!(entries.iter().all(|entry| !entry.own));
    client.batch_execute("discard all").await.unwrap();
}

/// No superuser: an owner of the tables, who may create a schema, and perhaps roles.
pub async fn a_plain_user_installs_and_syncs(lab: &PostgresLab) {
    for rights in ["", "createrole"] {
        let user = format!("owner{rights}_{}", lab.database());
        lab.user(&crate::suite::bench::item(lab, "item")).await;
        let url = as_user(lab, &user).await;
        let low = format!("app{rights}_{}", lab.database());
        let app = as_user(lab, &low).await;
        if !rights.is_empty() {
            lab.user(&format!("alter role {user} {rights}")).await;
        }
        lab.user(&format!("alter table item owner to {user}; grant create on database {} to {user}", lab.database())).await;
        let endpoint: Arc<dyn Endpoint> = Arc::new(Postgres::open(&url, "plain").unwrap());
        let tables = describe(lab, &*endpoint, &["item"]).await;
        tracking(&*endpoint).install(&tables, true).await.unwrap_or_else(|error| panic!("{rights}: {error}"));
        let owner = lab
            .user_rows("select distinct proowner::regrole::text from pg_proc where pronamespace = 'twinrow'::regnamespace")
            .await;
        // A role that another user made can't be taken from version 16 on.
        let capture = owner == [[Some("twinrow_capture".to_owned())]];
        assert!(capture || owner == [[Some(user.clone())]], "{owner:?}");
        assert!(!capture || !rights.is_empty(), "it may not make roles");
        let fence = fence(&*endpoint, "suite").await;
        let since = tracking(&*endpoint).register("suite", &tables).await.unwrap().remove(0);
        let tracked =
            vec![twinrow::endpoint::Tracked { collection: crate::suite::bench::whole(tables[0].clone()), since: Some(since) }];
        let mut bench = Bench { lab, endpoint, fence, tracked };
        let client = connect(&app).await.unwrap();
        client.batch_execute("insert into item (id) values (5); update item set name = 'x'; delete from item").await.unwrap();
        drop(client);
        assert_eq!(bench.ops().await, ["insert 5", "update 5", "delete 5"]);
        bench.create(&[2], vec![t("ours")]).await.unwrap();
        assert!(bench.read().await[0].own);
        lab.damage("item", crate::support::Damage::TriggerDropped).await;
        assert!(bench.tracking().inspect(&bench.tables()).await.unwrap()[0].gap);
        bench.tracking().install(&bench.tables(), true).await.unwrap();
        assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
        lab.user(&format!("truncate twinrow.log_{}", lab.mark("item").await)).await;
        assert_eq!(bench.endpoint.window(&bench.tracked, 10).await.err().map(|error| error.kind()), Some(Kind::Tracking));
        bench.tracking().uninstall(None, &[]).await.unwrap_or_else(|error| panic!("{rights}: {error}"));
        assert!(lab.catalog().await.iter().all(|object| !object.contains("twinrow")));
        drop(bench);
        lab.user("drop table item").await;
        drop_user(lab, &user).await;
        drop_user(lab, &low).await;
    }
}

pub async fn a69_who_may_not_remove_all_is_told_before(lab: &PostgresLab) {
    let bench = Bench::item(lab).await;
    let tables = [lab.table("item")];
    let user = format!("runner_{}", lab.database());
    let runner = Postgres::open(&as_user(lab, &user).await, "runner").unwrap();
    lab.user(&format!("grant usage on schema twinrow to {user}; grant all on all tables in schema twinrow to {user}")).await;
    for integration in [None, Some(INTEGRATION)] {
        let error = tracking(&runner).may_uninstall(integration, &tables).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Denied, "{error}");
        let said = error.to_string();
        assert!(said.contains("table public.item belongs to ") || said.contains("table item belongs to "), "{said}");
        assert!(said.contains("schema twinrow belongs to ") && said.contains(&format!(" to {user}")), "{said}");
    }
    // What another integration uses stays, so nobody need own it.
    let _other = bench.beside("other").await;
    tracking(&runner).may_uninstall(Some(INTEGRATION), &tables).await.unwrap();
    bench.tracking().may_uninstall(None, &tables).await.unwrap();
    drop(runner);
    drop_user(lab, &user).await;
}

pub async fn a39_lastval_is_untouched(lab: &PostgresLab) {
    let bench = Bench::item(lab).await;
    lab.user("create table second (id bigserial primary key, name text)").await;
    let tables = describe(lab, &*bench.endpoint, &["second"]).await;
    bench.tracking().install(&tables, true).await.unwrap();
    lab.user("select setval('second_id_seq', 5000)").await;
    assert_eq!(lab.noticed("insert into second (name) values ('a')").await[1].as_deref(), Some("5001"));
    assert_eq!(lab.noticed("insert into item (name) values ('a')").await[1].as_deref(), Some("1"));
}

pub async fn a43_a_bulk_update_takes_one_transaction_id(lab: &PostgresLab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (id) select generate_series(1, 10000)").await;
    let next = async || {
        lab.user_rows("select pg_snapshot_xmax(pg_current_snapshot())::text").await[0][0].clone().unwrap().parse::<i64>().unwrap()
    };
    let began = Instant::now();
    // A plan made for one row must not be used for all of them.
    let client = lab.client().await;
    client.batch_execute("update item set name = 'a' where id = 1").await.unwrap();
    let before = next().await;
    client.batch_execute("update item set name = 'x'").await.unwrap();
    let after = next().await;
    // Other tests use the server too; a subtransaction per row would be 10,000.
    assert!(after - before < 2_000, "{}", after - before);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drop((client, bench));
}

pub async fn a63_policies_are_errors_not_deletes(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'seen'), (2, 'hidden')").await;
    bench.read().await;
    let user = format!("rls_{}", lab.database());
    let url = as_user(lab, &user).await;
    lab.user(&format!("grant usage on schema twinrow to {user}; grant select on all tables in schema twinrow to {user}")).await;
    lab.user("alter table item enable row level security; create policy p on item using (name = 'seen')").await;
    let endpoint = Postgres::open(&url, "low").unwrap();
    let mut window = endpoint.window(&bench.tracked, 100).await.unwrap();
    let error = window.fetch(0, &[Key::int(1), Key::int(2)]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    drop((window, endpoint));
    // A78: a right that is lost is told, too.
    lab.user(&format!("alter table item disable row level security; revoke select on item from {user}")).await;
    let endpoint = Postgres::open(&url, "low").unwrap();
    let mut window = endpoint.window(&bench.tracked, 100).await.unwrap();
    assert_eq!(window.fetch(0, &[Key::int(1)]).await.unwrap_err().kind(), Kind::Denied);
    drop((window, endpoint));
    drop_user(lab, &user).await;
}

pub async fn a67_a_snapshot_from_the_future_is_an_error(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    let now = bench.tracked[0].since.clone().unwrap().0;
    let words: Vec<&str> = now.split(' ').collect();
    let kind = async |bench: &Bench<'_>| bench.endpoint.window(&bench.tracked, 10).await.err().map(|error| error.kind());
    let with = |place: usize, word: &str| {
        let mut words = words.clone();
        words[place] = word;
        Some(Position(words.join(" ")))
    };
    for (since, expected) in [
        (with(3, "99999999999:99999999999:"), Kind::Tracking),
        (with(0, "00000000-0000-0000-0000-000000000000"), Kind::Tracking),
        (with(1, "1"), Kind::Identity),
        (with(2, "000000FF"), Kind::Tracking),
        (Some(Position("17".into())), Kind::Tracking),
    ] {
        bench.tracked[0].since = since.clone();
        assert_eq!(kind(&bench).await, Some(expected), "{since:?}");
    }
    bench.tracked[0].since = None;
    let window = bench.window().await;
    assert_eq!(window.entries().len(), 0);
    bench.acknowledge(window).await;
    lab.user("insert into item (id) values (1)").await;
    assert_eq!(bench.ops().await, ["insert 1"]);
}

pub async fn a11_a_truncated_log_is_an_error(lab: &PostgresLab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (id) values (1)").await;
    lab.user(&format!("truncate twinrow.log_{}", lab.mark("item").await)).await;
    assert_eq!(bench.endpoint.window(&bench.tracked, 10).await.err().map(|error| error.kind()), Some(Kind::Tracking));
}

pub async fn a74_one_unreadable_row_does_not_block_the_others(lab: &PostgresLab) {
    lab.user("create type mood as enum ('good', 'bad', 'lost')").await;
    lab.user("create table item (id bigint primary key, mood mood)").await;
    let mut bench = Bench::new(lab, &["item"]).await;
    lab.user("insert into item select i, case i when 77 then 'lost'::mood else 'good' end from generate_series(1, 200) i").await;
    // Damage that the server itself notices when it reads the value.
    lab.user("delete from pg_enum where enumlabel = 'lost'").await;
    assert_eq!(bench.read().await.len(), 200);
    let mut window = bench.window().await;
    let keys: Vec<Key> = (1..=200).map(Key::int).collect();
    let fetched = window.fetch(0, &keys).await.unwrap();
    assert!(matches!(fetched[76], Fetched::Unreadable(_)));
    assert_eq!(fetched.iter().filter(|one| matches!(one, Fetched::Row(row, _) if row[1] == t("good"))).count(), 199);
}

pub async fn a75_a_huge_transaction_is_read_in_parts(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id) select generate_series(1, 1000)").await;
    lab.user("insert into item (id) select generate_series(1001, 1003)").await;
    let mut keys = Vec::new();
    for round in 0..100 {
        // Others write meanwhile; each part is of its own moment.
        lab.user(&format!("insert into item (id) values ({})", 5000 + round)).await;
        if round == 2 {
            lab.user("delete from item where id = 900").await;
        }
        let mut window = bench.endpoint.window(&bench.tracked, 70).await.unwrap();
        keys.extend(window.entries().iter().map(op));
        if round == 3 {
            let unread = window.unread(0, &[Key::int(900), Key::int(901)], Unread::Moves).await.unwrap();
            assert_eq!(unread.into_iter().collect::<Vec<_>>(), [Key::int(900).encode()], "gone, but its entry is not read yet");
            assert_eq!(window.fetch(0, &[Key::int(900)]).await.unwrap(), [Fetched::Absent]);
        }
        let more = window.more();
        // A crash: what was not acknowledged comes again, from a position that went through text.
        bench.acknowledge(window).await;
        if !more {
            let mut expected: Vec<String> = (1..=1003).chain(5000..=5000 + round).map(|id| format!("insert {id}")).collect();
            expected.push("delete 900".into());
            expected.sort_unstable();
            keys.sort_unstable();
            assert_eq!(keys, expected);
            return;
        }
    }
    panic!("it never ends");
}

pub async fn a20_a_replaced_row_is_one_entry(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'a')").await;
    bench.read().await;
    let mut open = lab.open().await;
    open.run("delete from item where id = 1").await;
    open.run("insert into item (id, name) values (1, 'b')").await;
    open.commit().await;
    let entries = bench.read().await;
    assert_eq!(entries.iter().map(|entry| &entry.op).collect::<Vec<_>>(), [&Op::PutBack]);
}

/// Wherever a window ends, what a transaction deleted and put back is the same record.
pub async fn a20_a_transaction_over_several_windows_still_replaces(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    for limit in [1, 2, 3, 4] {
        lab.user("delete from item").await;
        lab.user("insert into item (id, name) values (1, 'a'), (2, 'a'), (3, 'a'), (4, 'a')").await;
        bench.read().await;
        let mut open = lab.open().await;
        open.run("delete from item").await;
        open.run("insert into item (id, name) values (1, 'b'), (2, 'b'), (3, 'b')").await;
        open.run("update item set id = 4 where id = 3").await;
        open.run("insert into item (id, name) values (3, 'c')").await;
        open.commit().await;
        // Another transaction's insert is another record.
        lab.user("delete from item where id = 1").await;
        lab.user("insert into item (id, name) values (1, 'd')").await;
        let (mut deleted, mut after) = (BTreeMap::new(), Vec::new());
        loop {
            let window = bench.endpoint.window(&bench.tracked, limit).await.unwrap();
            for entry in window.entries() {
                match &entry.op {
                    Op::Delete => drop(deleted.insert(entry.key.encode(), entry.pos)),
                    Op::Return { deleted: at } => assert_eq!(deleted.get(&entry.key.encode()), Some(at), "{}", op(entry)),
                    _ => {}
                }
                if entry.op != Op::Delete {
                    after.push(op(entry).replace("return", "put back"));
                }
            }
            let more = window.more();
            bench.acknowledge(window).await;
            if !more {
                break;
            }
        }
        let expected = ["put back 1", "put back 2", "put back 3", "rename 3 to 4", "insert 3", "insert 1"];
        assert_eq!(after, expected, "limit {limit}");
    }
}

pub async fn b4_the_origin_does_not_outlive_its_transaction(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    let client = lab.client().await;
    client
        .batch_execute("begin; select set_config('twinrow.origin', 'suite', true); insert into item (id) values (101); commit")
        .await
        .unwrap();
    client.batch_execute("insert into item (id) values (102)").await.unwrap();
    let own: Vec<bool> = bench.read().await.iter().map(|entry| entry.own).collect();
    assert_eq!(own, [true, false]);
    drop(client);
    // An echo is of one integration; the next consumer takes it for a change.
    bench.create(&[2], vec![t("ours")]).await.unwrap();
    let other = lab.endpoint().await;
    fence(&*other, "other").await;
    let window = other.window(&bench.tracked, 10).await.unwrap();
    assert!(!window.entries()[0].own);
}

pub async fn c5_copied_keys_move_the_generator(lab: &PostgresLab) {
    let tables = ["always", "serial"];
    lab.user("create table always (id bigint generated always as identity primary key, name text)").await;
    lab.user("create table serial (id bigserial primary key, name text)").await;
    let mut bench = Bench::new(lab, &tables).await;
    for (generator, start) in tables.into_iter().zip([10, 300_000]) {
        let mut write = bench.begin().await;
        let rows: Vec<Create> =
            (start..start + 5).map(|id| Create { key: Some(Key::int(id)), values: vec![t("copied")] }).collect();
        write.insert(bench.collection(), &[1], &rows).await.unwrap();
        write.commit().await.unwrap();
        lab.user(&format!("insert into {generator} (name) values ('application')")).await;
        let next = bench.ids(&format!("select id from {generator} where name = 'application'")).await;
        assert_eq!(next, [Key::int(start + 5)], "{generator}");
        // A smaller one moves nothing back.
        let mut write = bench.begin().await;
        write.insert(bench.collection(), &[1], &[Create { key: Some(Key::int(3)), values: vec![t("small")] }]).await.unwrap();
        write.commit().await.unwrap();
        lab.user(&format!("insert into {generator} (name) values ('again')")).await;
        assert_eq!(bench.ids(&format!("select id from {generator} where name = 'again'")).await, [Key::int(start + 6)]);
        bench.tracked.remove(0);
    }
}

pub async fn c8_and_c6_padded_and_case_blind_keys(lab: &PostgresLab) {
    lab.user("create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)").await;
    lab.user("create table item (a char(5), b varchar(9) collate blind, name text, primary key (a, b))").await;
    let mut bench = Bench::new(lab, &["item"]).await;
    lab.user("insert into item values ('x', 'Ann', 'n')").await;
    let key = Key(vec![t("x"), t("Ann")]);
    assert_eq!(bench.read().await[0].key, key);
    let mut window = bench.window().await;
    let fetched = window.fetch(0, &[key.clone(), Key(vec![t("x"), t("ANN")])]).await.unwrap();
    assert_eq!(row(&fetched[0])[2], t("n"));
    assert_eq!(fetched[1], Fetched::Absent, "equal to its collation, but another key");
    let exact = [(1, Normal::default())];
    assert_eq!(window.find(0, &exact, &[vec![t("Ann")], vec![t("ann")]]).await.unwrap(), [vec![key.clone()], vec![]]);
    drop(window);
    lab.user("update item set b = 'ANN'").await;
    assert_eq!(bench.read().await[0].op, Op::Rename { to: Key(vec![t("x"), t("ANN")]) });
    let mut write = bench.begin().await;
    let outcomes =
        write.insert(bench.collection(), &[0, 1], &[Create { key: None, values: vec![t("yy"), t("Bob")] }]).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(outcomes, [Outcome::Done(Key(vec![t("yy"), t("Bob")]))]);
}

pub async fn c24_identity_always_and_uuid_defaults(lab: &PostgresLab) {
    lab.user("create table line (order_id bigint, line_no bigint generated always as identity, name text, primary key (order_id, line_no))").await;
    lab.user("create table thing (id uuid primary key default gen_random_uuid(), name text)").await;
    let bench = Bench::new(lab, &["line", "thing"]).await;
    assert_eq!(
        bench.tables().iter().map(|table| table.key_source).collect::<Vec<_>>(),
        [KeySource::Generated, KeySource::Default]
    );
    let mut write = bench.begin().await;
    let rows: Vec<Create> = [7, 8].map(|order| Create { key: None, values: vec![int(order), t("x")] }).to_vec();
    let outcomes = write.insert(bench.collection(), &[0, 2], &rows).await.unwrap();
    assert_eq!(outcomes, [Outcome::Done(Key(vec![int(7), int(1)])), Outcome::Done(Key(vec![int(8), int(2)]))]);
    let things: Vec<Create> = (0..50).map(|i| Create { key: None, values: vec![t(&format!("n{i}"))] }).collect();
    let outcomes = write.insert(&bench.tracked[1].collection, &[1], &things).await.unwrap();
    let keys: Vec<Key> = outcomes
        .iter()
        .map(|outcome| if let Outcome::Done(key) = outcome { key.clone() } else { panic!("{outcome:?}") })
        .collect();
    let (stored, _) = write.read_back(&bench.tracked[1].collection, &keys).await.unwrap();
    write.commit().await.unwrap();
    for (i, stored) in stored.iter().enumerate() {
        assert_eq!(row(stored)[1], t(&format!("n{i}")));
    }
}

pub async fn key_triggers_that_override_ours_are_noticed(lab: &PostgresLab) {
    let bench = Bench::item(lab).await;
    lab.user("create sequence mine start 1000").await;
    lab.user(
        "create function number() returns trigger language plpgsql as $$ begin new.id := nextval('mine'); return new; end $$",
    )
    .await;
    lab.user("create trigger number before insert on item for each row execute function number()").await;
    let rows: Vec<Create> = (0..3).map(|i| Create { key: None, values: vec![t(&format!("n{i}"))] }).collect();
    let mut write = bench.begin().await;
    let error = write.insert(bench.collection(), &[2], &rows).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{error}");
    write.rollback().await.unwrap();
    let mut write = bench.begin().await;
    let outcomes = write.insert(bench.collection(), &[2], &rows).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(outcomes, [1003, 1004, 1005].map(|id| Outcome::Done(Key::int(id))));
    // And one that keeps rows out.
    lab.user("create or replace function number() returns trigger language plpgsql as $$ begin return null; end $$").await;
    let mut write = bench.begin().await;
    assert_eq!(write.insert(bench.collection(), &[2], &rows).await.unwrap_err().kind(), Kind::Rejected);
    write.rollback().await.unwrap();
}

fn other(kind: &'static str, text: &str) -> Value {
    Value::Other { kind, text: text.to_owned() }
}

pub async fn values_come_back_as_they_went(lab: &PostgresLab) {
    lab.user("create type mood as enum ('good', 'Bad \"one\"')").await;
    lab.user("create domain positive as numeric(10,2) check (value > 0)").await;
    lab.user("create extension if not exists citext; create extension if not exists hstore").await;
    let decimal = |text: &str| Value::Decimal(BigDecimal::from_str(text).unwrap());
    let wide = "-12345678901234567890123456789012345678.0000000001";
    let cases: Vec<(&str, Vec<Value>)> = vec![
        ("boolean", vec![Value::Bool(true), Value::Bool(false)]),
        ("smallint", vec![int(-32768), int(32767)]),
        ("integer", vec![int(i32::MIN.into()), int(i32::MAX.into())]),
        ("bigint", vec![int(i64::MIN), int(i64::MAX)]),
        ("oid", vec![int(0), int(u32::MAX.into())]),
        (
            "numeric",
            vec![
                decimal(wide),
                decimal("0.00"),
                decimal("1e200"),
                other("nan", "NaN"),
                decimal("0.0000000000000000000000000000001"),
            ],
        ),
        ("numeric(10,2)", vec![decimal("12345678.91"), decimal("-0.01")]),
        ("positive", vec![decimal("0.01")]),
        ("real", vec![Value::Float(f64::from(0.1_f32)), Value::Float(f64::INFINITY), Value::Float(-0.0)]),
        ("double precision", vec![Value::Float(0.1), Value::Float(f64::NAN), Value::Float(5e-324), Value::Float(f64::MAX)]),
        ("text", vec![t(""), t("é🍺 ' \" \\ \n\u{2028}"), t(&"x".repeat(100_000))]),
        ("varchar(5)", vec![t("abc  "), t("🍺🍺🍺🍺🍺")]),
        ("char(5)", vec![t("abc"), t("")]),
        ("name", vec![t("n")]),
        ("citext", vec![t("AbC")]),
        ("bytea", vec![Value::Bytes(vec![]), Value::Bytes((0..=255).collect())]),
        ("date", vec![Value::Date(0), Value::Date(-719_528), other("infinity", "infinity"), other("infinity", "-infinity")]),
        ("time", vec![Value::Time(0), Value::Time(86_399_999_999), Value::Time(86_400_000_000)]),
        (
            "timestamp",
            vec![
                Value::DateTime(-1),
                Value::DateTime(1_775_217_601_500_001),
                other("infinity", "-infinity"),
                other("far future", "9223371331199999999"),
            ],
        ),
        ("timestamptz", vec![Value::Instant(0), Value::Instant(1_775_217_601_500_001), other("infinity", "infinity")]),
        ("uuid", vec![Value::Uuid([0xa0; 16])]),
        ("json", vec![Value::Json("{\"b\": 1, \"a\": 1.10}".into())]),
        ("jsonb", vec![Value::Json("{\"a\": 12345678901234567890123, \"b\": [1, null]}".into())]),
        ("mood", vec![t("good"), t("Bad \"one\"")]),
        ("interval", vec![other("interval", "P1M"), other("interval", "P30D")]),
        ("integer[]", vec![other("array", "[2:3]={1,2}"), other("array", "{}")]),
        ("varchar(4)[]", vec![other("array", "{NULL,\"NULL\",abc}")]),
        ("int4range", vec![other("range", "[1,5)")]),
        ("inet", vec![other("network address", "10.0.0.1/8")]),
        ("money", vec![other("money", "$1,234.50")]),
        ("bit(4)", vec![other("bit string", "1010")]),
        ("bit varying(8)", vec![other("bit string", "10101")]),
        ("time with time zone", vec![other("time with zone", "12:00:00+02")]),
        ("hstore", vec![other("hstore", "\"a\"=>\"1\"")]),
        ("xml", vec![other("xml", "<a>1</a>")]),
    ];
    let names: Vec<String> = (0..cases.len()).map(|i| format!("item{i}")).collect();
    for (name, (native, _)) in names.iter().zip(&cases) {
        lab.user(&format!("create table {name} (id bigint generated by default as identity primary key, v {native})")).await;
    }
    lab.user(
        "create table narrow (id bigint generated by default as identity primary key, v varchar(3), c char(3), a varchar(3)[])",
    )
    .await;
    let mut tables: Vec<&str> = names.iter().map(String::as_str).collect();
    tables.push("narrow");
    let mut bench = Bench::new(lab, &tables).await;
    for (native, values) in cases {
        let mut sent = values;
        sent.push(Value::Null);
        let rows: Vec<Create> = sent.iter().map(|value| Create { key: None, values: vec![value.clone()] }).collect();
        let mut write = bench.begin().await;
        let outcomes = write.insert(bench.collection(), &[1], &rows).await.unwrap_or_else(|error| panic!("{native}: {error}"));
        let keys: Vec<Key> = outcomes
            .iter()
            .map(|outcome| if let Outcome::Done(key) = outcome { key.clone() } else { panic!("{outcome:?}") })
            .collect();
        let changes: Vec<Change> = keys
            .iter()
            .zip(&sent)
            .map(|(key, value)| Change { key: key.clone(), version: None, values: vec![value.clone()] })
            .collect();
        write.update(bench.collection(), &[1], &changes).await.unwrap_or_else(|error| panic!("{native}: {error}"));
        let (stored, _) = write.read_back(bench.collection(), &keys).await.unwrap();
        write.commit().await.unwrap();
        for ((stored, sent), key) in stored.iter().zip(&sent).zip(&keys) {
            assert!(row(stored)[1] == *sent, "{native} {key}: {} is not {}", row(stored)[1].to_text(), sent.to_text());
        }
        bench.tracked.remove(0);
    }
    // D14: nothing is cut.
    for (field, value) in [(1, t("abcd")), (2, t("abcd")), (3, other("array", "{abcd}"))] {
        let error = bench.create(&[field], vec![value]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Rejected, "{error}");
        assert!(!error.to_string().contains("abcd"), "{error}");
    }
    // D10, and what does not belong there.
    for value in [t("a\0b"), Value::Bool(true)] {
        assert_eq!(bench.create(&[1], vec![value]).await.unwrap_err().kind(), Kind::Rejected);
    }
}

pub async fn rule4_statements_of_a_fenced_writer_do_not_land(lab: &PostgresLab) {
    let bench = Bench::item(lab).await;
    let mut write = bench.begin().await;
    write.insert(bench.collection(), &[2], &[Create { key: None, values: vec![t("late")] }]).await.unwrap();
    // The one who takes over waits for the transaction in flight.
    let mut session = bench.store().session().await.unwrap();
    let taken = session.execute("fence_take", &[vec![crate::suite::bench::text("suite"), twinrow::sql::Cell::Int(2)]]).await;
    assert_eq!(taken.unwrap_err().kind(), Kind::Retry, "it is told to come again");
    write.rollback().await.unwrap();
    assert_eq!(crate::suite::bench::take(&mut *session, "suite", 2).await, 1);
    assert_eq!(bench.endpoint.begin(&bench.fence).await.err().unwrap().kind(), Kind::Fenced);
}

pub async fn rule19_a_delete_does_not_wait_for_children_being_inserted(lab: &PostgresLab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (id) values (1), (2)").await;
    lab.user("create table child (id bigint primary key, item_id bigint references item (id))").await;
    let mut open = lab.open().await;
    open.run("insert into child values (1, 1)").await;
    let mut write = bench.begin().await;
    let keys = [Key::int(1), Key::int(2)];
    let began = Instant::now();
    assert_eq!(write.delete(bench.collection(), &keys).await.unwrap(), [Outcome::Stale, Outcome::Done(Key::int(2))]);
    assert!(began.elapsed() < Duration::from_millis(500));
    write.rollback().await.unwrap();
    open.rollback().await;
}

pub async fn rule19_a_unique_value_does_not_wait_for_children_being_inserted(lab: &PostgresLab) {
    let bench = Bench::item(lab).await;
    lab.user("create table child (item_id bigint references item)").await;
    lab.user("insert into item (id, code) values (1, 'a'), (2, 'b')").await;
    let mut open = lab.open().await;
    open.run("insert into child values (1)").await;
    let mut write = bench.begin().await;
    let keys = [Key::int(2), Key::int(1), Key::int(9)];
    let locked = write.lock(bench.collection(), &keys).await.unwrap();
    assert_eq!(locked.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(write.lock_identity(bench.collection(), &keys).await.unwrap(), [true, false, false]);
    // What nothing can refer to may change meanwhile.
    let change = |key: i64, value: &str| Change { key: Key::int(key), version: None, values: vec![t(value)] };
    write.update(bench.collection(), &[2], &[change(1, "Ann")]).await.unwrap();
    write.update(bench.collection(), &[1], &[change(2, "c")]).await.unwrap();
    write.commit().await.unwrap();
    open.commit().await;
    assert_eq!(bench.ids("select id from item where code = 'c' or name = 'Ann' order by id").await, [Key::int(1), Key::int(2)]);
}

pub async fn acknowledged_entries_are_removed(lab: &PostgresLab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id) select generate_series(1, 500)").await;
    assert_eq!(bench.read().await.len(), 500);
    // A transaction that stays open keeps nothing.
    let mut idle = lab.open().await;
    idle.run("insert into item (id) values (1000)").await;
    let log = format!("select count(*) from twinrow.log_{}", lab.mark("item").await);
    let fresh = lab.endpoint().await;
    let window = fresh.window(&bench.tracked, 10).await.unwrap();
    let upto = [Acknowledge { table: lab.table("item"), position: window.position(0), receipt: window.receipt(0) }];
    drop(window);
    fresh.acknowledge(&bench.fence, &upto).await.unwrap();
    assert_eq!(lab.user_rows(&log).await[0][0].as_deref(), Some("0"));
    idle.rollback().await;
    // A76: not before the slowest consumer has read them.
    bench.tracking().register("slow", &bench.tables()).await.unwrap();
    lab.user("insert into item (id) values (501)").await;
    assert_eq!(bench.read().await.len(), 1);
    let other = lab.endpoint().await;
    let window = other.window(&bench.tracked, 10).await.unwrap();
    let upto = [Acknowledge { table: lab.table("item"), position: window.position(0), receipt: window.receipt(0) }];
    drop(window);
    other.acknowledge(&bench.fence, &upto).await.unwrap();
    assert_eq!(lab.user_rows(&log).await[0][0].as_deref(), Some("1"));
}

pub async fn a_lost_connection_is_told_apart(lab: &PostgresLab) {
    let bench = Bench::item(lab).await;
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'twinrow' and datname = current_database() and state like 'idle in transaction%'";
    let mut write = bench.begin().await;
    lab.user(kill).await;
    let error = write.insert(bench.collection(), &[2], &[Create { key: None, values: vec![t("x")] }]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{error}");
    drop(write);
    let mut write = bench.begin().await;
    write.insert(bench.collection(), &[2], &[Create { key: None, values: vec![t("y")] }]).await.unwrap();
    lab.user(kill).await;
    let error = write.commit().await.unwrap_err();
    assert_eq!(error.kind(), Kind::InDoubt, "{error}");
    // And the next one finds a good connection.
    bench.begin().await.rollback().await.unwrap();
    let nobody = Postgres::open("postgres://postgres:wrong@127.0.0.1:1/none", "nobody").unwrap();
    let error = Store::session(&nobody).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unreachable);
    let mut url = url::Url::parse(&lab.url()).unwrap();
    url.set_password(Some("wrong-secret")).unwrap();
    let error = Store::session(&Postgres::open(url.as_str(), "nobody").unwrap()).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(!error.to_string().contains("wrong-secret"), "{error}");
}

/// Whether a new session is encrypted.
async fn encrypted(lab: &PostgresLab, mode: &str, ca: &str) -> twinrow::error::Result<bool> {
    let mut url = url::Url::parse(&lab.url()).unwrap();
    url.query_pairs_mut().append_pair("sslmode", mode).append_pair("sslrootcert", ca);
    let endpoint = Postgres::open(url.as_str(), "tls")?;
    let _session = Store::session(&endpoint).await?;
    let rows = lab.user_rows("select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'twinrow' and datname = current_database() order by backend_start desc limit 1").await;
    Ok(rows[0][0].as_deref() == Some("t"))
}

async fn tls_answer(lab: &PostgresLab, mode: &str, ca: &str) -> String {
    match encrypted(lab, mode, ca).await {
        Ok(true) => "connected".to_owned(),
        Ok(false) => "connected without TLS".to_owned(),
        Err(error) => format!("{:?} {error}", error.kind()),
    }
}

pub async fn tls_is_checked(lab: &PostgresLab) {
    let certificate = match Certificate::of(lab.variable()) {
        Ok(certificate) => certificate,
        Err(reason) => return skip("postgres::tls_is_checked", &reason),
    };
    let ca = certificate.authority("ca");
    for (shown, sign) in [("server", "connected"), ("wronghost", "not valid for name"), ("expired", "expired")] {
        certificate.serve(shown);
        // The server takes it up when it comes to it.
        let began = Instant::now();
        while !tls_answer(lab, "verify-full", &ca).await.contains(sign) {
            assert!(began.elapsed() < Duration::from_secs(10), "{shown}: {}", tls_answer(lab, "verify-full", &ca).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for (mode, ca) in tls::ASKED {
            tls::check(shown, (mode, ca), false, &tls_answer(lab, mode, &certificate.authority(ca)).await);
        }
    }
    assert_eq!(tls_answer(lab, "disable", &ca).await, "connected without TLS");
    assert_eq!(encrypted(lab, "verify-full", "/none").await.unwrap_err().kind(), Kind::Config, "no such file");
    assert_eq!(encrypted(lab, "nonsense", &ca).await.unwrap_err().kind(), Kind::Config);
}

/// Columns whose collations have another idea of letters, but `citext`, which has no collation of its own.
const COLLATED: &[&str] = &[
    "text collate \"C\"",
    "text collate \"POSIX\"",
    "varchar(60) collate \"tr-x-icu\"",
    "text collate \"und-x-icu\"",
    "text collate \"lt-x-icu\"",
    "text collate \"de-x-icu\"",
    "text collate blind",
    "citext",
];

async fn collations(lab: &PostgresLab) {
    lab.script(
        "create extension citext;
         create collation blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
    )
    .await;
}

pub async fn c7_no_collation_changes_what_is_alike(lab: &PostgresLab) {
    collations(lab).await;
    texts_are_found_as_stated(lab, COLLATED, &[], |_| true).await;
}

pub async fn c7_no_index_changes_what_is_alike(lab: &PostgresLab) {
    collations(lab).await;
    let indexes: Vec<String> = (1..=COLLATED.len()).map(|i| format!("create index on word (lower(w{i}))")).collect();
    // The planner would not use an index of a table of this size.
    lab.script(&format!("alter database {} set enable_seqscan = off", lab.database())).await;
    let indexes: Vec<&str> = indexes.iter().map(String::as_str).collect();
    texts_are_found_as_stated(lab, COLLATED, &indexes, |_| true).await;
}

pub async fn c7_no_locale_of_the_database_changes_what_is_alike(lab: &PostgresLab) {
    let admin = std::env::var(lab.variable()).unwrap();
    let version = lab.client().await.query_one("select current_setting('server_version_num')::int", &[]).await.unwrap();
    let turkish = "locale_provider icu icu_locale 'tr' locale 'C.UTF-8'";
    // An older server has no databases whose locale is ICU's.
    let locales = if version.get::<_, i32>(0) >= 150_000 { vec!["locale 'C'", turkish] } else { vec!["locale 'C'"] };
    for locale in locales {
        let lab = crate::support::postgres::on(&admin, locale).await.unwrap();
        texts_are_found_as_stated(&*lab, &["text", "varchar(60)"], &["create index on word (lower(w2))"], |_| true).await;
        lab.close().await;
    }
}
