//! The built program, run as a person or a supervisor would.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::{Child, Command};

/// No condition a test waits for takes longer than this.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// A directory with a configuration.
pub struct Program {
    dir: tempfile::TempDir,
}

impl Program {
    /// With this configuration.
    pub fn new(config: &str) -> Program {
        let program = Program { dir: tempfile::tempdir().unwrap() };
        program.configure(config);
        program
    }

    /// Another configuration from now on.
    pub fn configure(&self, config: &str) {
        std::fs::write(self.path("twinrow.yaml"), config).unwrap();
    }

    /// A file of this directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twinrow"));
        command.arg("--config").arg(self.path("twinrow.yaml")).args(args);
        command.stdin(Stdio::null()).env_remove("TWINROW_KILL_AT").env_remove("RUST_LOG").kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, args: &[&str]) -> Done {
        self.run_with(&[], args).await
    }

    /// As [`Program::run`], with variables of the environment.
    pub async fn run_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Done {
        let mut command = self.command(args);
        command.envs(variables.iter().copied());
        let output = tokio::time::timeout(PATIENCE * 3, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("twinrow {} does not end", args.join(" "))).unwrap();
        Done {
            command: args.join(" "),
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts a command that stays; its log goes to the end of `log`.
    pub fn start(&self, args: &[&str], kill_at: Option<&str>) -> Child {
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.command(args);
        command.stdout(Stdio::null()).stderr(log);
        if let Some(step) = kill_at {
            command.env("TWINROW_KILL_AT", step);
        }
        command.spawn().unwrap()
    }

    /// Starts a command that answers, and logs, elsewhere.
    pub fn start_into(&self, args: &[&str], out: Stdio, log: Stdio) -> Child {
        self.command(args).stdout(out).stderr(log).spawn().unwrap()
    }

    /// What the started commands have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Program {
    /// A test that fails tells what the program had to say.
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}

/// What a command did.
#[derive(Debug)]
pub struct Done {
    pub command: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Done {
    /// It ended with this exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Done {
        assert_eq!(self.code, Some(code), "twinrow {}\n{}\n{}", self.command, self.out, self.err);
        self
    }

    /// What it printed with `--json`.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{}: {error}\n{}\n{}", self.command, self.out, self.err))
    }
}

/// Waits until a condition holds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
