//! A server on which no trigger would run for what arrives there (A19).

use std::sync::Arc;

use crate::program::Program;
use crate::scene::{Scene, rows};
use crate::servers::Servers;
use crate::support::{Lab, skip, sqlite};

macro_rules! read_only {
    ($($name:ident: $server:literal;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                match Servers::start(&[$server]).await {
                    Ok(servers) => refused(servers.lab($server).await).await,
                    Err(reason) => skip(concat!("replica::", stringify!($name)), &reason),
                }
            }
        )*
    };
}

read_only! {
    a19_a_read_only_server_is_refused_mysql: "mysql";
    a19_a_read_only_server_is_refused_mariadb: "mariadb";
}

/// Nothing is installed on it, and once it may be written everything goes on.
async fn refused(lab: Arc<dyn Lab>) {
    let scene = Scene { source: lab, target: sqlite::lab().await.unwrap(), program: Program::new("") };
    scene.customers("").await;
    scene.customer("a@x", "Ada").await;
    scene.source.user("set global read_only = on").await;
    let objects = scene.source.catalog().await;
    for command in [&["install"][..], &["run", "--once"]] {
        let refused = scene.refused(command, 2).await.err;
        assert!(refused.contains("replica or read-only") && refused.contains("where the application writes"), "{refused}");
    }
    assert_eq!(scene.source.catalog().await, objects, "nothing is half installed");
    scene.source.user("set global read_only = off").await;
    scene.sync().await;
    assert_eq!(rows(&scene.target, "select mail from contact").await, ["a@x"]);
    scene.target.close().await;
}
