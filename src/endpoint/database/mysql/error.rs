//! What an error of the server or the driver means for the cycle.

use mysql_async::{DriverError, Error as Driver};

use crate::error::{Error, Kind, MAKE_ROOM, OTHER_DATABASE, OTHER_LOGIN};

/// By code. Messages of the server quote values, so only code and the name of a constraint or column
/// are kept (I10).
pub(super) fn classify(error: Driver) -> Error {
    match error {
        Driver::Server(server) => {
            let (code, kind) = (server.code, kind(server.code));
            let mut message = format!("the server refused it: {} (code {})", meaning(server.code), server.code);
            if let Some(name) = subject(server.code, &server.message) {
                message.push_str(": ");
                message.push_str(&name);
            }
            let error = Error::new(kind, message).source(Driver::Server(server));
            if full(code) {
                return error.hint(MAKE_ROOM);
            }
            if kind == Kind::Denied { error.hint("grant what docs/grants.md lists, then: twinrow check") } else { error }
        }
        Driver::Driver(DriverError::PacketTooLarge) => {
            Error::new(Kind::Rejected, "a value is larger than the server's max_allowed_packet")
        }
        Driver::Url(_) => Error::new(Kind::Config, "the URL of the database can't be read"),
        other => Error::new(Kind::Retry, "the connection was lost").source(other),
    }
}

/// The same for a connection that could not be made.
pub(super) fn unreachable(error: Driver) -> Error {
    let cause = tls_cause(&error);
    let code = if let Driver::Server(server) = &error { Some(server.code) } else { None };
    // Of a user it does not know MySQL asks for a way of logging in that it draws by lot.
    let unknown_way =
        matches!(&error, Driver::Driver(DriverError::UnknownAuthPlugin { .. } | DriverError::CleartextPluginDisabled));
    if unknown_way {
        return Error::new(Kind::Denied, "the server asks this login for a way of logging in that is not supported")
            .hint(OTHER_LOGIN)
            .source(error);
    }
    let classified = classify(error);
    match classified.kind() {
        _ if cause.is_some() => {
            let cause = cause.unwrap_or_default();
            Error::new(Kind::Unreachable, format!("no secure connection to the server: {cause}")).source(classified)
        }
        Kind::Denied | Kind::Config => match code {
            Some(1045 | 1698) => classified.hint(OTHER_LOGIN),
            _ => classified,
        },
        Kind::Schema => Error::new(Kind::Unreachable, classified.message()).hint(OTHER_DATABASE).source(classified),
        _ => Error::new(Kind::Unreachable, "the server can't be reached").source(classified),
    }
}

/// What is wrong with the server's certificate, if it is that.
fn tls_cause(error: &Driver) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref());
        let rustls = error.downcast_ref::<rustls::Error>().or_else(|| inner?.downcast_ref());
        if let Some(rustls) = rustls {
            return Some(rustls.to_string());
        }
        cause = error.source();
    }
    None
}

/// The same for COMMIT: a server that answers has rolled back, a lost answer can mean either.
pub(super) fn at_commit(error: Driver) -> Error {
    match error {
        Driver::Server(_) => classify(error),
        other => Error::new(Kind::InDoubt, "the answer to COMMIT was lost").source(other),
    }
}

fn kind(code: u16) -> Kind {
    match code {
        // Deadlock (the whole transaction is gone), lock time-out, MariaDB's "record has changed", NOWAIT,
        // table definition changed under a snapshot, statement to be prepared anew, statement time-out, shutdown, killed.
        1213 | 1205 | 1020 | 3572 | 1412 | 1615 | 3024 | 1969 | 1053 | 1317 | 1927 | 3169 | 4031 => Kind::Retry,
        1040 | 1203 | 1226 => Kind::Retry,
        // No record is at fault where there is no room for any (F3).
        code if full(code) => Kind::Retry,
        1062 | 1586 | 1169 => Kind::Duplicate,
        1044 | 1045 | 1095 | 1142 | 1143 | 1227 | 1370 | 1410 | 1419 | 1698 | 1820 | 3118 | 4151 => Kind::Denied,
        1290 | 1792 | 1836 => Kind::Denied,
        1049 | 1051 | 1054 | 1109 | 1141 | 1146 => Kind::Schema,
        1449 => Kind::Tracking,
        // Everything else, known and unknown, is a refusal of this data.
        _ => Kind::Rejected,
    }
}

/// The disk, a tablespace, or what may be used of it, is full.
fn full(code: u16) -> bool {
    matches!(code, 1021 | 1026 | 1114)
}

fn meaning(code: u16) -> &'static str {
    match code {
        1213 => "deadlock",
        1205 | 3572 => "lock wait time-out",
        1020 => "a record has changed",
        1062 | 1586 | 1169 => "duplicate key",
        1451 | 1217 => "a row refers to it",
        1452 | 1216 => "the row it refers to is missing",
        1406 => "a value is too long",
        1264 | 1690 => "a value is out of range",
        1366 | 1292 | 1265 | 1411 | 3140 => "a value does not fit its column",
        3819 | 4025 => "a check constraint",
        1048 | 1364 => "a column takes no NULL and has no default",
        3105 | 1906 => "a generated column can't be written",
        1142 | 1143 | 1044 | 1370 | 1227 => "a right is missing",
        1045 | 1698 => "the login was refused",
        1419 => "log_bin_trust_function_creators is off and the user lacks SUPER",
        1146 | 1051 => "a table is missing",
        1054 => "a column is missing",
        1049 => "the database is missing",
        1141 => "there is no such account",
        1449 => "the account a trigger runs as is missing",
        1290 | 1792 | 1836 => "the server is read-only",
        1021 | 1026 | 1114 => "there is no room for it",
        1644 => "a trigger raised an error",
        _ => "see the manual",
    }
}

/// The constraint or column a message names, never the value beside it.
fn subject(code: u16, message: &str) -> Option<String> {
    let quoted = |after: &str, open: char, close: char| {
        let rest = &message[message.rfind(after)? + after.len()..];
        let rest = &rest[rest.find(open)? + open.len_utf8()..];
        Some(rest[..rest.find(close)?].to_owned())
    };
    match code {
        1062 => quoted("for key ", '\'', '\''),
        1451 | 1452 => quoted("CONSTRAINT ", '`', '`'),
        1406 | 1264 | 1366 | 1265 | 1292 => quoted(" column ", '\'', '\'').or_else(|| last_name(message)),
        1048 | 1054 => quoted("olumn ", '\'', '\''),
        1364 => quoted("Field ", '\'', '\''),
        3819 => quoted("constraint ", '\'', '\''),
        4025 => quoted("CONSTRAINT ", '`', '`'),
        1142 | 1143 => quoted("for table ", '`', '`').or_else(|| quoted("for table ", '\'', '\'')),
        1146 => quoted("Table ", '\'', '\''),
        _ => None,
    }
}

/// MariaDB's ``for column `shop`.`customer`.`name` at row 1``: the column alone.
fn last_name(message: &str) -> Option<String> {
    let (names, _) = message[message.rfind(" column `")? + 9..].rsplit_once("` at row ")?;
    Some(names.rsplit("`.`").next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_async::ServerError;

    fn server(code: u16, message: &str) -> Error {
        classify(Driver::Server(ServerError { code, message: message.into(), state: "HY000".into() }))
    }

    #[test]
    fn i10_values_are_cut_from_messages() {
        let error = server(1062, "Duplicate entry 'ann@secret.example' for key 'customers.email'");
        assert_eq!(error.kind(), Kind::Duplicate);
        assert_eq!(error.to_string(), "the server refused it: duplicate key (code 1062): customers.email");
        let error = server(1366, "Incorrect string value: '\\xF0\\x9F' for column `shop`.`c`.`name` at row 1");
        assert!(error.to_string().ends_with(": name"), "{error}");
        let error = server(1406, "Data too long for column 'name' at row 1");
        assert!(error.to_string().ends_with(": name"), "{error}");
    }

    #[test]
    fn f3_a_full_disk_is_no_fault_of_a_record() {
        let error = server(1114, "The table 'contact' is full");
        assert_eq!((error.kind(), error.next_step()), (Kind::Retry, Some(MAKE_ROOM)));
    }

    #[test]
    fn f16_an_unknown_code_is_a_refusal() {
        assert_eq!(server(65000, "?").kind(), Kind::Rejected);
        assert_eq!(server(1213, "?").kind(), Kind::Retry);
        assert_eq!(server(1142, "INSERT command denied to user 'x'@'y' for table `d`.`t`").kind(), Kind::Denied);
    }
}
