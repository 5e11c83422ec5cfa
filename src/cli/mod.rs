//! The command line: one file per command.

// First: its macros are the others' too.
#[macro_use]
mod output;

mod approve;
mod check;
mod completions;
mod conflicts;
mod demo;
mod held;
mod init;
mod install;
mod open;
mod pairs;
mod plan;
mod resync;
mod run;
mod status;
mod stop;
mod uninstall;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::error::{Error, Kind, Result};

/// Everything was done.
pub const DONE: u8 = 0;
/// It failed; the message says why and what to do next.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// A person must approve first; nothing was written.
pub const APPROVAL: u8 = 3;
/// Another process runs this integration.
pub const FENCED: u8 = 4;

/// Keeps records the same in two databases that each number their own rows.
#[derive(Debug, Parser)]
#[command(name = "twinrow", version, propagate_version = true)]
pub struct Args {
    /// The configuration file.
    #[arg(long, short, global = true, env = "TWINROW_CONFIG", default_value = CONFIG, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// How log lines look.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// More log lines; twice: all of them.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show two databases being kept the same; needs no server.
    Demo(demo::Demo),
    /// Write a configuration from what two schemas have in common.
    Init(init::Init),
    /// Check configuration, rights, versions, and what triggers can't see.
    Check,
    /// Create change logs and triggers; the first run does it too.
    Install(install::Install),
    /// Remove everything Twinrow installed.
    Uninstall(uninstall::Uninstall),
    /// Show what a run would create, update, delete, link and hold.
    Plan,
    /// Keep the sides the same.
    Run(run::Run),
    /// Compare every record of both sides.
    Resync(resync::Resync),
    /// Show how the links stand.
    Status,
    /// List, show and retry records that could not be synced.
    Held(held::Held),
    /// List and show kept conflicts.
    Conflicts(conflicts::Conflicts),
    /// List pairs: which record is which on the other side.
    Pairs(pairs::Pairs),
    /// Let a braked set, or a first sync, through.
    Approve(approve::Approve),
    /// Print a completion script for a shell.
    Completions(completions::Completions),
}

/// What every command gets.
#[derive(Clone, Debug)]
pub struct Context {
    /// The configuration file.
    pub config: PathBuf,
    /// Whether to print JSON.
    pub json: bool,
}

/// The configuration file where none is named.
const CONFIG: &str = "twinrow.yaml";

impl Context {
    /// A command to type next, for this configuration and no other: with its file, unless that goes without saying.
    pub fn command(&self, words: &str) -> String {
        let file = self.config.to_string_lossy();
        if file == CONFIG {
            return format!("twinrow {words}");
        }
        let plain = file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
        let file = if plain { file.into_owned() } else { format!("'{}'", file.replace('\'', "'\\''")) };
        format!("twinrow --config {file} {words}")
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let args = Args::parse();
    log(&args);
    // One thread: what a cycle does waits for databases, which need the processors more. (With a thread for each
    // processor the same drain took a sixth more of their time, and more memory.)
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            mention!("error: the runtime can't start: {error}");
            return ExitCode::from(FAILED);
        }
    };
    match runtime.block_on(dispatch(args)) {
        Ok(()) => ExitCode::from(DONE),
        Err(error) => report(&error),
    }
}

async fn dispatch(args: Args) -> Result<()> {
    let context = Context { config: args.config, json: args.json };
    match args.command {
        Command::Demo(args) => demo::run(&args).await,
        Command::Init(args) => init::run(&context, &args).await,
        Command::Check => check::run(&context).await,
        Command::Install(args) => install::run(&context, &args).await,
        Command::Uninstall(args) => uninstall::run(&context, &args).await,
        Command::Plan => Box::pin(plan::run(&context)).await,
        Command::Run(args) => Box::pin(run::run(&context, &args)).await,
        Command::Resync(args) => Box::pin(resync::run(&context, &args)).await,
        Command::Status => status::run(&context).await,
        Command::Held(args) => held::run(&context, &args).await,
        Command::Conflicts(args) => conflicts::run(&context, &args).await,
        Command::Pairs(args) => pairs::run(&context, &args).await,
        Command::Approve(args) => Box::pin(approve::run(&context, &args)).await,
        Command::Completions(args) => completions::run(&args),
    }
}

/// Says what happened and what to type next; answers the exit code.
fn report(error: &Error) -> ExitCode {
    mention!("error: {error}");
    mention!("next:  {}", error.what_next());
    ExitCode::from(match error.kind() {
        Kind::Config => USAGE,
        Kind::Approval => APPROVAL,
        Kind::Fenced => FENCED,
        Kind::Unreachable
        | Kind::Denied
        | Kind::Schema
        | Kind::Tracking
        | Kind::Retry
        | Kind::InDoubt
        | Kind::Rejected
        | Kind::Duplicate
        | Kind::Stale
        | Kind::Identity
        | Kind::Interrupted
        | Kind::Internal => FAILED,
    })
}

/// Logs go to standard error: standard output is for what was asked for.
fn log(args: &Args) {
    use tracing_subscriber::EnvFilter;
    let quiet = matches!(args.command, Command::Demo(_));
    let level = match (args.verbose, quiet) {
        (0, true) => "off",
        (0, false) => "twinrow=info,warn",
        (1, _) => "twinrow=debug,info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("TWINROW_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| output::Log)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Set once, at the start: it can't fail.
    let _ = match args.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
