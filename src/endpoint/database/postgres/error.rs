//! What PostgreSQL's errors mean for the cycle, by SQLSTATE.

use tokio_postgres::error::{DbError, SqlState};

use crate::error::{Error, Kind, MAKE_ROOM, OTHER_DATABASE, OTHER_LOGIN};

/// When it happened: the same code means different things before, during and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Connecting: nothing was asked yet.
    Connect,
    /// A statement: the transaction left no trace.
    Statement,
    /// COMMIT was sent: only an answer tells whether it took.
    Commit,
}

/// The crate's error for a driver's, without a value of any row.
pub(super) fn convert(error: tokio_postgres::Error, phase: Phase) -> Error {
    match error.as_db_error() {
        Some(server) => from_server(server, phase).source(error),
        None if error.is_closed() || is_io(&error) || phase == Phase::Connect => lost(phase, &error).source(error),
        // What is left failed in this program: a value that could not be put into its parameter.
        None => Error::new(Kind::Rejected, reason(&error)).source(error),
    }
}

/// Whether the connection is of no use any more.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    use tokio_postgres::error::Severity;
    let fatal = |server: &DbError| matches!(server.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    error.as_db_error().map_or_else(|| error.is_closed() || is_io(error), fatal)
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if inner.is::<std::io::Error>() {
            return true;
        }
        source = inner.source();
    }
    false
}

/// The innermost text of an error of the driver's: of the network, of TLS, of our own conversions.
fn reason(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn lost(phase: Phase, error: &tokio_postgres::Error) -> Error {
    match phase {
        Phase::Connect => Error::new(Kind::Unreachable, format!("can't connect: {}", reason(error))),
        Phase::Statement => Error::new(Kind::Retry, format!("connection lost: {}", reason(error))),
        Phase::Commit => Error::new(Kind::InDoubt, format!("connection lost while waiting for COMMIT: {}", reason(error))),
    }
}

fn from_server(server: &DbError, phase: Phase) -> Error {
    let kind = classify(server.code(), phase);
    let error = Error::new(kind, message(server));
    match kind {
        _ if *server.code() == SqlState::DISK_FULL => error.hint(MAKE_ROOM),
        Kind::Schema => error.hint("twinrow check"),
        Kind::Unreachable if phase == Phase::Connect => match &server.code().code()[..2] {
            "28" => error.hint(OTHER_LOGIN),
            "3D" => error.hint(OTHER_DATABASE),
            _ => error,
        },
        _ => error,
    }
}

/// The table of SQLSTATE codes and classes. An unknown code is refused data: the record is split off
/// and held, never dropped (F16).
pub(super) fn classify(code: &SqlState, phase: Phase) -> Kind {
    let code = code.code();
    match (phase, code, &code[..2]) {
        (Phase::Connect, ..) => Kind::Unreachable,
        // A server that goes down while COMMIT waits may have made it durable already.
        (Phase::Commit, "57P01" | "57P02" | "57P03", _) | (Phase::Commit, _, "08") => Kind::InDoubt,
        (_, "23505" | "23P01", _) => Kind::Duplicate,
        (_, "40003", _) => Kind::InDoubt,
        // Deadlock and serialization; lock, statement and idle time-outs; shutdown; no resources.
        (_, _, "40" | "53" | "08") | (_, "55P03" | "57014" | "25P03" | "25P04" | "57P01" | "57P02" | "57P03" | "57P05", _) => {
            Kind::Retry
        }
        (_, "42501", _) | (_, _, "28") => Kind::Denied,
        // Table, column, schema, function or type is missing or is another one now (F13).
        (_, "42P01" | "42703" | "3F000" | "42883" | "42704" | "42804" | "42846", _) => Kind::Schema,
        // The write reached a standby, or a database that was made read-only.
        (_, "25006", _) => Kind::Unreachable,
        (_, "42601", _) => Kind::Internal,
        _ => Kind::Rejected,
    }
}

/// Codes whose message names only identifiers, never a value.
fn is_safe(code: &str) -> bool {
    matches!(&code[..2], "08" | "25" | "28" | "3D" | "3F" | "40" | "42" | "53" | "55" | "57") && code != "42P22"
}

/// What to say: the server's words where they hold no value, else code, constraint and column.
fn message(server: &DbError) -> String {
    let code = server.code().code();
    if is_safe(code) {
        return format!("{} (SQLSTATE {code})", server.message());
    }
    let what = match code {
        "23505" => "a unique key already has this value",
        "23503" => "a foreign key is violated",
        "23502" => "a column must not be empty",
        "23514" => "a check constraint is violated",
        "23P01" => "an exclusion constraint is violated",
        "22001" => "a text is too long",
        "22003" => "a number is out of range",
        "22008" => "a date or time is out of range",
        "22021" => "a text holds a character the database can't store",
        "22P02" => "a text can't be read as its column's type",
        "P0001" => "a trigger or function refused it",
        _ => "the server refused it",
    };
    let mut text = what.to_owned();
    for (label, name) in
        [("constraint", server.constraint()), ("table", server.table()), ("column", server.column()), ("type", server.datatype())]
    {
        if let Some(name) = name {
            text.push_str(&format!(", {label} {name}"));
        }
    }
    format!("{text} (SQLSTATE {code})")
}

/// A statement prepared before the application changed the table under it (F13).
pub(super) fn is_stale_plan(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|server| {
        *server.code() == SqlState::FEATURE_NOT_SUPPORTED && server.routine() == Some("RevalidateCachedQuery")
    })
}

/// A row that could not be read: a value its type's own functions refuse, a damaged page. Other rows may be fine.
pub(super) fn is_about_one_row(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| matches!(&code.code()[..2], "22" | "54" | "P0" | "XX"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f16_an_unknown_code_is_refused_data_never_dropped() {
        assert_eq!(classify(&SqlState::from_code("ZZ999"), Phase::Statement), Kind::Rejected);
    }

    #[test]
    fn a_lost_answer_to_commit_is_in_doubt_before_it_is_not() {
        assert_eq!(classify(&SqlState::ADMIN_SHUTDOWN, Phase::Commit), Kind::InDoubt);
        assert_eq!(classify(&SqlState::ADMIN_SHUTDOWN, Phase::Statement), Kind::Retry);
        assert_eq!(classify(&SqlState::T_R_SERIALIZATION_FAILURE, Phase::Commit), Kind::Retry);
    }
}
