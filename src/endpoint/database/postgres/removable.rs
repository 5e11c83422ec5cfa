//! What this user must own to remove what is installed, asked before anything is removed.

use super::log::{collection_name, mark};
use super::session::Conn;
use crate::error::{Error, Kind, Result};
use crate::model::TableName;

/// See [`Tracking::may_uninstall`](crate::endpoint::Tracking::may_uninstall).
pub(super) async fn check(conn: &mut Conn, integration: Option<&str>, tables: &[TableName]) -> Result<()> {
    let marks = match integration {
        None => None,
        Some(integration) => match alone(conn, integration, tables).await? {
            marks if marks.is_empty() => return Ok(()),
            marks => Some(marks),
        },
    };
    let lacking = conn.query(include_str!("../../../../sql/postgres/tracking_owners.sql"), &[&marks]).await?;
    let lacking: Vec<String> = lacking.iter().map(|row| row.get(0)).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let hint = "grant it, or uninstall by the login that installed; then: twinrow uninstall";
    Err(Error::new(Kind::Denied, lacking.join("; ")).hint(hint))
}

/// The marks of those of these tables whose logs nobody else reads.
async fn alone(conn: &mut Conn, integration: &str, tables: &[TableName]) -> Result<Vec<String>> {
    let names: Vec<String> = tables.iter().map(collection_name).collect();
    let shared = "select name from twinrow.consumer where integration <> $1::text and name = any($2::text[])";
    let shared: Vec<String> = match conn.query(shared, &[&integration, &names]).await {
        // Nothing is there, or a half of it is gone.
        Err(error) if error.kind() == Kind::Schema => Vec::new(),
        rows => rows?.iter().map(|row| row.get(0)).collect(),
    };
    Ok(tables.iter().zip(&names).filter(|(_, name)| !shared.contains(name)).map(|(table, _)| mark(table)).collect())
}
