//! How much of the rows is in memory at a time: not their number is bounded, but what they take.

/// The rows of one [`Window::fetch`](super::Window::fetch) take no more than this, in bytes, or are one row. Two thousand
/// ordinary rows take a tenth of it.
pub const ROWS_BYTES: usize = 4 << 20;

/// What is left of [`ROWS_BYTES`] while rows are read.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    left: usize,
    empty: bool,
    full: bool,
}

impl Room {
    /// For the rows of one fetch.
    pub fn of_a_fetch() -> Room {
        Room { left: ROWS_BYTES, empty: true, full: false }
    }

    /// For rows that were measured before: what is locked, or was written, in one transaction.
    pub fn endless() -> Room {
        Room { left: usize::MAX, empty: true, full: false }
    }

    /// Whether there is room for a row of so many bytes: for the first in any case, and for none after one that was
    /// too much.
    pub fn takes(&mut self, bytes: usize) -> bool {
        self.full |= bytes > self.left && !self.empty;
        self.empty = false;
        self.left = self.left.saturating_sub(bytes);
        !self.full
    }

    /// Whether there was a row without room.
    pub fn is_full(&self) -> bool {
        self.full
    }
}
