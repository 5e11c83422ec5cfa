//! Twinrow keeps records the same in two systems that each number their own rows.

pub mod cli;
pub mod config;
pub mod endpoint;
pub mod error;
pub mod mapping;
pub mod model;
pub mod pipeline;
pub mod reconcile;
pub mod sql;
pub mod state;
