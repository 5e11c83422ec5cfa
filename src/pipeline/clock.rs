//! The machine's clock may be wrong, and be set right: nothing waits for a time that was noted while it was ahead.

use super::Pipeline;
use super::finish::PAUSE_MAX_S;
use crate::error::Result;
use crate::state;

/// Whether so many seconds have gone by since then. What has yet to come was noted by a clock that was ahead.
pub(super) fn passed(then: i64, now: i64, seconds: i64) -> bool {
    now < then || now - then >= seconds
}

impl Pipeline {
    /// At the start, and when the clock has gone back: what is to be tried again later than any pause is long is due.
    pub(super) async fn mind_the_clock(&mut self) -> Result<()> {
        let now = self.door.now();
        let went_back = now < self.clock;
        self.clock = now;
        if !went_back {
            return Ok(());
        }
        let mut tx = self.home()?.begin(&self.fence).await?;
        state::hasten(&mut *tx, &self.integration.links, now, now.saturating_add(PAUSE_MAX_S)).await?;
        tx.commit().await
    }
}
