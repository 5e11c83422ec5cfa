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
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Args::command(), "twinrow", &mut script);
    say!("{}", String::from_utf8_lossy(&script).trim_end());
    Ok(())
}
