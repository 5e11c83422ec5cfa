//! The nouns: what a record, a link, a pair, a change and a value are. No behaviour that needs a
//! server, a clock or a file.

mod change;
mod decimal;
mod key;
mod link;
mod normal;
mod pair;
mod schema;
pub mod time;
mod value;
mod work;

pub use change::{Entry, Op, Position};
pub use decimal::parse_decimal;
pub use key::{Key, KeyBytes};
pub use link::{
    Blanks, Both, BrakeLimits, ConflictPolicy, Deletes, Direction, Field, FirstSync, Integration, Keys, Limit, Link, Lossy,
    MatchField, Obstacle, Side,
};
pub use normal::{Normal, SHARP_S, normalised, spellings};
pub use pair::{Base, Pair, PairStatus, Pos, decode_bases, encode_bases};
pub use schema::{Charset, Collection, Column, ForeignKey, KeySource, Kind, Table, TableName};
pub use value::{Fingerprint, Row, Sink, Value, hex};
pub use work::{
    Conflict, ConflictState, Intent, Reason, Receipt, Scan, ScanPart, Work, undecided_id, waited_for, waits_for, work_name,
    work_named,
};
