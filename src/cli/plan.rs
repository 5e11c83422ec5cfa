//! `twinrow plan`

use std::sync::Arc;

use super::Context;
use super::open::open_each;
use super::output;
use super::run::start_alone;
use super::stop;
use crate::error::Result;
use crate::model::Integration;
use crate::pipeline::{Counts, Real};
use crate::reconcile;

/// Shows what a run would do, and by which table.
pub async fn run(context: &Context) -> Result<()> {
    let opened = open_each(&context.config).await?;
    let door = Arc::new(Real::new());
    let stop = stop::listen()?;
    let again = "twinrow plan   # while it runs: twinrow status, twinrow held list";
    let mut pipeline = start_alone(&opened, &door, &stop, again).await?;
    let counts = stop::unless_told(&stop, pipeline.plan()).await;
    pipeline.release().await?;
    let counts = counts?;
    if context.json {
        output::json(&counts)?;
    } else {
        print(pipeline.integration(), &counts);
    }
    if counts.more {
        let read = counts.entries;
        tracing::warn!("the logs hold more than the {read} entries that are read at a time: the plan is of these");
    }
    pipeline.standstill().map_or(Ok(()), Err)
}

/// Counts, samples and the decision table.
pub fn print(integration: &Integration, counts: &Counts) {
    output::counts(counts);
    for (link, counts) in &counts.links {
        for (cause, n) in &counts.causes {
            say!("  {link}: {n} held: {cause}");
        }
        for (situation, samples) in &counts.samples {
            let keys: Vec<String> = samples.iter().map(|sample| format!("{} {}", sample.side, sample.key)).collect();
            say!("  {link}: {situation}: {} …", keys.join(", "));
        }
    }
    // Links whose tables are the same share one.
    let mut tables: Vec<(Vec<&str>, Vec<Vec<String>>)> = Vec::new();
    for link in &integration.links {
        let rows: Vec<Vec<String>> =
            reconcile::table(link).into_iter().map(|(situation, choice)| vec![format!("  {situation}"), choice]).collect();
        match tables.iter_mut().find(|(_, table)| *table == rows) {
            Some((names, _)) => names.push(&link.name),
            None => tables.push((vec![&link.name], rows)),
        }
    }
    for (names, rows) in tables {
        say!("\n{}: what is done in each situation", names.join(", "));
        output::table(&rows);
    }
}
