//! Tables whose key is in part numbered by the engine and in part given: partitioned ones above all, whose key must hold what they
//! are parted by.

use std::sync::Arc;

use crate::program::until;
use crate::scene::{Scene, rows, scenarios};
use crate::support::Lab;

scenarios! { postgres_postgres:
    c24_a_key_in_part_numbered_on_both_sides,
    c24_a_part_that_is_not_mapped_gets_its_default,
    c24_a_part_of_the_key_is_a_foreign_key,
    a20_what_is_done_to_partitions_arrives,
    a20_records_are_moved_while_it_runs,
    s4_5_a_part_of_a_key_nobody_gives_is_refused,
    init_proposes_what_runs,
}

scenarios! { postgres_mysql:
    c24_a_key_in_part_numbered_on_both_sides,
    c24_a_part_that_is_not_mapped_gets_its_default,
    a20_what_is_done_to_partitions_arrives,
    a20_records_are_moved_while_it_runs,
    s4_5_a_part_of_a_key_nobody_gives_is_refused,
}

scenarios! { mysql_postgres:
    c24_a_key_in_part_numbered_on_both_sides,
    c24_a_part_that_is_not_mapped_gets_its_default,
}

scenarios! { postgres_mariadb:
    c24_a_key_in_part_numbered_on_both_sides,
    c24_a_part_that_is_not_mapped_gets_its_default,
}

scenarios! { mariadb_sqlite:
    c24_a_key_in_part_numbered_on_both_sides,
    c24_a_part_that_is_not_mapped_gets_its_default,
    s4_5_a_part_of_a_key_nobody_gives_is_refused,
}

scenarios! { sqlite_postgres:
    c24_a_key_in_part_numbered_on_both_sides,
    c24_a_part_that_is_not_mapped_gets_its_default,
    a20_records_are_moved_while_it_runs,
}

scenarios! { postgres_sqlite:
    a20_what_is_done_to_partitions_arrives,
    c24_a_number_is_told_to_the_other_side,
}

scenarios! { mysql_mariadb:
    c24_a_key_in_part_numbered_on_both_sides,
    init_proposes_what_runs,
    a12_a_partition_that_was_emptied_is_found,
}

scenarios! { mariadb_mysql:
    a12_a_partition_that_was_emptied_is_found,
}

/// A table of visits: its number and day are its key, `2026-01-31` the default day. On an engine with partitions a month is one; SQLite
/// has none, and numbers only keys of one column: there, a text that a default makes up stands for the number.
async fn visits(lab: &Arc<dyn Lab>, [table, no, day, code, name]: [&str; 5]) {
    let text = lab.dialect().text;
    let columns =
        format!("{day} date not null default '2026-01-31', {code} {text} not null, {name} {text}, primary key ({no}, {day})");
    let months = [("1", "2026-02-01"), ("2", "2026-03-01"), ("3", "2026-04-01")];
    match lab.dialect().statements {
        "sql/postgres" => {
            let number = "bigint generated always as identity";
            lab.user(&format!("create table {table} ({no} {number}, {columns}) partition by range ({day})")).await;
            let mut from = "2026-01-01";
            for (month, to) in months {
                let values = format!("for values from ('{from}') to ('{to}')");
                lab.user(&format!("create table {table}_{month} partition of {table} {values}")).await;
                from = to;
            }
        }
        "sql/mysql" => {
            let parts = months.map(|(month, to)| format!("partition p{month} values less than ('{to}')")).join(", ");
            let parted = format!("partition by range columns ({day}) ({parts})");
            lab.user(&format!("create table {table} ({no} bigint auto_increment, {columns}) {parted}")).await;
        }
        _ => lab.user(&format!("create table {table} ({no} text not null default (lower(hex(randomblob(9)))), {columns})")).await,
    }
}

const SOURCE: [&str; 5] = ["visit", "id", "day", "code", "name"];
const TARGET: [&str; 5] = ["calls", "no", "made", "ref", "title"];

const VISITS: &str = "    source: visit\n    target: calls\n    match: [code]\n    safety: mirror\n    fields: {code: ref, name: title, day: made}\n";

/// Both tables, empty; the numbers of one record differ.
async fn both(scene: &Scene, link: &str) {
    visits(&scene.source, SOURCE).await;
    visits(&scene.target, TARGET).await;
    for _ in 0..20 {
        scene.target.user("insert into calls (ref) values ('nobody')").await;
    }
    scene.target.user("delete from calls").await;
    scene.link(&[("visits", link)]);
}

/// Then nothing but its key tells who a record is.
fn without_match() -> String {
    VISITS.replace("    match: [code]\n", "")
}

async fn came(scene: &Scene, code: &str, day: &str) {
    scene.source.user(&format!("insert into visit (code, name, day) values ('{code}', '{code}', '2026-{day}')")).await;
}

async fn called(scene: &Scene, code: &str, day: &str) {
    scene.target.user(&format!("insert into calls (ref, title, made) values ('{code}', '{code}', '2026-{day}')")).await;
}

/// What both sides hold but for the numbers, which are no two the same; and the numbers.
async fn agreed(scene: &Scene, expected: &[&str]) -> [Vec<String>; 2] {
    assert_eq!(rows(&scene.source, "select code, name, day from visit order by code").await, expected);
    assert_eq!(rows(&scene.target, "select ref, title, made from calls order by ref").await, expected);
    let ours = rows(&scene.source, "select id, code from visit order by code").await;
    let theirs = rows(&scene.target, "select no, ref from calls order by ref").await;
    assert!(ours.iter().all(|one| !theirs.contains(one)), "a number was copied: {ours:?} {theirs:?}");
    [ours, theirs]
}

pub async fn c24_a_key_in_part_numbered_on_both_sides(scene: &Scene) {
    both(scene, VISITS).await;
    for (code, day) in [("a", "01-05"), ("b", "01-06"), ("c", "02-07")] {
        came(scene, code, day).await;
    }
    called(scene, "x", "03-01").await;
    called(scene, "b", "01-06").await;
    let counts = scene.sync().await;
    assert_eq!(["created_target", "created_source", "linked"].map(|what| counts.of("visits", what)), [2, 1, 1]);
    let before = agreed(scene, &["a|a|2026-01-05", "b|b|2026-01-06", "c|c|2026-02-07", "x|x|2026-03-01"]).await;
    scene.quiet().await;
    // The given part changes, here and there, within a partition and from one to another: the same records, under the same numbers.
    scene.source.user("update visit set day = '2026-02-28', name = 'A' where code = 'a'").await;
    scene.source.user("update visit set day = '2026-01-07' where code = 'b'").await;
    scene.target.user("update calls set made = '2026-01-08', title = 'X' where ref = 'x'").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("visits", "updated_target"), counts.of("visits", "updated_source"), counts.writes()), (2, 1, 3));
    let after = agreed(scene, &["a|A|2026-02-28", "b|b|2026-01-07", "c|c|2026-02-07", "x|X|2026-01-08"]).await;
    assert_eq!(before, after, "nothing was deleted and born again");
    scene.quiet().await;
    // Both sides give one record another day: the source wins, and still it is one.
    scene.source.user("update visit set day = '2026-03-03' where code = 'c'").await;
    scene.target.user("update calls set made = '2026-01-09' where ref = 'c'").await;
    // One that has moved is changed, one is moved and deleted, and one is born where another was.
    scene.source.user("update visit set name = 'AA' where code = 'a'").await;
    scene.target.user("update calls set made = '2026-03-08' where ref = 'x'").await;
    scene.target.user("delete from calls where ref = 'x'").await;
    scene.source.user("delete from visit where code = 'b'").await;
    called(scene, "y", "01-07").await;
    scene.sync().await;
    let last = agreed(scene, &["a|AA|2026-02-28", "c|c|2026-03-03", "y|y|2026-01-07"]).await;
    for (last, before) in last.iter().zip(&before) {
        assert_eq!([&last[0], &last[1]], [&before[0], &before[2]]);
    }
    assert_eq!(scene.conflicts().await.len(), 1);
    scene.quiet().await;
}

pub async fn c24_a_part_that_is_not_mapped_gets_its_default(scene: &Scene) {
    both(scene, &VISITS.replace(", day: made", "")).await;
    came(scene, "a", "02-05").await;
    came(scene, "b", "01-06").await;
    called(scene, "x", "03-01").await;
    scene.sync().await;
    let theirs = "select ref, title, made from calls order by ref";
    assert_eq!(rows(&scene.target, theirs).await, ["a|a|2026-01-31", "b|b|2026-01-31", "x|x|2026-03-01"]);
    assert_eq!(rows(&scene.source, "select day from visit where code = 'x'").await, ["2026-01-31"]);
    scene.quiet().await;
    // A day of one side is no business of the other's; the record is still the same.
    scene.source.user("update visit set day = '2026-03-05' where code in ('a', 'x')").await;
    scene.target.user("update calls set made = '2026-02-06' where ref in ('b', 'x')").await;
    assert_eq!(scene.sync().await.writes(), 0);
    scene.source.user("update visit set name = 'new' where code <> 'b'").await;
    scene.target.user("delete from calls where ref = 'b'").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, theirs).await, ["a|new|2026-01-31", "x|new|2026-02-06"]);
    assert_eq!(rows(&scene.source, "select code, day from visit order by code").await, ["a|2026-03-05", "x|2026-03-05"]);
    scene.quiet().await;
}

/// A list of shops, parted by them: the part of the key that is given holds keys of the other table.
pub async fn c24_a_part_of_the_key_is_a_foreign_key(scene: &Scene) {
    for (lab, shop, sale, start) in [(&scene.source, "shop", "sale", 1), (&scene.target, "branch", "deal", 501)] {
        lab.user(&format!("create table {shop} (id bigint generated by default as identity (start {start}) primary key, code text not null unique)")).await;
        lab.user(&format!(
            "create table {sale} (no bigserial, shop bigint not null references {shop}, what text not null, primary key (shop, no)) partition by hash (shop)"
        ))
        .await;
        for part in 0..3 {
            lab.user(&format!("create table {sale}_{part} partition of {sale} for values with (modulus 3, remainder {part})"))
                .await;
        }
    }
    scene.target.user("select nextval('deal_no_seq') from generate_series(1, 900)").await;
    scene.link(&[
        ("shops", "    source: shop\n    target: branch\n    match: [code]\n    fields: {code: code}\n"),
        (
            "sales",
            "    source: sale\n    target: deal\n    match: [what]\n    safety: mirror\n    fields: {shop: {to: shop, via: shops}, what: what}\n",
        ),
    ]);
    scene.source.user("insert into shop (code) select 's' || n from generate_series(1, 6) n").await;
    scene.source.user("insert into sale (shop, what) select id, 'tea' || id from shop").await;
    scene.sync().await;
    scene.source.user("update sale set shop = shop % 6 + 1").await;
    scene.target.user("insert into deal (shop, what) select id, 'milk' from branch where code = 's3'").await;
    let before = rows(&scene.target, "select what, no from deal where what <> 'milk' order by what").await;
    let counts = scene.sync().await;
    assert_eq!((counts.of("sales", "updated_target"), counts.of("sales", "created_source"), counts.writes()), (6, 1, 7));
    let sold = |sale: &str, shop: &str| format!("select d.what, s.code from {sale} d join {shop} s on s.id = d.shop order by 1");
    let wanted = ["milk|s3", "tea1|s2", "tea2|s3", "tea3|s4", "tea4|s5", "tea5|s6", "tea6|s1"];
    assert_eq!(rows(&scene.source, &sold("sale", "shop")).await, wanted);
    assert_eq!(rows(&scene.target, &sold("deal", "branch")).await, wanted);
    assert_eq!(rows(&scene.target, "select what, no from deal where what <> 'milk' order by what").await, before);
    scene.quiet().await;
}

/// The six of A20, and what has the same effect: told by a trigger, or found and compared. `check` says which.
pub async fn a20_what_is_done_to_partitions_arrives(scene: &Scene) {
    both(scene, &without_match()).await;
    let shop = &scene.source;
    let codes = || rows(&scene.target, "select ref from calls order by ref");
    for (code, day) in [("a", "01-05"), ("b", "01-06"), ("c", "02-07"), ("d", "03-08")] {
        came(scene, code, day).await;
    }
    scene.sync().await;
    let warnings = scene.ask(&["check"]).await["warnings"].to_string();
    assert!(warnings.contains("partitions are attached, detached or dropped"), "{warnings}");
    // Written to a partition itself, and loaded into one.
    shop.user("insert into visit_2 (id, day, code, name) overriding system value values (90, '2026-02-09', 'e', 'e')").await;
    shop.user("update visit_1 set name = 'B' where code = 'b'; delete from visit_3 where code = 'd'").await;
    shop.user("copy visit_2 (id, day, code) from program 'printf ''91\\t2026-02-10\\tf\\n92\\t2026-02-11\\tg\\n'''").await;
    scene.sync().await;
    assert_eq!(codes().await, ["a", "b", "c", "e", "f", "g"]);
    assert_eq!(rows(&scene.target, "select title from calls where ref = 'b'").await, ["B"]);
    // Attached with rows in it, and one row moved there and back before anyone looks.
    shop.user("create table visit_4 (like visit_1 including defaults including constraints)").await;
    shop.user("insert into visit_4 (id, day, code) values (93, '2026-04-01', 'h'), (94, '2026-04-02', 'i')").await;
    shop.user("alter table visit attach partition visit_4 for values from ('2026-04-01') to ('2026-05-01')").await;
    shop.user("update visit set day = '2026-04-03' where code = 'a'; update visit set day = '2026-01-09' where code = 'a'").await;
    match scene.target.dialect().statements {
        "sql/postgres" => {
            scene.target.user("create table calls_4 partition of calls for values from ('2026-04-01') to ('2026-05-01')").await;
        }
        "sql/mysql" => scene.target.user("alter table calls add partition (partition p4 values less than ('2026-05-01'))").await,
        _ => {}
    }
    let numbers = rows(&scene.target, "select no from calls where ref in ('a', 'b', 'c') order by ref").await;
    scene.sync().await;
    assert_eq!(codes().await, ["a", "b", "c", "e", "f", "g", "h", "i"]);
    // Split: rows go to a partition that is made of them, and nobody sees them come.
    shop.user(
        "begin; alter table visit detach partition visit_2; create table visit_2b (like visit_1 including defaults including constraints); \
         with moved as (delete from visit_2 where day >= '2026-02-10' returning *) insert into visit_2b select * from moved; \
         alter table visit attach partition visit_2 for values from ('2026-02-01') to ('2026-02-10'); \
         alter table visit attach partition visit_2b for values from ('2026-02-10') to ('2026-03-01'); commit",
    )
    .await;
    let counts = scene.sync().await;
    assert_eq!(counts.writes(), 0, "{counts:?}");
    assert_eq!(rows(&scene.target, "select no from calls where ref in ('a', 'b', 'c') order by ref").await, numbers);
    scene.quiet().await;
    // Emptied, detached, dropped: few enough for the brake.
    shop.user("truncate visit_2b").await;
    scene.sync().await;
    assert_eq!(codes().await, ["a", "b", "c", "e", "h", "i"]);
    shop.user("alter table visit detach partition visit_2").await;
    scene.sync().await;
    assert_eq!(codes().await, ["a", "b", "h", "i"]);
    shop.user("drop table visit_4").await;
    scene.sync().await;
    assert_eq!(codes().await, ["a", "b"]);
    scene.quiet().await;
}

/// Records go from partition to partition on both sides, alone and together, while it runs, and are changed meanwhile: nothing is
/// doubled or lost, and every record keeps its number.
pub async fn a20_records_are_moved_while_it_runs(scene: &Scene) {
    both(scene, &without_match()).await;
    for n in 0..30 {
        came(scene, &format!("s{n:02}"), &format!("01-{:02}", n + 1)).await;
        called(scene, &format!("t{n:02}"), &format!("02-{:02}", n % 28 + 1)).await;
    }
    scene.sync().await;
    let numbers = [
        rows(&scene.source, "select id, code from visit order by code").await,
        rows(&scene.target, "select no, ref from calls order by ref").await,
    ];
    let mut running = scene.program.start(&["run"], None);
    for round in 1..=6 {
        let month = round % 3 + 1;
        scene
            .source
            .user(&format!("update visit set day = '2026-0{month}-11' where code < 's10' or code between 's2' and 's24'"))
            .await;
        scene.target.user(&format!("update calls set made = '2026-0{month}-12', title = 'r{round}' where ref > 't'")).await;
        scene.source.user(&format!("update visit set name = 'n{round}' where code between 's1' and 's2'")).await;
    }
    let same = || async {
        let ours = rows(&scene.source, "select code, name, day from visit order by code").await;
        ours == rows(&scene.target, "select ref, title, made from calls order by ref").await
    };
    until("both sides agree", same).await;
    running.start_kill().unwrap();
    running.wait().await.unwrap();
    let after = [
        rows(&scene.source, "select id, code from visit order by code").await,
        rows(&scene.target, "select no, ref from calls order by ref").await,
    ];
    assert_eq!(numbers, after);
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    scene.quiet().await;
}

/// MySQL tells nobody; the next full compare finds it, as `check` says.
pub async fn a12_a_partition_that_was_emptied_is_found(scene: &Scene) {
    both(scene, VISITS).await;
    for (code, day) in [("a", "01-05"), ("b", "02-06"), ("c", "02-07")] {
        came(scene, code, day).await;
    }
    scene.sync().await;
    let warnings = scene.ask(&["check"]).await["warnings"].to_string();
    assert!(warnings.contains("PARTITION fires no trigger"), "{warnings}");
    scene.source.user("alter table visit truncate partition p2").await;
    scene.program.run(&["resync", "full"]).await.code(0);
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select ref from calls").await, ["a"]);
    scene.quiet().await;
}

/// The number of one side is written down on the other, which numbers its own.
pub async fn c24_a_number_is_told_to_the_other_side(scene: &Scene) {
    visits(&scene.source, SOURCE).await;
    scene
        .target
        .user("create table calls (no integer primary key autoincrement, theirs bigint, made date, ref text, title text)")
        .await;
    scene.target.user("insert into calls (no, ref) values (700, 'x')").await;
    scene.link(&[("visits", &VISITS.replace("fields: {", "fields: {id: {to: theirs, direction: to_target}, "))]);
    came(scene, "a", "02-05").await;
    scene.target.user("update calls set made = '2026-03-03'").await;
    let counts = scene.sync().await;
    assert_eq!(
        (counts.of("visits", "created_target"), counts.of("visits", "created_source")),
        (1, 1),
        "{:?}",
        scene.held().await
    );
    scene.sync().await;
    let told = rows(&scene.target, "select ref, theirs from calls order by ref").await;
    assert_eq!(rows(&scene.source, "select code, id from visit order by code").await, told);
    scene.quiet().await;
}

pub async fn s4_5_a_part_of_a_key_nobody_gives_is_refused(scene: &Scene) {
    both(scene, VISITS).await;
    let undated = match scene.source.dialect().statements {
        "sql/postgres" => "alter table visit alter column day drop default",
        _ => "alter table visit modify day date not null",
    };
    scene.source.user(undated).await;
    for (link, why) in [
        (VISITS.replace(", day: made", ""), "nobody assigns `day`, a part of the key of new rows in `"),
        (
            VISITS.replace("day: made", "day: {to: made, direction: to_target}"),
            "nobody assigns `day`, a part of the key of new rows in `",
        ),
        (VISITS.replace("name: title", "id: title"), "visit.id` is a key the engine assigns"),
    ] {
        scene.link(&[("visits", &link)]);
        let refused = scene.refused(&["check"], 2).await.err;
        assert!(refused.contains(why) && refused.contains("twinrow.yaml:"), "{refused}");
    }
    scene.link(&[("visits", &VISITS.replace("safety: mirror", "direction: to_target"))]);
    scene.program.run(&["check"]).await.code(0);
}

/// From the catalogs to records on both sides; on PostgreSQL also of a table that refers to the partitioned one.
pub async fn init_proposes_what_runs(scene: &Scene) {
    visits(&scene.source, SOURCE).await;
    visits(&scene.target, ["visits", "no", "visit_day", "code", "name"]).await;
    let refers = scene.source.url().starts_with("postgres");
    if refers {
        let photo = "create table photo (id bigserial primary key, visit bigint, day date, file text not null, foreign key (visit, day) references visit (id, day))";
        scene.source.user(photo).await;
        let photo = "create table photos (nr bigserial primary key, visit_no bigint, visit_day date, file text not null, \
                     foreign key (visit_no, visit_day) references visits (no, visit_day))";
        scene.target.user(photo).await;
    }
    let [shop, crm] = [("shop", &scene.source), ("crm", &scene.target)].map(|(name, lab)| format!("{name}={}", lab.url()));
    scene.program.run(&["init", "--source", &shop, "--target", &crm, "--name", "both", "--force"]).await.code(0);
    let path = scene.program.path("twinrow.yaml");
    let proposed = std::fs::read_to_string(&path).unwrap();
    assert!(proposed.contains("      day: visit_day\n") && !proposed.contains("      id: "), "{proposed}");
    let through = "      visit: {to: visit_no, via: visit}\n      day: {to: visit_day, via: visit}\n";
    assert_eq!(proposed.contains(through), refers, "{proposed}");
    let passwords = ["SHOP", "CRM"].into_iter().zip([&scene.source, &scene.target]).map(|(name, lab)| {
        let url = url::Url::parse(&lab.url()).unwrap();
        (format!("${{{name}_PASSWORD}}"), url.password().unwrap_or_default().to_owned())
    });
    let config = passwords.fold(proposed, |config, (name, password)| config.replace(&name, &password));
    scene.program.configure(&config.replace("first_sync: ask", "first_sync: auto"));
    came(scene, "a", "01-05").await;
    scene.target.user("insert into visits (visit_day, code) values ('2026-03-05', 'b')").await;
    if refers {
        scene.source.user("insert into photo (visit, day, file) select id, day, 'sea' from visit").await;
        scene.target.user("insert into photos (visit_no, visit_day, file) select no, visit_day, 'hill' from visits").await;
    }
    scene.sync().await;
    let ours = rows(&scene.source, "select code, day from visit order by code").await;
    assert_eq!(ours, ["a|2026-01-05", "b|2026-03-05"]);
    assert_eq!(rows(&scene.target, "select code, visit_day from visits order by code").await, ours);
    if refers {
        let photos = "select file, code from photo p join visit v on (v.id, v.day) = (p.visit, p.day) order by file";
        assert_eq!(rows(&scene.source, photos).await, ["hill|b", "sea|a"]);
        let photos =
            "select file, code from photos p join visits v on (v.no, v.visit_day) = (p.visit_no, p.visit_day) order by file";
        assert_eq!(rows(&scene.target, photos).await, ["hill|b", "sea|a"]);
    }
    scene.quiet().await;
}
