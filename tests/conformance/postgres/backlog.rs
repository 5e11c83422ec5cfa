//! A log that is longer than a window, read while it grows.

use std::collections::BTreeMap;

use twinrow::endpoint::{Unread, Window};
use twinrow::model::{Entry, Key};

use crate::suite::bench::{Bench, item, op};
use crate::support::Lab;
use crate::support::postgres::PostgresLab;

/// How often each entry was read, of both tables.
type Read = BTreeMap<(usize, String), usize>;

fn note(read: &mut Read, entries: &[Entry]) {
    for entry in entries {
        *read.entry((entry.collection, op(entry))).or_default() += 1;
    }
}

/// Which of these keys of the first table an unread entry moves.
async fn moved(window: &mut Box<dyn Window>, keys: &[i64]) -> Vec<i64> {
    let keys: Vec<Key> = keys.iter().copied().map(Key::int).collect();
    let named = window.unread(0, &keys, Unread::Moves).await.unwrap();
    keys.iter().filter(|key| named.contains(&key.encode())).map(|key| key.to_string().parse().unwrap()).collect()
}

/// Old transactions end meanwhile, new ones come, and what is deleted far behind is known from the first window on.
pub async fn rule7_a_long_log_is_read_once_while_it_grows(lab: &PostgresLab) {
    lab.user(&item(lab, "bare")).await;
    lab.user(&item(lab, "item")).await;
    let mut bench = Bench::new(lab, &["bare", "item"]).await;
    let (mut early, mut undone) = (lab.open().await, lab.open().await);
    early.run("insert into item (id, name) values (9001, 'early')").await;
    undone.run("insert into bare (id, name) values (9002, 'undone')").await;
    let mut expected: Vec<(usize, String)> = Vec::new();
    for n in 1..=60 {
        lab.user(&format!("insert into bare (id, name) values ({n}, 'b')")).await;
        lab.user(&format!("insert into item (id, name) select g, 'i' from generate_series({0}, {0} + 2) g", n * 10)).await;
        expected.push((0, format!("insert {n}")));
        expected.extend((n * 10..n * 10 + 3).map(|id| (1, format!("insert {id}"))));
    }
    lab.user("update bare set name = 'c' where id between 40 and 44").await;
    lab.user("delete from bare where id = 5").await;
    expected.extend((40..=44).map(|id| (0, format!("update {id}"))));
    expected.push((0, "delete 5".into()));

    let (mut read, mut windows, mut after) = (Read::new(), 0, Vec::new());
    loop {
        let mut window = bench.endpoint.window(&bench.tracked, 7).await.unwrap();
        windows += 1;
        assert!(window.entries().len() <= 7 && windows < 90, "{} entries, {windows} windows", window.entries().len());
        assert!(window.entries().is_sorted_by_key(|entry| entry.pos), "window {windows}");
        note(&mut read, window.entries());
        let open = |id: i64| !read.contains_key(&(0, format!("delete {id}")));
        let unread: Vec<i64> = std::iter::once(5).chain(after.iter().copied()).filter(|id| open(*id)).collect();
        assert_eq!(moved(&mut window, &[5, 6, 7, 8]).await, unread, "window {windows}");
        let more = window.more();
        // As a process that was started anew, which knows nothing of what was found.
        if windows % 9 == 0 {
            bench.endpoint = lab.endpoint().await;
        }
        if windows % 5 != 0 {
            bench.acknowledge(window).await;
        } else {
            for (at, tracked) in bench.tracked.iter_mut().enumerate() {
                tracked.since = Some(window.position(at));
            }
        }
        match windows {
            3 => {
                lab.user("delete from bare where id = 6").await;
                lab.user("insert into bare (id, name) values (500, 'late')").await;
                after.push(6);
                expected.extend([(0, "delete 6".into()), (0, "insert 500".into())]);
            }
            12 => {
                early.run("insert into item (id, name) values (9003, 'late')").await;
                expected.extend([(1, "insert 9001".into()), (1, "insert 9003".into())]);
            }
            _ => {}
        }
        if windows == 13 {
            std::mem::replace(&mut early, lab.open().await).commit().await;
            std::mem::replace(&mut undone, lab.open().await).rollback().await;
        }
        if !more {
            break;
        }
    }
    assert!(windows > 30, "{windows} windows");
    assert!(read.values().all(|times| *times == 1), "{read:?}");
    expected.sort_unstable();
    assert_eq!(read.into_keys().collect::<Vec<_>>(), expected);
    early.rollback().await;
    undone.rollback().await;
}
