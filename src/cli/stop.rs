//! SIGTERM and Ctrl-C. Told once, a command ends between two steps and lets go of the integration, so that nobody has to
//! wait for a process that is gone; told twice, it ends at once. What arrives with the first signal is the same word once more: a
//! supervisor may tell the process and then its group.

use std::pin::pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::FAILED;
use crate::error::{Error, Kind, Result};
use crate::pipeline::interrupted;

/// Whether this process was told to stop.
pub type Stop = watch::Receiver<bool>;

/// A start that is under way when the process is told to stop may take so long to end: then it lets go in order. It may
/// also wait for another process, which can take for ever.
const PATIENCE: Duration = Duration::from_secs(2);

/// So long after the first signal another one is not taken for a second word. (Nobody presses Ctrl-C twice so quickly.)
const ECHO: Duration = Duration::from_millis(300);

/// Listens from now on: a signal no longer ends the process by itself.
pub fn listen() -> Result<Stop> {
    let listen = |kind| {
        let deaf = |error| Error::new(Kind::Internal, "signals can't be heard").source(error);
        signal(kind).map_err(deaf)
    };
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let (tell, stop) = watch::channel(false);
    tokio::spawn(async move {
        next(&mut interrupt, &mut terminate).await;
        tracing::info!("told to stop: the step under way is finished; told once more, it ends at once");
        // Nobody listens any more: then it has stopped already.
        let _ = tell.send(true);
        let echoes = tokio::time::sleep(ECHO);
        tokio::pin!(echoes);
        loop {
            tokio::select! {
                () = &mut echoes => break,
                () = next(&mut interrupt, &mut terminate) => {}
            }
        }
        next(&mut interrupt, &mut terminate).await;
        // As a crash would, which costs nothing but the time until others know that nobody runs it.
        std::process::exit(i32::from(FAILED));
    });
    Ok(stop)
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Returns when the process is told to stop.
pub async fn told(stop: &Stop) {
    if stop.clone().wait_for(|told| *told).await.is_err() {
        std::future::pending().await
    }
}

/// Work that writes nothing, unless the process is told to stop before it is done.
pub async fn unless_told<T>(stop: &Stop, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        () = told(stop) => Err(interrupted()),
    }
}

/// As [`unless_told`], for a start: it is given a moment to end.
pub async fn unless_told_long<T>(stop: &Stop, start: impl Future<Output = Result<T>>) -> Result<T> {
    let mut start = pin!(start);
    tokio::select! {
        done = &mut start => return done,
        () = told(stop) => {}
    }
    tokio::time::timeout(PATIENCE, start).await.unwrap_or_else(|_| Err(interrupted()))
}
