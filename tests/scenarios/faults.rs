//! What goes wrong around the program: connections cut, rows and tables locked, two of it, one of them frozen.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::program::{PATIENCE, Program, until};
use crate::scene::{CUSTOMERS, Scene, rows, scenarios};
use crate::support::Lab;

scenarios! { sqlite_sqlite:
    a_second_process_waits_its_turn,
    i8_a_frozen_process_can_write_nothing_when_it_wakes,
    once_refuses_while_another_runs,
    i7_what_nobody_can_read_ends_nothing,
    i9_a_promise_that_nobody_renews_is_over,
    killed_at_rare_steps,
}

scenarios! { postgres_sqlite:
    i8_a_frozen_process_can_write_nothing_when_it_wakes,
}

scenarios! { postgres_postgres:
    a_second_process_waits_its_turn,
    i8_a_frozen_process_can_write_nothing_when_it_wakes,
    i8_a_process_frozen_in_a_write_is_ended_by_the_server,
    connections_that_are_cut_are_made_again,
    rule19_locked_rows_hold_up_nothing_else,
    a_locked_table_is_waited_for,
}

scenarios! { postgres_mysql:
    connections_that_are_cut_are_made_again,
    rule19_locked_rows_hold_up_nothing_else,
}

scenarios! { postgres_mariadb:
    connections_that_are_cut_are_made_again,
    rule19_locked_rows_hold_up_nothing_else,
}

scenarios! { sqlite_mysql:
    rule4_a_take_over_that_is_cut_off_while_it_waits_asks_again,
}

scenarios! { sqlite_mariadb:
    rule4_a_take_over_that_is_cut_off_while_it_waits_asks_again,
}

scenarios! { mysql_mariadb:
    i8_a_frozen_process_can_write_nothing_when_it_wakes,
    connections_that_are_cut_are_made_again,
}

pub async fn signal(child: &Child, name: &str) {
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args([name, &id]).status().await.unwrap().success());
}

pub async fn end(mut child: Child) {
    child.start_kill().unwrap();
    child.wait().await.unwrap();
}

/// Started, and past its take-over.
pub async fn started(program: &Program, args: &[&str]) -> Child {
    let before = program.log().matches("both runs").count();
    let child = program.start(args, None);
    until("it runs", || async { program.log().matches("both runs").count() > before }).await;
    child
}

async fn mails(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select mail from contact order by mail").await
}

pub async fn arrives(scene: &Scene, mail: &str) {
    until(mail, || async { mails(scene).await.contains(&mail.to_owned()) }).await;
}

pub async fn a_second_process_waits_its_turn(scene: &Scene) {
    scene.customers("").await;
    let first = started(&scene.program, &["run"]).await;
    let second = scene.program.start(&["run"], None);
    until("the second waits", || async { scene.program.log().contains("waiting for") }).await;
    scene.customer("a@x", "Ada").await;
    arrives(scene, "a@x").await;
    assert_eq!(scene.program.log().matches("both runs").count(), 1);
    // The first lets go, and the second goes on.
    signal(&first, "-TERM").await;
    until("the second runs", || async { scene.program.log().matches("both runs").count() == 2 }).await;
    scene.customer("b@x", "Ben").await;
    arrives(scene, "b@x").await;
    end(second).await;
}

pub async fn once_refuses_while_another_runs(scene: &Scene) {
    scene.customers("").await;
    let first = started(&scene.program, &["run"]).await;
    let refused = scene.refused(&["run", "--once"], 4).await;
    assert!(refused.err.contains("--take-over"), "{}", refused.err);
    end(first).await;
}

/// A disk is full, or whoever read has gone.
pub async fn i7_what_nobody_can_read_ends_nothing(scene: &Scene) {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    scene.customers("").await;
    let child = scene.program.start_into(&["run"], Stdio::null(), full());
    scene.customer("a@x", "Ada").await;
    arrives(scene, "a@x").await;
    scene.customer("b@x", "Ben").await;
    arrives(scene, "b@x").await;
    end(child).await;
    let told = scene.program.start_into(&["status"], full(), Stdio::piped()).wait_with_output().await.unwrap();
    let words = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.status.code() == Some(1) && words.contains("the answer can't be written"), "{told:?}");
    let mut unread = scene.program.start_into(&["status"], Stdio::piped(), Stdio::piped());
    drop(unread.stdout.take());
    let unread = unread.wait_with_output().await.unwrap();
    assert!(!String::from_utf8_lossy(&unread.stderr).contains("panic"), "{unread:?}");
}

/// A process that was killed while the machine's clock was a year ahead; and one that lives on a machine whose clock is.
pub async fn i9_a_promise_that_nobody_renews_is_over(scene: &Scene) {
    scene.customers("").await;
    scene.sync().await;
    scene.customer("a@x", "Ada").await;
    scene.target.user("update twinrow_lease set holder = 'elsewhere', until = strftime('%s', 'now') + 31536000").await;
    let mut refused = scene.program.start(&["run", "--once"], None);
    until("it looks whether anybody is there", || async { scene.program.log().contains("waiting for elsewhere") }).await;
    scene.target.user("update twinrow_lease set until = until + 1").await;
    let status = tokio::time::timeout(PATIENCE, refused.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(4), "{}", scene.program.log());
    assert!(scene.program.log().contains("is being run by elsewhere"), "{}", scene.program.log());
    assert_eq!(mails(scene).await, Vec::<String>::new());
    scene.sync().await;
    assert_eq!(mails(scene).await, ["a@x"]);
}

/// Between two steps, whatever the engine: also where its log was shortened and its rows were renamed meanwhile.
pub async fn i8_a_frozen_process_can_write_nothing_when_it_wakes(scene: &Scene) {
    scene.customers("    safety: mirror").await;
    let mut frozen = started(&scene.program, &["run"]).await;
    scene.customer("a@x", "Ada").await;
    arrives(scene, "a@x").await;
    freeze_between_steps(scene, &frozen).await;
    let second = started(&scene.program, &["run", "--take-over"]).await;
    for n in 0..20 {
        scene.customer(&format!("n{n}@x"), "N").await;
    }
    arrives(scene, "n19@x").await;
    signal(&frozen, "-CONT").await;
    scene.source.user("update customer set name = 'later'").await;
    until("everything is there", || async {
        rows(&scene.target, "select count(*), count(distinct mail), min(full_name) from contact").await == ["21|21|later"]
    })
    .await;
    let status = tokio::time::timeout(PATIENCE, frozen.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(4), "{}", scene.program.log());
    end(second).await;
}

/// Stops it where it stands, but outside of a write transaction: it would keep others out for as long as the
/// server lets it, and nothing ends it where there is no server.
async fn freeze_between_steps(scene: &Scene, child: &Child) {
    until("it stands still outside of a write", || async {
        signal(child, "-STOP").await;
        if writing(&scene.source).await || writing(&scene.target).await {
            signal(child, "-CONT").await;
            return false;
        }
        true
    })
    .await;
}

/// Whether somebody holds the fence row.
async fn writing(lab: &Arc<dyn Lab>) -> bool {
    if let Some(path) = lab.url().strip_prefix("sqlite:") {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.busy_timeout(Duration::ZERO).unwrap();
        return connection.execute_batch("begin immediate; rollback").is_err();
    }
    let fence = if is_postgres(lab) { "twinrow.fence" } else { "twinrow_fence" };
    let mut user = lab.open().await;
    let locked = user.try_rows(&format!("select * from {fence} for update nowait")).await.is_err();
    user.rollback().await;
    locked
}

fn is_postgres(lab: &Arc<dyn Lab>) -> bool {
    lab.dialect().statements.ends_with("postgres")
}

/// Frozen while it holds the fence, which nobody else can take from it: the server ends its session.
pub async fn i8_a_process_frozen_in_a_write_is_ended_by_the_server(scene: &Scene) {
    scene.customers("").await;
    let mut frozen = started(&scene.program, &["run"]).await;
    let mut user = scene.target.open().await;
    user.run("lock table contact in access exclusive mode").await;
    scene.customer("a@x", "Ada").await;
    waits_for_a_lock(scene).await;
    signal(&frozen, "-STOP").await;
    user.commit().await;
    let second = started(&scene.program, &["run", "--take-over"]).await;
    arrives(scene, "a@x").await;
    signal(&frozen, "-CONT").await;
    let status = tokio::time::timeout(PATIENCE, frozen.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(4), "{}", scene.program.log());
    scene.customer("b@x", "Ben").await;
    arrives(scene, "b@x").await;
    end(second).await;
    assert_eq!(mails(scene).await, ["a@x", "b@x"]);
}

async fn waits_for_a_lock(scene: &Scene) {
    until("it waits for the lock", || async {
        let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        rows(&scene.target, waiting).await != ["0"]
    })
    .await;
}

/// Every connection of the program's, cut by the server.
async fn cut(lab: &Arc<dyn Lab>) {
    if is_postgres(lab) {
        lab.user_rows(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
             and application_name like 'twinrow%'",
        )
        .await;
        return;
    }
    // The application's own connection is the one that asks; it has no other one meanwhile.
    let theirs = "select id from information_schema.processlist where db = database() and id <> connection_id()";
    for row in lab.user_rows(theirs).await {
        // It may be gone by itself.
        let _ = lab.try_user(&format!("kill {}", row[0].as_deref().unwrap())).await;
    }
}

pub async fn connections_that_are_cut_are_made_again(scene: &Scene) {
    scene.customers("    safety: mirror").await;
    let child = started(&scene.program, &["run"]).await;
    for n in 0..30 {
        scene.customer(&format!("s{n}@x"), "S").await;
        scene.contact(&format!("t{n}@x"), "T").await;
        scene.source.user(&format!("update customer set name = 'v{n}' where email = 's0@x'")).await;
        if n % 3 == 0 {
            cut(&scene.source).await;
            cut(&scene.target).await;
        }
    }
    until("both sides agree", || async {
        let mut source = rows(&scene.source, "select email, name from customer").await;
        let mut target = rows(&scene.target, "select mail, full_name from contact").await;
        // Each engine has an order of its own.
        source.sort();
        target.sort();
        source.len() == 60 && source == target
    })
    .await;
    end(child).await;
    assert_eq!(rows(&scene.target, "select full_name from contact where mail = 's0@x'").await, ["v29"]);
}

/// Its session is gone while it waits for the fence, and then so is what it waited for.
pub async fn rule4_a_take_over_that_is_cut_off_while_it_waits_asks_again(scene: &Scene) {
    scene.customers("").await;
    scene.sync().await;
    // The fence can be looked for, and not taken.
    let mut writer = scene.target.open().await;
    writer.run("do (select count(*) from twinrow_fence lock in share mode)").await;
    let child = scene.program.start(&["run"], None);
    let asks = "select id from information_schema.processlist where db = database() and info like '%set p.epoch = a.epoch%' \
                and id <> connection_id()";
    until("its session is ended while it asks", || async {
        let ids = rows(&scene.target, asks).await;
        for id in &ids {
            let _ = scene.target.try_user(&format!("kill {id}")).await;
        }
        !ids.is_empty()
    })
    .await;
    writer.commit().await;
    scene.customer("a@x", "Ada").await;
    arrives(scene, "a@x").await;
    end(child).await;
}

pub async fn rule19_locked_rows_hold_up_nothing_else(scene: &Scene) {
    scene.customers("").await;
    for n in 0..5 {
        scene.customer(&format!("{n}@x"), "N").await;
    }
    scene.sync().await;
    let child = started(&scene.program, &["run", "--take-over"]).await;
    let mut user = scene.target.open().await;
    user.run("update contact set telephone = '7' where mail = '2@x'").await;
    scene.source.user("update customer set name = 'new'").await;
    until("the others are written", || async {
        rows(&scene.target, "select count(*) from contact where full_name = 'new'").await == ["4"]
    })
    .await;
    // The application goes on with its transaction, untouched by ours.
    user.run("update contact set telephone = '8' where mail = '2@x'").await;
    user.commit().await;
    until("the last one too", || async {
        rows(&scene.target, "select count(*) from contact where full_name = 'new'").await == ["5"]
    })
    .await;
    end(child).await;
}

pub async fn a_locked_table_is_waited_for(scene: &Scene) {
    scene.customers("").await;
    scene.sync().await;
    let child = started(&scene.program, &["run", "--take-over"]).await;
    let mut user = scene.target.open().await;
    user.run("lock table contact in access exclusive mode").await;
    scene.customer("a@x", "Ada").await;
    waits_for_a_lock(scene).await;
    user.commit().await;
    arrives(scene, "a@x").await;
    end(child).await;
}

/// Each of [`RARE`] is met so often, by [`killed_at_rare_steps`].
pub const RARE_KILLS: usize = 5;

/// Steps that only special days pass.
pub const RARE: [&str; 9] = [
    "brake.recorded",
    "brake.approved",
    "brake.released",
    "scan.marked",
    "identify.revived",
    "renew.asked",
    "renew.recorded",
    "doubt.recorded",
    "rings.linked",
];

/// What such a step was about still comes true.
pub async fn killed_at_rare_steps(scene: &Scene) {
    scene.customers("    safety: mirror\n    brake: {deletes: {count: 1, percent: 1}}").await;
    for n in 0..10 {
        scene.customer(&format!("{n}@x"), "N").await;
    }
    scene.sync().await;
    for round in 0..RARE_KILLS {
        braked(scene, round).await;
    }
    assert_eq!(mails(scene).await.len(), 10);
    scene.link(&[("customers", &format!("{CUSTOMERS}    brake: {{changes: {{count: 1, percent: 1}}}}"))]);
    for round in 0..RARE_KILLS {
        // Changes that trip the brake, and are approved.
        let changed = format!("select count(*) from contact where full_name = 'round {round}'");
        scene.source.user(&format!("update customer set name = 'round {round}'")).await;
        scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
        assert_eq!(rows(&scene.target, &changed).await, ["0"], "round {round}");
        scene.program.run(&["approve", "customers"]).await.code(0);
        killed(scene, &["run", "--once", "--take-over"], "brake.released:1").await;
        scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
        assert_eq!(rows(&scene.target, &changed).await, ["10"], "round {round}");
    }
    let off = "    safety: mirror\n    brake: {deletes: off}";
    scene.link(&[("customers", &format!("{CUSTOMERS}{off}"))]);
    for round in 0..RARE_KILLS {
        // A delete no trigger saw, found by a compare.
        let gone = format!("{round}@x");
        scene.unseen(&[&format!("delete from customer where email = '{gone}'")]).await;
        killed(scene, &["resync", "full"], "scan.marked:1").await;
        scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
        assert!(!mails(scene).await.contains(&gone), "round {round}");
    }
    scene.link(&[("customers", &format!("{CUSTOMERS}    deletes: keep"))]);
    for round in 0..RARE_KILLS {
        back(scene, &format!("{}@x", 5 + round)).await;
    }
    for round in 0..RARE_KILLS {
        renewed(scene, round).await;
    }
    scene.link(&[("customers", &format!("{CUSTOMERS}{off}"))]);
    scene.target.user("drop table deal").await;
    for round in 0..RARE_KILLS {
        doubted(scene, round).await;
    }
    linked(scene).await;
    println!("{}: {RARE_KILLS} kills each", RARE.join(", "));
    scene.quiet().await;
}

/// A log is made anew, and then a user changes something.
async fn renewed(scene: &Scene, round: usize) {
    scene.program.run(&["uninstall"]).await.code(0);
    for step in ["renew.asked:1", "renew.recorded:1"] {
        killed(scene, &["run", "--once", "--take-over"], step).await;
    }
    scene.source.user(&format!("update customer set name = 'renewed {round}'")).await;
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    let renewed = format!("select count(*) from contact where full_name = 'renewed {round}'");
    // The others went with the compares.
    assert_eq!(rows(&scene.target, &renewed).await, ["5"], "round {round}");
}

/// Another table stands under the name of the target's for a while.
async fn doubted(scene: &Scene, round: usize) {
    let (key, text) = (scene.target.dialect().generated_key, scene.target.dialect().text);
    scene.target.user("alter table contact rename to contact_kept").await;
    let columns = format!("contact_no {key}, mail {text} not null unique, full_name {text}, telephone {text}");
    scene.target.user(&format!("create table contact ({columns})")).await;
    killed(scene, &["run", "--once", "--take-over"], "doubt.recorded:1").await;
    let new = format!("doubt {round}@x");
    scene.customer(&new, "D").await;
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    assert_eq!(rows(&scene.target, "select count(*) from contact").await, ["0"], "round {round}");
    scene.target.user("drop table contact").await;
    scene.target.user("alter table contact_kept rename to contact").await;
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    let there = rows(&scene.target, "select mail from contact").await;
    assert!(there.contains(&new) && there.len() == 6 + round, "round {round}: {there:?}");
}

/// Records of both sides that are twins, and refer to themselves: they are linked before anything of them is decided.
async fn linked(scene: &Scene) {
    for (lab, table, name, boss) in [(&scene.source, "emp", "name", "boss"), (&scene.target, "staff", "title", "chief")] {
        let (key, text) = (lab.dialect().generated_key, lab.dialect().text);
        lab.user(&format!(
            "create table {table} (id {key}, {name} {text} not null unique, {boss} bigint references {table} (id))"
        ))
        .await;
    }
    let employees =
        "    source: emp\n    target: staff\n    match: [name]\n    fields: {name: title, boss: {to: chief, via: employees}}\n";
    scene.link(&[("employees", employees)]);
    scene.sync().await;
    for round in 1..=RARE_KILLS {
        let (here, there) = (10 * round, 700 + 10 * round);
        scene.source.user(&format!("insert into emp (id, name, boss) values ({here}, 'boss {round}', {here})")).await;
        scene.target.user(&format!("insert into staff (id, title, chief) values ({there}, 'boss {round}', {there})")).await;
        killed(scene, &["run", "--once", "--take-over"], "rings.linked:1").await;
        scene.source.user(&format!("insert into emp (name, boss) values ('of {round}', {here})")).await;
        scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
        let led = "select b.title from staff a join staff b on b.id = a.chief where a.title";
        assert_eq!(rows(&scene.target, &format!("{led} = 'of {round}'")).await, [format!("boss {round}")]);
        assert_eq!(rows(&scene.target, &format!("{led} = 'boss {round}'")).await, [format!("boss {round}")]);
    }
    for (lab, table) in [(&scene.source, "emp"), (&scene.target, "staff")] {
        assert_eq!(rows(lab, &format!("select count(*) from {table}")).await, [(2 * RARE_KILLS).to_string()]);
    }
}

/// Deletes that trip the brake.
async fn braked(scene: &Scene, round: usize) {
    let gone = [format!("{}@x", round * 2), format!("{}@x", round * 2 + 1)];
    scene.source.user(&format!("delete from customer where email in ('{}', '{}')", gone[0], gone[1])).await;
    killed(scene, &["run", "--once", "--take-over"], "brake.recorded:1").await;
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    assert_eq!(mails(scene).await.iter().filter(|mail| gone.contains(mail)).count(), 2, "round {round}");
    scene.program.run(&["approve", "customers"]).await.code(0);
    killed(scene, &["run", "--once", "--take-over"], "brake.approved:1").await;
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    assert_eq!(mails(scene).await.iter().filter(|mail| gone.contains(mail)).count(), 0, "round {round}");
    for mail in &gone {
        scene.customer(mail, "back").await;
    }
    scene.sync().await;
}

/// A record is deleted, kept on the other side, and comes back as it was: it is the same record.
async fn back(scene: &Scene, mail: &str) {
    let twin = rows(&scene.target, &format!("select contact_no from contact where mail = '{mail}'")).await;
    let row = rows(&scene.source, &format!("select id, name from customer where email = '{mail}'")).await;
    let (id, name) = row[0].split_once('|').unwrap();
    scene.source.user(&format!("delete from customer where email = '{mail}'")).await;
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    scene.source.user(&format!("insert into customer (id, email, name) values ({id}, '{mail}', '{name}')")).await;
    killed(scene, &["run", "--once", "--take-over"], "identify.revived:1").await;
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    scene.source.user(&format!("update customer set name = 'again' where email = '{mail}'")).await;
    scene.sync().await;
    let now = rows(&scene.target, &format!("select contact_no, full_name from contact where mail = '{mail}'")).await;
    assert_eq!(now, [format!("{}|again", twin[0])]);
}

/// Killed at a step.
pub async fn killed(scene: &Scene, args: &[&str], at: &str) {
    let mut child = scene.program.start(args, Some(at));
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert_eq!(status.signal(), Some(6), "{at} is never met\n{}", scene.program.log());
}
