//! `twinrow held`

use clap::Subcommand;
use serde::Serialize;

use super::Context;
use super::conflicts::{Field, fields, print_fields};
use super::open::{Opened, home_session, open_each, with_numbers};
use super::output;
use crate::error::{Error, Kind, Result};
use crate::model::{Integration, Key, KeyBytes, Link, Reason, Side, Value, Work, undecided_id, work_name};
use crate::sql::Session;
use crate::state::{self, ShownConflict};

/// `twinrow held`
#[derive(Debug, clap::Args)]
pub struct Held {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List what could not be synced, with causes.
    List,
    /// Show one record: LINK SIDE KEY.
    Show(Record),
    /// Try again at once: one record, a link's, or all.
    Retry {
        /// The link.
        link: Option<String>,
        /// `source` or `target`.
        #[arg(requires = "key")]
        side: Option<String>,
        /// The key, parts separated by commas.
        key: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Record {
    /// The link.
    link: String,
    /// `source` or `target`.
    side: String,
    /// The key, parts separated by commas.
    key: String,
}

#[derive(Serialize)]
struct Shown {
    link: String,
    side: String,
    key: String,
    reason: String,
    cause: String,
    attempts: i64,
    since: String,
    /// Of a conflict that waits for a person: both rows, as they were when it was last looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
}

const PAGE: i64 = 500;

/// Lists, shows and retries what could not be synced.
pub async fn run(context: &Context, args: &Held) -> Result<()> {
    let Opened { mut integration, endpoints, .. } = open_each(&context.config).await?;
    let mut session = home_session(&integration, &endpoints).await?;
    with_numbers(&mut *session, &mut integration, &endpoints).await?;
    match args.what.as_ref().unwrap_or(&What::List) {
        What::List => list(context, &mut *session, &integration.links).await,
        What::Show(record) => {
            let (link, side, work) = find(&mut *session, &integration.links, record).await?;
            let conflict = undecided(&mut *session, &integration, link, &work).await?;
            let shown = Shown {
                as_of: conflict.as_ref().map(|conflict| output::time(conflict.at)),
                fields: conflict.as_ref().map_or_else(Vec::new, |conflict| fields(Some(link), conflict)),
                ..shown(link, &work)
            };
            if context.json {
                return output::json(&shown);
            }
            say!("{} {side} {}: {}: {}", shown.link, shown.key, shown.reason, shown.cause);
            say!("since {}, tried {} time(s)", shown.since, shown.attempts + 1);
            if let Some(as_of) = &shown.as_of {
                say!("undecided: both sides as they were at {as_of}");
                print_fields(&shown.fields);
            }
            Ok(())
        }
        What::Retry { link: None, .. } => {
            let mut n = 0;
            for link in &integration.links {
                n += retry_link(&mut *session, link).await?;
            }
            say!("{n} record(s) are tried again in the next cycle");
            Ok(())
        }
        What::Retry { link: Some(name), side: None, .. } => {
            let n = retry_link(&mut *session, link(&integration.links, name)?).await?;
            say!("{n} record(s) are tried again in the next cycle");
            Ok(())
        }
        What::Retry { link: Some(link), side: Some(side), key } => {
            let record = Record { link: link.clone(), side: side.clone(), key: key.clone().unwrap_or_default() };
            let (link, side, work) = find(&mut *session, &integration.links, &record).await?;
            state::touch(&mut *session, link, &[(side, work.name())]).await?;
            say!("it is tried again in the next cycle");
            Ok(())
        }
    }
}

/// The conflict of a record that is held for a person: under the source's key where its pair has one, else under the
/// target's.
async fn undecided(
    session: &mut dyn Session,
    integration: &Integration,
    link: &Link,
    work: &Work,
) -> Result<Option<ShownConflict>> {
    let pairs = match work.lost {
        Some(id) => state::by_id(session, link, &[id]).await?,
        None => state::by_key(session, link, work.side, std::slice::from_ref(&work.key)).await?,
    };
    let live = |side: Side| Some((side, pairs.first()?.key[side].clone()?));
    for (side, key) in Side::BOTH.into_iter().filter_map(live).chain([(work.side, work.key.clone())]) {
        let id = undecided_id(link.number, side, &key);
        let found = state::conflict(session, &integration.name, &id).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

async fn retry_link(session: &mut dyn Session, link: &Link) -> Result<u64> {
    let mut n = 0;
    for reason in [Reason::Held, Reason::Waiting, Reason::Busy, Reason::Gone, Reason::Approved] {
        n += state::retry(session, link, reason).await?;
    }
    Ok(n)
}

fn link<'a>(links: &'a [Link], name: &str) -> Result<&'a Link> {
    links
        .iter()
        .find(|link| link.name == name)
        .ok_or_else(|| Error::new(Kind::Config, format!("there is no link `{name}`")).hint("twinrow status"))
}

async fn find<'a>(session: &mut dyn Session, links: &'a [Link], record: &Record) -> Result<(&'a Link, Side, Work)> {
    let link = link(links, &record.link)?;
    let side = output::parse_side(&record.side)?;
    let mut names = typed(&record.key);
    for pair in state::by_former(session, link, side, &names.clone()).await? {
        names.extend(pair.former[side].as_ref().map(|key| work_name(key, Some(pair.id))));
    }
    let work = state::read_work(session, link, side, &names).await?.into_iter().next();
    let work = work.ok_or_else(|| {
        Error::new(Kind::Config, format!("{} {side} {} is not on the worklist", record.link, record.key))
            .hint("twinrow held list")
    })?;
    Ok((link, side, work))
}

/// A typed key could be numbers or text: both are looked up.
fn typed(text: &str) -> Vec<KeyBytes> {
    let words = || Key(text.split(',').map(|part| Value::Text(part.to_owned())).collect());
    let numbers: Option<Vec<Value>> = text.split(',').map(|part| part.parse().ok().map(Value::Int)).collect();
    let mut keys = vec![words().encode()];
    keys.extend(numbers.map(|parts| Key(parts).encode()));
    keys.extend(uuid::Uuid::parse_str(text).ok().map(|id| Key(vec![Value::Uuid(*id.as_bytes())]).encode()));
    keys
}

fn shown(link: &Link, work: &Work) -> Shown {
    Shown {
        link: link.name.clone(),
        side: work.side.to_string(),
        key: output::key(&work.key),
        reason: reason(work.reason).to_owned(),
        cause: work.cause.clone(),
        attempts: work.attempts,
        since: output::time(work.since),
        as_of: None,
        fields: Vec::new(),
    }
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Busy => "busy",
        Reason::Waiting => "waiting",
        Reason::Held => "held",
        Reason::Braked => "braked",
        Reason::Gone => "gone",
        Reason::Approved => "approved",
        Reason::Unfinished => "unfinished",
    }
}

async fn list(context: &Context, session: &mut dyn Session, links: &[Link]) -> Result<()> {
    let mut all = Vec::new();
    for link in links {
        let mut after = None;
        loop {
            let page = state::list_work(session, link, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.side, last.name()));
            if context.json {
                all.extend(page.iter().map(|work| shown(link, work)));
                continue;
            }
            for work in &page {
                let shown = shown(link, work);
                say!("{} {} {}: {}: {}", shown.link, shown.side, shown.key, shown.reason, shown.cause);
            }
        }
    }
    if context.json {
        return output::json(&all);
    }
    Ok(())
}
