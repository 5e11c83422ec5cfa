//! The one error type: what kind it is decides what the program does, the rest is for people.

use std::fmt;

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;

/// What an error means for the cycle. One exhaustive match in `pipeline` turns it into retry,
/// split, hold or stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The configuration or a command's arguments are wrong: a person must change them.
    Config,
    /// The endpoint can't be reached or refuses the login; retried with back-off.
    Unreachable,
    /// A right is missing. Nothing is inferred from what could not be read (A63, A78).
    Denied,
    /// A table or column is missing or has changed: its links stop, the others go on (F13).
    Schema,
    /// Tracking objects are missing, disabled, altered or of another version.
    Tracking,
    /// Another process has taken over: stop at once, write nothing more (I8).
    Fenced,
    /// Deadlock, serialization failure, lock time-out, connection lost before COMMIT was sent: the
    /// transaction left no trace and may be repeated whole.
    Retry,
    /// COMMIT was sent and its answer lost: only the receipts can tell. Start over at step 1.
    InDoubt,
    /// The server refused this data (a constraint, a value out of range, an unknown error code):
    /// split until the record stands alone, and hold it.
    Rejected,
    /// As `Rejected`, by a unique key: the record may already be there, or two records swap values (C12).
    Duplicate,
    /// A row was not as expected, so nothing was written: it goes back to work.
    Stale,
    /// An endpoint is not the one this integration knows (a restored backup, a clone): stop and ask.
    Identity,
    /// A person must decide before anything is written: a brake, a first sync.
    Approval,
    /// The process was told to stop before everything was done; what was committed stays.
    Interrupted,
    /// A defect of Twinrow.
    Internal,
}

impl Kind {
    /// What to do about an error that does not say it itself.
    fn next_step(self) -> &'static str {
        match self {
            Kind::Config | Kind::Schema | Kind::Tracking => "twinrow check",
            Kind::Unreachable => "see that the server runs and the URL is right, then: twinrow check",
            Kind::Denied => "twinrow check   # names the statement that grants it, as docs/grants.md does",
            Kind::Fenced => "twinrow status",
            Kind::Retry | Kind::InDoubt | Kind::Stale | Kind::Interrupted => "twinrow run --once",
            Kind::Rejected | Kind::Duplicate => "twinrow held",
            Kind::Identity => "see docs/guarantees.md, \"restored and cloned databases\"",
            Kind::Approval => "twinrow plan",
            Kind::Internal => "this is a defect of Twinrow: please report it",
        }
    }
}

/// What to do where a disk is full (F3).
pub const MAKE_ROOM: &str = "make room on the disk of this database; `twinrow run` then goes on by itself";

/// What to do where a server lets nobody in by this name and password.
pub const OTHER_LOGIN: &str = "correct the user or the password in the URL of this endpoint, then: twinrow check";

/// What to do where a server's certificate is not good enough.
pub const OTHER_AUTHORITY: &str = "name the authority that signed the server's certificate (`tls: {ca: FILE}`), and the host it is for, then: \
                                   twinrow check";

/// What to do where a file of certificate authorities can't be used.
pub const OTHER_FILE: &str = "correct the name of the file, or see that it may be read and is PEM, then: twinrow check";

/// What to do where a server has no such database.
pub const OTHER_DATABASE: &str =
    "correct the name of the database in the URL of this endpoint, or create it, then: twinrow check";

/// An error: kind, what happened to what, why, and the next command to type.
///
/// No secret and no row value is ever put into one; servers' messages that quote values are cut to
/// their code and constraint by the engine that met them.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    context: Vec<String>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A new error. `message` says what happened and why, without a full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner { kind, message: message.into(), context: Vec::new(), hint: None, source: None }))
    }

    /// Adds where it happened, outermost last: `link customers`, `endpoint shop`. Said twice it stands once.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Error {
        let context = context.into();
        if !self.0.context.contains(&context) {
            self.0.context.push(context);
        }
        self
    }

    /// Adds what to do next, as a command to type where there is one.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the library's error underneath. Its text is never shown by `Display`: it may quote values.
    #[must_use]
    pub fn source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.0.source = Some(Box::new(source));
        self
    }

    /// What it means for the cycle.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The message alone, as a held record's cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The next command to type, if the error says it itself.
    pub fn next_step(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The next command to type: the error's own, else what its kind asks for.
    pub fn what_next(&self) -> &str {
        self.next_step().unwrap_or_else(|| self.0.kind.next_step())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.0.context.iter().rev() {
            write!(f, "{context}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Adds context to a result's error.
pub trait Context<T> {
    /// See [`Error::context`].
    fn context(self, context: impl Into<String>) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    fn context(self, context: impl Into<String>) -> Result<T> {
        self.map_err(|error| error.context(context))
    }
}
