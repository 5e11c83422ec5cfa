//! An app in trouble: it asks to be left alone, and is; nothing is lost or doubled meanwhile. And TLS.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use twinrow::endpoint::{Tls, TlsMode, open_app};
use twinrow::error::Kind;

use super::scene::{Scene, server_with};
use crate::support::kinto::{Kinto, Server, shared};
use crate::support::{skip, tls};

/// No request comes before its time; returns how often we were asked to wait.
fn assert_patient(server: &Server) -> usize {
    let watched = server.watched();
    for (n, [_, answered, status, wait]) in watched.iter().enumerate().filter(|(_, [.., wait])| *wait > 0.0) {
        for [came, ..] in watched.iter().skip(n + 1) {
            let waited = came - answered;
            assert!(waited >= *wait, "asked to wait {wait} s after HTTP {status}, came again after {waited} s");
        }
    }
    watched.iter().filter(|[.., wait]| *wait > 0.0).count()
}

/// Three records on each side.
async fn three(scene: &Scene) {
    scene.database.user("insert into contact (name, email) values ('A1', 'a1@x'), ('A2', 'a2@x'), ('A3', 'a3@x')").await;
    for n in 1..=3 {
        scene.kinto.create(&format!("b{n}"), json!({"name": format!("B{n}"), "email": format!("b{n}@x")})).await;
    }
}

const ALL: [&str; 6] = ["A1 a1@x -", "A2 a2@x -", "A3 a3@x -", "B1 b1@x -", "B2 b2@x -", "B3 b3@x -"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e8_an_app_that_can_not_answer_is_asked_again_when_it_says() {
    let Some((scene, server)) = server_with("e8_an_app_that_can_not_answer", &["KINTO_RETRY_AFTER_SECONDS=1"]).await else {
        return;
    };
    three(&scene).await;
    server.trouble("watch", "");
    // Reading, and what is read for another reason.
    server.trouble("down", "resource_timestamp 3 2");
    scene.run().await;
    scene.assert_both(&ALL).await;
    assert_eq!(assert_patient(&server), 2);
    scene.assert_quiet().await;
    scene.database.close().await;
}

/// The first time nothing of the batch was done, the second time a part of it: a look tells, in the same run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c2_a_write_the_app_fails_at_is_made_once() {
    for skip in [0, 1, 2] {
        let Some((scene, server)) = server_with("c2_a_write_the_app_fails_at", &["KINTO_RETRY_AFTER_SECONDS=1"]).await else {
            return;
        };
        three(&scene).await;
        server.trouble("watch", "");
        server.trouble("down", &format!("create {skip} 1"));
        scene.run().await;
        scene.assert_both(&ALL).await;
        assert_eq!((assert_patient(&server), scene.in_doubt().await.as_str()), (1, "0"), "after {skip}");
        scene.assert_quiet().await;
        scene.database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e8_a_limit_of_requests_is_kept() {
    let Some((scene, server)) = server_with("e8_a_limit_of_requests", &[]).await else { return };
    three(&scene).await;
    server.trouble("watch", "");
    server.trouble("limit", "3 1");
    scene.run().await;
    server.trouble("limit", "1000 1");
    scene.assert_both(&ALL).await;
    assert_eq!(scene.in_doubt().await, "0");
    assert!(assert_patient(&server) > 2);
    scene.assert_quiet().await;
    scene.database.close().await;
}

/// `Backoff` comes with answers that are right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e8_backoff_is_obeyed() {
    let Some((scene, server)) = server_with("e8_backoff", &["KINTO_BACKOFF=1"]).await else { return };
    scene.database.user("insert into contact (name, email) values ('Ann', 'a@x')").await;
    server.trouble("watch", "");
    scene.run().await;
    assert!(assert_patient(&server) > 3);
    scene.assert_both(&["Ann a@x -"]).await;
    scene.database.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e8_an_app_that_asks_for_an_hour_is_left_alone() {
    let Some((scene, server)) = server_with("e8_an_hour", &["KINTO_RETRY_AFTER_SECONDS=3600"]).await else { return };
    three(&scene).await;
    let mut running = scene.start().await.unwrap();
    server.trouble("watch", "");
    server.trouble("down", "resource_timestamp 0 1");
    for _ in 0..3 {
        let error = running.run_once(&mut |_| {}).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unreachable, "{error}");
        assert!(error.to_string().contains("without requests"), "{error}");
    }
    assert_eq!(server.watched().len(), 1, "it is not asked again");
    assert_eq!((scene.rows().await.len(), scene.records().await.len()), (3, 3), "nothing happened");
    scene.run().await;
    scene.assert_both(&ALL).await;
    scene.database.close().await;
}

/// TLS before Kinto, with a certificate on each port.
struct Front {
    process: Child,
    ports: Vec<u16>,
}

impl Front {
    fn of(kinto: &Kinto, directory: &str, certificates: &[&str]) -> Front {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kinto/tls.py");
        let port = kinto.host.rsplit(':').next().unwrap();
        let mut command = Command::new("python3");
        command.args([script, directory, port]).args(certificates).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ports: Vec<u16> = line.split_whitespace().map(|port| port.parse().unwrap()).collect();
        assert_eq!(ports.len(), certificates.len(), "{line}");
        Front { process, ports }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // Its input ends with it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_of_an_app_is_checked() {
    let (kinto, directory) = match (shared().await, std::env::var("TWINROW_TEST_TLS")) {
        (Ok(kinto), Ok(directory)) => (kinto, directory),
        (Err(reason), _) => return skip("tls_of_an_app_is_checked", &reason),
        (_, Err(_)) => return skip("tls_of_an_app_is_checked", "TWINROW_TEST_TLS is not set"),
    };
    let shown = ["server", "wronghost", "expired"];
    let front = Front::of(&kinto, &directory, &shown);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("crm.yaml");
    std::fs::write(&file, kinto.manifest()).unwrap();
    let answer = async |host: &str, port: u16, ca: Option<&str>| {
        let ca = ca.map(|ca| format!("{directory}/{ca}.pem").into());
        let url = kinto.url_by(&format!("{host}:{port}")).replace("kinto+http:", "kinto+https:");
        let endpoint = open_app("crm", &url, &Tls { mode: TlsMode::default(), ca }, &file).unwrap();
        match endpoint.describe(None).await {
            Ok(_) => "connected".to_owned(),
            Err(error) => format!("{error:?}"),
        }
    };
    for (shown, port) in shown.into_iter().zip(&front.ports) {
        for ca in ["ca", "other-ca"] {
            // An app has one mode: everything is checked.
            tls::check(shown, ("verify-full", ca), true, &answer("127.0.0.1", *port, Some(ca)).await);
        }
    }
    assert_eq!(answer("localhost", front.ports[0], Some("ca")).await, "connected", "by its name");
    let unknown = answer("127.0.0.1", front.ports[0], None).await;
    assert!(unknown.starts_with("Unreachable") && unknown.contains("UnknownIssuer"), "the system's authorities: {unknown}");
}
