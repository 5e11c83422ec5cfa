//! What every database endpoint must do, whatever its engine: each function is one behaviour, run on
//! a fresh database. `conformance!` in `main.rs` names them all.

mod alike;
pub mod bench;
mod capture;
mod catalog;
mod compact;
mod contention;
mod read;
mod store;
mod write;

pub use alike::*;
pub use capture::*;
pub use catalog::*;
pub use compact::*;
pub use contention::*;
pub use read::*;
pub use store::*;
pub use write::*;
