//! `twinrow run`

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Context;
use super::open::{Opened, open_each};
use super::stop::{self, Stop};
use super::{output, plan};
use crate::error::{Error, Kind, Result};
use crate::model::Integration;
use crate::pipeline::{Counts, Pipeline, Real, Rival};

/// After an error that may pass, the next try comes so soon; doubled up to a minute.
const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// `twinrow run`
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Stop when everything there is has been carried over.
    #[arg(long)]
    once: bool,
    /// Approve the plan of a first sync without being asked.
    #[arg(long)]
    approve: bool,
    /// Take over at once from another process that runs this integration.
    #[arg(long)]
    take_over: bool,
    /// Say at the end where the time went.
    #[arg(long)]
    timings: bool,
}

/// Keeps the sides the same: once, or until it is told to stop.
pub async fn run(context: &Context, args: &Run) -> Result<()> {
    match Box::pin(run_until_told(context, args)).await {
        // Before it came to the first cycle.
        Err(error) if error.kind() == Kind::Interrupted && !args.once => {
            tracing::info!("stopped");
            Ok(())
        }
        ended => ended,
    }
}

async fn run_until_told(context: &Context, args: &Run) -> Result<()> {
    let rival = match (args.take_over, args.once) {
        (true, _) => Rival::TakeOver,
        (false, true) => Rival::Refuse,
        (false, false) => Rival::Wait,
    };
    let opened = open_each(&context.config).await?;
    for warning in &opened.warnings {
        tracing::warn!("{warning}");
    }
    let door = Arc::new(Real::new());
    let stop = stop::listen()?;
    let start = || Box::pin(Pipeline::start(opened.integration.clone(), opened.endpoints.clone(), door.clone(), &HOLDER, rival));
    let mut pipeline = loop {
        match stop::unless_told_long(&stop, start()).await {
            // The process before may hold the fence for a while, frozen or cut off in a write.
            Err(again) if again.kind() == Kind::Retry && !args.once => {
                tracing::warn!("{again}");
                tokio::time::sleep(RETRY_MIN).await;
            }
            started => break started?,
        }
    };
    if let Err(error) = approve_first_sync(context, args, &mut pipeline, &stop).await {
        return Err(let_go(&pipeline, error).await);
    }
    if args.once {
        let counts = once(&mut pipeline, &opened, &door, &stop).await;
        tell_timings(args, &pipeline);
        return finish(context, &pipeline, counts).await;
    }
    tracing::info!("{} runs", opened.integration.name);
    daemon(pipeline, args, stop, || start_again(&opened, &door)).await
}

/// Starts for a command that does not wait for another process. `again`: the command, to be typed once that one has stopped.
pub async fn start_alone(opened: &Opened, door: &Arc<Real>, stop: &Stop, again: &str) -> Result<Pipeline> {
    let (integration, endpoints) = (opened.integration.clone(), opened.endpoints.clone());
    let start = Box::pin(Pipeline::start(integration, endpoints, door.clone(), &HOLDER, Rival::Refuse));
    stop::unless_told_long(stop, start).await.map_err(|error| match error.kind() {
        Kind::Fenced => error.hint(format!("stop it, then: {again}")),
        _ => error,
    })
}

/// Lets go of the integration because of an error, which is what is told: not that letting go failed too.
pub async fn let_go(pipeline: &Pipeline, error: Error) -> Error {
    let _ = pipeline.release().await;
    error
}

/// Begins with step 1, in a process that has run already. Who was pushed aside while a database was away does not push back.
async fn start_again(opened: &Opened, door: &Arc<Real>) -> Result<Pipeline> {
    let integration = opened.again().await?;
    let mut pipeline = Pipeline::start_again(integration, opened.endpoints.clone(), door.clone(), &HOLDER).await?;
    // Of a link that stood still until now.
    match nobody_to_ask(&mut pipeline).await {
        Ok(()) => Ok(pipeline),
        Err(error) => Err(let_go(&pipeline, error).await),
    }
}

/// Links whose first sync was not approved stand still; an integration that is new as a whole does not run.
async fn nobody_to_ask(pipeline: &mut Pipeline) -> Result<()> {
    match pipeline.first_sync().await? {
        None => Ok(()),
        Some(new) if new.all_new => Err(unapproved()),
        Some(new) => pipeline.wait_for_approval(&new).await,
    }
}

fn unapproved() -> Error {
    Error::new(Kind::Approval, "both sides hold data: nothing is written before this plan is approved")
        .hint("twinrow run --approve   # or: twinrow approve first-sync, or first_sync: auto")
}

fn tell_timings(args: &Run, pipeline: &Pipeline) {
    if args.timings {
        mention!("{}", pipeline.timings());
        if let Some(peak) = peak_memory() {
            mention!("{:17} {peak:8.1} MB", "peak memory");
        }
    }
}

/// The most this process has ever held in memory, where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}

static HOLDER: std::sync::LazyLock<String> = std::sync::LazyLock::new(holder);

/// Who runs it, for people: host and process.
pub fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} (process {})", host.trim(), std::process::id())
}

/// The plan of a first sync is shown, and approved at the prompt, by `--approve`, or not at all: then its link waits where
/// nobody is there and others were synced before.
async fn approve_first_sync(context: &Context, args: &Run, pipeline: &mut Pipeline, stop: &Stop) -> Result<()> {
    let Some(new) = stop::unless_told(stop, pipeline.first_sync()).await? else { return Ok(()) };
    if !args.approve && !new.all_new && !output::somebody_is_there() {
        return stop::unless_told(stop, pipeline.wait_for_approval(&new)).await;
    }
    if !args.approve {
        let counts = stop::unless_told(stop, pipeline.plan()).await?;
        show(context, pipeline.integration(), &counts)?;
        if !output::ask("Write this?", stop::told(stop)).await? {
            return Err(unapproved());
        }
    }
    pipeline.approve_first_sync().await
}

fn show(context: &Context, integration: &Integration, counts: &Counts) -> Result<()> {
    if context.json {
        return output::json(counts);
    }
    plan::print(integration, counts);
    Ok(())
}

/// A run begins anew at most so often because a link had to stop or tracking was repaired.
const ANEW_MAX: u32 = 20;

/// One run, with a line that counts on a terminal. A link that has to stop is left out; the others are carried through.
pub async fn once(pipeline: &mut Pipeline, opened: &Opened, door: &Arc<Real>, stop: &Stop) -> Result<Counts> {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    let (mut all, mut latest) = (Counts::default(), Counts::default());
    let mut begun = 0;
    let counts = loop {
        let progress = &mut |counts: &Counts| {
            let total = counts.total();
            bar.set_message(format!("{} decided, {} written, {} held", total.decided, counts.writes(), total.held));
            bar.tick();
            latest = counts.clone();
        };
        match pipeline.run_once_until(stop, progress).await {
            Ok(counts) => {
                all.end_with(&counts);
                break Ok(all);
            }
            Err(_) if pipeline.begins_anew() && begun < ANEW_MAX => {
                all.add(&std::mem::take(&mut latest));
                begun += 1;
                *pipeline = start_again(opened, door).await?;
            }
            Err(error) => break Err(error),
        }
    };
    bar.finish_and_clear();
    counts
}

/// Lets go, and prints what a run did.
///
/// # Errors
/// Its own, or why a link stands still though the others were carried through.
pub async fn finish(context: &Context, pipeline: &Pipeline, counts: Result<Counts>) -> Result<()> {
    pipeline.release().await?;
    let counts = counts?;
    if context.json {
        output::json(&counts)?;
    } else {
        output::counts(&counts);
    }
    pipeline.standstill().map_or(Ok(()), Err)
}

/// Runs until SIGTERM or Ctrl-C; the batch under way is finished. What may pass is tried again, from the
/// first step on.
async fn daemon<F>(mut pipeline: Pipeline, args: &Run, mut stop: Stop, start: impl Fn() -> F) -> Result<()>
where
    F: Future<Output = Result<Pipeline>>,
{
    let mut pause = RETRY_MIN;
    loop {
        let error = match pipeline.run(&mut stop, &mut told).await {
            Ok(()) => {
                tracing::info!("stopped");
                tell_timings(args, &pipeline);
                return pipeline.release().await;
            }
            Err(error) => error,
        };
        if !matches!(error.kind(), Kind::Retry | Kind::InDoubt | Kind::Unreachable | Kind::Stale) {
            // Nobody need wait for it; what went wrong is told, not that letting go did too.
            let _ = pipeline.release().await;
            return Err(error);
        }
        tracing::warn!("{error}");
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop::told(&stop) => return Ok(()),
            }
            pause = (pause * 2).min(RETRY_MAX);
            let again = Box::pin(async {
                pipeline.compact_what_is_in_reach().await;
                start().await
            });
            match stop::unless_told_long(&stop, again).await {
                Ok(started) => {
                    pipeline = started;
                    pause = RETRY_MIN;
                    break;
                }
                Err(again) if matches!(again.kind(), Kind::Retry | Kind::InDoubt | Kind::Unreachable) => {
                    tracing::warn!("{again}");
                }
                Err(again) => return Err(again),
            }
        }
    }
}

fn told(counts: &Counts) {
    let total = counts.total();
    tracing::debug!(
        entries = counts.entries,
        written = counts.writes(),
        conflicts = total.conflicts,
        held = total.held,
        busy = total.busy,
        "cycle"
    );
}
