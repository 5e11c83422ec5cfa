//! Ring 4: the real program on real servers: killed, cut off, and used as a person would.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
#[allow(dead_code)] // Each ring uses its part.
mod support;

mod backup;
mod crash;
mod disk;
mod every_pair;
mod faults;
mod inside;
mod outage;
mod policies;
mod program;
mod replica;
mod restore;
mod scene;
mod servers;
mod statements;
