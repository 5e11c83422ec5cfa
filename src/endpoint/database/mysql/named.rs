//! Locks under a name, which the server keeps for a session and no table is touched by. One name is one lock on the whole
//! server, whatever the session's database.

use std::sync::Arc;

use mysql_async::Value as Wire;

use super::connection::{Connection, Pool, field_optional};
use super::log::short_hash;
use crate::error::{Error, Kind, Result};

/// How long another process's installation is waited for, in seconds, each time for less than a statement may take.
const WAIT_S: u64 = 20;
const WAITS: u32 = 3;

/// A lock, held until it is dropped or let go of.
pub(super) struct Named {
    connection: Option<Connection>,
    name: String,
}

impl Named {
    /// Takes it; `None`: somebody else has had it for all these seconds.
    async fn take(mut connection: Connection, name: String, seconds: u64) -> Result<Option<Named>> {
        let rows = connection.rows(sql!("named_take"), vec![Wire::from(name.as_str()), Wire::from(seconds)]).await?;
        let answer = rows.first().map(|row| field_optional(row, 0)).transpose()?.flatten();
        Ok((answer.as_deref() == Some("1")).then_some(Named { connection: Some(connection), name }))
    }

    /// Shows a name to whoever asks for it on this server. `None`: a server that knows no such locks (a cluster's).
    pub(super) async fn show(connection: Connection, name: &str) -> Result<Option<Named>> {
        known(Named::take(connection, name.to_owned(), 0).await).map(Option::flatten)
    }

    /// Whether somebody on this server shows it.
    pub(super) async fn is_shown(connection: Connection, name: &str) -> Result<bool> {
        match known(Named::take(connection, name.to_owned(), 0).await)? {
            Some(Some(ours)) => {
                ours.let_go().await;
                Ok(false)
            }
            Some(None) => Ok(true),
            None => Ok(false),
        }
    }

    /// Waits for its turn to install in a database, for a while: whoever came first has everything in place then. `None`:
    /// on such a server everyone takes the risk.
    pub(super) async fn installing(pool: &Arc<Pool>) -> Result<Option<Named>> {
        for _ in 0..WAITS {
            let connection = pool.get().await?;
            let name = format!("twinrow_install_{}", short_hash(&connection.server.database));
            match known(Named::take(connection, name, WAIT_S).await)? {
                Some(Some(mut ours)) => {
                    ours.stay().await?;
                    return Ok(Some(ours));
                }
                Some(None) => {}
                None => return Ok(None),
            }
        }
        let why = format!(
            "another process has been installing or uninstalling here for {} s: nothing was changed",
            WAIT_S * u64::from(WAITS)
        );
        Err(Error::new(Kind::Retry, why).hint("twinrow install"))
    }

    /// Where there is much to install, and the application is in the way, that takes longer than a session may be idle.
    async fn stay(&mut self) -> Result<()> {
        match &mut self.connection {
            Some(connection) => connection.run(sql!("named_stay")).await,
            None => Ok(()),
        }
    }

    /// Lets go of it now, and not when the server has noticed that the session is gone.
    pub(super) async fn let_go(mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        // A session that is lost has let go of it too.
        let _ = connection.rows(sql!("named_release"), vec![Wire::from(self.name.as_str())]).await;
        connection.close();
    }
}

/// `None` where the server refuses such locks, whatever the name.
fn known<T>(taken: Result<T>) -> Result<Option<T>> {
    match taken {
        Err(error) if error.kind() == Kind::Rejected => Ok(None),
        taken => taken.map(Some),
    }
}

impl Drop for Named {
    /// With the session goes what it holds: it must not go back to the pool.
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close();
        }
    }
}
