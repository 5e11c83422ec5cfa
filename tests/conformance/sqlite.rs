//! The suite on SQLite, and what is SQLite's alone.

use std::sync::Arc;
use std::time::Duration;

use twinrow::endpoint::{Change, Create, Fetched, Outcome};
use twinrow::error::Kind;
use twinrow::model::{Key, KeySource, Normal, Value};

use crate::suite::bench::{Bench, EXACT, describe, int, row, t};
use crate::suite::plans;
use crate::suite::texts_are_found_as_stated;
use crate::support::sqlite::SqliteLab;
use crate::support::{Lab, run};

mod wal {
    conformance!(all replace: crate::support::sqlite::lab);
}

mod rollback_journal {
    conformance!(all replace: crate::support::sqlite::rollback_journal);
}

/// Tests of this file, in a module for each kind of database.
macro_rules! on_sqlite {
    ($module:ident on $lab:ident: $($name:ident),* $(,)?) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let lab = crate::support::sqlite::$lab().await;
                    super::run(concat!(module_path!(), "::", stringify!($name)), lab, |lab| Box::pin(super::$name(lab))).await;
                }
            )*
        }
    };
}

on_sqlite! {
    own on lab:
    a15_replace_is_the_same_with_and_without_recursive_triggers,
    a15_replace_is_the_same_record_under_any_kind_of_key,
    c4_a_key_given_again_after_an_ignored_insert_is_another_record,
    a12_a_delete_of_all_rows_is_captured,
    a15_a_replace_by_a_partial_index_is_named_beforehand,
    a15_a_row_hidden_by_a_replace_on_another_key,
    a15_an_update_looks_for_a_row_in_its_way_only_where_there_may_be_one,
    rule9_compaction_keeps_what_probes_mean,
    a16_no_clause_of_the_statement_keeps_a_change_from_the_log,
    a29_the_usual_migrations_succeed,
    a33_install_gives_way,
    a33_install_beside_an_open_reader,
    a33_install_ends_where_a_writer_stays,
    a35_temporary_tables_catch_nothing,
    a58_hostile_pragmas_change_nothing,
    a31_a_rebuilt_table_is_found,
    a11_an_emptied_log_is_an_error,
    a71_an_application_without_busy_timeout_can_write,
    a72_writes_through_attach_are_captured,
    a25_cascades_are_captured,
    a73_a_unique_key_without_nulls_will_do,
    a_collation_of_the_application_is_refused,
    c6_a_key_under_nocase_is_still_exact,
    c7_no_collation_changes_what_is_alike,
    c19_storage_classes_survive,
    tables_without_rowid,
    the_new_key_is_the_one_after_all_triggers,
    a_trigger_that_takes_the_row_away_is_a_refusal,
    an_on_conflict_rollback_constraint_ends_the_transaction,
    a15_our_own_write_replaces_nothing,
    a_trigger_keeps_the_clauses_it_has,
    a_deferred_foreign_key_speaks_at_commit,
    rule4_a_take_over_waits_for_the_write_in_flight,
    entries_pruned_for_another_cursor_are_an_error,
    a_missing_file_is_not_made,
    generated_sql,
    statements_by_key_take_a_few_steps_a_key,
}

on_sqlite! {
    own_rollback_journal on rollback_journal:
    a33_install_gives_way,
    a33_install_beside_an_open_reader,
    a33_install_ends_where_a_writer_stays,
    a44_a_commit_that_a_reader_holds_up_leaves_nothing,
}

async fn a15_replace_is_the_same_with_and_without_recursive_triggers(lab: &dyn Lab) {
    for recursive in ["off", "on"] {
        lab.user("drop table if exists item").await;
        lab.user("create table item (id integer primary key, code text unique on conflict replace, name text)").await;
        lab.user(&format!("pragma recursive_triggers = {recursive}")).await;
        let mut bench = Bench::new(lab, &["item"]).await;
        lab.user("insert into item values (1, 'a', 'Ann'), (2, 'b', 'Bob'), (3, 'c', 'Cid'), (4, 'd', 'Dan')").await;
        bench.read().await;
        lab.user("insert or replace into item values (1, 'a', 'Bea')").await;
        assert_eq!(structural(&bench.ops().await), ["replace 1"], "{recursive}");
        lab.user("insert into item values (5, 'b', 'by a constraint')").await;
        assert_eq!(structural(&bench.ops().await), ["delete 2", "insert 5"], "{recursive}");
        lab.user("update or replace item set code = 'a' where id = 3").await;
        assert_eq!(structural(&bench.ops().await), ["delete 1"], "{recursive}");
        lab.user("update or replace item set id = 4 where id = 5").await;
        assert_eq!(structural(&bench.ops().await), ["delete 4", "rename 5 to 4"], "{recursive}");
        assert_eq!(bench.ids("select id from item order by id").await, [Key::int(3), Key::int(4)]);
        bench.tracking().uninstall(None, &[]).await.unwrap();
    }
}

/// The key as the statement spells it and as it is stored are one.
async fn a15_replace_is_the_same_record_under_any_kind_of_key(lab: &dyn Lab) {
    for (key, first, again) in [
        ("integer primary key", "2", "'2'"),
        ("integer primary key", "2", "2.0"),
        ("int primary key", "2", "'2'"),
        ("text primary key", "2", "2"),
        ("real primary key", "2", "'2'"),
        ("numeric primary key", "2", "'2.0'"),
        ("blob primary key", "x'00ff'", "x'00ff'"),
        ("text primary key default 'd'", "'d'", ""),
    ] {
        for (recursive, rowid) in [("off", ""), ("on", ""), ("off", " without rowid"), ("on", " without rowid")] {
            lab.user(&format!("pragma recursive_triggers = {recursive}")).await;
            lab.user(&format!("create table item (id {key}, code text unique){rowid}")).await;
            let mut bench = Bench::new(lab, &["item"]).await;
            lab.user(&format!("insert into item values ({first}, 'a')")).await;
            bench.read().await;
            let replace = match again {
                "" => "insert or replace into item (code) values ('b')".to_owned(),
                again => format!("insert or replace into item values ({again}, 'b')"),
            };
            lab.user(&replace).await;
            let ops = bench.ops().await;
            let told = structural(&ops);
            assert!(told.len() == 1 && told[0].starts_with("replace"), "{key}{rowid}, {recursive}: {ops:?}");
            bench.tracking().uninstall(None, &[]).await.unwrap();
            lab.user("drop table item").await;
        }
    }
}

async fn c4_a_key_given_again_after_an_ignored_insert_is_another_record(lab: &dyn Lab) {
    for recursive in ["off", "on"] {
        lab.user(&format!("pragma recursive_triggers = {recursive}")).await;
        lab.user("create table person (id integer primary key, name text, email text unique)").await;
        lab.user("insert into person values (1, 'Ann', 'ann@x'), (2, 'Bob', 'bob@x')").await;
        let mut bench = Bench::new(lab, &["person"]).await;
        let again = "insert into person (name, email) values ('Carl', 'carl@x')";
        for statements in [
            ["insert or ignore into person (name, email) values ('Bobby', 'bob@x')", "delete from person where id = 2", again],
            ["update or ignore person set email = 'carl@x' where id = 1", "delete from person where id = 2", again],
            // Hidden: the second row is gone before the key is free.
            ["update or replace person set email = 'carl@x' where id = 1", "update person set email = 'a@x'", again],
        ] {
            for statement in statements {
                lab.user(statement).await;
            }
            let ops = bench.ops().await;
            assert_eq!(structural(&ops), ["delete 2", "insert 2"], "{recursive}, {statements:?}: {ops:?}");
            assert_eq!(bench.ids("select id from person order by id").await, [Key::int(1), Key::int(2)]);
        }
        bench.tracking().uninstall(None, &[]).await.unwrap();
        lab.user("drop table person").await;
    }
}

/// Without the updates: a probe is one, and says nothing but "look here".
fn structural(ops: &[String]) -> Vec<&String> {
    ops.iter().filter(|op| !op.starts_with("update")).collect()
}

async fn a15_a_row_hidden_by_a_replace_on_another_key(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, code) values (1, 'a'), (2, 'b')").await;
    bench.read().await;
    // An insert that is ignored probes too, and deletes nothing.
    lab.user("insert or ignore into item (id, code) values (9, 'a')").await;
    assert_eq!(bench.ops().await, ["update 1"]);
    // A window that is too small for the whole story does not invent a delete: the rename comes later.
    lab.user("insert or ignore into item (id, code) values (9, 'a')").await;
    lab.user("update item set id = 11 where id = 1").await;
    let window = bench.endpoint.window(&bench.tracked, 1).await.unwrap();
    assert_eq!(window.entries().iter().map(crate::suite::bench::op).collect::<Vec<_>>(), ["update 1"]);
    bench.acknowledge(window).await;
    assert_eq!(bench.ops().await, ["rename 1 to 11"]);
}

/// By whatever name the statement calls what it changes of a unique key. Where it changes none, it does not pay for a look.
async fn a15_an_update_looks_for_a_row_in_its_way_only_where_there_may_be_one(lab: &dyn Lab) {
    let programs = async |sql: &str| {
        let steps = lab.user_rows(&format!("explain {sql}")).await;
        steps.iter().filter(|step| step[1].as_deref() == Some("Program")).count()
    };
    lab.user(
        "create table item (id integer primary key, code text unique, base text, shout text as (upper(base)) unique, name text)",
    )
    .await;
    lab.user("create table plain (id integer primary key, code text unique, name text)").await;
    for table in ["item", "plain"] {
        let mut bench = Bench::new(lab, &[table]).await;
        let computed = table == "item";
        let mut statements = vec![
            "update or replace {t} set id = 1 where id = 2".to_owned(),
            "update or replace {t} set \"ID\" = 1 where id = 2".to_owned(),
            "update or replace {t} set rowid = 1 where id = 2".to_owned(),
            "update or replace {t} set _ROWID_ = 1 where id = 2".to_owned(),
            "update or replace {t} set oid = 1 where id = 2".to_owned(),
            "update or replace {t} set (name, code) = ('x', 'a') where id = 2".to_owned(),
        ];
        statements.extend(computed.then(|| "update or replace {t} set base = 'A' where id = 2".to_owned()));
        for statement in statements {
            let statement = statement.replace("{t}", table);
            lab.user(&format!("delete from {table}")).await;
            let columns = if computed { "id, code, base" } else { "id, code, name" };
            lab.user(&format!("insert into {table} ({columns}) values (1, 'a', 'a'), (2, 'b', 'b')")).await;
            bench.read().await;
            assert_eq!(programs(&statement).await, 2, "{statement}");
            lab.user(&statement).await;
            let ops = bench.ops().await;
            assert!(ops.contains(&"delete 1".to_owned()), "{statement}: {ops:?}");
        }
        lab.user(&format!("alter table {table} rename column code to sign")).await;
        assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), [], "the triggers went along");
        assert_eq!(programs(&format!("update {table} set sign = 'x'")).await, 2, "{table}");
        // A computed column is named by no statement: there, all of them look.
        assert_eq!(programs(&format!("update {table} set name = 'x'")).await, 1 + usize::from(computed), "{table}");
        lab.user(&format!("update {table} set name = 'x'")).await;
        assert_eq!(bench.ops().await.len(), 1);
        bench.tracking().uninstall(None, &[]).await.unwrap();
    }
}

/// A probe means what the entries behind it make of it: what stands between them is no mere repetition (A15).
async fn rule9_compaction_keeps_what_probes_mean(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    let mut absent = bench.beside("absent").await;
    lab.user("insert into item (id, code, name) values (1, 'a', 'Ann'), (2, 'b', 'Bob'), (5, 'e', 'Eve')").await;
    // The probe of an insert that came to nothing, and then a key that is given out again.
    lab.user("insert or ignore into item (id, name) values (1, 'ignored')").await;
    lab.user("update item set name = 'between' where id = 5").await;
    lab.user("delete from item where id = 1").await;
    lab.user("insert into item (id, name) values (1, 'another')").await;
    lab.user("insert or replace into item (id, code, name) values (9, 'b', 'hides 2')").await;
    for _ in 0..4_000 {
        lab.user("insert into item (id, name) values (5, 'x') on conflict (id) do update set name = excluded.name").await;
    }
    lab.user("update item set name = 'x'").await;
    lab.user("insert or replace into item (id, name) values (5, 'replaced')").await;
    for _ in 0..3_000 {
        lab.user("update item set qty = qty + 1 where id = 1").await;
    }
    let whole = bench.ops().await;
    while bench.endpoint.compact(&bench.fence, &bench.tables()).await.unwrap() {}
    let waiting = absent.endpoint.backlog(&absent.tracked, 1_000_000).await.unwrap()[0];
    assert!(waiting < 40, "{waiting}");
    let told = |ops: &[String]| ops.iter().filter(|op| !op.starts_with("update")).cloned().collect::<Vec<_>>();
    let compacted = absent.ops().await;
    assert_eq!(told(&compacted), told(&whole));
    assert_eq!(told(&whole), ["insert 1", "insert 2", "insert 5", "delete 1", "insert 1", "delete 2", "insert 9", "replace 5"]);
}

/// SQLite has no TRUNCATE, and does not take its short way round where there are triggers.
async fn a12_a_delete_of_all_rows_is_captured(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'Ann'), (2, 'Bob')").await;
    lab.user("delete from item").await;
    assert_eq!(bench.ops().await, ["insert 1", "insert 2", "delete 1", "delete 2"]);
}

/// What a REPLACE deletes by such an index no trigger sees: `check` says which index it is.
async fn a15_a_replace_by_a_partial_index_is_named_beforehand(lab: &dyn Lab) {
    lab.user("create table person (id integer primary key, mail text, active integer)").await;
    lab.user("create unique index one_active on person (mail) where active = 1").await;
    lab.user("create unique index lower_mail on person (lower(mail))").await;
    let bench = Bench::new(lab, &["person"]).await;
    let spots = bench.tables()[0].blind_spots.join("; ");
    assert!(spots.contains("one_active") && spots.contains("lower_mail"), "{spots}");
}

async fn a16_no_clause_of_the_statement_keeps_a_change_from_the_log(lab: &dyn Lab) {
    lab.user("create table word (w text primary key, n integer)").await;
    let mut bench = Bench::new(lab, &["word"]).await;
    for (i, clause) in ["or ignore", "or replace", "or fail", "or abort", "or rollback"].into_iter().enumerate() {
        lab.user(&format!("insert {clause} into word values ('{}', {i})", "ü".repeat(5_000 + i))).await;
        assert_eq!(bench.read().await.len(), 1, "{clause}");
        lab.user(&format!("update {clause} word set n = 100 where n = {i}")).await;
        assert_eq!(bench.read().await.len(), 1, "{clause}");
    }
    // A key that is NULL is logged as well; its row is never taken for another.
    lab.user("insert or ignore into word values (null, 7)").await;
    let entries = bench.read().await;
    assert_eq!(entries[0].key, Key(vec![Value::Null]));
    let mut window = bench.window().await;
    assert_eq!(window.fetch(0, &[Key(vec![Value::Null])]).await.unwrap(), [Fetched::Absent]);
}

async fn a29_the_usual_migrations_succeed(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    for statement in [
        "alter table item add column note text",
        "alter table item rename column note to remark",
        "alter table item drop column remark",
        "alter table item drop column name",
        "create index item_qty on item (qty)",
        "create unique index item_qty_code on item (qty, code)",
        "drop index item_qty_code",
        "vacuum",
    ] {
        lab.user(statement).await;
    }
    lab.user("insert into item (id, code) values (1, 'a')").await;
    assert_eq!(bench.ops().await, ["insert 1"]);
}

/// Beside an application in the middle of a transaction we wait for our turn, and it never for us.
async fn a33_install_gives_way(lab: &dyn Lab) {
    lab.user(&crate::suite::bench::item(lab, "item")).await;
    let endpoint = lab.endpoint().await;
    let tables = describe(lab, &*endpoint, &["item"]).await;
    let mut writer = lab.open().await;
    writer.run("insert into item (id) values (1)").await;
    let installing = {
        let (endpoint, tables) = (Arc::clone(&endpoint), tables.clone());
        tokio::spawn(async move { endpoint.tracking().unwrap().install(&tables, true).await })
    };
    let mut longest = Duration::ZERO;
    for id in 2..12 {
        let before = std::time::Instant::now();
        writer.run(&format!("insert into item (id) values ({id})")).await;
        lab.user_rows("select count(*) from item").await;
        longest = longest.max(before.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!installing.is_finished(), "not beside an open transaction");
    writer.commit().await;
    installing.await.unwrap().unwrap();
    let before = std::time::Instant::now();
    lab.user("insert into item (id) values (99)").await;
    assert!(longest.max(before.elapsed()) < Duration::from_secs(2), "the application waited {longest:?}");
    assert_eq!(endpoint.tracking().unwrap().inspect(&tables).await.unwrap(), []);
}

/// A query of the application's that has come to its first row, on a connection and a thread of its own.
struct Unfinished {
    rest: std::sync::mpsc::Sender<()>,
    rows: tokio::task::JoinHandle<usize>,
}

impl Unfinished {
    async fn begin(lab: &dyn Lab, sql: &'static str) -> Unfinished {
        let path = lab.url().trim_start_matches("sqlite:").to_owned();
        let (rest, goes_on) = std::sync::mpsc::channel();
        let (begins, begun) = tokio::sync::oneshot::channel();
        let rows = tokio::task::spawn_blocking(move || {
            let connection = rusqlite::Connection::open(path).unwrap();
            let mut statement = connection.prepare(sql).unwrap();
            let mut rows = statement.query([]).unwrap();
            assert!(rows.next().unwrap().is_some());
            begins.send(()).unwrap();
            goes_on.recv().unwrap();
            let mut count = 1;
            while rows.next().unwrap().is_some() {
                count += 1;
            }
            count
        });
        begun.await.unwrap();
        Unfinished { rest, rows }
    }

    /// Reads to the end; how many rows there were.
    async fn end(self) -> usize {
        self.rest.send(()).unwrap();
        self.rows.await.unwrap()
    }
}

/// Where the journal is one for rollback, nothing is stored beside a reader, and while we wait for it no other begins.
async fn a33_install_beside_an_open_reader(lab: &dyn Lab) {
    lab.user(&crate::suite::bench::item(lab, "item")).await;
    lab.user("insert into item (name) values ('Ann'), ('Bob'), ('Cid')").await;
    let wal = lab.user_rows("pragma journal_mode").await[0][0].as_deref() == Some("wal");
    let endpoint = lab.endpoint().await;
    let tables = describe(lab, &*endpoint, &["item"]).await;
    let install = || {
        let (endpoint, tables) = (Arc::clone(&endpoint), tables.clone());
        tokio::spawn(async move { endpoint.tracking().unwrap().install(&tables, true).await })
    };
    let reader = Unfinished::begin(lab, "select id, name from item").await;
    let installing = install();
    let mut longest = Duration::ZERO;
    while !installing.is_finished() {
        let before = std::time::Instant::now();
        lab.user_rows("select count(*) from item").await;
        if wal {
            lab.user("update item set qty = qty + 1 where id = 1").await;
        }
        longest = longest.max(before.elapsed());
    }
    assert!(longest < Duration::from_secs(2), "the application waited {longest:?}");
    let installed = installing.await.unwrap();
    assert_eq!(reader.end().await, 3);
    if wal {
        installed.unwrap();
    } else {
        gave_way(&installed.unwrap_err());
        lab.user("update item set qty = qty + 1 where id = 1").await;
        install().await.unwrap().unwrap();
    }
    assert_eq!(endpoint.tracking().unwrap().inspect(&tables).await.unwrap(), []);
}

/// The next time will do: it says so, and what is in the way.
fn gave_way(error: &twinrow::error::Error) {
    assert_eq!(error.kind(), Kind::Retry, "{error}");
    assert!(error.to_string().contains("another connection is using the file"), "{error}");
    assert_eq!(error.next_step(), Some("twinrow install"));
}

async fn a33_install_ends_where_a_writer_stays(lab: &dyn Lab) {
    lab.user(&crate::suite::bench::item(lab, "item")).await;
    let endpoint = lab.endpoint().await;
    let tables = describe(lab, &*endpoint, &["item"]).await;
    let before = lab.catalog().await;
    let mut writer = lab.open().await;
    writer.run("insert into item (name) values ('Ann')").await;
    let installing = {
        let (endpoint, tables) = (Arc::clone(&endpoint), tables.clone());
        tokio::spawn(async move { endpoint.tracking().unwrap().install(&tables, true).await })
    };
    let mut longest = Duration::ZERO;
    while !installing.is_finished() {
        let before = std::time::Instant::now();
        writer.run("insert into item (name) values ('Bob')").await;
        lab.user_rows("select count(*) from item").await;
        longest = longest.max(before.elapsed());
    }
    assert!(longest < Duration::from_secs(2), "the application waited {longest:?}");
    gave_way(&installing.await.unwrap().unwrap_err());
    writer.commit().await;
    assert_eq!(lab.catalog().await, before);
    endpoint.tracking().unwrap().install(&tables, true).await.unwrap();
    assert_eq!(endpoint.tracking().unwrap().inspect(&tables).await.unwrap(), []);
}

/// Ours has the one writer's place, and can't store what it wrote while somebody reads.
async fn a44_a_commit_that_a_reader_holds_up_leaves_nothing(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'Ann'), (2, 'Bob')").await;
    bench.read().await;
    let written = async || {
        let mut write = bench.begin().await;
        let create = Create { key: None, values: vec![t("new")] };
        write.insert(bench.collection(), &[1], &[create]).await?;
        let change = Change { key: Key::int(1), version: None, values: vec![t("ours")] };
        write.update(bench.collection(), &[2], &[change]).await?;
        write.delete(bench.collection(), &[Key::int(2)]).await?;
        write.commit().await
    };
    let reader = Unfinished::begin(lab, "select id from item").await;
    let error = written().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "not in doubt: {error}");
    assert_eq!(reader.end().await, 2);
    let rows = async || lab.user_rows("select id || coalesce(name, '') from item order by id").await.concat();
    assert_eq!(rows().await, ["1Ann", "2Bob"].map(|row| Some(row.to_owned())));
    // Tried again, it is done, and logged once.
    written().await.unwrap();
    assert_eq!(rows().await, ["1ours", "3"].map(|row| Some(row.to_owned())));
    assert_eq!(bench.ops().await, ["insert 3", "update 1", "delete 2"]);
}

/// The application's session has tables of its own under the names of ours.
async fn a35_temporary_tables_catch_nothing(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    let ours = lab.user_rows("select name, sql from sqlite_master where type = 'table' and name like 'twinrow%'").await;
    assert!(ours.len() > 3, "{ours:?}");
    for table in &ours {
        let name = table[0].as_deref().unwrap();
        lab.user(&format!("create temporary table \"{name}\" as select * from main.\"{name}\" where false")).await;
    }
    for sql in ["insert into item (id) values (1)", "update item set name = 'x'", "delete from item"] {
        lab.user(sql).await;
    }
    assert_eq!(bench.ops().await, ["insert 1", "update 1", "delete 1"]);
}

/// Whatever the application has set for its connection, changes are logged, with their exact keys.
async fn a58_hostile_pragmas_change_nothing(lab: &dyn Lab) {
    lab.user("create table moment (at real not null, b blob not null, w text not null, n integer, primary key (at, b, w))").await;
    let mut bench = Bench::new(lab, &["moment"]).await;
    for pragma in [
        "case_sensitive_like = on",
        "foreign_keys = off",
        "ignore_check_constraints = on",
        "reverse_unordered_selects = on",
        "trusted_schema = off",
        "cell_size_check = on",
        "legacy_alter_table = on",
        "recursive_triggers = on",
        "defer_foreign_keys = on",
        "read_uncommitted = on",
        "automatic_index = off",
        "temp_store = memory",
        "count_changes = on",
        "short_column_names = off",
        "full_column_names = on",
    ] {
        lab.user(&format!("pragma {pragma}")).await;
    }
    lab.user("insert into moment values (0.1 + 0.2, x'00ff2700', 'Straße', 1)").await;
    lab.user("update moment set n = 2 where w like 'S%'").await;
    let key = Key(vec![Value::Float(0.1 + 0.2), Value::Bytes(vec![0, 255, 39, 0]), t("Straße")]);
    let read = bench.read().await;
    assert_eq!(read.iter().map(|entry| &entry.key).collect::<Vec<_>>(), [&key, &key]);
    let mut window = bench.window().await;
    assert_eq!(row(&window.fetch(0, &[key]).await.unwrap()[0])[3], int(2));
}

async fn a31_a_rebuilt_table_is_found(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    lab.user("create table new_item (id integer primary key autoincrement, code text unique, name text)").await;
    lab.user("drop table item").await;
    lab.user("alter table new_item rename to item").await;
    let findings = bench.tracking().inspect(&bench.tables()).await.unwrap();
    assert_eq!(findings.iter().filter(|finding| finding.gap).count(), 5, "{findings:?}");
    bench.tracking().install(&bench.tables(), true).await.unwrap();
    assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
    // As is a unique key that came later.
    lab.user("create unique index item_name on item (name)").await;
    let findings = bench.tracking().inspect(&bench.tables()).await.unwrap();
    assert_eq!(findings.len(), 2, "the probes: {findings:?}");
}

async fn a11_an_emptied_log_is_an_error(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    let log = twinrow::endpoint::database::sqlite::tracking_names(&lab.table("item")).log;
    lab.user("insert into item (id, name) values (1, 'Ann')").await;
    lab.user(&format!("delete from {log}")).await;
    lab.user("insert into item (id, name) values (2, 'Bob')").await;
    let error = bench.endpoint.window(&bench.tracked, 100).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Tracking);
    assert!(!bench.tracking().install(&bench.tables(), true).await.unwrap().is_empty());
    let again = bench.tracking().register("suite", &bench.tables()).await.unwrap();
    assert_ne!(again[0], bench.tracked[0].since.clone().unwrap());
}

/// In WAL mode no read of ours is in the application's way.
async fn a71_an_application_without_busy_timeout_can_write(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    lab.user("pragma busy_timeout = 0").await;
    let mut window = bench.window().await;
    for id in 1..=200 {
        lab.user(&format!("insert into item (id, code) values ({id}, 'c{id}')")).await;
        let (key, text) = (Key::int(id), t("c1"));
        window.fetch(0, &[key]).await.unwrap();
        window.find(0, &[(2, Normal { fold_case: true, trim: true })], &[vec![text]]).await.unwrap();
        if id % 50 == 0 {
            drop(std::mem::replace(&mut window, bench.window().await));
        }
    }
    drop(window);
    assert_eq!(bench.read().await.len(), 200);
}

async fn a72_writes_through_attach_are_captured(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    let path = lab.url().trim_start_matches("sqlite:").to_owned();
    let other = SqliteLab::new("wal").await.unwrap();
    other.user(&format!("attach '{path}' as shop")).await;
    other.user("insert into shop.item (id, name) values (1, 'Ann')").await;
    other.close().await;
    assert_eq!(bench.ops().await, ["insert 1"]);
}

async fn a25_cascades_are_captured(lab: &dyn Lab) {
    lab.user("create table parent (id integer primary key)").await;
    lab.user("create table child (id integer primary key, p integer references parent on delete cascade on update cascade)")
        .await;
    let mut bench = Bench::new(lab, &["parent", "child"]).await;
    assert_eq!(bench.tables()[1].foreign_keys[0].referenced, ["id"]);
    lab.user("insert into parent values (1), (2)").await;
    lab.user("insert into child values (10, 1), (20, 2)").await;
    bench.read().await;
    lab.user("delete from parent where id = 1").await;
    lab.user("update parent set id = 3 where id = 2").await;
    let mut ops = bench.ops().await;
    ops.sort();
    assert_eq!(ops, ["delete 1", "delete 10", "rename 2 to 3", "update 20"]);
    // And what our own delete cascades to is tagged as ours, in whichever log.
    let mut write = bench.begin().await;
    write.delete(bench.collection(), &[Key::int(3)]).await.unwrap();
    write.commit().await.unwrap();
    let entries = bench.read().await;
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry.own));
}

async fn a73_a_unique_key_without_nulls_will_do(lab: &dyn Lab) {
    lab.user("create table loose (a text not null, b integer, unique (a))").await;
    lab.user("create table nullable (a text unique, b integer)").await;
    lab.user("create table reused (id integer primary key)").await;
    lab.user("create table numbered (id integer primary key autoincrement)").await;
    lab.user("create table random (id text primary key default (hex(randomblob(8))), name text)").await;
    lab.user("create view seen as select a from loose").await;
    let endpoint = lab.endpoint().await;
    let tables = describe(lab, &*endpoint, &["loose", "nullable", "reused", "numbered", "random", "seen"]).await;
    assert_eq!((tables[0].key.as_slice(), &tables[0].refused), (&[0][..], &None));
    assert!(tables[1].refused.as_deref().unwrap().contains("NULL"));
    assert_eq!(tables[2].key_source, KeySource::GeneratedReused);
    assert_eq!(tables[3].key_source, KeySource::Generated);
    assert_eq!(tables[4].key_source, KeySource::Default);
    assert!(tables[5].refused.as_deref().unwrap().contains("view"));
    let bench = Bench::new(lab, &["random"]).await;
    let key = bench.create(&[1], vec![t("Ann")]).await.unwrap();
    assert_eq!(lab.user_rows("select id from random").await[0][0], Some(key.to_string()));
}

async fn a_collation_of_the_application_is_refused(lab: &dyn Lab) {
    // The way in for a collation this connection does not have: the catalog, as another library left it.
    lab.user("create table word (w text primary key, n integer)").await;
    lab.script(
        "pragma writable_schema = on; update sqlite_master set sql = 'CREATE TABLE word (w text primary key collate icu_de, n integer)' \
         where name = 'word'; pragma writable_schema = reset;",
    )
    .await;
    let endpoint = lab.endpoint().await;
    let tables = describe(lab, &*endpoint, &["word"]).await;
    assert!(tables[0].refused.as_deref().unwrap().contains("icu_de"), "{:?}", tables[0].refused);
}

async fn c7_no_collation_changes_what_is_alike(lab: &dyn Lab) {
    let kinds = ["text collate nocase", "text collate rtrim", "text collate nocase", "varchar(60)"];
    let indexes = ["create index w1 on word (w1)", "create index w2 on word (w2)", "create index w4 on word (lower(w4))"];
    texts_are_found_as_stated(lab, &kinds, &indexes, |_| true).await;
}

async fn c6_a_key_under_nocase_is_still_exact(lab: &dyn Lab) {
    lab.user("create table word (w text primary key collate nocase, name text collate nocase)").await;
    let mut bench = Bench::new(lab, &["word"]).await;
    lab.user("insert into word values ('Ann', 'X'), ('bob', 'x')").await;
    bench.read().await;
    let (ann, other) = (Key(vec![t("Ann")]), Key(vec![t("ANN")]));
    let mut window = bench.window().await;
    let fetched = window.fetch(0, &[ann.clone(), other.clone()]).await.unwrap();
    assert_eq!(row(&fetched[0])[0], t("Ann"));
    assert_eq!(fetched[1], Fetched::Absent);
    let found = window.find(0, &[(0, EXACT)], &[vec![t("ANN")], vec![t("Ann")]]).await.unwrap();
    assert_eq!(found, [vec![], vec![ann.clone()]]);
    let first = window.page(0, None, 1).await.unwrap();
    assert_eq!(first, std::slice::from_ref(&ann));
    assert_eq!(window.page(0, Some(&ann), 5).await.unwrap(), [Key(vec![t("bob")])]);
    drop(window);
    let mut write = bench.begin().await;
    let change = |key: &Key| Change { key: key.clone(), version: None, values: vec![t("Y")] };
    let outcomes = write.update(bench.collection(), &[1], &[change(&other), change(&ann)]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Stale, Outcome::Done(ann.clone())]);
    assert_eq!(write.delete(bench.collection(), std::slice::from_ref(&other)).await.unwrap(), [Outcome::Stale]);
    write.commit().await.unwrap();
    bench.read().await;
    lab.user("update word set w = 'ANN' where w = 'ann'").await;
    assert_eq!(bench.ops().await, ["rename Ann to ANN"]);
    // A REPLACE finds its row as the index does.
    lab.user("insert or replace into word values ('aNN', 'Z')").await;
    assert_eq!(structural(&bench.ops().await), ["delete ANN", "insert aNN"]);
}

/// Each value is read as what it is, and written back it is stored as it was.
async fn c19_storage_classes_survive(lab: &dyn Lab) {
    lab.user(
        "create table odd (id integer primary key, i integer, r real, t text, b blob, n, d decimal(10, 2), day date, \
         at datetime, ok boolean, u uuid, j json)",
    )
    .await;
    let insert = |id: i64, values: &str| format!("insert into odd values ({id}, {values})");
    lab.user(&insert(
        1,
        "9007199254740993, 0.1, '007', x'00ff', 1.5, 1.10, '2026-11-22', '2026-11-22 10:00:00', 1, \
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": 1}'",
    ))
    .await;
    lab.user(&insert(2, "'text', 1e300, x'41', 'text', 7, 'much', 'tomorrow', 1700000000, 'yes', 'none', '{'")).await;
    lab.user(&insert(3, "1.5, -0.0, 'a' || char(0) || 'b', 5, x'', 12345678901234567, null, null, 2, null, '[1]'")).await;
    let bench = Bench::new(lab, &["odd"]).await;
    let keys: Vec<Key> = (1..=3).map(Key::int).collect();
    let mut window = bench.window().await;
    let fetched = window.fetch(0, &keys).await.unwrap();
    drop(window);
    let kinds = |at: usize| row(&fetched[at])[1..].iter().map(Value::kind).collect::<Vec<_>>();
    assert_eq!(
        kinds(0),
        ["integer", "float", "text", "bytes", "float", "decimal", "date", "datetime", "boolean", "uuid", "json"]
    );
    assert_eq!(kinds(1), ["text", "float", "bytes", "text", "integer", "text", "text", "integer", "text", "text", "text"]);
    assert_eq!(row(&fetched[0])[1], int(9_007_199_254_740_993));
    let columns = ["i", "r", "t", "b", "n", "d", "day", "at", "ok", "u", "j"];
    let stored = columns.map(|column| format!("quote({column}), typeof({column})")).join(", ");
    let before = lab.user_rows(&format!("select {stored} from odd order by id")).await;

    let mut write = bench.begin().await;
    let fields: Vec<usize> = (1..12).collect();
    let rows: Vec<Create> = fetched.iter().map(|fetched| Create { key: None, values: row(fetched)[1..].to_vec() }).collect();
    let outcomes = write.insert(bench.collection(), &fields, &rows).await.unwrap();
    let keys: Vec<Key> = outcomes
        .into_iter()
        .map(|outcome| match outcome {
            Outcome::Done(key) => key,
            other => panic!("{other:?}"),
        })
        .collect();
    let (back, _) = write.read_back(bench.collection(), &keys).await.unwrap();
    write.commit().await.unwrap();
    for (was, is) in fetched.iter().zip(&back) {
        assert_eq!(row(was)[1..], row(is)[1..]);
    }
    let after = lab.user_rows(&format!("select {stored} from odd where id > 3 order by id")).await;
    assert_eq!(after, before);
    lab.user("insert into odd (id, t) values (99, cast(x'ff41' as text))").await;
    let mut window = bench.window().await;
    let fetched = window.fetch(0, &[Key::int(99)]).await.unwrap();
    assert!(matches!(&fetched[0], Fetched::Unreadable(cause) if cause.contains("UTF-8")), "never taken for gone");
}

async fn tables_without_rowid(lab: &dyn Lab) {
    lab.user("create table pair (b text, a integer default 7, name text, primary key (a, b)) without rowid").await;
    let mut bench = Bench::new(lab, &["pair"]).await;
    assert_eq!(bench.tables()[0].key, [1, 0]);
    let key = bench.create(&[0, 2], vec![t("x"), t("Ann")]).await.unwrap();
    assert_eq!(key, Key(vec![int(7), t("x")]));
    lab.user("insert or replace into pair values ('x', 7, 'Bea')").await;
    assert_eq!(structural(&bench.ops().await), ["insert 7,x", "replace 7,x"]);
}

async fn the_new_key_is_the_one_after_all_triggers(lab: &dyn Lab) {
    lab.user("create table stamped (id text primary key, name text)").await;
    lab.user("create trigger stamp after insert on stamped begin update stamped set id = 'made-' || new.name where rowid = new.rowid; end")
        .await;
    let mut bench = Bench::new(lab, &["stamped"]).await;
    let key = bench.create(&[1], vec![t("Ann")]).await.unwrap();
    assert_eq!(key, Key(vec![t("made-Ann")]));
    assert!(bench.read().await.iter().all(|entry| entry.own));
}

async fn a_trigger_that_takes_the_row_away_is_a_refusal(lab: &dyn Lab) {
    lab.user("create table picky (id integer primary key, name text)").await;
    lab.user("create trigger no before insert on picky when new.name = 'secret-ignored' begin select raise(ignore); end").await;
    lab.user("create trigger never before insert on picky when new.name = 'secret-aborted' begin select raise(abort, 'no secret-aborted here'); end")
        .await;
    let bench = Bench::new(lab, &["picky"]).await;
    for name in ["secret-ignored", "secret-aborted"] {
        let error = bench.create(&[1], vec![t(name)]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Rejected);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    bench.create(&[1], vec![t("Ann")]).await.unwrap();
}

/// Such a constraint undoes the whole transaction: nothing that follows may be committed on its own.
async fn an_on_conflict_rollback_constraint_ends_the_transaction(lab: &dyn Lab) {
    lab.user("create table harsh (id integer primary key, code text unique on conflict rollback)").await;
    lab.user("insert into harsh values (1, 'a')").await;
    let bench = Bench::new(lab, &["harsh"]).await;
    let mut write = bench.begin().await;
    let create = |code: &str| [Create { key: None, values: vec![t(code)] }];
    write.insert(bench.collection(), &[1], &create("b")).await.unwrap();
    assert_eq!(write.insert(bench.collection(), &[1], &create("a")).await.unwrap_err().kind(), Kind::Duplicate);
    assert!(write.insert(bench.collection(), &[1], &create("c")).await.is_err());
    assert!(write.commit().await.is_err());
    assert_eq!(bench.ids("select id from harsh").await, [Key::int(1)]);
    bench.create(&[1], vec![t("d")]).await.unwrap();
}

/// Whatever the table says about a row that is in the way: ours is refused, and the other stays as it was.
async fn a15_our_own_write_replaces_nothing(lab: &dyn Lab) {
    for (key, unique) in [
        ("integer primary key", "unique on conflict replace"),
        ("integer primary key on conflict replace", "UNIQUE ON\nCONFLICT REPLACE"),
        ("integer primary key autoincrement", "unique on conflict ignore"),
        ("text primary key on conflict replace", "not null on conflict replace default 'd' unique on conflict replace"),
    ] {
        lab.user(&format!("create table yielding (id {key}, code text {unique}, name text)")).await;
        lab.user("insert into yielding values (1, 'a', 'Ann'), (2, 'b', 'Bob')").await;
        let bench = Bench::new(lab, &["yielding"]).await;
        let one = if key.starts_with("text") { t("1") } else { int(1) };
        let create =
            |key: Option<Value>, code: &str| Create { key: key.map(|key| Key(vec![key])), values: vec![t(code), t("ours")] };
        let creates = [create(None, "b"), create(Some(one.clone()), "c")];
        for create in creates.into_iter().skip(usize::from(key.starts_with("text"))) {
            let mut write = bench.begin().await;
            let refused = write.insert(bench.collection(), &[1, 2], std::slice::from_ref(&create)).await;
            assert_eq!(refused.unwrap_err().kind(), Kind::Duplicate, "{key}, {unique}: {create:?}");
        }
        let mut write = bench.begin().await;
        let change = Change { key: Key(vec![one]), version: None, values: vec![t("b")] };
        let refused = write.update(bench.collection(), &[1], &[change]).await;
        assert_eq!(refused.unwrap_err().kind(), Kind::Duplicate, "{key}, {unique}");
        drop(write);
        let all = lab.user_rows("select id, code, name from yielding order by id").await;
        assert_eq!(all.len(), 2, "{key}, {unique}: {all:?}");
        assert!(all.iter().all(|row| row[2].as_deref() != Some("ours")), "{all:?}");
        bench.tracking().uninstall(None, &[]).await.unwrap();
        lab.user("drop table yielding").await;
    }
}

/// The clause of a statement would stand above theirs.
async fn a_trigger_keeps_the_clauses_it_has(lab: &dyn Lab) {
    lab.user(
        "create table filled (id integer primary key, code text unique, name text not null on conflict replace default 'none')",
    )
    .await;
    lab.user("create table seen (code text primary key, times integer default 1)").await;
    lab.user("create trigger sees after insert on filled begin insert or ignore into seen (code) values ('all'); end").await;
    let bench = Bench::new(lab, &["filled"]).await;
    bench.create(&[1], vec![t("a")]).await.unwrap();
    bench.create(&[1, 2], vec![t("b"), Value::Null]).await.unwrap();
    assert_eq!(lab.user_rows("select count(*) from seen").await[0][0].as_deref(), Some("1"));
    assert_eq!(lab.user_rows("select name from filled where code = 'b'").await[0][0].as_deref(), Some("none"));
}

async fn a_deferred_foreign_key_speaks_at_commit(lab: &dyn Lab) {
    lab.user("create table node (id integer primary key, parent integer references node deferrable initially deferred)").await;
    let bench = Bench::new(lab, &["node"]).await;
    let mut write = bench.begin().await;
    write.insert(bench.collection(), &[1], &[Create { key: None, values: vec![int(4711)] }]).await.unwrap();
    assert_eq!(write.commit().await.unwrap_err().kind(), Kind::Rejected);
    assert_eq!(bench.ids("select id from node").await, []);
    bench.create(&[1], vec![Value::Null]).await.unwrap();
}

async fn rule4_a_take_over_waits_for_the_write_in_flight(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    let mut write = bench.begin().await;
    write.insert(bench.collection(), &[1], &[Create { key: None, values: vec![t("a")] }]).await.unwrap();
    let endpoint = Arc::clone(&bench.endpoint);
    let takes = tokio::spawn(async move {
        let mut session = endpoint.store().unwrap().session().await.unwrap();
        crate::suite::bench::take(&mut *session, "suite", 2).await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!takes.is_finished(), "our transaction is open");
    write.commit().await.unwrap();
    assert_eq!(takes.await.unwrap(), 1);
    assert_eq!(bench.endpoint.begin(&bench.fence).await.err().unwrap().kind(), Kind::Fenced);
}

async fn entries_pruned_for_another_cursor_are_an_error(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    let old = bench.tracked.clone();
    let rows: Vec<String> = (1..=5000).map(|id| format!("({id})")).collect();
    lab.user(&format!("insert into item (id) values {}", rows.join(","))).await;
    assert_eq!(bench.read().await.len(), 5000);
    let log = twinrow::endpoint::database::sqlite::tracking_names(&lab.table("item")).log;
    assert_eq!(lab.user_rows(&format!("select count(*) from {log}")).await[0][0].as_deref(), Some("1"), "all but the epoch");
    assert_eq!(bench.ops().await, Vec::<String>::new());
    // A state restored from a backup stands before what is gone.
    let error = bench.endpoint.window(&old, 100).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Tracking, "{error}");
}

async fn a_missing_file_is_not_made(lab: &dyn Lab) {
    let url = format!("{}.typo", lab.url());
    let endpoint = twinrow::endpoint::open("shop", &url, &twinrow::endpoint::Tls::default()).await.unwrap();
    let error = endpoint.describe(None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(!std::path::Path::new(url.trim_start_matches("sqlite:")).exists());
}

async fn generated_sql(lab: &dyn Lab) {
    lab.user("create table \"od\"\"d\" (a text collate nocase, b integer not null, code text unique, primary key (a, b))").await;
    let endpoint = lab.endpoint().await;
    let tables = describe(lab, &*endpoint, &["od\"d"]).await;
    let script = endpoint.tracking().unwrap().script(&tables, false).await.unwrap();
    let table = script.split("\n\n").find(|step| step.contains("create trigger")).unwrap();
    insta::assert_snapshot!(table);
}

/// The steps of SQLite's own machine that a key may cost: one that is found in an index takes some 30, a map of thousands tens of
/// thousands.
const STEPS: i32 = 100;

async fn statements_by_key_take_a_few_steps_a_key(lab: &dyn Lab) {
    drop(plans::grown(lab, "analyze").await);
    let connection = rusqlite::Connection::open(lab.url().trim_start_matches("sqlite:")).unwrap();
    let mut costly = Vec::new();
    for looked_at in [false, true] {
        if looked_at {
            plans::analyze(lab, "analyze").await;
        }
        for statement in plans::BY_KEY {
            let file = format!("{}/sql/sqlite/{}.sql", env!("CARGO_MANIFEST_DIR"), statement.name);
            connection.execute_batch("begin immediate").unwrap();
            let mut prepared = connection.prepare(&std::fs::read_to_string(file).unwrap()).unwrap();
            let asked = plans::asked(statement);
            for parameters in &asked {
                let mut rows = prepared.query(rusqlite::params_from_iter(parameters)).unwrap();
                while rows.next().unwrap().is_some() {}
            }
            let steps = prepared.get_status(rusqlite::StatementStatus::VmStep);
            drop(prepared);
            connection.execute_batch("rollback").unwrap();
            assert!(steps as usize > asked.len(), "{}: the count counts nothing", statement.name);
            if steps as usize > asked.len() * STEPS as usize {
                costly.push((statement.name, looked_at, steps));
            }
        }
    }
    assert!(costly.is_empty(), "for {} keys, tables looked at since they grew, steps taken: {costly:?}", plans::KEYS);
}
