//! A disk is full (F3): nothing is lost, nothing is doubled, the error says whose disk it is, and once there is
//! room everything is delivered.

use std::path::Path;
use std::sync::Arc;

use tokio::process::Command;

use crate::faults::{end, started};
use crate::program::{Program, until};
use crate::scene::{CUSTOMERS, Scene, rows};
use crate::servers::Servers;
use crate::support::mysql::MysqlLab;
use crate::support::sqlite::SqliteLab;
use crate::support::{Lab, postgres, skip, sqlite};

/// A file system of a few megabytes.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// # Errors
    /// Why it can't be had.
    async fn on(dir: &'a Path, size: &str) -> Result<Small<'a>, String> {
        std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"]).arg(dir);
        match mount.output().await {
            Ok(done) if done.status.success() => Ok(Small(dir)),
            done => Err(format!("a small file system can't be mounted: {done:?}")),
        }
    }

    /// To the last byte.
    fn fill(&self) {
        let mut filler = std::fs::File::options().create(true).append(true).open(self.0.join("filler")).unwrap();
        while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0).output();
    }
}

/// More than fits into what a page or two have left.
const PEOPLE: usize = 300;

fn scene(source: &Arc<dyn Lab>, target: &Arc<dyn Lab>) -> Scene {
    Scene { source: source.clone(), target: target.clone(), program: Program::new("") }
}

/// New people, and changes of the first ones.
async fn news(scene: &Scene) {
    let values = (0..PEOPLE).map(|n| format!("('{n}@x', '{}')", "long ".repeat(38))).collect::<Vec<_>>().join(", ");
    scene.source.user(&format!("insert into customer (email, name) values {values}")).await;
    scene.source.user("update customer set name = 'changed' where email like 'first%'").await;
}

async fn all_there(scene: &Scene) {
    let source = rows(&scene.source, "select email, name from customer order by email").await;
    assert_eq!(source.len(), PEOPLE + 3);
    assert_eq!(rows(&scene.target, "select mail, full_name from contact order by mail").await, source);
}

async fn first(scene: &Scene) {
    scene.customers("").await;
    for n in 0..3 {
        scene.customer(&format!("first{n}@x"), "First").await;
    }
    scene.sync().await;
}

/// `run --once` says whose disk is full and what to do, as often as it is tried.
async fn refuses(scene: &Scene, endpoint: &str) {
    for _ in 0..3 {
        let done = scene.refused(&["run", "--once", "--take-over"], 1).await;
        let said = done.err.contains(&format!("endpoint {endpoint}: ")) && done.err.contains("make room on the disk");
        assert!(said, "{}", done.err);
    }
    let held = scene.program.run(&["held", "list", "--json"]).await.code(0).json();
    assert_eq!(held.as_array().map(Vec::len), Some(0), "no record is at fault: {held}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f3_a_full_disk_under_the_target_and_the_state_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let small = match Small::on(dir.path(), "3m").await {
        Ok(small) => small,
        Err(reason) => return skip("disk::f3_a_full_disk_under_the_target_and_the_state_in_sqlite", &reason),
    };
    let target: Arc<dyn Lab> = Arc::new(SqliteLab::at(&dir.path().join("app.db"), "wal").await.unwrap());
    let scene = scene(&sqlite::lab().await.unwrap(), &target);
    first(&scene).await;
    small.fill();
    news(&scene).await;
    refuses(&scene, "crm").await;
    small.make_room();
    // As before, and without a word of a person's.
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    all_there(&scene).await;
    scene.quiet().await;
    scene.source.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f3_a_full_disk_under_the_source_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let small = match Small::on(dir.path(), "3m").await {
        Ok(small) => small,
        Err(reason) => return skip("disk::f3_a_full_disk_under_the_source_in_sqlite", &reason),
    };
    let source: Arc<dyn Lab> = Arc::new(SqliteLab::at(&dir.path().join("app.db"), "wal").await.unwrap());
    let scene = scene(&source, &sqlite::lab().await.unwrap());
    first(&scene).await;
    news(&scene).await;
    small.fill();
    scene.contact("back@x", "what does not fit ".repeat(500).as_str()).await;
    refuses(&scene, "shop").await;
    // It is the application's disk too: what it could not write it does not have.
    small.make_room();
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    scene.target.user("delete from contact where mail = 'back@x'").await;
    scene.link(&[("customers", &format!("{CUSTOMERS}    safety: mirror"))]);
    scene.sync().await;
    all_there(&scene).await;
    scene.quiet().await;
    scene.target.close().await;
}

/// The process goes on running, and goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f3_a_full_disk_under_the_target_and_the_state_in_postgres() {
    let test = "disk::f3_a_full_disk_under_the_target_and_the_state_in_postgres";
    let servers = match Servers::start(&["postgres15"]).await {
        Ok(servers) => servers,
        Err(reason) => return skip(test, &reason),
    };
    let data = std::fs::canonicalize(servers.dir("postgres15").join("data")).unwrap();
    let dir = data.join("small");
    let small = match Small::on(&dir, "24m").await {
        Ok(small) => small,
        Err(reason) => return skip(test, &reason),
    };
    assert!(Command::new("chown").arg("--reference").args([&data, &dir]).status().await.unwrap().success());
    let admin = postgres::connect(&servers.url("postgres15")).await.unwrap();
    let inside = admin.query_one("select current_setting('data_directory')", &[]).await.unwrap().get::<_, String>(0);
    admin.batch_execute(&format!("create tablespace small location '{inside}/small'")).await.unwrap();
    let target: Arc<dyn Lab> = postgres::on(&servers.url("postgres15"), "tablespace small").await.unwrap();
    let scene = scene(&sqlite::lab().await.unwrap(), &target);
    first(&scene).await;
    small.fill();
    news(&scene).await;
    refuses(&scene, "crm").await;
    let mut child = started(&scene.program, &["run", "--take-over"]).await;
    until("it says so", || async { scene.program.log().contains("No space left on device") }).await;
    assert!(child.try_wait().unwrap().is_none());
    small.make_room();
    until("everything is delivered", || async {
        rows(&scene.target, "select count(*), count(distinct mail) from contact").await == [format!("{0}|{0}", PEOPLE + 3)]
    })
    .await;
    end(child).await;
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    all_there(&scene).await;
    scene.quiet().await;
    scene.source.close().await;
}

/// The database's own directory is full: the server has room for its logs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f3_a_full_disk_under_the_target_and_the_state_in_mariadb() {
    let test = "disk::f3_a_full_disk_under_the_target_and_the_state_in_mariadb";
    let servers = match Servers::start(&["mariadb"]).await {
        Ok(servers) => servers,
        Err(reason) => return skip(test, &reason),
    };
    let lab = MysqlLab::on(servers.url("mariadb")).await.unwrap();
    let data = std::fs::canonicalize(servers.dir("mariadb").join("data")).unwrap();
    let dir = data.join(&lab.name);
    let small = match Small::on(&dir, "16m").await {
        Ok(small) => small,
        Err(reason) => return skip(test, &reason),
    };
    assert!(Command::new("chown").arg("--reference").args([&data, &dir]).status().await.unwrap().success());
    let scene = scene(&sqlite::lab().await.unwrap(), &(Arc::new(lab) as Arc<dyn Lab>));
    first(&scene).await;
    small.fill();
    news(&scene).await;
    refuses(&scene, "crm").await;
    let mut child = started(&scene.program, &["run", "--take-over"]).await;
    until("it says so", || async { scene.program.log().contains("there is no room for it") }).await;
    assert!(child.try_wait().unwrap().is_none());
    small.make_room();
    until("everything is delivered", || async {
        rows(&scene.target, "select count(*), count(distinct mail) from contact").await == [format!("{0}|{0}", PEOPLE + 3)]
    })
    .await;
    end(child).await;
    scene.program.run(&["run", "--once", "--take-over"]).await.code(0);
    all_there(&scene).await;
    scene.quiet().await;
    scene.source.close().await;
}
