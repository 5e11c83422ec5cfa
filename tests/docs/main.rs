//! Ring 5: what a user types. The built program's commands, every block of the documentation, and the
//! rules by which the code is laid out.

#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

mod architecture;
mod book;
mod cli;
mod memory;
mod pages;
mod program;
mod secrets;
mod terminal;
