//! Locks on numbers, which the server keeps for us and no table is touched by. Each is held by a transaction of its own on
//! a connection of its own: it goes when that is dropped or lost, and a pooler in between makes no difference.

use std::time::{Duration, Instant};

use super::session::{Conn, Server};
use crate::error::{Error, Kind, Result};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../../sql/postgres/", $name, ".sql"))
    };
}

/// Who installs in this database, upgrades or removes: `twinrow` and a letter, as a number.
const INSTALLING: i64 = i64::from_be_bytes(*b"twinrowi");

/// How long another process's installation is waited for, and how often we look.
const WAIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// Takes the lock and holds it until the answer is dropped; `None`: somebody else has it.
pub(super) async fn hold(server: &Server, number: i64) -> Result<Option<Conn>> {
    let mut conn = server.connect().await?;
    conn.opened();
    conn.batch(sql!("advisory_begin")).await?;
    let taken = take(&mut conn, number).await?;
    if !taken {
        conn.rollback_now().await?;
    }
    Ok(taken.then_some(conn))
}

/// Whether somebody holds it.
pub(super) async fn is_held(server: &Server, number: i64) -> Result<bool> {
    // Outside a transaction it is let go of at once.
    Ok(!take(&mut server.connect().await?, number).await?)
}

async fn take(conn: &mut Conn, number: i64) -> Result<bool> {
    let rows = conn.query(sql!("advisory_take"), &[&number]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Waits for its turn to install, for a while: whoever came first has everything in place then.
pub(super) async fn installing(server: &Server) -> Result<Conn> {
    let since = Instant::now();
    loop {
        if let Some(held) = hold(server, INSTALLING).await? {
            return Ok(held);
        }
        if since.elapsed() > WAIT {
            let why =
                format!("another process has been installing or uninstalling here for {} s: nothing was changed", WAIT.as_secs());
            return Err(Error::new(Kind::Retry, why).hint("twinrow install"));
        }
        tokio::time::sleep(LOOK).await;
    }
}
