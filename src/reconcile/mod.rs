//! Pure decisions: what is the case for one record on both sides, and what we do about it. No I/O, no
//! async, no clock, no randomness; everything they need is in their arguments.

mod decide;
mod fold;
mod guard;
mod situation;
#[cfg(test)]
mod tests;
mod told;

pub use decide::{Action, Cause, Decision, Question, Seen, Translate, Twin, Update, decide, link_found, rows_agree};
pub use fold::{AsLogged, Back, Dirty, Evidence, Folded, PairIndex, coalesce, fold};
pub use guard::{SetHash, tripped};
pub use situation::{Choice, Situation, choose, may_come_back, table};
pub use told::{Late, Told, late, put_back};
