//! What an error of the server or the driver means for the cycle.

use mysql_async::{DriverError, Error as Driver};

use crate::error::{Error, Kind, MAKE_ROOM, OTHER_AUTHORITY, OTHER_DATABASE, OTHER_LOGIN};

/// By code. Messages of the server quote values, so only code and the name of a constraint or column
/// are kept (I10).
pub(super) fn classify(error: Driver) -> Error {
    match error {
        Driver::Server(server) => {
            let (code, ours) = (server.code, server.message.contains("twinrow_log_"));
            // A trigger of ours without its log or its procedure: that can be repaired.
            let kind = if ours && matches!(code, 1146 | 1305) { Kind::Tracking } else { kind(code) };
            let mut message = format!("the server refused it: {} (code {})", meaning(server.code), server.code);
            if let Some(name) = subject(server.code, &server.message) {
                message.push_str(": ");
                message.push_str(&name);
            }
            let error = Error::new(kind, message).source(Driver::Server(server));
            if full(code) {
                return error.hint(MAKE_ROOM);
            }
            error
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
            Error::new(Kind::Unreachable, format!("no secure connection to the server: {cause}"))
                .hint(OTHER_AUTHORITY)
                .source(classified)
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

/// The same for COMMIT: a lost answer can mean either, and so can most errors. What was prepared is undone only where the
/// server says that the transaction lost against another one.
pub(super) fn at_commit(error: Driver) -> Error {
    match error {
        Driver::Server(ref server) if matches!(server.code, 1205 | 1213 | 1020 | 1613 | 1614 | 3101) => classify(error),
        Driver::Server(_) => {
            let refused = classify(error);
            let error = Error::new(Kind::InDoubt, refused.message());
            let error = if let Some(step) = refused.next_step() { error.hint(step) } else { error };
            error.source(refused)
        }
        other => Error::new(Kind::InDoubt, "the answer to COMMIT was lost").source(other),
    }
}

/// Both products' codes; one that is not here is a refusal of this data: the record is split off and held, with the
/// code, and never dropped (F16).
fn kind(code: u16) -> Kind {
    match code {
        // The transaction is gone: a deadlock, a lock or a statement time-out, XA's words for these, MariaDB's "record has
        // changed", NOWAIT, a definition changed under a snapshot or a statement, certified otherwise by a group.
        1205 | 1206 | 1213 | 1613 | 1614 | 1020 | 3572 | 1412 | 1615 | 1689 | 1969 | 3024 | 3101 => Kind::Retry,
        // An index has another name now; it is looked up again.
        1176 => Kind::Retry,
        // The session or the server goes away: shut down, killed, idle for too long, offline, a Galera node without a
        // quorum, the network.
        1047 | 1053 | 1077..=1080 | 1152 | 1158..=1161 | 1184 | 1317 | 1927 | 3032 | 3169 | 4031 => Kind::Retry,
        // No memory, threads, transactions or connections left.
        1037 | 1038 | 1040 | 1041 | 1129 | 1135 | 1203 | 1226 | 1637 => Kind::Retry,
        // No record is at fault where there is no room for any (F3).
        code if full(code) => Kind::Retry,
        1022 | 1062 | 1169 | 1586 => Kind::Duplicate,
        1044 | 1045 | 1095 | 1130 | 1142 | 1143 | 1227 | 1251 | 1370 | 1410 | 1419 | 1698 | 1820 | 1862 | 3118 | 3955 | 4151 => {
            Kind::Denied
        }
        // It was made a replica, or is for reading only for a while.
        1290 | 1792 | 1836 => Kind::Unreachable,
        3159 => Kind::Config,
        1049 | 1051 | 1054 | 1109 | 1141 | 1146 => Kind::Schema,
        1449 => Kind::Tracking,
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
        3024 | 1969 => "a statement took too long",
        1053 | 1317 | 1927 | 3169 | 4031 | 1077..=1080 | 1152 | 1184 => "the server ended the connection",
        1047 => "the cluster's node is not ready",
        3032 => "the server is offline",
        1176 => "an index is missing",
        1305 => "a routine is missing",
        1130 => "this host may not connect",
        3159 => "the server wants a secure connection",
        1037 | 1038 | 1041 | 1135 => "the server is out of memory",
        1040 | 1203 | 1226 => "too many connections",
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
        1044 | 1142 | 1143 | 1227 | 1370 => denied(message),
        1146 => quoted("Table ", '\'', '\''),
        _ => None,
    }
}

/// The right that is missing, and on what: `UPDATE on shop.contact`.
fn denied(message: &str) -> Option<String> {
    let bare = |name: &str| name.replace(['`', '\''], "");
    if let Some((_, rights)) = message.split_once("(at least one of) the ") {
        return Some(rights.split(" privilege").next()?.to_owned());
    }
    if let Some((_, database)) = message.rsplit_once(" to database ") {
        return Some(format!("database {}", bare(database)));
    }
    let (right, rest) = message.split_once(" command denied to user ")?;
    let (_, on) = [" for routine ", " in table ", " for table "].into_iter().find_map(|word| rest.rsplit_once(word))?;
    Some(format!("{} on {}", right.to_uppercase(), bare(on)))
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
    fn f16_codes_of_both_products_have_their_kind() {
        let table: [(Kind, &[u16]); 8] = [
            (
                Kind::Retry,
                &[1205, 1213, 1020, 3572, 1053, 1317, 1927, 3169, 4031, 1047, 1040, 1203, 1226, 1041, 1021, 1114, 1176],
            ),
            (Kind::Duplicate, &[1062, 1586, 1169, 1022]),
            (
                Kind::Rejected,
                &[1216, 1217, 1451, 1452, 1048, 1364, 1264, 1265, 1292, 1366, 1406, 1690, 3819, 4025, 1644, 1442, 1064],
            ),
            (Kind::Denied, &[1044, 1045, 1142, 1143, 1227, 1370, 1419]),
            (Kind::Unreachable, &[1290, 1792, 1836]),
            (Kind::Schema, &[1049, 1051, 1054, 1146]),
            (Kind::Tracking, &[1449]),
            (Kind::Config, &[3159]),
        ];
        for (kind, codes) in table {
            codes.iter().for_each(|code| assert_eq!(server(*code, "?").kind(), kind, "{code}"));
        }
        assert_eq!(server(1305, "PROCEDURE shop.twinrow_log_1 does not exist").kind(), Kind::Tracking);
        assert_eq!(server(1305, "FUNCTION shop.theirs does not exist").kind(), Kind::Rejected);
    }

    #[test]
    fn an_error_at_commit_is_in_doubt_unless_the_server_undid_it() {
        let commit = |code| at_commit(Driver::Server(ServerError { code, message: "?".into(), state: "HY000".into() }));
        assert_eq!([1213, 1205, 1020, 3101].map(|code| commit(code).kind()), [Kind::Retry; 4]);
        assert_eq!([1053, 1317, 1180, 65000].map(|code| commit(code).kind()), [Kind::InDoubt; 4]);
        let error = commit(1114);
        assert_eq!((error.kind(), error.next_step()), (Kind::InDoubt, Some(MAKE_ROOM)));
    }

    #[test]
    fn f16_an_unknown_code_is_a_refusal() {
        assert_eq!(server(65000, "?").kind(), Kind::Rejected);
        assert_eq!(server(1213, "?").kind(), Kind::Retry);
        assert_eq!(server(1142, "INSERT command denied to user 'x'@'y' for table `d`.`t`").kind(), Kind::Denied);
    }

    #[test]
    fn a_missing_right_is_named_with_what_it_is_missing_on() {
        for (code, message, named) in [
            (1142, "INSERT command denied to user 'x'@'y' for table `d`.`t`", "INSERT on d.t"),
            (1142, "SELECT command denied to user 'x'@'y' for table 't'", "SELECT on t"),
            (
                1143,
                "UPDATE command denied to user 'x'@'y' for column 'epoch' in table 'twinrow_fence'",
                "UPDATE on twinrow_fence",
            ),
            (1370, "execute command denied to user 'x'@'y' for routine 'd.twinrow_log_1'", "EXECUTE on d.twinrow_log_1"),
            (1044, "Access denied for user 'x'@'y' to database 'd'", "database d"),
            (1227, "Access denied; you need (at least one of) the SUPER privilege(s) for this operation", "SUPER"),
        ] {
            assert!(server(code, message).to_string().ends_with(&format!("a right is missing (code {code}): {named}")), "{code}");
        }
    }
}
