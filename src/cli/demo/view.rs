//! What a newcomer sees while the demo runs: a live line on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::business::Done;
use crate::pipeline::Counts;

/// Plain lines come so often.
const LINE_EVERY: Duration = Duration::from_secs(2);

pub fn introduce(dir: &Path) {
    say!("Two SQLite databases in {}/:", dir.display());
    say!("  shop.db  customer(id 1, 2, …)           purchase(id 1, 2, …)");
    say!("  crm.db   contacts(contact_no 5001, …)   deals(deal_no 90001, …)");
    say!("Twinrow finds who is the same person by e-mail, creates the others, and rewrites the foreign keys.");
    say!("");
}

/// Counts what is seen.
pub struct View {
    bar: ProgressBar,
    total: Counts,
    said: Instant,
}

impl View {
    pub fn new() -> View {
        let bar = if std::io::stdout().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
            bar.set_style(style);
        }
        View { bar, total: Counts::default(), said: Instant::now() }
    }

    pub fn first(&mut self, counts: &Counts) {
        let total = counts.total();
        say!("First sync:");
        say!("  {:>5} records on both sides recognised as the same", total.linked);
        say!("  {:>5} created in the CRM", total.created_target);
        say!("  {:>5} created in the shop", total.created_source);
        say!("");
        say!("Now both are open for business, and Twinrow keeps them the same:");
        self.said = Instant::now();
    }

    pub fn cycle(&mut self, counts: &Counts) {
        self.total.add(counts);
        let total = self.total.total();
        let line = format!(
            "shop -> CRM: {} new, {} changed, {} deleted   CRM -> shop: {} new, {} changed, {} deleted   conflicts: {}",
            total.created_target,
            total.updated_target,
            total.deleted_target,
            total.created_source,
            total.updated_source,
            total.deleted_source,
            total.conflicts,
        );
        if self.bar.is_hidden() {
            if self.said.elapsed() >= LINE_EVERY {
                say!("  {line}");
                self.said = Instant::now();
            }
        } else {
            self.bar.set_message(line);
            self.bar.tick();
        }
    }

    pub fn closed(&mut self, shop: &Done, crm: &Done) {
        self.bar.finish();
        say!("");
        say!("Closed. The shop's own work:  {} created, {} changed, {} deleted", shop.created, shop.updated, shop.deleted);
        say!("        The CRM's own work:   {} created, {} changed, {} deleted", crm.created, crm.updated, crm.deleted);
    }

    pub fn settled(&mut self, counts: &Counts, took: Duration) {
        self.total.add(counts);
        say!("        The last changes were carried over in {} ms.", took.as_millis());
        say!("");
    }
}
