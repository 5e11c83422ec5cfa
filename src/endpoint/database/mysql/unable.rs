//! Why no connection can be made, where the server's own answer does not say enough.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error as Driver, Opts, OptsBuilder, Row};
use tokio::time::timeout;

use super::connection::field_text;
use super::error::unreachable;
use super::flavour::Flavour;
use super::grants::Object;
use super::install::literal;
use crate::endpoint::database::stranger;
use crate::error::{Error, Kind, Result};

/// The server let nobody into this database who has no right on anything in it.
const SHUT_OUT: u16 = 1044;

/// So long may it take until a connection is made.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// MySQL and MariaDB speak first: after so long a silence it is asked whether another kind of server waits there for us to.
const SILENCE: Duration = Duration::from_secs(1);

/// A connection, or why the driver could make none.
///
/// # Errors
/// If there was none in time.
pub(super) async fn connect(opts: &Opts) -> Result<std::result::Result<Conn, Driver>> {
    let mut connecting = std::pin::pin!(Conn::new(opts.clone()));
    if let Ok(made) = timeout(SILENCE, &mut connecting).await {
        return Ok(made);
    }
    let (host, port) = (opts.ip_or_hostname(), opts.tcp_port());
    if stranger::is_postgres(host, port).await {
        return Err(stranger::another_kind(&format!("{host}:{port}"), "PostgreSQL", "postgres"));
    }
    let late = |_| Error::new(Kind::Unreachable, "no connection within the time allowed");
    timeout(CONNECT_MAX, connecting).await.map_err(late)
}

/// The error of a connection that was refused.
pub(super) async fn refused(opts: &Opts, error: Driver) -> Error {
    let shut_out = matches!(&error, Driver::Server(server) if server.code == SHUT_OUT);
    let lacking = if shut_out { lacking(opts).await } else { None };
    match lacking {
        Some(lacking) => lacking.source(unreachable(error)),
        None => unreachable(error),
    }
}

/// What a login lacks that has no right on anything in its database: asked on a connection without one.
async fn lacking(opts: &Opts) -> Option<Error> {
    let database = opts.db_name()?;
    let outside = OptsBuilder::from_opts(opts.clone()).db_name(None::<String>);
    let mut conn = connect(&outside.into()).await.ok()?.ok()?;
    let account: Row = conn.query_first(sql!("login_account")).await.ok()??;
    let facts: Row = conn.query_first(sql!("session_facts")).await.ok()??;
    let account = format!("{}@{}", literal(&field_text(&account, 0).ok()?), literal(&field_text(&account, 1).ok()?));
    let procedures = Flavour::parse(&field_text(&facts, 0).ok()?).ok()?.one_writer();
    let (rights, install) = match procedures {
        true => ("SELECT, INSERT, UPDATE, DELETE, TRIGGER, EXECUTE", "create, alter, drop, create routine"),
        false => ("SELECT, INSERT, UPDATE, DELETE, TRIGGER", "create, alter, drop"),
    };
    let on = Object::Database(database.to_owned()).sql();
    let why = format!(
        "this login may do nothing in the database {database}, or there is none of that name; it lacks {rights} on {on}: grant {} \
         on {on} to {account}",
        rights.to_lowercase()
    );
    let next = format!("grant that, and to install also {install} (docs/grants.md), then: twinrow check");
    Some(Error::new(Kind::Denied, why).hint(next))
}

/// Whether a server has no TLS.
pub(super) fn has_no_tls(error: &Driver) -> bool {
    matches!(error, Driver::Driver(DriverError::NoClientSslFlagFromServer))
}
