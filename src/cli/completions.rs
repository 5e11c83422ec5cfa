//! `twinrow completions`

use clap::CommandFactory;

use crate::error::Result;

/// `twinrow completions`
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Prints a completion script.
pub fn run(args: &Completions) -> Result<()> {
    clap_complete::generate(args.shell, &mut super::Args::command(), "twinrow", &mut std::io::stdout());
    Ok(())
}
