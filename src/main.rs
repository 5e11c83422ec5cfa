//! The `twinrow` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    twinrow::cli::main()
}
