//! How commands print.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, IsTerminal as _, Write};

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::model::{Both, KeyBytes, Side};
use crate::pipeline::Counts;

/// As `println!`, for what was asked for; see [`print`].
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::output::print(format_args!($($words)*)) };
}

/// As `eprintln!`; where nobody can hear it, it is not said.
macro_rules! mention {
    ($($words:tt)*) => { $crate::cli::output::tell(format_args!($($words)*)) };
}

/// Prints a line. Whoever reads it may be gone, or the disk full: then nothing more can be answered, and the program ends.
pub fn print(line: Arguments<'_>) {
    if let Err(error) = writeln!(io::stdout(), "{line}") {
        unanswered(&error);
    }
}

/// Ends the program, because what was asked for can't be written.
pub fn unanswered(error: &io::Error) -> ! {
    // As is usual in a pipe, whoever has read enough need not hear of it.
    if error.kind() != ErrorKind::BrokenPipe {
        mention!("error: the answer can't be written: {error}");
        mention!("next:  the same command again, with its output where there is room");
    }
    std::process::exit(i32::from(super::FAILED))
}

/// Says something on standard error, if it can be said.
pub fn tell(line: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Where the log goes. A log that can't be written, as its disk is full or its reader gone, does not end what it tells of.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints one JSON document.
pub fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::new(Kind::Internal, "the answer can't be written as JSON").source(error))?;
    say!("{text}");
    Ok(())
}

/// Whether there is a person who could be asked.
pub fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks at the terminal; where there is none, or when `told` is ready before the answer, it is no.
pub async fn ask(question: &str, told: impl Future<Output = ()>) -> Result<bool> {
    if !somebody_is_there() {
        return Ok(false);
    }
    let failed = |error| Error::new(Kind::Internal, "the terminal does not answer").source(error);
    write!(io::stderr(), "{question} [y/N] ").map_err(failed)?;
    let (tell, answer) = tokio::sync::oneshot::channel();
    // A thread of its own, which the runtime does not wait for at its end: nobody may ever press the key.
    std::thread::spawn(move || {
        let mut line = String::new();
        // Nobody listens any more: then it was told to stop.
        let _ = tell.send(std::io::stdin().read_line(&mut line).map(|_| line));
    });
    tokio::select! {
        answer = answer => {
            let line = answer.map_err(|_| Error::new(Kind::Internal, "the terminal does not answer"))?.map_err(failed)?;
            Ok(matches!(line.trim(), "y" | "Y" | "yes"))
        }
        () = told => {
            mention!("");
            Ok(false)
        }
    }
}

/// A key as a person types it.
pub fn key(key: &KeyBytes) -> String {
    key.decode().map_or_else(|| "?".to_owned(), |key| key.to_string())
}

/// A key, or a dash where the record is gone.
pub fn key_or_dash(bytes: Option<&KeyBytes>) -> String {
    bytes.map_or_else(|| "-".to_owned(), key)
}

/// What is wider than this stands out of its column. (Nothing can be padded to more than 65,535 characters.)
const WIDEST: usize = 1_000;

/// Lines up columns; the first row is the heading.
pub fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(|at| width(at).min(WIDEST)).collect();
    for row in rows {
        let line: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say!("{}", line.join("  ").trim_end());
    }
}

/// Seconds since 1970 as people read them, in UTC.
pub fn time(seconds: i64) -> String {
    let micros = seconds.saturating_mul(1_000_000);
    format!("{}Z", crate::model::time::datetime_text(micros))
}

/// What a run did, or a plan would do.
pub fn counts(counts: &Counts) {
    let mut rows =
        vec![["link", "create", "update", "delete", "link", "conflict", "hold", "wait", "brake"].map(String::from).to_vec()];
    for (name, counts) in &counts.links {
        let both = |source: u64, target: u64| format!("{source} / {target}");
        rows.push(vec![
            name.clone(),
            both(counts.created_source, counts.created_target),
            both(counts.updated_source, counts.updated_target),
            both(counts.deleted_source, counts.deleted_target),
            counts.linked.to_string(),
            counts.conflicts.to_string(),
            counts.held.to_string(),
            counts.waiting.to_string(),
            counts.braked.to_string(),
        ]);
    }
    table(&rows);
    say!("(create, update, delete: in the source / in the target)");
}

/// Where a typed key stands: by its text, on either side.
pub fn parse_side(text: &str) -> Result<Side> {
    match text {
        "source" => Ok(Side::Source),
        "target" => Ok(Side::Target),
        _ => Err(Error::new(Kind::Config, "a side is `source` or `target`")),
    }
}

/// Both keys of a pair.
pub fn keys(key: &Both<Option<KeyBytes>>) -> [String; 2] {
    [key_or_dash(key.source.as_ref()), key_or_dash(key.target.as_ref())]
}
