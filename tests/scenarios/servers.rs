//! Servers of a test's own, to be stopped, killed and filled up: those of ./test are everybody's.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::mysql::MysqlLab;
use crate::support::{Lab, postgres};

/// What `tests/servers/up.sh` started; ended when dropped, or with the process, however that ends.
pub struct Servers {
    dir: PathBuf,
}

fn script(name: &str) -> Command {
    let mut command = Command::new(format!("{}/tests/servers/{name}", env!("CARGO_MANIFEST_DIR")));
    command.stdin(Stdio::null());
    command
}

impl Servers {
    /// Starts these.
    ///
    /// # Errors
    /// Why one of them can't be had here.
    pub async fn start(names: &[&str]) -> Result<Servers, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("twinrow-servers-{}-{n}", std::process::id()));
        let servers = Servers { dir };
        servers.end_with_us();
        let mut up = script("up.sh");
        up.arg("--new").arg(&servers.dir).args(names);
        let output = tokio::task::spawn_blocking(move || up.output()).await.unwrap();
        let output = output.map_err(|error| error.to_string())?;
        for name in names {
            if !servers.dir.join(name).join("url").exists() {
                let reason = std::fs::read_to_string(servers.dir.join(name).join("reason"));
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                return Err(format!("{name}: {}", reason.unwrap_or(said).trim()));
            }
        }
        Ok(servers)
    }

    /// A test that is killed drops nothing.
    fn end_with_us(&self) {
        // (In the background: what is started here is waited for at once.)
        let wait = "{ tail --pid=\"$1\" -f /dev/null; exec \"$2\" \"$3\"; } &";
        let down = format!("{}/tests/servers/down.sh", env!("CARGO_MANIFEST_DIR"));
        let mut watch = Command::new("setsid");
        watch.args(["bash", "-c", wait, "watch", &std::process::id().to_string(), &down]).arg(&self.dir);
        watch.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    }

    /// The directory of one server.
    pub fn dir(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// `start`, `stop`, `kill` or `restart`.
    pub async fn ctl(&self, name: &str, command: &str) {
        let done = tokio::process::Command::new(self.dir(name).join("ctl")).arg(command).output().await.unwrap();
        assert!(done.status.success(), "{name} {command}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Where a DBA connects to one.
    pub fn url(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir(name).join("url")).unwrap().trim().to_owned()
    }

    /// A database on one.
    pub async fn lab(&self, name: &str) -> Arc<dyn Lab> {
        let url = self.url(name);
        if name.starts_with("postgres") {
            return postgres::on(&url, "").await.unwrap();
        }
        Arc::new(MysqlLab::on(url).await.unwrap())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = script("down.sh").arg(&self.dir).output();
    }
}
