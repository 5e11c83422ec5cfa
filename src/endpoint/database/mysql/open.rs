//! Transactions that are not over, for people who wait for what is in them.

use super::connection::{Connection, field_optional, field_text};
use super::log::Log;
use crate::endpoint::{OpenTransaction, OpenTransactions};
use crate::error::{Kind, Result};
use crate::model::Table;

pub(super) async fn transactions(connection: &mut Connection, tables: &[Table]) -> Result<OpenTransactions> {
    let mariadb = connection.server.flavour.mariadb;
    let sql = if mariadb { sql!("open_transactions_mariadb") } else { sql!("open_transactions_mysql") };
    let rows = match connection.rows(sql, Vec::new()).await {
        Err(error) if error.kind() == Kind::Denied => {
            let account = super::rights::account(connection).await?;
            let missing_right = Some(grant(connection, &account));
            return Ok(OpenTransactions { missing_right, ..OpenTransactions::default() });
        }
        other => other?,
    };
    let mut open = OpenTransactions::default();
    for row in &rows {
        let user = field_optional(row, 1)?.map_or_else(String::new, |user| format!(" of user {user}"));
        let application = field_optional(row, 2)?.map_or_else(String::new, |name| format!(" ({name})"));
        let log = field_optional(row, 4)?;
        let of = |table: &&Table| log.as_deref() == Some(Log::of(table, &connection.server.database).name.as_str());
        let table = tables.iter().find(of).map(|table| table.name.to_string());
        if log.is_some() && table.is_none() {
            continue;
        }
        open.add(OpenTransaction {
            who: format!("connection {}{user}{application}", field_text(row, 0)?),
            since: field_text(row, 3)?.split('.').next().and_then(|text| text.parse().ok()),
            tables: table.into_iter().collect(),
        });
    }
    Ok(open)
}

/// What somebody with the rights to do so must run, for us to see all of it.
pub(super) fn grant(connection: &Connection, account: &str) -> String {
    let locks = if connection.server.flavour.mariadb {
        String::new()
    } else {
        format!("; grant select on performance_schema.* to {account}")
    };
    format!("grant process on *.* to {account}{locks}")
}
