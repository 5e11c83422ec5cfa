//! `twinrow init`: a configuration from what two schemas have in common.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::{Context, output};
use crate::config::{Scaffold, scaffold, without_password};
use crate::endpoint::{self, Endpoint, OnePlace, Tls};
use crate::error::{Context as _, Error, Kind, Result};
use crate::model::Both;

/// `twinrow init`: the file is written to `--config`.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// The side that wins conflicts: a URL, or NAME=URL.
    #[arg(long, env = "TWINROW_SOURCE", hide_env_values = true, value_name = "URL")]
    source: String,
    /// The other side.
    #[arg(long, env = "TWINROW_TARGET", hide_env_values = true, value_name = "URL")]
    target: String,
    /// The integration's name; by default both endpoints' names.
    #[arg(long)]
    name: Option<String>,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
}

/// What was written, and what must be set before it can be read.
#[derive(Serialize)]
struct Written {
    file: String,
    variables: Vec<String>,
}

/// An endpoint as given.
struct End<'a> {
    name: &'a str,
    url: &'a str,
}

/// Reads both schemas, writes the file, and says what must be set before it can be read.
pub async fn run(context: &Context, args: &Init) -> Result<()> {
    let file = context.config.display().to_string();
    if context.config.exists() && !args.force {
        let hint = "twinrow init --force, or --config with another file";
        return Err(Error::new(Kind::Config, format!("`{file}` is there already")).hint(hint));
    }
    let ends = Both { source: end("source", &args.source), target: end("target", &args.target) };
    if ends.source.name == ends.target.name {
        return Err(Error::new(Kind::Config, "source and target have the same name").hint("twinrow init --target NAME=URL"));
    }
    let mut variables = Vec::new();
    let endpoints = Both { source: open(&ends.source).await?, target: open(&ends.target).await? };
    let scaffolds = Both {
        source: read(&ends.source, &*endpoints.source, &mut variables).await?,
        target: read(&ends.target, &*endpoints.target, &mut variables).await?,
    };
    refuse_one(&ends, &endpoints).await?;
    let name = args.name.clone().unwrap_or_else(|| format!("{}-{}", ends.source.name, ends.target.name));
    write(&context.config, &scaffold(&name, &scaffolds), args.force)?;
    if context.json {
        return output::json(&Written { file, variables });
    }
    say!("wrote {file}: read it, then check it");
    for variable in &variables {
        say!("next: export {variable}=…");
    }
    say!("next: twinrow check --config {file}");
    Ok(())
}

/// `shop=postgres://…`, or the URL alone under the side's name.
fn end<'a>(side: &'a str, given: &'a str) -> End<'a> {
    match given.split_once('=') {
        Some((name, url)) if !name.contains([':', '/', '.']) => End { name, url },
        _ => End { name: side, url: given },
    }
}

async fn open(end: &End<'_>) -> Result<Arc<dyn Endpoint>> {
    endpoint::open(end.name, end.url, &Tls::default()).await.map_err(again).context(format!("endpoint {}", end.name))
}

async fn read(end: &End<'_>, endpoint: &dyn Endpoint, variables: &mut Vec<String>) -> Result<Scaffold> {
    let tables = endpoint.describe(None).await.map_err(again).context(format!("endpoint {}", end.name))?;
    let (url, variable) = without_password(end.name, end.url);
    variables.extend(variable);
    Ok(Scaffold { name: end.name.to_owned(), url, tables })
}

/// Of one database every table would be linked with itself.
async fn refuse_one(ends: &Both<End<'_>>, endpoints: &Both<Arc<dyn Endpoint>>) -> Result<()> {
    let names = Both { source: ends.source.name, target: ends.target.name };
    let one = endpoint::one_place(Both::from_fn(|side| &*endpoints[side]), names).await.map_err(again)?;
    if one.is_none_or(|OnePlace(schemas)| schemas.source != schemas.target) {
        return Ok(());
    }
    let message =
        format!("`{}` and `{}` lead to the same database: every table would be linked with itself", names.source, names.target);
    Err(Error::new(Kind::Config, message)
        .hint("twinrow init --target NAME=URL with the other database   # links within one database are written by hand"))
}

/// There is nothing to check yet: what is wrong was typed.
fn again(error: Error) -> Error {
    let next = error.what_next().replace("twinrow check", "twinrow init");
    error.hint(next)
}

/// Never over a file that appeared meanwhile, unless that was asked for.
fn write(path: &Path, text: &str, force: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    if !force {
        options.create_new(true);
    }
    options.open(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        let message = format!("`{}` can't be written: {}", path.display(), error.kind());
        Error::new(Kind::Config, message).source(error).hint("twinrow init --config FILE")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_may_have_a_name() {
        for (given, name, url) in [
            ("shop=postgres://a@b/c", "shop", "postgres://a@b/c"),
            ("postgres://a@b/c?sslmode=require", "source", "postgres://a@b/c?sslmode=require"),
            ("sqlite:a=b.db", "source", "sqlite:a=b.db"),
        ] {
            let end = end("source", given);
            assert_eq!((end.name, end.url), (name, url));
        }
    }

    #[test]
    fn a_file_is_replaced_only_on_demand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("twinrow.yaml");
        write(&path, "first", false).unwrap();
        assert_eq!(write(&path, "second", false).unwrap_err().kind(), Kind::Config);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
        write(&path, "2nd", true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "2nd");
    }

    #[tokio::test]
    async fn what_init_writes_of_two_databases_can_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let database = |name: &str, schema: &str| {
            let path = folder.path().join(name);
            rusqlite::Connection::open(&path).unwrap().execute_batch(schema).unwrap();
            format!("sqlite:{}", path.display())
        };
        let source = database("a.db", "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, \"E-Mail\" TEXT UNIQUE)");
        let target = database("b.db", "CREATE TABLE tblCustomers (id INTEGER PRIMARY KEY, Name TEXT, EMail TEXT UNIQUE)");
        let context = Context { config: folder.path().join("twinrow.yaml"), json: false };
        let args = Init { source: format!("shop={source}"), target: format!("crm={target}"), name: None, force: false };
        run(&context, &args).await.unwrap();
        let opened = super::super::open::open(&context.config).await.unwrap();
        assert_eq!(opened.integration.name, "shop-crm");
        let names: Vec<_> = opened.integration.links[0].fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["name -> Name", "E-Mail -> EMail"]);
        assert_eq!(run(&context, &args).await.unwrap_err().kind(), Kind::Config, "it is there already");
    }
}
