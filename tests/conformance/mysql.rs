//! The suite on MySQL and MariaDB, and what is theirs alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use twinrow::endpoint::database::mysql::Mysql;
use twinrow::endpoint::{Change, Create, Endpoint, Fetched, Outcome, Tracked};
use twinrow::error::Kind;
use twinrow::model::{Key, Kind as Column, Value};

use crate::suite::bench::{Bench, describe, fence, int, item, op, row, t, tracking};
use crate::support::mysql::{MysqlLab, select};
use crate::support::tls::{self, Certificate};
use crate::support::{Lab, skip};

#[allow(clippy::module_inception)] // The engine's name, beside `mariadb`.
mod mysql {
    conformance!(all writers counted replace trigger_keys: crate::support::mysql::mysql);
}

mod mariadb {
    conformance!(all writers counted replace trigger_keys: crate::support::mysql::mariadb);
}

mod mariadb118 {
    conformance!(matrix all writers counted replace trigger_keys: crate::support::mysql::mariadb118);
}

/// Each test on all servers, each on a database of its own.
macro_rules! both {
    ($($name:ident),* $(,)?) => { $(mod $name {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn mysql() {
            super::on("TWINROW_TEST_MYSQL", concat!(stringify!($name), "::mysql"), super::tests::$name).await;
        }
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn mariadb() {
            super::on("TWINROW_TEST_MARIADB", concat!(stringify!($name), "::mariadb"), super::tests::$name).await;
        }
        #[ignore = "matrix"]
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn mariadb118() {
            super::on("TWINROW_TEST_MARIADB118", concat!(stringify!($name), "::mariadb118"), super::tests::$name).await;
        }
    })* };
}

mod order;

both! {
    a12_truncate_is_found,
    a3_a_missing_right_to_see_who_is_named,
    a12_partitions_are_captured_and_what_ends_them_is_named,
    a23_load_data_is_captured,
    a13_cascades_are_logged_by_the_parent,
    a13_keys_that_come_down_two_cascades_are_renames,
    a13_cascades_in_a_circle_compare_the_whole,
    a13_what_a_parent_that_stays_was_to_take_along_stays,
    a13_what_goes_with_a_parent_comes_after_what_was_done_to_it,
    a15_a_reading_that_ends_within_a_replace_tells_one_record,
    a15_a_replace_beside_other_writers_is_one_record,
    a15_a_replace_by_several_unique_keys_is_one_record,
    a15_what_two_statements_put_back_is_no_replace,
    a15_a_replace_is_the_same_record_under_a_given_key,
    a15_a_replace_is_one_record_where_a_drain_ends_within_it,
    a15_compaction_makes_no_replace_of_two_statements,
    i5_a_parent_is_written_whatever_became_of_its_child,
    a32_a_log_of_the_third_version_gets_its_column,
    a32_a_parents_trigger_of_the_second_version_is_replaced,
    a31_a_swapped_table_is_found,
    a31_a_trigger_that_is_lost_after_a_swap_is_repaired_for_good,
    a33_install_gives_way,
    a34_application_users_need_no_rights,
    a36_the_installer_may_go,
    a36_a_table_that_is_renamed_is_still_written,
    a37_a_missing_right_is_named,
    a42_keys_may_grow,
    a47_a_locked_table_stops_only_itself,
    a47_lock_tables_never_breaks_the_application,
    a49_a_table_without_transactions_is_refused,
    a58_keys_are_exact_whatever_the_session_says,
    a66_a_prepared_transaction_arrives_when_it_commits,
    a76_a_late_consumer_changes_nothing_for_the_first,
    c6_keys_are_compared_by_their_bytes,
    d_values_come_back_as_they_were,
    c7_no_collation_changes_what_is_alike,
    c7_no_character_set_changes_what_is_alike,
    d11_d25_nothing_is_cut_or_replaced,
    f16_refusals_are_told_apart,
    f13_an_index_that_is_renamed_is_looked_up_again,
    an_inspection_is_two_statements,
    i9_an_install_cut_off_before_the_queues_row_is_finished,
    i9_a_queue_that_lost_its_row_goes_on_behind_it,
    rule19_a_write_waits_for_its_own_rows_only,
    tls_is_checked,
}

/// On MySQL we can't but wait (docs/guarantees.md, I5).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule19_mariadb_does_not_wait_for_a_gap() {
    on("TWINROW_TEST_MARIADB", "rule19_mariadb_does_not_wait_for_a_gap", tests::a_gap_is_not_waited_for).await;
}

async fn on(variable: &str, name: &str, body: impl AsyncFnOnce(&MysqlLab)) {
    let lab = match MysqlLab::new(variable).await {
        Ok(lab) => lab,
        Err(reason) => return skip(&format!("mysql::{name}"), &reason),
    };
    let result = caught(body(&lab)).await;
    lab.close().await;
    if let Err(failure) = result {
        std::panic::resume_unwind(failure);
    }
}

/// The future's result, or what it panicked with: the database is dropped either way.
async fn caught(future: impl Future<Output = ()>) -> std::thread::Result<()> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| future.as_mut().poll(context)));
        match polled {
            Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
            Ok(std::task::Poll::Ready(())) => std::task::Poll::Ready(Ok(())),
            Err(panic) => std::task::Poll::Ready(Err(panic)),
        }
    })
    .await
}

mod tests {
    pub use super::order::*;
    use super::*;
    use crate::suite::texts_are_found_as_stated;

    /// With and without an index, columns whose collations have another idea of letters.
    pub async fn c7_no_collation_changes_what_is_alike(lab: &MysqlLab) {
        let common = ["bin", "general_ci", "unicode_ci", "unicode_520_ci", "turkish_ci", "danish_ci", "hungarian_ci", "czech_ci"];
        let newer =
            ["0900_ai_ci", "0900_as_ci", "0900_as_cs", "tr_0900_ai_ci", "da_0900_ai_ci", "hu_0900_as_cs", "es_trad_0900_ai_ci"];
        let nopad = ["nopad_bin", "general_nopad_ci", "unicode_520_nopad_ci", "uca1400_ai_ci", "uca1400_turkish_as_ci"];
        let own = if lab.variable == "TWINROW_TEST_MYSQL" { &newer[..] } else { &nopad[..] };
        let kinds: Vec<String> = common.iter().chain(own).map(|name| format!("varchar(60) collate utf8mb4_{name}")).collect();
        let indexes: Vec<String> = (1..=kinds.len()).map(|i| format!("create index word_w{i} on word (w{i})")).collect();
        texts_are_found_as_stated(lab, &of(&kinds), &of(&indexes), |_| true).await;
    }

    pub async fn c7_no_character_set_changes_what_is_alike(lab: &MysqlLab) {
        let kinds = ["latin1", "latin1 collate latin1_german2_ci", "ascii", "latin5", "utf8mb3", "utf16"];
        let kinds = kinds.map(|set| format!("varchar(60) character set {set}"));
        let indexes: Vec<String> = (1..=kinds.len()).map(|i| format!("create index word_w{i} on word (w{i})")).collect();
        texts_are_found_as_stated(lab, &of(&kinds), &of(&indexes), str::is_ascii).await;
    }

    fn of(owned: &[String]) -> Vec<&str> {
        owned.iter().map(String::as_str).collect()
    }

    /// Definition statements commit by themselves: the table was made, and its row was not.
    pub async fn i9_an_install_cut_off_before_the_queues_row_is_finished(lab: &MysqlLab) {
        lab.user(&item(lab, "item")).await;
        let endpoint = lab.endpoint().await;
        let tables = describe(lab, &*endpoint, &["item"]).await;
        let script = tracking(&*endpoint).script(&tables, true).await.unwrap();
        let row = script.find("insert ignore into").unwrap();
        assert!(script[..row].contains("`twinrow_drain`"), "{script}");
        lab.script(&script[..row]).await;
        let mut bench = Bench::new(lab, &["item"]).await;
        lab.user("insert into item (name) values ('Ann')").await;
        assert_eq!(bench.ops().await, ["insert 1"]);
        assert_eq!(bench.tracking().script(&bench.tables(), true).await.unwrap(), "");
    }

    /// Cursors stand on the numbers: one that is given out twice is not read.
    pub async fn i9_a_queue_that_lost_its_row_goes_on_behind_it(lab: &MysqlLab) {
        let mut first = Bench::item(lab).await;
        let mut second = first.beside("second").await;
        lab.user("insert into item (name) values ('Ann'), ('Bob'), ('Cy')").await;
        for bench in [&mut first, &mut second] {
            assert_eq!(bench.ops().await.len(), 3);
        }
        lab.user("delete from twinrow_drain").await;
        lab.user("insert into item (name) values ('Dan')").await;
        let found = first.tracking().inspect(&first.tables()).await.unwrap();
        assert!(found[0].problem.contains("the row that numbers the queue"), "{found:?}");
        first.tracking().install(&first.tables(), true).await.unwrap();
        assert_eq!(first.tracking().inspect(&first.tables()).await.unwrap(), []);
        for bench in [&mut first, &mut second] {
            assert_eq!(bench.ops().await, ["insert 4"]);
        }
    }

    pub async fn a12_truncate_is_found(lab: &MysqlLab) {
        lab.user("create table word (w varchar(20) primary key)").await;
        lab.user(&item(lab, "item")).await;
        let bench = Bench::new(lab, &["item", "word"]).await;
        lab.user("insert into item (name) values ('Ann'), ('Bob')").await;
        lab.user("insert into word values ('one')").await;
        assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
        lab.user("truncate table item").await;
        lab.user("truncate table word").await;
        let found = bench.tracking().inspect(&bench.tables()).await.unwrap();
        let tables: BTreeSet<String> = found.iter().filter(|finding| finding.gap).map(|f| f.table.to_string()).collect();
        assert_eq!(tables.into_iter().collect::<Vec<_>>(), ["item", "word"], "{found:?}");
        // Repaired: recorded as it is now.
        assert!(!bench.tracking().install(&bench.tables(), true).await.unwrap().is_empty());
        assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
    }

    pub async fn a3_a_missing_right_to_see_who_is_named(lab: &MysqlLab) {
        let bench = Bench::item(lab).await;
        let name = user(lab, "onlooker", "select").await;
        let onlooker = Mysql::open(&lab.url_as(&name, "S3cret-s3cret"), "lab").unwrap();
        let found = onlooker.open_transactions(&bench.tables()).await.unwrap();
        let missing = found.missing_right.unwrap();
        assert!(missing.starts_with(&format!("grant process on *.* to '{name}'@'%'")), "{missing}");
        // The statement it prints is enough.
        for statement in missing.split("; ") {
            lab.user(statement).await;
        }
        let onlooker = Mysql::open(&lab.url_as(&name, "S3cret-s3cret"), "lab").unwrap();
        assert_eq!(onlooker.open_transactions(&bench.tables()).await.unwrap().missing_right, None);
        lab.user(&format!("drop user '{name}'@'%'")).await;
    }

    pub async fn a12_partitions_are_captured_and_what_ends_them_is_named(lab: &MysqlLab) {
        lab.user(
            "create table part (id int primary key, v int) partition by range (id) \
             (partition low values less than (100), partition high values less than maxvalue)",
        )
        .await;
        let mut bench = Bench::new(lab, &["part"]).await;
        lab.user("insert into part values (1, 1), (200, 1)").await;
        lab.user("update part set id = 201 where id = 1").await;
        lab.user("delete from part where id = 200").await;
        assert_eq!(bench.ops().await, ["insert 1", "insert 200", "rename 1 to 201", "delete 200"]);
        let spots = bench.tables()[0].blind_spots.join("; ");
        assert!(spots.contains("PARTITION fires no trigger") && spots.contains("TRUNCATE fires no trigger"), "{spots}");
    }

    pub async fn a23_load_data_is_captured(lab: &MysqlLab) {
        let mut bench = Bench::item(lab).await;
        let mut dir = lab.user_rows("select @@secure_file_priv").await.remove(0).remove(0);
        // On MariaDB NULL means what an empty string means on MySQL: any directory.
        let maria = lab.user_rows("select version()").await[0][0].as_deref().is_some_and(|version| version.contains("MariaDB"));
        if dir.as_deref() == Some("") || maria && dir.is_none() {
            dir = lab.user_rows("select @@datadir").await.remove(0).remove(0);
        }
        let Some(dir) = dir else {
            return skip("a23_load_data_is_captured", "the server's secure_file_priv is NULL: it loads no files");
        };
        // The server writes the file, for it may see other directories than we do.
        let file = std::path::Path::new(&dir).join(format!("{}.tsv", lab.name)).display().to_string();
        lab.user_rows(&format!("select 1, 'Ann' union all select 2, 'Bob' into outfile '{file}'")).await;
        lab.user(&format!("load data infile '{file}' into table item (id, name)")).await;
        lab.user(&format!("load data infile '{file}' replace into table item (id, name)")).await;
        let ops = bench.ops().await;
        assert_eq!(ops[..2], ["insert 1", "insert 2"]);
        let again: BTreeSet<&str> = ops[2..].iter().map(|op| op.rsplit(' ').next().unwrap()).collect();
        assert_eq!(again.into_iter().collect::<Vec<_>>(), ["1", "2"], "{ops:?}");
    }

    pub async fn a13_cascades_are_logged_by_the_parent(lab: &MysqlLab) {
        lab.user("create table parent (id int primary key, v int)").await;
        lab.user("create table child (id int primary key, p int, foreign key (p) references parent (id) on delete cascade on update cascade)").await;
        lab.user("create table grand (id int primary key, c int, foreign key (c) references child (id) on delete cascade)").await;
        lab.user("create table loose (id int primary key, p int, foreign key (p) references parent (id) on delete set null)")
            .await;
        lab.user("create table line (p int, n int, primary key (p, n), foreign key (p) references parent (id) on delete cascade on update cascade)").await;
        lab.user("insert into parent values (1, 0), (2, 0), (3, 0)").await;
        lab.user("insert into child values (10, 1), (11, 1), (20, 2)").await;
        lab.user("insert into grand values (100, 10), (200, 20)").await;
        lab.user("insert into loose values (5, 1), (6, 2)").await;
        lab.user("insert into line values (1, 1), (2, 1), (2, 2)").await;
        // The parent itself is not tracked.
        let mut bench = Bench::new(lab, &["child", "grand", "loose", "line"]).await;
        assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
        let mut read = async || -> Vec<String> {
            bench
                .read()
                .await
                .iter()
                .map(|entry| format!("{}: {}", ["child", "grand", "loose", "line"][entry.collection], op(entry)))
                .collect()
        };
        lab.user("delete from parent where id = 1").await;
        let expected = ["child: delete 10", "child: delete 11", "grand: delete 100", "loose: update 5", "line: delete 1,1"];
        assert_eq!(read().await, expected);
        lab.user("update parent set v = 7").await;
        assert_eq!(read().await, Vec::<String>::new(), "no key changed");
        lab.user("update parent set id = 22 where id = 3").await;
        assert_eq!(read().await, Vec::<String>::new(), "it has no children");
        lab.user("delete from loose").await;
        lab.user("update parent set id = 33 where id = 2").await;
        assert_eq!(
            read().await,
            ["child: update 20", "loose: delete 5", "loose: delete 6", "line: rename 2,1 to 33,1", "line: rename 2,2 to 33,2"]
        );
        // What fails, or does not cascade, is not logged.
        let mut open = lab.open().await;
        open.run("delete from parent where id = 33").await;
        open.rollback().await;
        let mut open = lab.open().await;
        open.run("set foreign_key_checks = 0").await;
        open.run("delete from parent where id = 33").await;
        open.commit().await;
        assert_eq!(read().await, Vec::<String>::new());
        let gone = lab.endpoint().await;
        assert!(!tracking(&*gone).uninstall(None, &[]).await.unwrap().is_empty());
        lab.user("delete from parent where id = 22").await;
    }

    /// Where there is one way down: on two, a mark is all that can be said.
    pub async fn a13_keys_that_come_down_two_cascades_are_renames(lab: &MysqlLab) {
        let follows =
            |column: &str, table: &str| format!("foreign key ({column}) references {table} on update cascade on delete cascade");
        lab.user("create table high (id int primary key)").await;
        lab.user(&format!("create table mid (id int primary key, {})", follows("id", "high (id)"))).await;
        lab.user(&format!("create table low (id int primary key, v int, {})", follows("id", "mid (id)"))).await;
        let (one, other) = (follows("a", "mid (id)"), follows("b", "high (id)"));
        lab.user(&format!("create table both_ways (a int, b int, primary key (a, b), {one}, {other})")).await;
        lab.user("create table orders (no varchar(20) primary key)").await;
        lab.user(&format!("create table line (no varchar(20), n int, primary key (no, n), {})", follows("no", "orders (no)")))
            .await;
        let line = follows("no, n", "line (no, n)");
        lab.user(&format!("create table part (no varchar(20), n int, m int, primary key (no, n, m), {line})")).await;
        lab.user("insert into high values (1), (2)").await;
        lab.user("insert into mid values (1), (2)").await;
        lab.user("insert into low values (1, 0), (2, 0)").await;
        lab.user("insert into both_ways values (2, 1)").await;
        lab.user("insert into orders values ('A'), ('B')").await;
        lab.user("insert into line values ('A', 1), ('A', 2), ('B', 1)").await;
        lab.user("insert into part values ('A', 1, 7), ('A', 2, 7), ('B', 1, 7)").await;
        // Not every version's own cascades come down two keys of several columns.
        let comes_down = lab.try_user("update orders set no = 'A1' where no = 'A'").await.is_ok();
        let mut bench = Bench::new(lab, &["low", "part", "both_ways"]).await;
        let mut of = async |table: usize| -> Vec<String> {
            let entries = bench.read().await;
            entries.iter().filter(|entry| entry.collection == table).map(op).collect()
        };
        lab.user("update high set id = id + 10 where id = 2").await;
        assert_eq!(of(0).await, ["rename 2 to 12"]);
        lab.user("update high set id = 20 where id = 12").await;
        assert!(of(2).await.contains(&"truncate".to_owned()));
        lab.user("delete from high where id = 20").await;
        assert_eq!(of(0).await, ["delete 20"]);
        let moved = lab.try_user("update orders set no = 'A2' where no like 'A%'").await;
        assert_eq!(moved.is_ok(), comes_down, "{moved:?}");
        let expected: &[&str] = if comes_down { &["rename A1,1,7 to A2,1,7", "rename A1,2,7 to A2,2,7"] } else { &[] };
        assert_eq!(of(1).await, expected);
    }

    pub async fn a13_cascades_in_a_circle_compare_the_whole(lab: &MysqlLab) {
        lab.user("create table node (id int primary key, up int, foreign key (up) references node (id) on delete cascade)").await;
        lab.user("insert into node values (1, null), (2, 1), (3, 2), (9, null)").await;
        let mut bench = Bench::new(lab, &["node"]).await;
        lab.user("delete from node where id = 9").await;
        assert_eq!(bench.ops().await, ["delete 9"]);
        lab.user("delete from node where id = 1").await;
        let ops = bench.ops().await;
        assert!(ops.contains(&"truncate".to_owned()) && ops.contains(&"delete 1".to_owned()), "{ops:?}");
    }

    /// A parent of two tracked tables, one over the other, and of nothing else.
    async fn family(lab: &MysqlLab) -> Bench<'_> {
        lab.user("create table parent (id int primary key, v int)").await;
        let reference = "foreign key (up) references parent (id) on delete cascade on update cascade";
        lab.user(&format!("create table child (id int primary key, up int, {reference})")).await;
        lab.user("create table grand (id int primary key, up int, foreign key (up) references child (id) on delete cascade)")
            .await;
        lab.user("insert into parent values (1, 0), (2, 0), (3, 0), (4, 0)").await;
        lab.user("insert into child values (11, 1), (12, 2), (13, 3), (14, 4)").await;
        lab.user("insert into grand values (101, 11), (102, 12), (103, 13), (104, 14)").await;
        Bench::new(lab, &["child", "grand"]).await
    }

    async fn marks(lab: &MysqlLab, collection: &str) -> usize {
        let log = lab.user_rows(&format!("select log from twinrow_collection where name = '{collection}'")).await;
        let marks = format!("select count(*) from `{}` where op = 'T'", log[0][0].as_deref().unwrap());
        lab.user_rows(&marks).await[0][0].as_deref().unwrap().parse().unwrap()
    }

    /// Renamed, with another column, dropped: the application's statement succeeds, and
    /// the log says that the whole is to be compared.
    pub async fn i5_a_parent_is_written_whatever_became_of_its_child(lab: &MysqlLab) {
        let bench = family(lab).await;
        let changes = [
            ("rename table child to infant", "rename table infant to child"),
            ("alter table child drop foreign key child_ibfk_1, change up higher int", "alter table child change higher up int"),
            ("drop table grand, child", ""),
        ];
        for (id, (change, back)) in (1..).zip(changes) {
            let before = [marks(lab, "child").await, marks(lab, "grand").await];
            lab.user(change).await;
            // Another session's view of the tables is no obstacle either.
            let mut open = lab.open().await;
            open.run(&format!("update parent set v = v + 1 where id = {id}")).await;
            open.run(&format!("delete from parent where id = {id}")).await;
            open.commit().await;
            let now = [marks(lab, "child").await, marks(lab, "grand").await];
            assert_eq!(now, before.map(|count| count + 1), "after {change}: one for the delete, none where no key changed");
            assert_eq!(lab.user_rows(&format!("select id from parent where id = {id}")).await.len(), 0);
            let mut open = lab.open().await;
            open.run("set foreign_key_checks = 0").await;
            open.run("delete from parent where id = 4").await;
            open.rollback().await;
            assert_eq!([marks(lab, "child").await, marks(lab, "grand").await], now, "nothing cascaded, and nothing is logged");
            if !back.is_empty() {
                lab.user(back).await;
            }
        }
        let found = bench.tracking().inspect(&bench.tables()).await.unwrap();
        assert_eq!(found.len(), 2, "both tables are gone: {found:?}");
    }

    /// As an older program left it, with a statement that fails where the child is not what it was.
    pub async fn a32_a_parents_trigger_of_the_second_version_is_replaced(lab: &MysqlLab) {
        let mut bench = family(lab).await;
        let fresh = lab.definitions().await;
        let older = "select trigger_name, lower(action_timing), lower(event_manipulation), action_statement from information_schema.triggers \
                     where trigger_schema = database() and event_object_table = 'parent' and trigger_name like 'twinrow%'";
        for row in lab.user_rows(older).await {
            let [name, when, what, body] = <[String; 4]>::try_from(row.into_iter().flatten().collect::<Vec<_>>()).unwrap();
            let statement = body
                .split_once(if body.contains("; end if; ") { "; end if; " } else { "; " })
                .unwrap()
                .1
                .rsplit_once("; end")
                .unwrap()
                .0;
            lab.user(&format!("drop trigger `{name}`")).await;
            let mut open = lab.open().await;
            open.run("set sql_mode = 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'").await;
            open.run(&format!("create trigger `{name}` {when} {what} on parent for each row {statement}")).await;
            open.commit().await;
            let quoted = statement.replace('\\', "\\\\").replace('\'', "''");
            lab.user(&format!("update twinrow_trigger set body = '{quoted}' where name = '{name}'")).await;
        }
        lab.user("update twinrow_collection set version = 2").await;
        let found = bench.tracking().inspect(&bench.tables()).await.unwrap();
        assert!(found.len() == 2 && found.iter().all(|one| !one.gap), "older, and nothing is missing: {found:?}");
        lab.user("delete from parent where id = 1").await;
        bench.tracking().install(&bench.tables(), true).await.unwrap();
        lab.user("delete from parent where id = 2").await;
        let ops: Vec<String> = bench.ops().await;
        assert_eq!(ops, ["delete 11", "delete 12", "delete 101", "delete 102"], "each once, and no mark");
        assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
        assert_eq!(lab.definitions().await, fresh);
    }

    pub async fn a31_a_swapped_table_is_found(lab: &MysqlLab) {
        let mut bench = Bench::item(lab).await;
        lab.user("create table item_new like item").await;
        lab.user("rename table item to item_old, item_new to item").await;
        let found = bench.tracking().inspect(&bench.tables()).await.unwrap();
        assert!(found.len() == 1 && found[0].gap, "{found:?}");
        lab.user("drop table item_old").await;
        bench.tracking().install(&bench.tables(), true).await.unwrap();
        assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
        lab.user("insert into item (id) values (5)").await;
        assert_eq!(bench.ops().await, ["truncate", "insert 5"]);
    }

    pub async fn a31_a_trigger_that_is_lost_after_a_swap_is_repaired_for_good(lab: &MysqlLab) {
        let bench = Bench::item(lab).await;
        let install = async || bench.tracking().install(&bench.tables(), true).await.unwrap();
        lab.user("create table item_new like item").await;
        lab.user("rename table item to item_old, item_new to item").await;
        assert!(!install().await.is_empty());
        lab.user("drop table item_old").await;
        // The old table's triggers had the better names.
        let named = "select trigger_name from information_schema.triggers where trigger_schema = database() \
                     and event_object_table = 'item' and trigger_name like '%\\_ai\\_%\\_2'";
        let trigger = lab.user_rows(named).await[0][0].clone().unwrap();
        lab.user(&format!("drop trigger `{trigger}`")).await;
        assert!(bench.tracking().inspect(&bench.tables()).await.unwrap()[0].gap);
        assert!(!install().await.is_empty());
        assert_eq!(bench.tracking().inspect(&bench.tables()).await.unwrap(), []);
        assert!(install().await.is_empty());
    }

    pub async fn a33_install_gives_way(lab: &MysqlLab) {
        lab.user(&item(lab, "item")).await;
        lab.user("insert into item (id) values (1)").await;
        let endpoint = lab.endpoint().await;
        let tables = describe(lab, &*endpoint, &["item"]).await;
        let mut reader = lab.open().await;
        reader.run("select * from item").await;
        let installing = {
            let endpoint = Arc::clone(&endpoint);
            let tables = tables.clone();
            tokio::spawn(async move { tracking(&*endpoint).install(&tables, false).await })
        };
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            let before = Instant::now();
            lab.user_rows("select count(*) from item").await;
            longest = longest.max(before.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(longest < Duration::from_secs(2), "the application waited {longest:?}");
        reader.rollback().await;
        installing.await.unwrap().unwrap();
        assert_eq!(tracking(&*endpoint).inspect(&tables).await.unwrap(), []);
    }

    /// A login of its own, dropped with the database's other accounts by the caller.
    async fn user(lab: &MysqlLab, name: &str, rights: &str) -> String {
        let name = format!("{name}_{}", lab.name);
        lab.user(&format!("create user '{name}'@'%' identified by 'S3cret-s3cret'")).await;
        lab.user(&format!("grant {rights} on `{}`.* to '{name}'@'%'", lab.name)).await;
        name
    }

    pub async fn a34_application_users_need_no_rights(lab: &MysqlLab) {
        let mut bench = Bench::item(lab).await;
        let name = user(lab, "app", "references").await;
        lab.user(&format!("grant select, insert, update, delete on `{}`.item to '{name}'@'%'", lab.name)).await;
        let mut app = mysql_async::Conn::from_url(lab.url_as(&name, "S3cret-s3cret")).await.unwrap();
        app.query_drop("insert into item (id, name) values (1, 'Ann')").await.unwrap();
        app.query_drop("update item set name = 'Bea'").await.unwrap();
        app.query_drop("delete from item").await.unwrap();
        app.disconnect().await.unwrap();
        lab.user(&format!("drop user '{name}'@'%'")).await;
        assert_eq!(bench.ops().await, ["insert 1", "update 1", "delete 1"]);
    }

    pub async fn a36_the_installer_may_go(lab: &MysqlLab) {
        let name = user(lab, "dba", "select").await;
        lab.user(&format!("grant all privileges on *.* to '{name}'@'%' with grant option")).await;
        lab.user(&item(lab, "item")).await;
        let endpoint = Mysql::open(&lab.url_as(&name, "S3cret-s3cret"), "dba").unwrap();
        let tables = describe(lab, &endpoint, &["item"]).await;
        tracking(&endpoint).install(&tables, true).await.unwrap();
        drop(endpoint);
        lab.user(&format!("drop user '{name}'@'%'")).await;
        lab.user("insert into item (name) values ('Ann')").await;
        assert_eq!(tracking(&*lab.endpoint().await).inspect(&tables).await.unwrap(), []);
    }

    pub async fn a36_a_table_that_is_renamed_is_still_written(lab: &MysqlLab) {
        lab.user("create table parent (id int primary key)").await;
        lab.user("create table child (id int primary key, up int, foreign key (up) references parent (id) on delete cascade)")
            .await;
        let bench = Bench::new(lab, &["child"]).await;
        lab.user("insert into parent values (1), (2), (3)").await;
        lab.user("insert into child values (11, 1), (12, 2), (13, 3)").await;
        lab.user("rename table child to infant").await;
        lab.user("insert into infant values (14, 3)").await;
        lab.user("update infant set id = 21 where id = 11").await;
        lab.user("delete from infant where id = 12").await;
        lab.user("rename table parent to elder").await;
        lab.user("insert into elder values (4)").await;
        assert_eq!(lab.user_rows("select count(*) from infant").await[0][0].as_deref(), Some("3"));
        // Nothing of it is lost when it is back.
        lab.user("rename table elder to parent, infant to child").await;
        let mut bench = bench;
        let ops = bench.ops().await;
        assert!(["insert 14", "rename 11 to 21", "delete 12"].iter().all(|op| ops.iter().any(|one| one == op)), "{ops:?}");
    }

    pub async fn a37_a_missing_right_is_named(lab: &MysqlLab) {
        lab.user(&item(lab, "item")).await;
        let name = user(lab, "small", "all privileges").await;
        let endpoint = Mysql::open(&lab.url_as(&name, "S3cret-s3cret"), "small").unwrap();
        let tables = describe(lab, &endpoint, &["item"]).await;
        let error = tracking(&endpoint).install(&tables, true).await.unwrap_err();
        lab.user(&format!("drop user '{name}'@'%'")).await;
        assert_eq!(error.kind(), Kind::Denied, "{error}");
        let shown = format!("{error} {}", error.next_step().unwrap_or_default());
        assert!(shown.contains("log_bin_trust_function_creators"), "{shown}");
        lab.user("insert into item (name) values ('not half-installed')").await;
    }

    pub async fn a42_keys_may_grow(lab: &MysqlLab) {
        lab.user("create table small (id smallint primary key, v int)").await;
        lab.user("create table label (k varchar(3) character set latin1 primary key)").await;
        let mut bench = Bench::new(lab, &["small", "label"]).await;
        lab.user("alter table small modify id bigint unsigned").await;
        lab.user("alter table label modify k varchar(700) character set utf8mb4").await;
        lab.user("insert into small values (18446744073709551615, 1)").await;
        let long = "🍺".repeat(700);
        lab.user(&format!("insert into label values ('{long}')")).await;
        let keys: Vec<Key> = bench.read().await.into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys, [Key(vec![Value::Int(i128::from(u64::MAX))]), Key(vec![t(&long)])]);
    }

    pub async fn a47_a_locked_table_stops_only_itself(lab: &MysqlLab) {
        lab.user(&item(lab, "item")).await;
        lab.user(&item(lab, "other")).await;
        let mut bench = Bench::new(lab, &["item", "other"]).await;
        let mut app = lab.connect().await;
        app.query_drop("lock tables item write").await.unwrap();
        app.query_drop("insert into item (id) values (1)").await.unwrap();
        lab.user("insert into other (id) values (2)").await;
        let window = bench.window().await;
        assert!(window.entries().iter().any(|entry| op(entry) == "insert 2"), "{:?}", window.entries());
        bench.acknowledge(window).await;
        app.query_drop("unlock tables").await.unwrap();
        assert!(bench.ops().await.iter().all(|op| op == "insert 1"));
        assert_eq!(bench.ops().await, Vec::<String>::new());
    }

    /// MariaDB takes a log that was read for used by the statement, where several triggers open it (1442).
    pub async fn a47_lock_tables_never_breaks_the_application(lab: &MysqlLab) {
        lab.user("create table parent (id int primary key)").await;
        lab.user(
            "create table child (id int primary key, p int, \
             foreign key (p) references parent (id) on delete cascade on update cascade)",
        )
        .await;
        let mut bench = Bench::new(lab, &["parent", "child"]).await;
        for id in [1, 5] {
            bench.read().await;
            let mut app = lab.connect().await;
            for sql in [
                "lock tables parent write".to_owned(),
                format!("insert into parent values ({id}), ({id} + 1)"),
                "lock tables parent write, child write".to_owned(),
                format!("insert into child values ({id}, {id}), ({id} + 1, {id} + 1)"),
                format!("update child set id = id + 100 where id = {id}"),
                format!("delete from parent where id = {id}"),
                "lock tables parent write".to_owned(),
                format!("update parent set id = id + 50 where id = {id} + 1"),
                "unlock tables".to_owned(),
            ] {
                app.query_drop(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            let ops: Vec<String> = bench.ops().await;
            for expected in [format!("delete {}", id + 100), format!("update {}", id + 1), format!("delete {id}")] {
                assert!(ops.contains(&expected), "{expected}: {ops:?}");
            }
        }
    }

    pub async fn a49_a_table_without_transactions_is_refused(lab: &MysqlLab) {
        lab.user("create table old (id int primary key) engine = MyISAM").await;
        let endpoint = lab.endpoint().await;
        let tables = describe(lab, &*endpoint, &["old"]).await;
        assert!(tables[0].refused.as_ref().unwrap().contains("engine = InnoDB"));
        let error = tracking(&*endpoint).install(&tables, true).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(lab.catalog().await.iter().all(|object| !object.contains("twinrow_log")));
    }

    pub async fn a58_keys_are_exact_whatever_the_session_says(lab: &MysqlLab) {
        lab.user(
            "create table moment (at timestamp(3) not null, d double not null, b varbinary(8) not null, primary key (at, d, b))",
        )
        .await;
        let mut bench = Bench::new(lab, &["moment"]).await;
        let mut app = lab.connect().await;
        app.query_drop("set sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH'").await.ok();
        app.query_drop("set time_zone = '-05:00', character_set_client = latin1, character_set_results = latin1").await.unwrap();
        app.query_drop("insert into moment values ('2026-11-01 12:00:00.5', 0.1 + 0.2e0, x'00ff2700')").await.unwrap();
        let read = bench.read().await;
        let mut window = bench.window().await;
        let fetched = window.fetch(0, &[read[0].key.clone()]).await.unwrap();
        assert_eq!(row(&fetched[0]), &read[0].key.0, "the key in the log is the key of the row");
        assert_eq!(read[0].key.0[0].to_text(), "2026-11-01T17:00:00.5Z");
        assert_eq!(read[0].key.0[2], Value::Bytes(vec![0, 255, 39, 0]));
        assert_eq!(window.page(0, None, 10).await.unwrap(), [read[0].key.clone()]);
        assert_eq!(window.page(0, Some(&read[0].key), 10).await.unwrap(), []);
    }

    pub async fn a66_a_prepared_transaction_arrives_when_it_commits(lab: &MysqlLab) {
        let mut bench = Bench::item(lab).await;
        let mut app = lab.connect().await;
        let xid = format!("'{}'", lab.name);
        app.query_drop(format!("xa start {xid}")).await.unwrap();
        app.query_drop("insert into item (id) values (1)").await.unwrap();
        app.query_drop(format!("xa end {xid}")).await.unwrap();
        app.query_drop(format!("xa prepare {xid}")).await.unwrap();
        for id in 2..12 {
            lab.user(&format!("insert into item (id) values ({id})")).await;
        }
        assert_eq!(bench.ops().await.len(), 10);
        app.query_drop(format!("xa commit {xid}")).await.unwrap();
        assert_eq!(bench.ops().await, ["insert 1"]);
    }

    pub async fn a76_a_late_consumer_changes_nothing_for_the_first(lab: &MysqlLab) {
        let mut first = Bench::item(lab).await;
        lab.user("insert into item (id) values (1)").await;
        let window = first.window().await;
        // Read by the first before the second came, acknowledged after.
        let fence = fence(&*first.endpoint, "late").await;
        let late = tracking(&*first.endpoint).register("late", &first.tables()).await.unwrap();
        lab.user("insert into item (id) values (2)").await;
        first.acknowledge(window).await;
        let ops: BTreeSet<String> = first.ops().await.into_iter().collect();
        assert!(ops.contains("insert 2"), "{ops:?}");
        let since = late.into_iter().next();
        let tracked = vec![Tracked { collection: first.collection().clone(), since }];
        let mut second = Bench { lab, endpoint: Arc::clone(&first.endpoint), fence, tracked };
        assert_eq!(second.ops().await, ["insert 2"]);
        // And when it leaves again, what it has not read does not stay.
        lab.user("insert into item (id) values (3)").await;
        assert_eq!(first.ops().await, ["insert 3"]);
        first.tracking().uninstall(Some("late"), &[lab.table("item")]).await.unwrap();
        assert_eq!(lab.user_rows("select count(*) from twinrow_queue").await[0][0].as_deref(), Some("0"));
        lab.user("insert into item (id) values (4)").await;
        assert_eq!(first.ops().await, ["insert 4"]);
    }

    pub async fn c6_keys_are_compared_by_their_bytes(lab: &MysqlLab) {
        lab.user("create table word (w varchar(20) character set latin1 primary key, v int)").await;
        let mut bench = Bench::new(lab, &["word"]).await;
        lab.user("insert into word values ('Ann', 1), ('Émil', 2)").await;
        bench.read().await;
        let key = |text: &str| Key(vec![t(text)]);
        let mut window = bench.window().await;
        let asked = [key("ann"), key("Ann"), key("Ann "), key("Émil"), key("emil"), key("🍺")];
        let fetched = window.fetch(0, &asked).await.unwrap();
        let there: Vec<bool> = fetched.iter().map(|fetched| *fetched != Fetched::Absent).collect();
        assert_eq!(there, [false, true, false, true, false, false]);
        drop(window);
        let mut write = bench.begin().await;
        let change = Change { key: key("ann"), version: None, values: vec![int(9)] };
        assert_eq!(write.update(bench.collection(), &[1], &[change]).await.unwrap(), [Outcome::Stale]);
        assert_eq!(write.delete(bench.collection(), &[key("ANN")]).await.unwrap(), [Outcome::Stale]);
        write.rollback().await.unwrap();
        lab.user("update word set w = 'ANN' where w = 'Ann'").await;
        assert_eq!(bench.ops().await, ["rename Ann to ANN"]);
    }

    /// Every type with its extremes, as literals.
    const TYPES: &[(&str, &[&str])] = &[
        ("tinyint(1)", &["2", "-128"]),
        ("bigint unsigned", &["18446744073709551615", "0"]),
        ("bigint", &["-9223372036854775808", "9223372036854775807"]),
        ("decimal(65,30)", &["12345678901234567890123456789012345.000000000000000000000000000001", "-0.1"]),
        ("float", &["0.1", "16777216", "-3.4e38", "1e-45"]),
        ("double", &["0.1", "-0.0", "5e-324", "1.7976931348623157e308", "9007199254740993"]),
        ("date", &["'1000-01-01'", "'9999-12-31'", "'0000-00-00'", "'2026-00-00'"]),
        ("datetime(6)", &["'2026-12-31 23:59:59.999999'", "'0000-00-00 00:00:00'"]),
        ("datetime", &["'2026-12-31 23:59:59'"]),
        ("timestamp(3) null", &["'2026-10-25 00:30:00.125'", "'2038-01-19 03:14:07.999'"]),
        ("time(6)", &["'23:59:59.999999'", "'-838:59:58.5'", "'100:00:00'"]),
        ("year", &["1901", "2155"]),
        ("bit(1)", &["b'1'", "b'0'"]),
        ("bit(64)", &["18446744073709551615", "53"]),
        ("enum('a','it''s','1')", &["'it''s'", "'1'"]),
        ("set('x','y')", &["'x,y'", "''"]),
        ("char(5)", &["'ab'", "''"]),
        ("binary(5)", &["'ab'"]),
        ("varchar(40)", &["'beer 🍺 end '", "'a\\0b'", "''", "'back\\\\slash \"q\"'"]),
        ("varchar(20) character set latin1", &["'Straße'"]),
        ("varchar(20) character set utf8mb3", &["'Žluť'"]),
        ("text", &["repeat('é', 30000)"]),
        ("varbinary(20)", &["x'00ff27c3'"]),
        ("longblob", &["repeat(x'ff00', 100000)"]),
        ("json", &["'{\"bb\": 1, \"a\": [null, \"é\"], \"n\": 1.5}'"]),
        ("geometry", &["st_geomfromtext('point(1 2)')"]),
    ];

    pub async fn d_values_come_back_as_they_were(lab: &MysqlLab) {
        let columns: Vec<String> = TYPES.iter().enumerate().map(|(i, (kind, _))| format!("c{i} {kind}")).collect();
        lab.user(&format!("create table every (id bigint auto_increment primary key, {})", columns.join(", "))).await;
        let bench = Bench::new(lab, &["every"]).await;
        let mut app = lab.connect().await;
        app.query_drop("set names utf8mb4, sql_mode = '', time_zone = '+00:00'").await.unwrap();
        let longest = TYPES.iter().map(|(_, values)| values.len()).max().unwrap();
        for n in 0..longest {
            let values: Vec<&str> = TYPES.iter().map(|(_, values)| *values.get(n).unwrap_or(&"null")).collect();
            let sql = format!("insert into every select {}, {}", n + 1, values.join(", "));
            app.query_drop(&sql).await.unwrap();
        }
        let keys: Vec<Key> = (1..=longest as i64).map(Key::int).collect();
        let mut window = bench.window().await;
        let read: Vec<Vec<Value>> = window.fetch(0, &keys).await.unwrap().iter().map(|fetched| row(fetched).clone()).collect();
        drop(window);
        // Written again: created as new rows, and set over others.
        let fields: Vec<usize> = (1..=TYPES.len()).collect();
        let mut write = bench.begin().await;
        let rows: Vec<Create> = read.iter().map(|row| Create { key: None, values: row[1..].to_vec() }).collect();
        let made: Vec<Key> = write.insert(bench.collection(), &fields, &rows).await.unwrap().into_iter().map(done).collect();
        let (created, _) = write.read_back(bench.collection(), &made).await.unwrap();
        let changes: Vec<Change> = made
            .iter()
            .zip(read.iter().rev())
            .map(|(key, row)| Change { key: key.clone(), version: None, values: row[1..].to_vec() })
            .collect();
        write.update(bench.collection(), &fields, &changes).await.unwrap();
        let (updated, _) = write.read_back(bench.collection(), &made).await.unwrap();
        write.commit().await.unwrap();
        for (n, original) in read.iter().enumerate() {
            for (i, (kind, _)) in TYPES.iter().enumerate() {
                let expected = &original[i + 1];
                let shown = expected.to_text();
                assert!(row(&created[n])[i + 1] == *expected, "{kind}: {shown} created as {}", row(&created[n])[i + 1].to_text());
                let again = &row(&updated[longest - 1 - n])[i + 1];
                assert!(again == expected, "{kind}: {shown} set to {}", again.to_text());
            }
        }
        // The server agrees: nothing was only read the same way wrong.
        // By now the copies are in reverse.
        for (i, (kind, _)) in TYPES.iter().enumerate() {
            let text =
                if kind.starts_with("geo") || kind.contains('b') { format!("hex(c{i})") } else { format!("cast(c{i} as char)") };
            let shown = format!("sha2({text}, 256)");
            let side = |of: &str| format!("select {shown} from every where id {of} order by 1");
            let first = select(&mut app, &side(&format!("<= {longest}"))).await;
            assert_eq!(first, select(&mut app, &side(&format!("> {longest}"))).await, "{kind}");
        }
        let text = |i: usize, n: usize| read[n][i + 1].to_text();
        assert_eq!(text(4, 0), "0.10000000149011612", "D6: as stored, not as shown");
        assert_eq!(read[2][7].kind(), "zero date");
        assert_eq!(read[1][11].to_text(), "-838:59:58.5");
        assert!(
            matches!(bench.collection().table.columns[25].kind, Column::Json | Column::JsonDoubles),
            "{:?}",
            bench.collection().table.columns[25]
        );
    }

    fn done(outcome: Outcome) -> Key {
        match outcome {
            Outcome::Done(key) => key,
            other => panic!("{other:?}"),
        }
    }

    pub async fn d11_d25_nothing_is_cut_or_replaced(lab: &MysqlLab) {
        lab.user("create table tight (id bigint auto_increment primary key, a varchar(3), b tinyint, c varchar(9) character set utf8mb3, d enum('x'), e date, g int as (b + 1), h int invisible)").await;
        let bench = Bench::new(lab, &["tight"]).await;
        assert!(bench.collection().table.columns[6].computed, "D22");
        for (field, value) in [(1, t("abcd")), (2, int(300)), (3, t("beer 🍺")), (4, t("y")), (5, t("2026-02-31")), (6, int(1))]
        {
            let error = bench.create(&[field], vec![value]).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Rejected, "field {field}: {error}");
        }
        assert_eq!(lab.user_rows("select count(*) from tight").await[0][0].as_deref(), Some("0"));
        let key = bench.create(&[1, 3, 7], vec![t("🍺🍣é"), t("Žluť"), int(7)]).await.unwrap();
        let mut window = bench.window().await;
        let stored = window.fetch(0, &[key]).await.unwrap();
        assert_eq!((&row(&stored[0])[1], &row(&stored[0])[7]), (&t("🍺🍣é"), &int(7)));
    }

    pub async fn f16_refusals_are_told_apart(lab: &MysqlLab) {
        lab.user("create table country (code int primary key)").await;
        lab.user(
            "create table tight (id bigint auto_increment primary key, a varchar(3) not null, b tinyint check (b <> 7), c int, \
             d varchar(9) unique, foreign key (c) references country (code))",
        )
        .await;
        let refuse = "signal sqlstate '45000' set message_text = 'S3cret'";
        lab.user(&format!(
            "create trigger refuse before insert on tight for each row begin if new.d = 'no' then {refuse}; end if; end"
        ))
        .await;
        let bench = Bench::new(lab, &["tight"]).await;
        bench.create(&[1, 4], vec![t("x"), t("taken")]).await.unwrap();
        let cases = [
            (vec![(1, Value::Null)], Kind::Rejected, "a column takes no NULL and has no default (code 1048): a"),
            (vec![(2, int(1))], Kind::Rejected, "a column takes no NULL and has no default (code 1364): a"),
            (vec![(1, t("long"))], Kind::Rejected, "a value is too long (code 1406): a"),
            (vec![(1, t("x")), (2, int(300))], Kind::Rejected, "a value is out of range (code 1264): b"),
            (vec![(1, t("x")), (2, int(7))], Kind::Rejected, "a check constraint (code "),
            (vec![(1, t("x")), (3, int(99))], Kind::Rejected, "the row it refers to is missing (code 1452): tight_ibfk_1"),
            (vec![(1, t("x")), (4, t("taken"))], Kind::Duplicate, "duplicate key (code 1062): "),
            (vec![(1, t("x")), (4, t("no"))], Kind::Rejected, "a trigger raised an error (code 1644)"),
        ];
        for (sent, kind, said) in cases {
            let (fields, values): (Vec<usize>, Vec<Value>) = sent.into_iter().unzip();
            let error = bench.create(&fields, values).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{said}: {error}");
            assert!(error.to_string().contains(said) && !error.to_string().contains("S3cret"), "{said}: {error}");
        }
        assert_eq!(lab.user_rows("select count(*) from tight").await[0][0].as_deref(), Some("1"));
    }

    /// The name of the key's index is remembered, and statements force it.
    pub async fn f13_an_index_that_is_renamed_is_looked_up_again(lab: &MysqlLab) {
        lab.user("create table thing (k int not null, v varchar(9), unique key old_name (k))").await;
        lab.user("insert into thing values (1, 'a')").await;
        let bench = Bench::new(lab, &["thing"]).await;
        let change = || [Change { key: Key::int(1), version: None, values: vec![t("b")] }];
        let mut write = bench.begin().await;
        write.update(bench.collection(), &[1], &change()).await.unwrap();
        write.rollback().await.unwrap();
        lab.user("alter table thing rename index old_name to new_name").await;
        let mut write = bench.begin().await;
        let error = write.update(bench.collection(), &[1], &change()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Retry, "{error}");
        write.rollback().await.unwrap();
        let mut write = bench.begin().await;
        assert_eq!(write.update(bench.collection(), &[1], &change()).await.unwrap(), [Outcome::Done(Key::int(1))]);
        write.commit().await.unwrap();
    }

    /// It is asked at every poll, of however many tables.
    pub async fn an_inspection_is_two_statements(lab: &MysqlLab) {
        let names = ["item", "two", "three", "word"];
        for name in &names[..3] {
            lab.user(&item(lab, name)).await;
        }
        lab.user("create table word (w varchar(20) primary key)").await;
        let bench = Bench::new(lab, &names).await;
        let name = user(lab, "counted", "all privileges").await;
        lab.user(&format!("grant process on *.* to '{name}'@'%'")).await;
        let count = if lab.try_user("set global userstat = 1").await.is_ok() {
            format!("select coalesce(sum(select_commands), 0) from information_schema.user_statistics where user = '{name}'")
        } else {
            format!(
                "select coalesce(sum(count_star), 0) from performance_schema.events_statements_summary_by_user_by_event_name \
                 where user = '{name}' and event_name not in ('statement/com/Ping', 'statement/com/Prepare')"
            )
        };
        let now = async || lab.user_rows(&count).await[0][0].as_deref().unwrap().parse::<u64>().unwrap();
        // A server may count a statement after it has answered it: the count is what many looks in a row agree on.
        let counted = async || {
            let (mut last, mut same) = (now().await, 0);
            while same < 50 {
                let again = now().await;
                (last, same) = (again, if again == last { same + 1 } else { 0 });
            }
            last
        };
        let counting = Mysql::open(&lab.url_as(&name, "S3cret-s3cret"), "lab").unwrap();
        let inspect = async || assert_eq!(tracking(&counting).inspect(&bench.tables()).await.unwrap(), []);
        inspect().await;
        let before = counted().await;
        for _ in 0..5 {
            inspect().await;
        }
        assert_eq!(counted().await - before, 5 * 2);
        lab.user(&format!("drop user '{name}'@'%'")).await;
    }

    pub async fn rule19_a_write_waits_for_its_own_rows_only(lab: &MysqlLab) {
        let bench = Bench::item(lab).await;
        lab.user("insert into item (id, code) values (1, 'a'), (2, 'b'), (3, 'c')").await;
        let mut open = lab.open().await;
        open.run("update item set name = 'X' where id = 1").await;
        open.run("insert into item (id, code) values (9, 'z')").await;
        let mut write = bench.begin().await;
        let before = Instant::now();
        let change = Change { key: Key::int(2), version: None, values: vec![t("ours")] };
        write.update(bench.collection(), &[2], &[change]).await.unwrap();
        write.delete(bench.collection(), &[Key::int(3)]).await.unwrap();
        write.insert(bench.collection(), &[1], &[Create { key: None, values: vec![t("new")] }]).await.unwrap();
        write.commit().await.unwrap();
        assert!(before.elapsed() < Duration::from_millis(900), "{:?}", before.elapsed());
        // Its own rows are not there to wait for either: a lock time-out may be repeated.
        let mut write = bench.begin().await;
        let change = Change { key: Key::int(1), version: None, values: vec![t("ours")] };
        let error = write.update(bench.collection(), &[2], &[change]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Retry, "{error}");
        assert_eq!(write.delete(bench.collection(), &[Key::int(2)]).await.unwrap_err().kind(), Kind::Internal);
        write.rollback().await.unwrap();
        open.rollback().await;
        // And while we hold ours, the application inserts beside them (A45).
        let mut write = bench.begin().await;
        write.lock(bench.collection(), &[Key::int(1), Key::int(2), Key::int(77)]).await.unwrap();
        let before = Instant::now();
        lab.user("insert into item (id, code) values (77, 'q')").await;
        assert!(before.elapsed() < Duration::from_millis(500), "{:?}", before.elapsed());
        write.rollback().await.unwrap();
    }

    /// Where our new rows have their parent locked and wait for a place, and the application then changes the parent, it is
    /// the application that is told of a deadlock.
    pub async fn a_gap_is_not_waited_for(lab: &MysqlLab) {
        lab.user("create table px (id int primary key, n int)").await;
        lab.user("create table cx (id int auto_increment primary key, pid int, foreign key (pid) references px (id))").await;
        lab.user("insert into px values (100, 0), (102, 0), (104, 0)").await;
        lab.user("insert into cx (pid) values (100), (104)").await;
        let bench = Bench::new(lab, &["cx"]).await;
        let mut open = lab.open().await;
        open.run("select * from cx where pid = 102 for update").await;
        let (mut write, collection) = (bench.begin().await, bench.collection().clone());
        let mut insert = tokio::spawn(async move {
            let rows: Vec<Create> = (0..20).map(|_| Create { key: None, values: vec![int(102)] }).collect();
            let inserted = write.insert(&collection, &[1], &rows).await;
            write.rollback().await.unwrap();
            inserted
        });
        let waits =
            "select count(*) from information_schema.innodb_trx where trx_state = 'LOCK WAIT' and trx_query like '%`cx`%'";
        // Asked again within 100 ms, InnoDB says what it said before.
        let inserted = loop {
            assert_eq!(lab.user_rows(waits).await[0][0].as_deref(), Some("0"), "it waits, with the parent locked");
            if let Ok(ended) = tokio::time::timeout(Duration::from_millis(150), &mut insert).await {
                break ended.unwrap();
            }
        };
        open.run("update px set n = 1 where id = 102").await;
        assert_eq!(inserted.unwrap_err().kind(), Kind::Retry);
        open.commit().await;
        // It comes again.
        assert!(bench.create(&[1], vec![int(102)]).await.is_ok());
    }

    async fn tls_answer(lab: &MysqlLab, mode: &str, ca: &str) -> String {
        let url = format!("{}?sslmode={mode}&sslrootcert={ca}", lab.url());
        match Mysql::open(&url, "tls").unwrap().capabilities().await {
            Ok(_) => "connected".to_owned(),
            Err(error) => format!("{:?} {error}", error.kind()),
        }
    }

    /// Waits until the certificate that is shown, a good one, has expired.
    async fn expires(lab: &MysqlLab, certificate: &Certificate) {
        let answer = async || tls_answer(lab, "verify-full", &certificate.authority("ca")).await;
        assert_eq!(answer().await, "connected");
        let began = Instant::now();
        while answer().await == "connected" {
            assert!(began.elapsed() < Duration::from_secs(20), "it never expires");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn tls_is_checked(lab: &MysqlLab) {
        let certificate = match Certificate::of(&lab.variable) {
            Ok(certificate) => certificate,
            Err(reason) => return skip("mysql::tls_is_checked", &reason),
        };
        for shown in ["server", "wronghost", "expired", "server"] {
            certificate.serve(shown);
            let reload = if lab.variable.contains("MARIADB") { "flush ssl" } else { "alter instance reload tls" };
            if let Err(refused) = lab.try_user(reload).await {
                assert!(shown == "expired" && refused.contains("Invalid certificates"), "{shown}: {refused}");
                // MySQL loads no expired one, and goes on showing one that expires.
                certificate.serve_brief(8);
                lab.user(reload).await;
                expires(lab, &certificate).await;
            }
            for (mode, ca) in tls::ASKED {
                tls::check(shown, (mode, ca), true, &tls_answer(lab, mode, &certificate.authority(ca)).await);
            }
        }
        assert_eq!(tls_answer(lab, "disable", &certificate.authority("ca")).await, "connected");
        // The authorities of the system do not know the test server's.
        let endpoint = Mysql::open(&format!("{}?sslmode=verify-ca", lab.url()), "tls").unwrap();
        assert_eq!(endpoint.capabilities().await.unwrap_err().kind(), Kind::Unreachable);
    }
}
