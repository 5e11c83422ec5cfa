//! `twinrow demo`: two SQLite databases with other names, types and keys, kept the same while both are
//! being written. No server needed.

mod business;
mod summary;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::cli::open::{Opened, open};
use crate::error::{Error, Kind, Result};
use crate::pipeline::{Pipeline, Real, Rival};

/// How long the two businesses work.
const WORK: Duration = Duration::from_secs(14);

/// How long the two files may take to become the same once everybody has stopped; far more than needed.
const SETTLE: Duration = Duration::from_secs(30);

/// `twinrow demo`
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Where the two databases and the configuration are put; an earlier demo there is replaced.
    #[arg(long, default_value = "twinrow-demo")]
    dir: PathBuf,
}

/// Runs the demo and tells what came of it.
pub async fn run(args: &Demo) -> Result<()> {
    let dir = &args.dir;
    prepare(dir)?;
    view::introduce(dir);
    blocking({
        let dir = dir.clone();
        move || business::found(&dir)
    })
    .await?;
    let Opened { integration, endpoints, .. } = open(&dir.join("twinrow.yaml")).await?;
    let mut pipeline = Pipeline::start(integration, endpoints, Arc::new(Real::new()), "demo", Rival::TakeOver).await?;
    let mut view = view::View::new();
    let first = pipeline.run_once(&mut |_| {}).await?;
    view.first(&first);

    let closing = Arc::new(AtomicBool::new(false));
    let shop = business::open_for_business(business::Who::Shop, dir, closing.clone());
    let crm = business::open_for_business(business::Who::Crm, dir, closing.clone());
    let opened = Instant::now();
    while opened.elapsed() < WORK {
        let counts = pipeline.cycle().await?;
        view.cycle(&counts);
        if !counts.more {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    closing.store(true, Ordering::SeqCst);
    let done = blocking(move || Ok((business::close(shop)?, business::close(crm)?))).await?;
    view.closed(&done.0, &done.1);
    let settled = Instant::now();
    let last = pipeline.run_once(&mut |_| {}).await?;
    view.settled(&last, settled.elapsed());
    if settled.elapsed() > SETTLE {
        return Err(Error::new(Kind::Internal, "the two databases took too long to become the same"));
    }
    pipeline.release().await?;
    drop(pipeline);
    let summary = blocking({
        let dir = dir.clone();
        move || summary::read(&dir)
    })
    .await?;
    summary.print(dir);
    if summary.is_good() {
        Ok(())
    } else {
        Err(Error::new(Kind::Internal, "the two databases differ").hint("please report this with the directory it left"))
    }
}

/// An empty directory, or one that holds an earlier demo.
fn prepare(dir: &Path) -> Result<()> {
    let failed = |what: &str, error: std::io::Error| {
        Error::new(Kind::Config, format!("{what}: {}", error.kind()))
            .hint("twinrow demo --dir SOME_EMPTY_DIRECTORY")
            .source(error)
    };
    std::fs::create_dir_all(dir).map_err(|error| failed("the demo's directory can't be created", error))?;
    let ours = |name: &str| name == "twinrow.yaml" || ["shop.db", "crm.db"].iter().any(|file| name.starts_with(file));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| failed("the demo's directory can't be read", error))? {
        let entry = entry.map_err(|error| failed("the demo's directory can't be read", error))?;
        if !ours(&entry.file_name().to_string_lossy()) {
            return Err(Error::new(Kind::Config, "the directory holds files that are not the demo's")
                .hint("twinrow demo --dir SOME_EMPTY_DIRECTORY"));
        }
        files.push(entry.path());
    }
    for file in files {
        std::fs::remove_file(file).map_err(|error| failed("an earlier demo can't be removed", error))?;
    }
    let config = include_str!("twinrow.yaml").replace("{dir}", &dir.to_string_lossy());
    std::fs::write(dir.join("twinrow.yaml"), config).map_err(|error| failed("the configuration can't be written", error))
}

/// SQLite blocks: the demo's own reading and writing happens off the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> rusqlite::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    match done {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Error::new(Kind::Internal, "the demo could not use its own databases").source(error)),
        Err(error) => Err(Error::new(Kind::Internal, "the demo was interrupted").source(error)),
    }
}
