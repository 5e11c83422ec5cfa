//! Transactions that are not over, for people who wait for what is in them.

use super::log::collection_name;
use super::session::Conn;
use crate::endpoint::{OpenTransaction, OpenTransactions};
use crate::error::Result;
use crate::model::Table;

pub(super) async fn transactions(conn: &mut Conn, tables: &[Table]) -> Result<OpenTransactions> {
    let names: Vec<String> = tables.iter().map(|table| collection_name(&table.name)).collect();
    let rows = conn.query(include_str!("../../../../sql/postgres/open_transactions.sql"), &[&names]).await?;
    let mut open = OpenTransactions::default();
    for row in &rows {
        let (pid, user): (Option<i64>, Option<&str>) = (row.get(1), row.get(2));
        let (application, gid, since): (Option<&str>, Option<&str>, Option<i64>) = (row.get(3), row.get(4), row.get(5));
        let what = match (pid, gid) {
            (Some(pid), _) => format!("process {pid}"),
            (None, Some(gid)) => format!("prepared transaction '{gid}'"),
            (None, None) => "a transaction".to_owned(),
        };
        let user = user.map_or_else(String::new, |user| format!(" of user {user}"));
        let application = application.filter(|name| !name.is_empty()).map_or_else(String::new, |name| format!(" ({name})"));
        if pid.is_some() && since.is_none() {
            let right = format!("grant pg_read_all_stats to \"{}\"", row.get::<_, &str>(6).replace('"', "\"\""));
            open.missing_right = Some(right);
        }
        let name: &str = row.get(0);
        let table =
            tables.iter().zip(&names).find(|(_, quoted)| quoted.as_str() == name).map(|(table, _)| table.name.to_string());
        open.add(OpenTransaction { who: format!("{what}{user}{application}"), since, tables: table.into_iter().collect() });
    }
    Ok(open)
}
