//! What this user may not do. The catalog is everybody's: that a table is seen says nothing.

use super::session::Conn;
use crate::endpoint::Need;
use crate::error::Result;

/// What is missing of these rights, in words.
pub(super) async fn missing(conn: &mut Conn, needs: &[Need]) -> Result<Vec<String>> {
    let (mut schemas, mut names, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
    for need in needs {
        let all =
            [(true, "SELECT"), (need.write, "INSERT"), (need.write, "UPDATE"), (need.delete, "DELETE"), (need.install, "own")];
        for (_, right) in all.into_iter().filter(|(needed, _)| *needed) {
            schemas.push(need.table.schema.as_str());
            names.push(need.table.name.as_str());
            wanted.push(right);
        }
    }
    let sql = include_str!("../../../../sql/postgres/tracking_rights.sql");
    let rows = conn.query(sql, &[&schemas, &names, &wanted]).await?;
    Ok(rows.iter().map(|row| format!("this login lacks {}", row.get::<_, &str>(0))).collect())
}
