//! A proposal as a commented file.

use std::fmt::Write;

use super::propose::{Proposal, ProposedField, ProposedLink, assigned, propose};
use crate::mapping::{Compatibility, compatible, cuts_seconds};
use crate::model::{Both, Keys, Side, Table};

/// What `init` knows of an endpoint.
#[derive(Clone, Debug)]
pub struct Scaffold {
    /// Its name in the file.
    pub name: String,
    /// Its URL as it may stand in a file: without a password (see [`without_password`]).
    pub url: String,
    /// Its tables.
    pub tables: Vec<Table>,
}

/// The file `init` writes: everything the two schemas have in common, for a person to correct.
pub fn scaffold(integration: &str, ends: &Both<Scaffold>) -> String {
    let proposal = propose(&ends.source.tables, &ends.target.tables);
    let mut out = String::new();
    let Both { source, target } = ends;
    let _ = write!(
        out,
        "# Written by `twinrow init` from names, types and foreign keys: read it before you run it.\n\
         # `twinrow check` says what does not fit, `twinrow plan` what a run would do.\n\
         integration: {integration}\n\
         endpoints:\n  {}: {{url: {}}}\n  {}: {{url: {}}}\n\
         source: {} # wins where both sides changed\n\
         target: {}\n\
         first_sync: ask # show the plan before the first write\n",
        source.name,
        quoted(&source.url),
        target.name,
        quoted(&target.url),
        source.name,
        target.name,
    );
    out.push_str(if proposal.links.is_empty() {
        "links: {} # no two tables are alike: write one, as docs/config.md shows\n"
    } else {
        "links:\n"
    });
    for link in &proposal.links {
        write_link(&mut out, link, &proposal);
    }
    for side in Side::BOTH {
        left_over(&mut out, &ends[side].name, &proposal.left[side]);
    }
    out
}

/// A URL whose password, if it has one, is `${<NAME>_PASSWORD}` in place of itself, and that variable.
pub fn without_password(endpoint: &str, url: &str) -> (String, Option<String>) {
    let variable = format!("{}_PASSWORD", endpoint.to_uppercase().replace('-', "_"));
    let Some(start) = url.find("://").map(|at| at + 3) else { return (url.to_owned(), None) };
    let Some(end) = url.rfind('@').filter(|end| *end > start) else { return (url.to_owned(), None) };
    match url[start..end].find(':') {
        Some(colon) => (format!("{}${{{variable}}}{}", &url[..=start + colon], &url[end..]), Some(variable)),
        None => (url.to_owned(), None),
    }
}

fn write_link(out: &mut String, link: &ProposedLink<'_>, proposal: &Proposal<'_>) {
    let _ = writeln!(out, "  {}:", link.name);
    for side in Side::BOTH {
        let _ = writeln!(out, "    {side}: {}", table_name(link.table[side]));
    }
    if link.keys == Keys::Copy {
        out.push_str("    keys: copy # no engine numbers these rows\n");
    }
    match link.matching.as_slice() {
        [] if link.keys == Keys::Copy => {}
        [] => out.push_str("    # match: [] # no unique column is on both sides; without, a record on both is doubled\n"),
        fields => {
            let names: Vec<_> = fields.iter().map(|field| quoted(column(link, Side::Source, &link.fields[*field]))).collect();
            let _ = writeln!(out, "    match: [{}]", names.join(", "));
        }
    }
    out.push_str("    fields:\n");
    for field in &link.fields {
        write_field(out, link, field, proposal);
    }
    for side in Side::BOTH {
        let table = link.table[side];
        let used = |i: usize| link.fields.iter().any(|field| field.column[side] == i);
        let key = |i: usize| table.key.contains(&i) && (link.keys == Keys::Copy || assigned(table, i));
        let free = (0..table.columns.len()).filter(|i| !used(*i) && !key(*i));
        let free: Vec<_> = free.map(|i| quoted(&table.columns[i].name)).collect();
        if !free.is_empty() {
            let _ = writeln!(out, "      # not mapped in {side}: {}", free.join(", "));
        }
    }
}

fn write_field(out: &mut String, link: &ProposedLink<'_>, field: &ProposedField, proposal: &Proposal<'_>) {
    let (from, to) = (quoted(column(link, Side::Source, field)), quoted(column(link, Side::Target, field)));
    let Some(parent) = field.via else {
        let note = note(link, field).map_or_else(String::new, |note| format!(" # {note}"));
        // What a clock has filled in would be held in every row.
        let to = if cut(link, field) { format!("{{to: {to}, lossy: fit}}") } else { to };
        let _ = writeln!(out, "      {from}: {to}{note}");
        return;
    };
    let via = &proposal.links[parent].name;
    let ring = if field.ring { "# a ring of links: " } else { "" };
    let _ = writeln!(out, "      {ring}{from}: {{to: {to}, via: {via}}}");
}

/// Whether digits of a second are cut, on either side.
fn cut(link: &ProposedLink<'_>, field: &ProposedField) -> bool {
    let at = |side: Side| &link.table[side].columns[field.column[side]];
    Side::BOTH.into_iter().any(|side| cuts_seconds(at(side.other()), at(side)))
}

/// What would be held, and on which side.
fn note(link: &ProposedLink<'_>, field: &ProposedField) -> Option<String> {
    let at = |side: Side| &link.table[side].columns[field.column[side]];
    let lossy = |side: Side| match compatible(at(side.other()), at(side)) {
        Compatibility::Lossy(why) if cut(link, field) => Some(format!("to the {side}, without `lossy: fit`: {why}")),
        Compatibility::Lossy(why) => Some(format!("to the {side}: {why}")),
        Compatibility::Exact | Compatibility::Never(_) => None,
    };
    let notes: Vec<_> = [Side::Target, Side::Source].into_iter().filter_map(lossy).collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

fn left_over(out: &mut String, endpoint: &str, tables: &[(&Table, Option<String>)]) {
    if tables.is_empty() {
        return;
    }
    let _ = writeln!(out, "# Tables of {endpoint} in no link:");
    for (table, why) in tables {
        // A reason may name a table, and a name may hold a line break.
        let why = why.as_ref().map_or_else(String::new, |why| format!(": {}", why.replace(['\n', '\r'], " ")));
        let _ = writeln!(out, "#   {}{why}", table_name(table));
    }
}

fn column<'a>(link: &ProposedLink<'a>, side: Side, field: &ProposedField) -> &'a str {
    &link.table[side].columns[field.column[side]].name
}

/// Table names are expanded when the file is read; column names are not.
fn table_name(table: &Table) -> String {
    quoted(&table.name.to_string().replace("${", "$${"))
}

/// A plain word where YAML takes it for a text, else a JSON string, which YAML 1.2 reads the same.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    // Also YAML 1.1's booleans: an editor may still believe in them.
    let special = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    if plain && !special { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
