//! `twinrow conflicts`

use clap::Subcommand;
use serde::Serialize;

use super::Context;
use super::open::{Opened, home_session, open_each, with_numbers};
use super::output;
use crate::error::{Error, Kind, Result};
use crate::model::{ConflictState, Integration, Link, Side, hex};
use crate::state::{self, ShownConflict};

/// `twinrow conflicts`
#[derive(Debug, clap::Args)]
pub struct Conflicts {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The latest, newest first.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: i64,
    },
    /// Both rows of one, field by field.
    Show {
        /// Its id, as listed.
        id: String,
    },
}

#[derive(Serialize)]
struct Shown {
    id: String,
    at: String,
    link: String,
    source: String,
    target: String,
    loser: Option<String>,
    state: &'static str,
    kept: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
}

#[derive(Clone, Serialize)]
pub(super) struct Field {
    field: String,
    source: Option<String>,
    target: Option<String>,
}

impl Shown {
    /// Who lost, in a column.
    fn lost(&self) -> String {
        match (&self.loser, self.state) {
            (Some(loser), _) => loser.clone(),
            (None, UNDECIDED) => UNDECIDED.to_owned(),
            (None, _) => "neither".to_owned(),
        }
    }

    /// What became of the values, in words.
    fn fate(&self) -> String {
        match (&self.loser, self.state) {
            (Some(loser), PENDING) => format!("the {loser}'s values are about to be overwritten since {}", self.at),
            (Some(loser), _) => format!("the {loser}'s values were overwritten at {}", self.at),
            (None, UNDECIDED) => format!("undecided: as they were at {}", self.at),
            (None, _) => format!("both stand since {}: a blank does not clear the other side's value", self.at),
        }
    }
}

const PENDING: &str = "pending";
const UNDECIDED: &str = "undecided";

fn word(state: ConflictState) -> &'static str {
    match state {
        ConflictState::Pending => PENDING,
        ConflictState::Kept => "kept",
        ConflictState::Undecided => UNDECIDED,
    }
}

/// Lists and shows kept conflicts.
pub async fn run(context: &Context, args: &Conflicts) -> Result<()> {
    let Opened { mut integration, endpoints, .. } = open_each(&context.config).await?;
    let mut session = home_session(&integration, &endpoints).await?;
    with_numbers(&mut *session, &mut integration, &endpoints).await?;
    match args.what.as_ref().unwrap_or(&What::List { limit: 100 }) {
        What::List { limit } => {
            let conflicts = state::conflicts(&mut *session, &integration.name, *limit).await?;
            let all: Vec<Shown> = conflicts.iter().map(|conflict| shown(&integration, conflict, false)).collect();
            if context.json {
                return output::json(&all);
            }
            let mut rows = vec![["id", "at", "link", "source", "target", "lost"].map(String::from).to_vec()];
            rows.extend(all.into_iter().map(|one| {
                let lost = one.lost();
                vec![one.id, one.at, one.link, one.source, one.target, lost]
            }));
            output::table(&rows);
            Ok(())
        }
        What::Show { id } => {
            let unknown = || Error::new(Kind::Config, format!("there is no conflict `{id}`")).hint("twinrow conflicts list");
            let bytes = unhex(id).ok_or_else(unknown)?;
            let found = state::conflict(&mut *session, &integration.name, &bytes).await?.ok_or_else(unknown)?;
            let shown = shown(&integration, &found, true);
            if context.json {
                return output::json(&shown);
            }
            say!("{}: source {}, target {}; {}", shown.link, shown.source, shown.target, shown.fate());
            print_fields(&shown.fields);
            Ok(())
        }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// Both rows, side by side; nothing where no values are kept.
pub(super) fn print_fields(fields: &[Field]) {
    if fields.iter().all(|field| field.source.is_none() && field.target.is_none()) {
        return;
    }
    let mut rows = vec![["field", "source", "target"].map(String::from).to_vec()];
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
    rows.extend(fields.iter().map(|field| vec![field.field.clone(), text(&field.source), text(&field.target)]));
    output::table(&rows);
}

/// The rows of a conflict, field by field.
pub(super) fn fields(link: Option<&Link>, conflict: &ShownConflict) -> Vec<Field> {
    let row = |side: Side| -> Vec<Option<String>> {
        conflict.rows[side].as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    };
    let (ours, theirs) = (row(Side::Source), row(Side::Target));
    let names = link.map(|link| link.fields.iter().map(|field| field.name.clone()).collect()).unwrap_or_default();
    let value = |row: &[Option<String>], at: usize| row.get(at).cloned().flatten();
    let field = |(at, field)| Field { field, source: value(&ours, at), target: value(&theirs, at) };
    Vec::<String>::into_iter(names).enumerate().map(field).collect()
}

fn shown(integration: &Integration, conflict: &ShownConflict, with_fields: bool) -> Shown {
    let link = integration.links.iter().find(|link| link.number == conflict.link);
    let [source, target] = output::keys(&conflict.key);
    Shown {
        id: hex(&conflict.id),
        at: output::time(conflict.at),
        link: link.map_or_else(|| format!("#{}", conflict.link), |link| link.name.clone()),
        source,
        target,
        loser: conflict.loser.map(|loser| loser.to_string()),
        state: word(conflict.state),
        kept: conflict.state == ConflictState::Kept,
        fields: if with_fields { fields(link, conflict) } else { Vec::new() },
    }
}
