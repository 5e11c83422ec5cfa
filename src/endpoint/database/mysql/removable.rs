//! What this login must be allowed to do to remove what is installed, asked before anything is removed.

use std::collections::BTreeSet;

use super::connection::{Connection, field_optional, field_text};
use super::grants::Object;
use super::{present, rights};
use crate::error::{Kind, Result};
use crate::model::TableName;

/// See [`Tracking::may_uninstall`](crate::endpoint::Tracking::may_uninstall).
pub(super) async fn check(connection: &mut Connection, integration: Option<&str>, tables: &[TableName]) -> Result<()> {
    let database = connection.server.database.clone();
    let own = present::own(connection).await?;
    let table = |name: &str| Object::Table(database.clone(), name.to_owned());
    let mut needs: BTreeSet<(&str, Object)> = BTreeSet::new();
    let names: BTreeSet<String> = tables.iter().map(ToString::to_string).collect();
    for log in logs(connection, integration).await? {
        if integration.is_some() && !names.contains(&log.collection) {
            continue;
        }
        needs.insert(("DROP", table(&log.name)));
        // One that this login may not see it would leave behind, without its log.
        needs.extend(log.on.map(|on| ("TRIGGER", on)));
        if connection.server.flavour.one_writer() {
            needs.insert(("ALTER ROUTINE", Object::Procedure(database.clone(), log.name)));
        }
    }
    let changed = ["twinrow_consumer", "twinrow_trigger", "twinrow_collection", "twinrow_queue"];
    match integration {
        None => needs.extend(own.iter().map(|name| ("DROP", table(name)))),
        Some(_) => needs.extend(changed.into_iter().filter(|name| own.contains(*name)).map(|name| ("DELETE", table(name)))),
    }
    rights::refuse(connection, &needs.into_iter().collect::<Vec<_>>()).await
}

/// A log that would go.
struct Log {
    collection: String,
    name: String,
    /// A table one of its triggers is on.
    on: Option<Object>,
}

async fn logs(connection: &mut Connection, integration: Option<&str>) -> Result<Vec<Log>> {
    let sql = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/mysql/uninstall_objects.sql"));
    let rows = match connection.rows(sql, vec![integration.into()]).await {
        // A half of it is gone.
        Err(error) if error.kind() == Kind::Schema => return Ok(Vec::new()),
        rows => rows?,
    };
    let log = |row: &mysql_async::Row| {
        let on = field_optional(row, 2)?.zip(field_optional(row, 3)?).map(|(schema, name)| Object::Table(schema, name));
        Ok(Log { collection: field_text(row, 0)?, name: field_text(row, 1)?, on })
    };
    rows.iter().map(log).collect()
}
