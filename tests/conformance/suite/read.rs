//! Rows of a window: by key, by match rule, page by page.

use futures_util::FutureExt as _;
use twinrow::endpoint::{CANDIDATES_MAX, Fetched, ROWS_BYTES, Unread};
use twinrow::model::{Key, Normal};

use super::bench::{Bench, EXACT, int, row, t};
use crate::support::Lab;

const NONE: Vec<i64> = Vec::new();
/// Where `item` has its name.
const NAME: usize = 2;

pub async fn fetch_keeps_order_and_says_absent(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    // Fields in another order than the columns, and not all of them.
    bench.tracked[0].collection.columns = vec![3, 2, 0];
    lab.user("insert into item (id, name, qty) values (1, 'Ann', 5), (2, null, 0), (3, '', 7)").await;
    let mut window = bench.window().await;
    let keys: Vec<Key> = [3, 99, 1, 2, 1].map(Key::int).to_vec();
    let fetched = window.fetch(0, &keys).await.unwrap();
    assert_eq!(row(&fetched[0]), &[int(7), t(""), int(3)]);
    assert_eq!(fetched[1], Fetched::Absent);
    assert_eq!(row(&fetched[2]), &[int(5), t("Ann"), int(1)]);
    assert_eq!(row(&fetched[3]), &[int(0), twinrow::model::Value::Null, int(2)]);
    assert_eq!(fetched[4], fetched[2]);
    assert_eq!(window.fetch(0, &[]).await.unwrap(), []);
    assert_eq!(window.count(0).await.unwrap(), 3);

    let many: Vec<Key> = (1..=3000).rev().map(Key::int).collect();
    let fetched = window.fetch(0, &many).await.unwrap();
    assert_eq!(fetched.iter().filter(|fetched| **fetched != Fetched::Absent).count(), 3);
    assert_eq!(row(&fetched[2999])[1], t("Ann"));
}

/// Whatever is asked meanwhile, and though less or more is fetched than was announced.
pub async fn rule2_rows_read_ahead_are_of_the_moment(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'Ann'), (2, 'Bob'), (3, 'Cid'), (4, 'Dan'), (5, 'Eve')").await;
    let keys = |ids: &[i64]| ids.iter().copied().map(Key::int).collect::<Vec<_>>();
    let soon = |ids: &[i64]| std::future::ready(keys(ids)).boxed();
    let mut window = bench.window().await;
    let asked = keys(&[4, 99, 2, 5, 2]);
    let plain = window.fetch(0, &asked).await.unwrap();
    assert_eq!(row(&plain[0])[NAME], t("Dan"));
    assert_eq!(plain[1], Fetched::Absent);

    window.ahead(0, soon(&[1, 2, 99, 4, 2]));
    window.ahead(0, soon(&[3]));
    assert_eq!(window.page(0, None, 2).await.unwrap(), keys(&[1, 2]));
    assert_eq!(window.fetch(0, &asked).await.unwrap(), plain);
    assert_eq!(window.fetch(0, &asked).await.unwrap(), plain, "what was announced is gone");

    window.ahead(0, soon(&[3]));
    assert_eq!(window.count(0).await.unwrap(), 5);
    assert_eq!(row(&window.fetch(0, &keys(&[3])).await.unwrap()[0])[NAME], t("Cid"));
    // One that nobody waits for.
    window.ahead(0, soon(&[1, 2, 3]));
    drop(window);
    assert_eq!(row(&bench.window().await.fetch(0, &asked).await.unwrap()[2])[NAME], t("Bob"));
}

pub async fn rule2_unread_deletes_are_named(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, 'Ann'), (2, 'Bob'), (3, 'Cid'), (4, 'Dan')").await;
    let mut window = bench.window().await;
    assert_eq!(window.entries().len(), 4);
    lab.user("delete from item where id = 1").await;
    lab.user("update item set id = 22 where id = 2").await;
    lab.user("update item set name = 'X' where id = 3").await;
    let keys: Vec<Key> = [1, 2, 3, 4].map(Key::int).to_vec();
    let fetched = window.fetch(0, &keys).await.unwrap();
    let unread = window.unread(0, &keys, Unread::Moves).await.unwrap();
    // Whatever moment the rows are of: what is absent is either unread or was never there.
    for (key, fetched) in keys.iter().zip(&fetched) {
        assert!(*fetched != Fetched::Absent || unread.contains(&key.encode()), "{key} is absent without a word");
    }
    assert!(!unread.contains(&keys[2].encode()) && !unread.contains(&keys[3].encode()), "{unread:?}");
    drop(window);
    // And what was read is not unread.
    let mut window = bench.window().await;
    assert!(window.unread(0, &keys, Unread::Moves).await.unwrap().is_empty());
}

/// The row is there under its new key already, and the pair of whoever had that key is not.
pub async fn rule2_unread_renames_are_named_by_both_keys(lab: &dyn Lab) {
    let mut bench = Bench::item(lab).await;
    // Read from the log by one integration, and by two, each its own way.
    for round in 0..2 {
        let (first, to) = (round * 100 + 1, round * 100 + 900);
        for id in first..first + 60 {
            lab.user(&format!("insert into item (id, name) values ({id}, 'Ann')")).await;
        }
        lab.user(&format!("update item set id = {to} where id = {first}")).await;
        let mut window = bench.endpoint.window(&bench.tracked, 10).await.unwrap();
        assert!(window.more(), "60 inserts are more than 10");
        let keys: Vec<Key> = [first, to, first + 1].map(Key::int).to_vec();
        let unread = window.unread(0, &keys, Unread::Moves).await.unwrap();
        let named: Vec<bool> = keys.iter().map(|key| unread.contains(&key.encode())).collect();
        assert_eq!(named, [true, true, false], "round {round}");
        drop(window);
        bench.read().await;
        if round == 0 {
            bench.beside("other").await;
        }
    }
}

/// Also of texts that an engine's own comparison calls equal.
pub async fn rule2_an_unread_rename_by_a_blank_is_named(lab: &dyn Lab) {
    lab.user(&format!("create table word (w {} not null primary key, v bigint)", lab.dialect().text)).await;
    let bench = Bench::new(lab, &["word"]).await;
    for n in 1..=60 {
        lab.user(&format!("insert into word values ('w{n}', {n})")).await;
    }
    lab.user("update word set w = 'w1 ' where v = 1").await;
    let mut window = bench.endpoint.window(&bench.tracked, 10).await.unwrap();
    assert!(window.more(), "60 inserts are more than 10");
    let keys: Vec<Key> = ["w1", "w1 ", "w2"].map(|key| Key(vec![t(key)])).to_vec();
    let unread = window.unread(0, &keys, Unread::Moves).await.unwrap();
    let named: Vec<bool> = keys.iter().map(|key| unread.contains(&key.encode())).collect();
    assert_eq!(named, [true, true, false]);
}

/// C4: a record must not be recorded while its own insert is unread.
pub async fn rule2_unread_inserts_are_named_where_asked(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    for id in 1..=60 {
        lab.user(&format!("insert into item (id, name) values ({id}, 'Ann')")).await;
    }
    lab.user("update item set name = 'Bob' where id = 2").await;
    let mut window = bench.endpoint.window(&bench.tracked, 10).await.unwrap();
    assert!(window.more(), "60 inserts are more than 10");
    let read = window.entries().len() as i64;
    let keys: Vec<Key> = [1, read + 1, 60, 61].map(Key::int).to_vec();
    assert!(window.fetch(0, &keys).await.unwrap()[2] != Fetched::Absent);
    let unread = window.unread(0, &keys, Unread::Births).await.unwrap();
    let named: Vec<bool> = keys.iter().map(|key| unread.contains(&key.encode())).collect();
    assert_eq!(named, [false, true, true, false]);
    assert!(window.unread(0, &keys, Unread::Moves).await.unwrap().is_empty());
}

pub async fn find_normalises_both_sides(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (id, name, qty) values (1, 'Ann', 1), (2, ' ANN ', 2), (3, 'Émilie', 3), (4, 'Ann', 2)").await;
    let loose = Normal { fold_case: true, trim: true };
    let mut window = bench.window().await;
    let found = window.find(0, &[(2, loose)], &[vec![t("ann  ")], vec![t("ÉMILIE")], vec![t("Bob")]]).await.unwrap();
    assert_eq!(sorted(&found), [vec![1, 2, 4], vec![3], vec![]]);
    let found = window.find(0, &[(2, EXACT)], &[vec![t("Ann")], vec![t("ann")], vec![t(" ANN ")]]).await.unwrap();
    assert_eq!(sorted(&found), [vec![1, 4], vec![], vec![2]]);
    let found = window.find(0, &[(2, loose), (3, EXACT)], &[vec![t("ANN"), int(2)], vec![t("ANN"), int(9)]]).await.unwrap();
    assert_eq!(sorted(&found), [vec![2, 4], vec![]]);
    drop(window);

    let mut write = bench.begin().await;
    let found = write.find(bench.collection(), &[(2, loose)], &[vec![t("ann")], vec![t("Bob")]]).await.unwrap();
    assert_eq!(sorted(&found), [vec![1, 2, 4], vec![]]);
    write.rollback().await.unwrap();
}

fn sorted(found: &[Vec<Key>]) -> Vec<Vec<i64>> {
    let number = |key: &Key| key.to_string().parse::<i64>().unwrap();
    found
        .iter()
        .map(|keys| {
            let mut keys: Vec<i64> = keys.iter().map(number).collect();
            keys.sort_unstable();
            keys
        })
        .collect()
}

pub async fn c10_null_and_empty_match_nothing(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    lab.user("insert into item (id, name) values (1, null), (2, ''), (3, '   ')").await;
    let mut window = bench.window().await;
    let null = twinrow::model::Value::Null;
    let found = window.find(0, &[(2, EXACT)], &[vec![null.clone()], vec![t("")]]).await.unwrap();
    assert_eq!(sorted(&found), [NONE; 2]);
    let trim = Normal { fold_case: false, trim: true };
    let found = window.find(0, &[(2, trim)], &[vec![t("  ")], vec![t("")], vec![null.clone()]]).await.unwrap();
    assert_eq!(sorted(&found), [NONE; 3]);
    // A part that is NULL keeps the whole from matching.
    let found = window.find(0, &[(2, EXACT), (3, EXACT)], &[vec![null, int(1)]]).await.unwrap();
    assert_eq!(sorted(&found), [NONE]);
}

pub async fn find_stops_at_many_candidates(lab: &dyn Lab) {
    let bench = Bench::item(lab).await;
    for id in 1..=20 {
        lab.user(&format!("insert into item (id, name) values ({id}, 'same')")).await;
    }
    lab.user("insert into item (id, name) values (21, 'other')").await;
    let mut window = bench.window().await;
    for normal in [EXACT, Normal { fold_case: true, trim: true }] {
        let found = window.find(0, &[(2, normal)], &[vec![t("same")], vec![t("other")]]).await.unwrap();
        assert_eq!(found[0].len(), CANDIDATES_MAX + 1);
        assert_eq!(found[1], [Key::int(21)]);
    }
}

pub async fn page_covers_all_keys(lab: &dyn Lab) {
    let text = lab.dialect().text;
    lab.user(&format!("create table part (a {text} not null, b bigint not null, c {text}, primary key (a, b))")).await;
    lab.user(&format!("create table word (w {text} not null primary key, c {text})")).await;
    lab.user(&super::bench::item(lab, "item")).await;
    let bench = Bench::new(lab, &["item", "part", "word"]).await;
    let numbers: Vec<String> = (1..=57).map(|i| format!("({})", i * 3 - 20)).collect();
    lab.user(&format!("insert into item (id) values {}", numbers.join(","))).await;
    let parts: Vec<String> = (0..57).map(|i| format!("('{}', {})", ["a", "B", "é", "a b"][i % 4], i / 4)).collect();
    lab.user(&format!("insert into part (a, b) values {}", parts.join(","))).await;
    let words: Vec<String> = (0..57).map(|i| format!("('{}{i}')", ["x", "Y", "ß", "it''s"][i % 4])).collect();
    lab.user(&format!("insert into word (w) values {}", words.join(","))).await;
    let mut window = bench.window().await;
    for collection in 0..3 {
        let mut seen = std::collections::BTreeSet::new();
        let mut after = None;
        loop {
            let page = window.page(collection, after.as_ref(), 10).await.unwrap();
            for key in &page {
                assert!(seen.insert(key.encode()), "{key} comes twice");
            }
            let done = page.len() < 10;
            after = page.into_iter().next_back().or(after);
            if done {
                break;
            }
        }
        assert_eq!(seen.len(), 57, "collection {collection}");
    }
}

/// Of rows that take much memory as many are read as there is room for, and the others not taken for absent.
pub async fn large_rows_are_read_a_few_at_a_time(lab: &dyn Lab) {
    let long = if lab.dialect().quote == '`' { "longtext" } else { "text" };
    lab.user(&format!("create table doc (id integer not null primary key, body {long})")).await;
    let bench = Bench::new(lab, &["doc"]).await;
    let megabyte = "x".repeat(1 << 20);
    for id in 1..=8 {
        // One alone is more than there is room for.
        let body = megabyte.repeat(if id == 6 { 6 } else { 1 });
        lab.user(&format!("insert into doc values ({id}, '{body}')")).await;
    }
    let mut window = bench.window().await;
    let mut wanted: Vec<i64> = vec![1, 2, 99, 3, 4, 5, 6, 7, 8];
    let (mut rounds, mut sizes) = (0, Vec::new());
    while !wanted.is_empty() {
        let keys: Vec<Key> = wanted.iter().copied().map(Key::int).collect();
        if rounds % 2 == 1 {
            window.ahead(0, std::future::ready(keys.clone()).boxed());
        }
        let fetched = window.fetch(0, &keys).await.unwrap();
        let taken: usize = fetched.iter().map(size).sum();
        let read = fetched.iter().filter(|row| size(row) > 0).count();
        // Read ahead and read now.
        assert!(taken <= 2 * ROWS_BYTES || read == 1, "{taken} bytes in {read} rows");
        let (mut left, before) = (Vec::new(), wanted.len());
        for (id, row) in wanted.iter().zip(&fetched) {
            match row {
                Fetched::Later => left.push(*id),
                Fetched::Absent => assert_eq!(*id, 99),
                row => sizes.push((*id, size(row))),
            }
        }
        assert!(left.len() < before, "nothing was read");
        (wanted, rounds) = (left, rounds + 1);
    }
    sizes.sort_unstable();
    let expected: Vec<(i64, usize)> = (1..=8).map(|id| (id, if id == 6 { 6 << 20 } else { 1 << 20 })).collect();
    assert_eq!(sizes, expected);
    assert!(rounds >= 3, "{rounds} rounds for 13 MB");
}

fn size(row: &Fetched) -> usize {
    match row {
        Fetched::Row(row, _) => row.iter().map(|value| value.to_text().len()).max().unwrap_or(0),
        Fetched::Absent | Fetched::Unreadable(_) | Fetched::Later => 0,
    }
}
