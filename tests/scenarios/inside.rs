//! What goes wrong inside of a write on MySQL and MariaDB: the application holds what it needs, and then the process
//! is frozen, or its connection or the server is killed; and on every server that the program is the victim of a deadlock. Whole
//! tables are compared afterwards.

use std::time::{Duration, Instant};

use tokio::process::Child;

use crate::faults::{arrives, end, signal, started};
use crate::program::{PATIENCE, Program, until};
use crate::scene::{Scene, rows, scenarios};
use crate::servers::Servers;
use crate::support::{UserTransaction, skip, sqlite};

scenarios! { mysql_postgres: rule22_the_victim_of_a_deadlock_tries_again }

scenarios! { postgres_mysql:
    rule22_the_victim_of_a_deadlock_tries_again,
    i8_a_process_frozen_in_a_write_is_ended_by_the_server,
    a_connection_killed_in_a_write_is_made_again,
    rule19_a_value_the_application_holds_is_waited_for,
}

scenarios! { postgres_mariadb:
    rule22_the_victim_of_a_deadlock_tries_again,
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

/// A trigger of the application's counts changes of contacts, and waits for its tally however long it takes: so ours waits too.
async fn tally(scene: &Scene) {
    scene.target.user("create table tally (id int primary key, n bigint not null)").await;
    scene.target.user("insert into tally values (1, 0)").await;
    scene.target.user("create table ballast (id int primary key)").await;
    if scene.target.url().starts_with("postgres") {
        let body = "begin perform set_config('lock_timeout', '0', true), set_config('deadlock_timeout', '4s', true); \
                    update tally set n = n + 1 where id = 1; return new; end";
        scene.target.user(&format!("create function count_it() returns trigger language plpgsql as $$ {body} $$")).await;
        let trigger = "create trigger count_it after update on contact for each row execute function count_it()";
        return scene.target.user(trigger).await;
    }
    let body = "begin set session innodb_lock_wait_timeout = 50; update tally set n = n + 1 where id = 1; end";
    scene.target.user(&format!("create trigger count_it after update on contact for each row {body}")).await;
}

/// The application holds the tally, ours a contact, and each wants the other one's. InnoDB ends the one that has changed
/// less, PostgreSQL the one that looks first: ours.
pub async fn rule22_the_victim_of_a_deadlock_tries_again(scene: &Scene) {
    scene.customers("    safety: mirror\n    conflict: merge").await;
    scene.customer("a@x", "Ann").await;
    scene.sync().await;
    tally(scene).await;
    let child = started(&scene.program, &["-v", "run"]).await;
    let mut user = scene.target.open().await;
    let code = match scene.target.url().starts_with("postgres") {
        true => {
            user.run("set local deadlock_timeout = '30s'").await;
            "SQLSTATE 40P01"
        }
        false => "code 1213",
    };
    let ballast = (0..3000).map(|n| format!("({n})")).collect::<Vec<_>>().join(", ");
    user.run(&format!("insert into ballast values {ballast}")).await;
    user.run("update tally set n = n + 100 where id = 1").await;
    scene.source.user("update customer set name = 'Bea'").await;
    // Nobody else locks it, and ours can't go on without the tally.
    let locked = "select mail from contact for update skip locked";
    until("ours holds the contact", || async { rows(&scene.target, locked).await.is_empty() }).await;
    assert!(!scene.program.log().contains(code), "nobody waits for ours yet");
    user.run("update contact set telephone = '7' where mail = 'a@x'").await;
    until("ours is the victim", || async { scene.program.log().contains(code) }).await;
    user.commit().await;
    end_when(scene, child, "select concat(full_name, telephone) from contact", "Bea7").await;
    settled(scene, 1).await;
    assert_eq!(rows(&scene.target, "select n from tally").await, ["102"], "each change once");
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
