//! Whether two endpoints lead to one place, by whatever names: another host name, a pooler, a link to a file. Of two such
//! endpoints a table is there twice, and a link of it with itself would never come to an end (rule 21).

use super::Endpoint;
use crate::error::{Context, Result};
use crate::model::{Both, TableName};

/// Where an endpoint leads.
pub struct Whereabouts {
    /// What every endpoint that leads there knows again, and no other one, as long as this lives.
    pub sign: String,
    /// The schema of tables whose names have none.
    pub schema: String,
    /// What shows the sign, where it must be shown.
    pub(super) _shown: Option<Box<dyn Send>>,
}

/// Two endpoints that lead to one place: the schema of tables whose names have none, as each of them calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnePlace(pub Both<String>);

impl OnePlace {
    /// The table's whole name, as only this table of the place has it.
    pub fn whole<'a>(&'a self, side: crate::model::Side, table: &'a TableName) -> (&'a str, &'a str) {
        let schema = if table.schema.is_empty() { &self.0[side] } else { &table.schema };
        (schema, &table.name)
    }
}

/// Whether these two endpoints lead to one place. Nothing is written; where it can't be told, none is found.
///
/// # Errors
/// Only if one of them can't be reached.
pub async fn one_place(ends: Both<&dyn Endpoint>, names: Both<&str>) -> Result<Option<OnePlace>> {
    let place = |name: &str| format!("endpoint {name}");
    let Some(source) = ends.source.whereabouts().await.context(place(names.source))? else { return Ok(None) };
    if !ends.target.leads_to(&source.sign).await.context(place(names.target))? {
        return Ok(None);
    }
    let target = ends.target.whereabouts().await.context(place(names.target))?;
    Ok(target.map(|target| OnePlace(Both { source: source.schema.clone(), target: target.schema })))
}
