//! `twinrow check`

use serde::Serialize;

use super::Context;
use super::open::{Opened, open};
use super::{output, status};
use crate::endpoint::Need;
use crate::error::{Context as _, Error, Kind, Result};
use crate::model::{Deletes, Integration, Link, Obstacle, Side};
use crate::pipeline::{check_forest, tables_at};

#[derive(Serialize)]
struct Checked {
    endpoints: Vec<CheckedEndpoint>,
    warnings: Vec<String>,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct CheckedEndpoint {
    name: String,
    version: String,
    installed: bool,
}

/// Checks configuration, reach, versions, tracking objects, and what triggers can't see.
pub async fn run(context: &Context) -> Result<()> {
    // The command that was just typed is no next step by itself.
    check(context).await.map_err(|error| match error.what_next().starts_with("twinrow check") {
        true => error.hint("correct what this names, then: twinrow check"),
        false => error,
    })
}

async fn check(context: &Context) -> Result<()> {
    let mut opened = open(&context.config).await?;
    let mut checked = Checked { endpoints: Vec::new(), warnings: std::mem::take(&mut opened.warnings), problems: Vec::new() };
    let mut denied = false;
    for (at, endpoint) in opened.endpoints.iter().enumerate() {
        let name = &opened.integration.endpoints[at];
        let capabilities = endpoint.capabilities().await.context(format!("endpoint {name}"))?;
        let tables = tables_at(&opened.integration, at);
        let mut installed = true;
        if let Some(tracking) = endpoint.tracking() {
            let script = match tracking.script(&tables, at == opened.integration.home).await {
                // Something is there that can't be seen: below it is said why.
                Err(error) if error.kind() == Kind::Denied => Err(error),
                other => Ok(other?),
            };
            installed = script.as_ref().map_or(true, |script| script.trim().is_empty());
            let rights = tracking.rights(&needs(&opened.integration, at, !installed)).await?;
            denied |= !rights.missing.is_empty();
            let named = |line: &String| format!("{name}: {line}");
            checked.warnings.extend(rights.warnings.iter().map(named));
            checked.problems.extend(rights.missing.iter().map(named));
            if rights.missing.is_empty() {
                script?;
            }
            if installed && rights.missing.is_empty() {
                for finding in tracking.inspect(&tables).await? {
                    checked.problems.push(format!("{name}: {}: {}", finding.table, finding.problem));
                }
            }
        }
        checked.endpoints.push(CheckedEndpoint { name: name.clone(), version: capabilities.version, installed });
    }
    let refused = if denied { None } else { refused(&opened).await? };
    checked.problems.extend(refused.iter().map(|refused| format!("run is refused: {}; next: {}", refused.cause, refused.next)));
    if !denied && refused.is_none() && checked.endpoints.iter().all(|endpoint| endpoint.installed) {
        check_forest(&opened.integration, &opened.endpoints).await?;
    }
    for link in &opened.integration.links {
        for side in Side::BOTH {
            let table = &link.collection[side].table;
            checked.warnings.extend(table.blind_spots.iter().map(|spot| format!("{}: {side} {}: {spot}", link.name, table.name)));
        }
    }
    let problems = checked.problems.len();
    if context.json {
        output::json(&checked)?;
    } else {
        print(&checked);
    }
    if denied {
        let next = "grant what is named above (docs/grants.md says what for), then: twinrow check";
        return Err(Error::new(Kind::Denied, format!("{problems} problem(s) found")).hint(next));
    }
    if let Some(refused) = refused {
        return Err(Error::new(Kind::Identity, refused.cause).hint(refused.next));
    }
    if problems > 0 {
        return Err(Error::new(Kind::Tracking, format!("{problems} problem(s) found")).hint("twinrow install"));
    }
    Ok(())
}

/// What a run would be refused for before anything is read or written, if there is anything of ours yet.
async fn refused(opened: &Opened) -> Result<Option<Obstacle>> {
    match status::refused(&opened.integration, &opened.endpoints).await {
        Err(nothing) if matches!(nothing.kind(), Kind::Schema | Kind::Tracking) => Ok(None),
        refused => refused,
    }
}

/// What is done with the tables of one endpoint.
fn needs(integration: &Integration, at: usize, install: bool) -> Vec<Need> {
    let mut needs = Vec::new();
    for link in &integration.links {
        for side in Side::BOTH.into_iter().filter(|side| link.endpoint[*side] == at) {
            let write = link.direction.writes(side);
            let delete = write && link.deletes == Deletes::Delete;
            let collection = &link.collection[side];
            let mut columns: Vec<String> =
                collection.table.key_columns().chain(collection.mapped()).map(|column| column.name.clone()).collect();
            columns.dedup();
            let defaults = if write { defaults(link, side) } else { Vec::new() };
            needs.push(Need { table: collection.table.name.clone(), columns, defaults, write, delete, install });
        }
    }
    needs
}

/// The columns that a record created on this side leaves to their defaults.
fn defaults(link: &Link, side: Side) -> Vec<String> {
    let collection = &link.collection[side];
    let sent = |at: usize| (0..link.fields.len()).any(|f| collection.columns[f] == at && link.fields[f].direction.writes(side));
    let columns = collection.table.columns.iter().enumerate();
    columns.filter(|(at, column)| column.has_default && !sent(*at)).map(|(_, column)| column.name.clone()).collect()
}

fn print(checked: &Checked) {
    for endpoint in &checked.endpoints {
        let installed =
            if endpoint.installed { "installed" } else { "not installed yet: the first run does it, or: twinrow install" };
        say!("{}: {}, {installed}", endpoint.name, endpoint.version);
    }
    for warning in &checked.warnings {
        say!("warning: {warning}");
    }
    for problem in &checked.problems {
        say!("problem: {problem}");
    }
    if checked.problems.is_empty() {
        say!("ok");
    }
}
