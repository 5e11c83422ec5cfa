//! Time and the places where a process may die: one door, so that a simulation can own both.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use super::BATCH;
use crate::error::Result;

/// What the pipeline takes from outside.
#[async_trait]
pub trait Door: Send + Sync {
    /// Seconds since 1970. Comfort only: retries and windows, never correctness.
    fn now(&self) -> i64;

    /// So many records are fetched, decided and written together. A simulation takes few, so that one batch meets the next.
    fn batch(&self) -> usize {
        BATCH
    }

    /// A name for a database that has none yet.
    fn instance(&self) -> String;

    /// Passes a named step of the cycle. A simulation may crash, pause or interleave here; the crash
    /// tests kill the real program here.
    async fn step(&self, step: &'static str) -> Result<()>;
}

/// The real world. `TWINROW_KILL_AT=step:n` makes the program kill itself, without any clean-up, when
/// it passes `step` for the n-th time.
#[derive(Debug, Default)]
pub struct Real {
    kill_at: Option<(String, std::sync::atomic::AtomicU64)>,
}

impl Real {
    /// Reads `TWINROW_KILL_AT`.
    pub fn new() -> Real {
        let kill_at = std::env::var("TWINROW_KILL_AT").ok().and_then(|text| {
            let (step, count) = text.rsplit_once(':')?;
            Some((step.to_owned(), std::sync::atomic::AtomicU64::new(count.parse().ok()?)))
        });
        Real { kill_at }
    }
}

#[async_trait]
impl Door for Real {
    fn now(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    fn instance(&self) -> String {
        uuid::Uuid::new_v4().to_string()
    }

    async fn step(&self, step: &'static str) -> Result<()> {
        if let Some((name, left)) = &self.kill_at
            && name == step
            && left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1
        {
            // As SIGKILL would: no destructor, no flush, no rollback.
            std::process::abort();
        }
        Ok(())
    }
}
