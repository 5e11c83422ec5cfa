//! What goes wrong inside of a write on MySQL and MariaDB: the application holds what it needs, and then the process
//! is frozen, or its connection or the server is killed. Whole tables are compared afterwards. (That it is the victim of
//! a deadlock: a44 in the conformance suite.)

use std::time::{Duration, Instant};

use tokio::process::Child;

use crate::faults::{arrives, end, signal, started};
use crate::program::{PATIENCE, Program, until};
use crate::scene::{Scene, rows, scenarios};
use crate::servers::Servers;
use crate::support::{UserTransaction, skip, sqlite};

scenarios! { postgres_mysql:
    i8_a_process_frozen_in_a_write_is_ended_by_the_server,
    a_connection_killed_in_a_write_is_made_again,
    rule19_a_value_the_application_holds_is_waited_for,
}

scenarios! { postgres_mariadb:
    i8_a_process_frozen_in_a_write_is_ended_by_the_server,
    a_connection_killed_in_a_write_is_made_again,
    rule19_a_value_the_application_holds_is_waited_for,
}

/// More than one batch takes.
const MANY: usize = 2_500;

/// New customers, by one statement.
async fn many(scene: &Scene, prefix: &str, count: usize) {
    let values = (0..count).map(|n| format!("('{prefix}{n}@x', 'N{n}')")).collect::<Vec<_>>().join(", ");
    scene.source.user(&format!("insert into customer (email, name) values {values}")).await;
}

/// The whole tables of both sides, whatever the keys.
async fn both(scene: &Scene) -> [Vec<String>; 2] {
    let mut source = rows(&scene.source, "select email, name, phone from customer").await;
    let mut target = rows(&scene.target, "select mail, full_name, telephone from contact").await;
    source.sort();
    target.sort();
    [source, target]
}

async fn agree(scene: &Scene, count: usize) {
    until("both sides agree", || async {
        let [source, target] = both(scene).await;
        source.len() == count && source == target
    })
    .await;
}

/// Both sides hold the same, and a further run finds nothing to do.
async fn settled(scene: &Scene, count: usize) {
    agree(scene, count).await;
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    scene.quiet().await;
    agree(scene, count).await;
    assert_eq!(scene.held().await, Vec::<String>::new());
}

/// Sessions of the program's that are in the middle of a write: each waits for a table, or has changed rows.
const WRITING: &str = "select p.id from information_schema.processlist as p \
    where p.db = database() and p.id <> connection_id() and p.state like 'Waiting for table%' and p.info like '%insert%contact%'";

/// The application locks the table, the program begins a write on it and waits: here it is held.
async fn held_in_a_write(scene: &Scene) -> (Box<dyn UserTransaction>, String) {
    let mut user = scene.target.open().await;
    // Others may read it.
    user.run("lock tables contact read").await;
    many(scene, "w", MANY).await;
    until("it waits in a write", || async { !rows(&scene.target, WRITING).await.is_empty() }).await;
    let session = rows(&scene.target, WRITING).await.remove(0);
    (user, session)
}

/// Frozen while it holds the fence, which nobody else can take from it: the server ends its session, on MySQL after a minute.
pub async fn i8_a_process_frozen_in_a_write_is_ended_by_the_server(scene: &Scene) {
    scene.customers("").await;
    let mut frozen = started(&scene.program, &["run"]).await;
    let (mut user, _) = held_in_a_write(scene).await;
    signal(&frozen, "-STOP").await;
    user.run("unlock tables").await;
    let second = scene.program.start(&["run", "--take-over"], None);
    let deadline = Instant::now() + PATIENCE * 3;
    while both(scene).await[1].len() < MANY {
        assert!(Instant::now() < deadline, "the fence is never free\n{}", scene.program.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    signal(&frozen, "-CONT").await;
    let status = tokio::time::timeout(PATIENCE, frozen.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(4), "{}", scene.program.log());
    scene.customer("late@x", "Late").await;
    arrives(scene, "late@x").await;
    end(second).await;
    settled(scene, MANY + 1).await;
}

pub async fn a_connection_killed_in_a_write_is_made_again(scene: &Scene) {
    scene.customers("").await;
    let mut child = started(&scene.program, &["run"]).await;
    let (mut user, session) = held_in_a_write(scene).await;
    scene.target.user(&format!("kill {session}")).await;
    until("it is gone", || async { !rows(&scene.target, WRITING).await.contains(&session) }).await;
    user.run("unlock tables").await;
    user.commit().await;
    agree(scene, MANY).await;
    assert!(child.try_wait().unwrap().is_none(), "{}", scene.program.log());
    end(child).await;
    settled(scene, MANY).await;
}

/// The application has inserted a record and not committed: ours of the same value waits for a second at most (1205),
/// and again later; the application does not notice.
pub async fn rule19_a_value_the_application_holds_is_waited_for(scene: &Scene) {
    scene.customers("    safety: mirror\n    conflict: merge").await;
    let child = started(&scene.program, &["run"]).await;
    let mut user = scene.target.open().await;
    user.run("insert into contact (mail, full_name) values ('same@x', 'Theirs')").await;
    scene.customer("same@x", "Ours").await;
    until("ours has waited", || async {
        rows(&scene.target, "select 1 from twinrow_work where cause like '%1205%'").await == ["1"]
    })
    .await;
    scene.customer("other@x", "Other").await;
    arrives(scene, "other@x").await;
    user.run("update contact set telephone = '7' where mail = 'same@x'").await;
    user.commit().await;
    // By now it is one record: the source wins.
    end_when(scene, child, "select full_name from contact where mail = 'same@x'", "Ours").await;
    settled(scene, 2).await;
}

async fn end_when(scene: &Scene, child: Child, sql: &str, value: &str) {
    until(sql, || async { rows(&scene.target, sql).await == [value] }).await;
    end(child).await;
}

/// The server dies in the middle of a write, and comes back.
async fn killed_in_a_write(name: &str) -> Result<(), String> {
    let servers = Servers::start(&[name]).await?;
    let scene = Scene { source: sqlite::lab().await?, target: servers.lab(name).await, program: Program::new("") };
    scene.customers("").await;
    let mut child = started(&scene.program, &["run"]).await;
    let (user, _) = held_in_a_write(&scene).await;
    servers.ctl(name, "kill").await;
    drop(user);
    servers.ctl(name, "start").await;
    agree(&scene, MANY).await;
    assert!(child.try_wait().unwrap().is_none(), "{}", scene.program.log());
    end(child).await;
    settled(&scene, MANY).await;
    scene.source.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_mysql_is_killed_in_a_write() {
    if let Err(reason) = killed_in_a_write("mysql").await {
        skip("inside::f2_mysql_is_killed_in_a_write", &reason);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_mariadb_is_killed_in_a_write() {
    if let Err(reason) = killed_in_a_write("mariadb").await {
        skip("inside::f2_mariadb_is_killed_in_a_write", &reason);
    }
}
