//! References that are equal to their parent's key only for the database: by its collation, or by a column's type.

use crate::scene::{Scene, rows, scenarios};

scenarios! { sqlite_sqlite:
    c6_a_reference_in_another_spelling_finds_its_parent,
    c6_a_reference_of_another_type_finds_its_parent,
}

scenarios! { postgres_sqlite:
    c6_a_reference_in_another_spelling_finds_its_parent,
}

scenarios! { mysql_postgres:
    c6_a_reference_in_another_spelling_finds_its_parent,
}

scenarios! { mariadb_postgres:
    c6_a_reference_in_another_spelling_finds_its_parent,
}

const ORDERS: &str = "    source: ord\n    target: purchase\n    fields: {no: code, name: title}\n";
const LINES: &str =
    "    source: line\n    target: item\n    fields:\n      ord_no: {to: purchase_nr, via: orders}\n      what: descr\n";

/// A text that is blind to case, as a column's type.
async fn blind(scene: &Scene) -> String {
    match scene.source.dialect().statements {
        "sql/postgres" => {
            let level = "provider = icu, locale = 'und-u-ks-level2', deterministic = false";
            scene.source.user(&format!("create collation blind ({level})")).await;
            "text collate blind".to_owned()
        }
        "sql/mysql" => "varchar(20) character set utf8mb4 collate utf8mb4_general_ci".to_owned(),
        _ => "text collate nocase".to_owned(),
    }
}

/// Orders that the target numbers, and their lines.
async fn target(scene: &Scene) {
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user(&format!("create table purchase (nr {key}, code {text}, title {text})")).await;
    let parent = "foreign key (purchase_nr) references purchase (nr)";
    scene.target.user(&format!("create table item (nr {key}, purchase_nr bigint, descr {text}, {parent})")).await;
}

async fn lines(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select i.descr, p.title from item i join purchase p on p.nr = i.purchase_nr order by 1").await
}

pub async fn c6_a_reference_in_another_spelling_finds_its_parent(scene: &Scene) {
    let (key, text, blind) = (scene.source.dialect().generated_key, scene.source.dialect().text, blind(scene).await);
    scene.source.user(&format!("create table ord (no {blind} not null primary key, name {text})")).await;
    let parent = "foreign key (ord_no) references ord (no)";
    scene.source.user(&format!("create table line (id {key}, ord_no {blind}, what {text}, {parent})")).await;
    target(scene).await;
    scene.link(&[("orders", ORDERS), ("lines", LINES)]);
    scene.source.user("insert into ord (no, name) values ('A1', 'Dora'), ('B2', 'Emil')").await;
    scene.source.user("insert into line (ord_no, what) values ('A1', 'w1'), ('a1', 'w2'), ('b2', 'w3')").await;
    scene.sync().await;
    assert_eq!(lines(scene).await, ["w1|Dora", "w2|Dora", "w3|Emil"]);
    assert!(scene.held().await.is_empty());
    scene.quiet().await;
    // The key changes its spelling, and its lines keep theirs.
    let mut tx = scene.source.open().await;
    // Where rows refer to a key, InnoDB lets nobody spell it anew.
    let held_fast = scene.source.dialect().statements == "sql/mysql";
    if held_fast {
        tx.run("set foreign_key_checks = 0").await;
    }
    tx.run("update ord set no = 'a1' where no = 'A1'").await;
    if held_fast {
        tx.run("set foreign_key_checks = 1").await;
    }
    tx.commit().await;
    scene.source.user("update line set what = 'w1b' where what = 'w1'").await;
    scene.source.user("update line set ord_no = 'A1' where what = 'w3'").await;
    scene.sync().await;
    assert_eq!(lines(scene).await, ["w1b|Dora", "w2|Dora", "w3|Dora"]);
    scene.quiet().await;
    // What comes from the other side refers to the key as it is.
    scene.target.user("insert into item (purchase_nr, descr) select nr, 'w4' from purchase where title = 'Dora'").await;
    scene.target.user("update item set descr = 'w2b' where descr = 'w2'").await;
    scene.sync().await;
    let spelled = rows(&scene.source, "select what, ord_no from line order by 1").await;
    assert_eq!(spelled, ["w1b|A1", "w2b|a1", "w3|A1", "w4|a1"]);
    scene.quiet().await;
}

/// As SQLite takes them for equal: by the type of the key's column.
pub async fn c6_a_reference_of_another_type_finds_its_parent(scene: &Scene) {
    scene.source.user("create table ord (id integer primary key, no text, name text)").await;
    scene.target.user("create table purchase (nr integer primary key autoincrement, code text, title text)").await;
    scene.target.user("insert into purchase (nr) values (700)").await;
    scene.target.user("delete from purchase").await;
    scene.source.user("insert into ord (id, no, name) values (1, 'A1', 'Dora')").await;
    let cases = [("text", "'1'"), ("text", "'01'"), ("", "'1'"), ("real", "1.0"), ("blob", "1")];
    let mut links = vec![("orders".to_owned(), ORDERS.to_owned())];
    for (n, (declared, value)) in cases.into_iter().enumerate() {
        let child = format!("create table line{n} (id integer primary key, ord_no {declared} references ord (id), what text)");
        scene.source.user(&child).await;
        scene.source.user(&format!("insert into line{n} (id, ord_no, what) values ({n}, {value}, 'w')")).await;
        scene.target.user(&format!("create table item{n} (nr integer primary key, purchase_nr integer, descr text)")).await;
        links.push((format!("lines{n}"), LINES.replace("line\n", &format!("line{n}\n")).replace("item", &format!("item{n}"))));
    }
    let links: Vec<(&str, &str)> = links.iter().map(|(name, link)| (name.as_str(), link.as_str())).collect();
    scene.link(&links);
    scene.sync().await;
    for (n, case) in cases.iter().enumerate() {
        assert_eq!(rows(&scene.target, &format!("select purchase_nr, descr from item{n}")).await, ["701|w"], "{case:?}");
    }
    assert!(scene.held().await.is_empty());
    scene.quiet().await;
}
