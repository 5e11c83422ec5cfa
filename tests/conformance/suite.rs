//! What every database endpoint must do, whatever its engine: each function is one behaviour, run on
//! a fresh database. `conformance!` in `main.rs` names them all.

mod alike;
pub mod bench;
mod capture;
mod catalog;
mod compact;
mod contention;
pub mod plans;
mod read;
mod store;
mod write;

pub use alike::*;
pub use capture::*;
pub use catalog::*;
pub use compact::*;
pub use contention::*;
pub use plans::statements_by_key_read_a_few_rows_a_key;
pub use read::*;
pub use store::*;
pub use write::*;
