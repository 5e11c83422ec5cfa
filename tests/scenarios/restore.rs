//! Rule 17: a database that was restored from a backup, or that is a clone, is noticed before anything is
//! written; and the way on that the documentation shows really leads on.

use crate::backup::Backup;
use crate::faults::killed;
use crate::program::{PATIENCE, until};
use crate::scene::{CUSTOMERS, Scene, rows, scenarios};
use crate::support::sqlite;

scenarios! { sqlite_sqlite:
    rule17_a_restored_source_is_noticed,
    rule17_a_restored_target_is_noticed,
    rule17_a_restored_state_is_noticed,
    rule17_a_source_restored_to_the_last_moment_is_noticed,
    rule17_a_state_restored_to_the_last_moment_is_noticed,
    rule17_a_clone_used_beside_its_original_is_noticed,
    rule17_a_restore_under_a_running_process_is_noticed,
    rule17_all_restored_to_one_moment_run_on,
    rule17_a_state_that_is_looked_for_elsewhere_is_said,
    rule17_a_state_that_is_gone_is_said,
}

scenarios! { sqlite_rollback:
    f2_a_file_that_its_copy_was_moved_over_is_opened_anew,
}

scenarios! { postgres_postgres:
    rule17_a_restored_source_is_noticed,
    rule17_a_restored_target_is_noticed,
    rule17_a_restored_state_is_noticed,
    rule17_a_source_restored_to_the_last_moment_is_noticed,
    rule17_a_state_restored_to_the_last_moment_is_noticed,
    rule17_a_clone_used_beside_its_original_is_noticed,
    rule17_a_restore_under_a_running_process_is_noticed,
    rule17_all_restored_to_one_moment_run_on,
}

scenarios! { postgres_mysql:
    rule17_a_state_that_is_looked_for_elsewhere_is_said,
    rule17_a_state_that_is_gone_is_said,
    rule17_a_restored_target_is_noticed,
    rule17_a_source_restored_to_the_last_moment_is_noticed,
}

scenarios! { mysql_mariadb:
    rule17_a_restored_source_is_noticed,
    rule17_a_restored_target_is_noticed,
    rule17_a_source_restored_to_the_last_moment_is_noticed,
    rule17_a_state_restored_to_the_last_moment_is_noticed,
    rule17_all_restored_to_one_moment_run_on,
}

const RESTORED: &str = "was restored from a backup";
const TAKE_OVER: &[&str] = &["run", "--once", "--take-over"];

async fn customers(scene: &Scene) -> Vec<String> {
    rows(&scene.source, "select email, name from customer order by email").await
}

async fn contacts(scene: &Scene) -> Vec<String> {
    rows(&scene.target, "select mail, full_name from contact order by mail").await
}

/// Two people both sides know.
async fn two(scene: &Scene) {
    scene.customers("    safety: mirror").await;
    scene.customer("a@x", "Ada").await;
    scene.contact("b@x", "Ben").await;
    scene.sync().await;
    scene.quiet().await;
}

/// Each command says so, before and after a run was refused, and nothing is written.
async fn all_say(scene: &Scene, why: &str, next: &str) {
    let before = (customers(scene).await, contacts(scene).await);
    for command in ["status", "check", "held", "run --once", "status", "check", "plan"] {
        let args: Vec<&str> = command.split(' ').collect();
        let done = scene.refused(&args, 1).await;
        assert!(done.err.contains(why) && done.err.contains(next), "{command}: {}{}", done.out, done.err);
    }
    assert_eq!((customers(scene).await, contacts(scene).await), before);
}

pub async fn rule17_a_state_that_is_looked_for_elsewhere_is_said(scene: &Scene) {
    two(scene).await;
    let customers = format!("{}    safety: mirror", CUSTOMERS);
    scene.configure("first_sync: auto\nstate: shop", &[("customers", &customers)]);
    all_say(scene, "the state of both is in endpoint crm", "put `state: crm` into the configuration").await;
    scene.configure("first_sync: auto", &[("customers", &customers)]);
    scene.quiet().await;
    later(scene).await;
}

/// Restored without Twinrow's tables, as from a dump of the application's.
pub async fn rule17_a_state_that_is_gone_is_said(scene: &Scene) {
    two(scene).await;
    let other = sqlite::lab().await.unwrap();
    other
        .user("create table contact (contact_no integer primary key, mail text not null unique, full_name text, telephone text)")
        .await;
    for row in scene.target.user_rows("select contact_no, mail, full_name from contact").await {
        let [no, mail, name] = [0, 1, 2].map(|at| row[at].clone().unwrap());
        other.user(&format!("insert into contact (contact_no, mail, full_name) values ({no}, '{mail}', '{name}')")).await;
    }
    scene.program.configure(&format!(
        "integration: both\nendpoints:\n  shop: {{url: \"{}\"}}\n  crm: {{url: \"{}\"}}\nsource: shop\ntarget: crm\n\
         first_sync: auto\nlinks:\n  customers:\n{}    safety: mirror\n",
        scene.source.url(),
        other.url(),
        CUSTOMERS.trim_start_matches('\n')
    ));
    all_say(scene, "endpoint crm: the state of both is gone from it, which endpoint shop remembers", "restored and cloned").await;
    scene.link(&[("customers", &format!("{}    safety: mirror", CUSTOMERS))]);
    later(scene).await;
    other.close().await;
}

/// What both sides did after the backup, and is carried over.
async fn later(scene: &Scene) {
    scene.customer("c@x", "Cai").await;
    scene.source.user("update customer set name = 'Ada L' where email = 'a@x'").await;
    scene.contact("d@x", "Dee").await;
    scene.target.user("update contact set full_name = 'Ben N' where mail = 'b@x'").await;
    scene.sync().await;
    assert_eq!(customers(scene).await, ["a@x|Ada L", "b@x|Ben N", "c@x|Cai", "d@x|Dee"]);
    assert_eq!(contacts(scene).await, customers(scene).await);
}

/// Every command that would write refuses, as often as it is tried: nothing is written, and the numbers do
/// not catch up.
async fn refuses(scene: &Scene, endpoint: &str, why: &str) {
    let before = (customers(scene).await, contacts(scene).await);
    for args in [TAKE_OVER, &["run", "--take-over"], TAKE_OVER, TAKE_OVER] {
        let done = scene.refused(args, 1).await;
        let said = done.err.contains(&format!("endpoint {endpoint}: ")) && done.err.contains(why);
        assert!(said && done.err.contains("docs/guarantees.md"), "{args:?}: {}", done.err);
    }
    assert_eq!((customers(scene).await, contacts(scene).await), before);
}

/// The way on in docs/guarantees.md: Twinrow is removed and both sides are synced afresh.
async fn afresh(scene: &Scene, people: &[&str]) {
    scene.program.run(&["uninstall", "--all", "--yes"]).await.code(0);
    scene.program.run(&["run", "--once", "--approve"]).await.code(0);
    let mails = |rows: Vec<String>| rows.iter().map(|row| row.split('|').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(mails(customers(scene).await), people);
    assert_eq!(customers(scene).await, contacts(scene).await);
    scene.quiet().await;
    // It lives.
    scene.source.user("update customer set name = 'on' where email = 'a@x'").await;
    scene.target.user("delete from contact where mail = 'b@x'").await;
    scene.sync().await;
    assert_eq!(customers(scene).await.len(), people.len() - 1);
    assert_eq!(customers(scene).await, contacts(scene).await);
    scene.quiet().await;
}

pub async fn rule17_a_restored_source_is_noticed(scene: &Scene) {
    two(scene).await;
    let backup = Backup::of(&scene.source).await;
    later(scene).await;
    backup.restore().await;
    assert_eq!(customers(scene).await, ["a@x|Ada", "b@x|Ben"]);
    scene.customer("e@x", "Eva").await;
    refuses(scene, "shop", RESTORED).await;
    afresh(scene, &["a@x", "b@x", "c@x", "d@x", "e@x"]).await;
    backup.close().await;
}

/// The target holds the state: both go back together.
pub async fn rule17_a_restored_target_is_noticed(scene: &Scene) {
    two(scene).await;
    let backup = Backup::of(&scene.target).await;
    later(scene).await;
    backup.restore().await;
    assert_eq!(contacts(scene).await, ["a@x|Ada", "b@x|Ben"]);
    scene.contact("e@x", "Eva").await;
    refuses(scene, "shop", RESTORED).await;
    afresh(scene, &["a@x", "b@x", "c@x", "d@x", "e@x"]).await;
    backup.close().await;
}

/// The state stands in a database of its own, and only that is restored.
pub async fn rule17_a_restored_state_is_noticed(scene: &Scene) {
    let map = sqlite::lab().await.unwrap();
    scene.customers("    safety: mirror").await;
    let config = std::fs::read_to_string(scene.program.path("twinrow.yaml")).unwrap();
    let third = format!("  map: {{url: \"{}\"}}\nsource: shop\ntarget: crm\nstate: map\n", map.url());
    scene.program.configure(&config.replace("source: shop\ntarget: crm\n", &third));
    scene.customer("a@x", "Ada").await;
    scene.contact("b@x", "Ben").await;
    scene.sync().await;
    let backup = Backup::of(&map).await;
    later(scene).await;
    backup.restore().await;
    refuses(scene, "shop", RESTORED).await;
    afresh(scene, &["a@x", "b@x", "c@x", "d@x"]).await;
    backup.close().await;
    map.close().await;
}

/// As when a standby takes over that is one transaction behind: the cursor has just moved past it.
pub async fn rule17_a_source_restored_to_the_last_moment_is_noticed(scene: &Scene) {
    two(scene).await;
    for (mail, at) in [("c@x", "close.recorded:1"), ("d@x", "acknowledge.done:2")] {
        scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
        let backup = Backup::of(&scene.source).await;
        scene.customer(mail, "new").await;
        killed(scene, TAKE_OVER, at).await;
        assert_eq!(contacts(scene).await.last(), Some(&format!("{mail}|new")));
        backup.restore().await;
        refuses(scene, "shop", RESTORED).await;
        scene.customer(mail, "new").await;
        scene.program.run(&["uninstall", "--all", "--yes", "--take-over"]).await.code(0);
        scene.sync().await;
        assert_eq!(customers(scene).await, contacts(scene).await);
        backup.close().await;
    }
    scene.quiet().await;
}

/// The logs have been shortened by what this state had read.
pub async fn rule17_a_state_restored_to_the_last_moment_is_noticed(scene: &Scene) {
    two(scene).await;
    let backup = Backup::of(&scene.target).await;
    scene.customer("c@x", "Cai").await;
    killed(scene, TAKE_OVER, "acknowledge.done:1").await;
    backup.restore().await;
    refuses(scene, "shop", RESTORED).await;
    afresh(scene, &["a@x", "b@x", "c@x"]).await;
    backup.close().await;
}

pub async fn rule17_a_clone_used_beside_its_original_is_noticed(scene: &Scene) {
    two(scene).await;
    let clone = Backup::of(&scene.source).await;
    later(scene).await;
    let original = std::fs::read_to_string(scene.program.path("twinrow.yaml")).unwrap();
    scene.program.configure(&original.replace(&scene.source.url(), &clone.url()));
    refuses(scene, "shop", RESTORED).await;
    // The original goes on as if nothing had been tried.
    scene.program.configure(&original);
    scene.customer("e@x", "Eva").await;
    scene.sync().await;
    assert_eq!(contacts(scene).await.len(), 5);
    // A clone of this very moment can't be told from its original; that they were used apart can.
    let twin = Backup::of(&scene.source).await;
    scene.program.configure(&original.replace(&scene.source.url(), &twin.url()));
    scene.contact("f@x", "Fay").await;
    scene.sync().await;
    scene.program.configure(&original);
    refuses(scene, "shop", RESTORED).await;
    clone.close().await;
    twin.close().await;
}

/// The process runs on while its database is put back under it.
pub async fn rule17_a_restore_under_a_running_process_is_noticed(scene: &Scene) {
    two(scene).await;
    let backup = Backup::of(&scene.source).await;
    later(scene).await;
    let mut child = scene.program.start(&["run", "--take-over"], None);
    until("it runs", || async { scene.program.log().contains("both runs") }).await;
    backup.restore().await;
    scene.customer("e@x", "Eva").await;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(1), "{}", scene.program.log());
    assert_eq!(contacts(scene).await, ["a@x|Ada L", "b@x|Ben N", "c@x|Cai", "d@x|Dee"]);
    refuses(scene, "shop", RESTORED).await;
    backup.close().await;
}

pub async fn rule17_all_restored_to_one_moment_run_on(scene: &Scene) {
    two(scene).await;
    let backups = [Backup::of(&scene.source).await, Backup::of(&scene.target).await];
    later(scene).await;
    for backup in &backups {
        backup.restore().await;
    }
    scene.customer("c@x", "Cai").await;
    scene.target.user("delete from contact where mail = 'a@x'").await;
    scene.sync().await;
    assert_eq!(customers(scene).await, ["b@x|Ben", "c@x|Cai"]);
    assert_eq!(contacts(scene).await, customers(scene).await);
    scene.quiet().await;
    for backup in backups {
        backup.close().await;
    }
}

/// As a compaction does it: what is open leads to a file that nobody sees any more.
pub async fn f2_a_file_that_its_copy_was_moved_over_is_opened_anew(scene: &Scene) {
    scene.customers("").await;
    scene.customer("a@x", "Ada").await;
    let mut child = scene.program.start(&["run"], None);
    until("it runs", || async { contacts(scene).await == ["a@x|Ada"] }).await;
    let file = std::path::PathBuf::from(scene.source.url().trim_start_matches("sqlite:"));
    let insert = tokio::task::spawn_blocking(move || {
        let copy = file.with_extension("copy");
        let open = rusqlite::Connection::open(&file).unwrap();
        open.busy_timeout(PATIENCE).unwrap();
        // Nobody writes meanwhile.
        open.execute_batch("begin immediate").unwrap();
        std::fs::copy(&file, &copy).unwrap();
        std::fs::rename(&copy, &file).unwrap();
        let moved = rusqlite::Connection::open(&file).unwrap();
        moved.busy_timeout(PATIENCE).unwrap();
        moved.execute("insert into customer (email, name) values ('b@x', 'Ben')", []).unwrap();
    });
    insert.await.unwrap();
    until("it travels", || async { contacts(scene).await == ["a@x|Ada", "b@x|Ben"] }).await;
    assert!(child.try_wait().unwrap().is_none(), "it goes on: {}", scene.program.log());
    child.start_kill().unwrap();
    child.wait().await.unwrap();
}
