//! Kills the program, and counts how often and where.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use super::random::Random;
use crate::program::Program;

/// A step that is not passed within this time is not met.
const MEETS_WITHIN: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
pub struct Killer(BTreeMap<String, usize>);

impl Killer {
    /// SIGKILL, at no particular moment.
    pub async fn some_time(&mut self, program: &Program, random: &mut Random) {
        let mut child = program.start(&["run", "--take-over"], None);
        let moment = Duration::from_millis(20 + random.below(500));
        if let Ok(ended) = tokio::time::timeout(moment, child.wait()).await {
            panic!("it ended by itself: {ended:?}\n{}", program.log());
        }
        self.now(&mut child, "SIGKILL").await;
    }

    /// At `step:n`; whether that was met.
    pub async fn at(&mut self, program: &Program, at: &str) -> bool {
        let mut child = program.start(&["run", "--take-over"], Some(at));
        let Ok(status) = tokio::time::timeout(MEETS_WITHIN, child.wait()).await else {
            self.now(&mut child, "SIGKILL").await;
            return false;
        };
        let status = status.unwrap();
        assert_eq!(status.signal(), Some(6), "it ended by itself: {status:?}\n{}", program.log());
        self.count(at.split(':').next().unwrap());
        true
    }

    /// SIGKILL now.
    pub async fn now(&mut self, child: &mut tokio::process::Child, at: &str) {
        child.start_kill().unwrap();
        child.wait().await.unwrap();
        self.count(at);
    }

    fn count(&mut self, at: &str) {
        *self.0.entry(at.to_owned()).or_default() += 1;
    }

    /// In all.
    pub fn kills(&self) -> usize {
        self.0.values().sum()
    }
}

impl fmt::Display for Killer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kills: Vec<String> = self.0.iter().map(|(step, n)| format!("{step} {n}")).collect();
        write!(f, "{} kills: {}", self.kills(), kills.join(", "))
    }
}
