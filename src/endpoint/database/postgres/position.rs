//! How far a consumer has read a log, as text: `epoch system timeline old [mid lsn]`.
//!
//! `old` is the snapshot whose visible entries are all read. Where a window could not take all
//! entries, it was taken at snapshot `mid`, and of the entries visible in `mid` but not in `old` those
//! up to `lsn` are read. While there is a `mid`, windows stay within it: two of them would need a list.

use std::cmp::Reverse;
use std::fmt;

use crate::error::{Error, Kind, Result};
use crate::model::Position;

/// A `pg_snapshot`, as much of it as we need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Everything below is over.
    pub(super) xmin: u64,
    /// Everything from here on had not begun.
    pub(super) xmax: u64,
    /// What was under way between the two.
    pub(super) open: Vec<u64>,
}

impl Snapshot {
    /// From `xmin:xmax:xip,…`.
    pub(super) fn parse(text: &str) -> Option<Snapshot> {
        let mut parts = text.splitn(3, ':');
        let (xmin, xmax, open) = (parts.next()?, parts.next()?, parts.next()?);
        let open = open.split(',').filter(|xid| !xid.is_empty()).map(|xid| xid.parse().ok()).collect::<Option<_>>()?;
        Some(Snapshot { xmin: xmin.parse().ok()?, xmax: xmax.parse().ok()?, open })
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin, self.xmax)?;
        for (i, xid) in self.open.iter().enumerate() {
            write!(f, "{}{xid}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

/// Inside a window that could not take all entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partial {
    /// The snapshot of the first of these windows.
    pub(super) mid: Snapshot,
    /// The entries up to here are read, of those visible in `mid`.
    pub(super) lsn: i64,
}

/// A cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Which log: made anew with the log (A11).
    pub(super) epoch: String,
    /// Which cluster.
    pub(super) system: String,
    /// Which of its histories (A65).
    pub(super) timeline: String,
    /// All that is visible in here is read.
    pub(super) old: Snapshot,
    /// And some of the next.
    pub(super) partial: Option<Partial>,
}

impl Cursor {
    /// From a recorded position.
    ///
    /// # Errors
    /// [`Kind::Tracking`] if no version of this program wrote it.
    pub(super) fn parse(position: &Position) -> Result<Cursor> {
        parse(&position.0).ok_or_else(|| {
            Error::new(Kind::Tracking, "the recorded position is not one of a PostgreSQL log").hint("twinrow resync full")
        })
    }

    /// Compares cursors of one log: the one that has read less is less. What a snapshot sees, a later one sees too.
    pub(super) fn age(&self) -> impl Ord + use<> {
        let old = &self.old;
        (old.xmin, old.xmax, Reverse(old.open.len()), self.partial.as_ref().map(|partial| partial.lsn))
    }

    /// As it is recorded.
    pub(super) fn position(&self) -> Position {
        let mut text = format!("{} {} {} {}", self.epoch, self.system, self.timeline, self.old);
        if let Some(partial) = &self.partial {
            text.push_str(&format!(" {} {}", partial.mid, partial.lsn));
        }
        Position(text)
    }
}

fn parse(text: &str) -> Option<Cursor> {
    let parts: Vec<&str> = text.split(' ').collect();
    let (head, partial) = match parts.as_slice() {
        [head @ .., mid, lsn] if head.len() == 4 => (head, Some(Partial { mid: Snapshot::parse(mid)?, lsn: lsn.parse().ok()? })),
        head if head.len() == 4 => (head, None),
        _ => return None,
    };
    Some(Cursor {
        epoch: head[0].to_owned(),
        system: head[1].to_owned(),
        timeline: head[2].to_owned(),
        old: Snapshot::parse(head[3])?,
        partial,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back() {
        for text in ["e 1 00000001 10:20:10,14", "e 1 00000001 10:10:", "e 1 00000001 10:20:10,14 20:30:25 123456"] {
            assert_eq!(Cursor::parse(&Position(text.into())).unwrap().position().0, text);
        }
    }

    #[test]
    fn s4_2_the_cursor_that_has_read_less_is_less() {
        let age = |text: &str| Cursor::parse(&Position(text.into())).unwrap().age();
        let all = [
            "e 1 1 10:20:10,14",
            "e 1 1 10:20:10",
            "e 1 1 10:20:10 20:30: 5",
            "e 1 1 10:20:10 20:30: 6",
            "e 1 1 12:20:",
            "e 1 1 12:21:",
        ];
        assert!(all.windows(2).all(|pair| age(pair[0]) < age(pair[1])));
    }

    #[test]
    fn a_foreign_position_is_refused() {
        for text in ["", "17", "e 1 00000001 10:x:", "e 1 00000001 10:20: 30:40:"] {
            assert_eq!(Cursor::parse(&Position(text.into())).unwrap_err().kind(), Kind::Tracking, "{text}");
        }
    }
}
