//! Runs a page of the documentation, block by block, in a scratch directory.
//!
//! | block | what is done |
//! |---|---|
//! | `sh` | run by `sh -eu`, with the program on the PATH; exported variables stay for the blocks after it |
//! | `sql FILE`, `sql $URL` | run on a SQLite file, or on the database of a variable |
//! | `yaml FILE` | written to the file; one with an `integration:` is read as a configuration |
//! | `text`, `json` | what the block before it printed; `…` stands for anything |
//!
//! Comments before a block, which no reader sees:
//!
//! | comment | meaning |
//! |---|---|
//! | `<!-- no-run: reason -->` | skipped, counted and printed |
//! | `<!-- exit: N -->` | the command fails with this exit code |
//! | `<!-- wrong: why -->` | this configuration is meant to be refused |
//! | `<!-- lab: URL = postgres18 -->` | a database of its own on a test server; without that server the section is skipped |
//! | `<!-- login: URL = OTHER_URL as NAME -->` | the same database with another login |
//! | `<!-- database: NAME = URL -->` | where `NAME.*` stands, the name of that database |
//! | `<!-- unique: NAME … -->` | names that a whole server shares: this run gets its own |

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::program::{Scratch, TWINROW};
use crate::support::{self, Lab, Rows, mysql, postgres};

/// The languages a block may have.
const LANGUAGES: [&str; 5] = ["sh", "sql", "yaml", "text", "json"];

/// The password of every login the pages make.
const PASSWORD: &str = "secret";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Heading,
    /// `key: value` of a comment.
    Comment(String, String),
    Block(Block),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    pub line: usize,
    pub language: String,
    /// What follows the language: a file, or a variable.
    pub target: String,
    pub text: String,
    pub no_run: Option<String>,
    pub exit: i32,
    pub wrong: bool,
}

/// What running a page came to.
#[derive(Debug, Default)]
pub struct Report {
    pub run: usize,
    pub not_run: Vec<String>,
    /// Why a section could not be run here.
    pub missing: Option<String>,
}

/// Reads a page.
///
/// # Errors
/// A block without a language, or of one nobody knows what to do with; a block that does not end.
pub fn parse(page: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut lines = page.lines().enumerate();
    let (mut no_run, mut exit, mut wrong) = (None, 0, false);
    while let Some((at, line)) = lines.next() {
        if let Some(comment) = line.trim().strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->")) {
            let (key, value) = comment.split_once(':').unwrap_or((comment, ""));
            match key.trim() {
                "no-run" => no_run = Some(value.trim().to_owned()),
                "exit" => exit = value.trim().parse().map_err(|_| format!("line {}: no exit code", at + 1))?,
                "wrong" => wrong = true,
                key => parts.push(Part::Comment(key.to_owned(), value.trim().to_owned())),
            }
        } else if line.starts_with("# ") || line.starts_with("## ") {
            parts.push(Part::Heading);
        } else if let Some(info) = line.trim_start().strip_prefix("```") {
            let indent = line.len() - line.trim_start().len();
            let (language, target) = info.trim().split_once(' ').unwrap_or((info.trim(), ""));
            if !LANGUAGES.contains(&language) {
                return Err(format!("line {}: a block in `{language}`, which is none of {}", at + 1, LANGUAGES.join(", ")));
            }
            let mut text = String::new();
            loop {
                let (_, line) = lines.next().ok_or(format!("line {}: the block does not end", at + 1))?;
                if line.trim() == "```" {
                    break;
                }
                text.push_str(line.get(indent..).unwrap_or_default());
                text.push('\n');
            }
            let (language, target) = (language.to_owned(), target.trim().to_owned());
            parts.push(Part::Block(Block { line: at + 1, language, target, text, no_run: no_run.take(), exit, wrong }));
            (exit, wrong) = (0, false);
        } else if line.trim_start().starts_with("~~~") {
            return Err(format!("line {}: a block in `~~~`, which is not run: write ```", at + 1));
        } else if !line.trim().is_empty() && no_run.is_some() {
            return Err(format!("line {}: text between `no-run` and its block", at + 1));
        }
    }
    Ok(parts)
}

/// Whether `expected` describes `actual`: line by line; `…` is anything in a line, alone any lines.
pub fn describes(expected: &str, actual: &str) -> bool {
    fn lines(expected: &[&str], actual: &[&str]) -> bool {
        match (expected, actual) {
            ([], []) => true,
            (["…", rest @ ..], _) => (0..=actual.len()).any(|n| lines(rest, &actual[n..])),
            ([first, rest @ ..], [line, others @ ..]) => one(first, line) && lines(rest, others),
            _ => false,
        }
    }
    fn one(expected: &str, actual: &str) -> bool {
        let Some((before, after)) = expected.split_once('…') else { return expected == actual };
        let Some(rest) = actual.strip_prefix(before) else { return false };
        rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| one(after, &rest[at..]))
    }
    let expected: Vec<&str> = expected.trim_end().lines().map(str::trim_end).collect();
    let actual: Vec<&str> = actual.trim_end().lines().map(str::trim_end).collect();
    lines(&expected, &actual)
}

/// A page being run.
struct Run<'a> {
    page: &'a str,
    scratch: Scratch,
    labs: BTreeMap<String, Arc<dyn Lab>>,
    variables: BTreeMap<String, String>,
    /// Names as written, and as this run has them.
    unique: Vec<(String, String)>,
    report: Report,
}

/// Runs a page, and drops its databases whatever becomes of it.
pub async fn run(page: &str, text: &str) -> Report {
    let parts = parse(text).unwrap_or_else(|error| panic!("{page}: {error}"));
    let labs = Arc::new(std::sync::Mutex::new(Vec::<Arc<dyn Lab>>::new()));
    let (owned, opened) = (page.to_owned(), Arc::clone(&labs));
    let result = tokio::spawn(async move { run_parts(&owned, &parts, &opened).await }).await;
    let labs: Vec<_> = labs.lock().unwrap().drain(..).collect();
    for lab in labs {
        lab.close().await;
    }
    result.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()))
}

async fn run_parts(page: &str, parts: &[Part], opened: &std::sync::Mutex<Vec<Arc<dyn Lab>>>) -> Report {
    let mut run = Run {
        page,
        scratch: Scratch::new(),
        labs: BTreeMap::new(),
        variables: BTreeMap::new(),
        unique: Vec::new(),
        report: Report::default(),
    };
    let mut printed: Option<String> = None;
    let mut missing = false;
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Heading => missing = false,
            Part::Comment(key, value) if key == "lab" && !missing => match run.lab(value).await {
                Ok(lab) => opened.lock().unwrap().push(lab),
                Err(reason) => {
                    missing = true;
                    run.report.missing.get_or_insert(reason);
                }
            },
            Part::Comment(key, value) if key == "login" && !missing => run.login(value),
            Part::Comment(key, value) if key == "unique" && !missing => run.unique(value),
            Part::Comment(key, value) if key == "database" && !missing => run.database(value),
            Part::Comment(key, _) => {
                assert!(matches!(key.as_str(), "lab" | "login" | "unique" | "database"), "{page}: a comment `{key}`");
            }
            Part::Block(block) => {
                if missing {
                    continue;
                }
                if let Some(reason) = &block.no_run {
                    assert!(!reason.is_empty(), "{page}:{}: `no-run` without a reason", block.line);
                    run.report.not_run.push(format!("{page}:{}: {reason}", block.line));
                    printed = None;
                    continue;
                }
                let shows =
                    matches!(parts.get(at + 1), Some(Part::Block(next)) if next.language == "text" && next.no_run.is_none());
                printed = run.block(block, shows, printed.take()).await;
                run.report.run += 1;
            }
        }
    }
    run.report
}

impl Run<'_> {
    /// `URL = postgres18`
    async fn lab(&mut self, value: &str) -> Result<Arc<dyn Lab>, String> {
        let (variable, server) = value.split_once('=').unwrap_or_else(|| panic!("{}: lab: {value}", self.page));
        let lab = match server.trim() {
            "postgres15" => postgres::lab("TWINROW_TEST_POSTGRES15").await,
            "postgres18" => postgres::lab("TWINROW_TEST_POSTGRES18").await,
            "mysql" => mysql::mysql().await,
            "mariadb" => mysql::mariadb().await,
            other => panic!("{}: there is no lab `{other}`", self.page),
        }?;
        self.variables.insert(variable.trim().to_owned(), lab.url());
        self.labs.insert(variable.trim().to_owned(), Arc::clone(&lab));
        Ok(lab)
    }

    /// `URL = OTHER_URL as NAME`
    fn login(&mut self, value: &str) {
        let words: Vec<&str> = value.split_whitespace().collect();
        let [variable, "=", other, "as", name] = words[..] else { panic!("{}: login: {value}", self.page) };
        let mut url = url::Url::parse(&self.variables[other]).unwrap();
        url.set_username(&self.named(name)).unwrap();
        url.set_password(Some(PASSWORD)).unwrap();
        self.variables.insert(variable.to_owned(), url.to_string());
    }

    /// `NAME = URL`
    fn database(&mut self, value: &str) {
        let (name, variable) = value.split_once(" = ").unwrap_or_else(|| panic!("{}: database: {value}", self.page));
        let url = url::Url::parse(&self.variables[variable]).unwrap();
        self.unique.retain(|(from, _)| *from != format!("{name}.*"));
        self.unique.push((format!("{name}.*"), format!("{}.*", url.path().trim_start_matches('/'))));
    }

    /// Servers are not shared by the sections of a page alone: other runs use them too.
    fn unique(&mut self, value: &str) {
        for name in value.split_whitespace() {
            self.unique.retain(|(from, _)| from != name);
            self.unique.push((name.to_owned(), format!("{name}_{}", std::process::id())));
        }
    }

    fn named(&self, text: &str) -> String {
        self.unique.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// Runs one block; answers what it printed.
    async fn block(&mut self, block: &Block, shows: bool, printed: Option<String>) -> Option<String> {
        let place = format!("{}:{}", self.page, block.line);
        let text = self.named(&block.text);
        match block.language.as_str() {
            "sh" => Some(self.shell(&place, &text, block.exit)),
            "sql" => self.sql(&place, &text, &block.target, shows).await,
            "yaml" => {
                assert!(!block.target.is_empty(), "{place}: which file? Write: ```yaml twinrow.yaml");
                self.scratch.write(&block.target, &text);
                if text.contains("integration:") && !block.wrong {
                    self.read_as_configuration(&place, &text);
                }
                None
            }
            _ => {
                let actual = printed.unwrap_or_else(|| panic!("{place}: nothing that prints stands before this block"));
                assert!(describes(&text, &actual), "{place}: shown is\n{text}\nbut printed was\n{actual}");
                None
            }
        }
    }

    fn shell(&self, place: &str, text: &str, exit: i32) -> String {
        let folder = Path::new(TWINROW).parent().unwrap().display();
        let given: String = self.variables.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
        let script = format!(
            "exec 2>&1\nPATH={folder}:$PATH\n[ ! -e .exported ] || . ./.exported\n{given}\
             trap 'rc=$?; export -p >.exported; exit $rc' EXIT\n{text}"
        );
        let mut command = Command::new("timeout");
        command.args(["120", "sh", "-eu", "-c", &script]).current_dir(self.scratch.path()).stdin(std::process::Stdio::null());
        command.env("HOME", self.scratch.path());
        for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("TWINROW_")) {
            command.env_remove(variable);
        }
        let output = command.output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{place}: exit code; it printed\n{printed}");
        printed
    }

    async fn sql(&self, place: &str, text: &str, target: &str, shows: bool) -> Option<String> {
        let rows = match target.strip_prefix('$') {
            None => {
                assert!(!target.is_empty(), "{place}: on which database? Write: ```sql shop.db");
                if !shows {
                    self.scratch.sql(target, text);
                    return None;
                }
                select(&self.scratch, target, text)
            }
            Some(variable) => {
                let lab = self.labs.get(variable).unwrap_or_else(|| panic!("{place}: there is no database ${variable}"));
                if !shows {
                    lab.script(text).await;
                    return None;
                }
                lab.user_rows(text).await
            }
        };
        let line = |row: &Vec<Option<String>>| {
            row.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join(" | ")
        };
        Some(rows.iter().map(|row| line(row) + "\n").collect())
    }

    /// Only its names and keys: its databases may not be there.
    fn read_as_configuration(&self, place: &str, text: &str) {
        let mut text = text.replace("$${", "\u{0}");
        while let Some(at) = text.find("${") {
            let end = at + text[at..].find('}').unwrap_or_else(|| panic!("{place}: an open ${{")) + 1;
            let name = &text[at + 2..end - 1];
            let value = self.variables.get(name).cloned().unwrap_or_else(|| "postgres://user@host/database".to_owned());
            let whole = text[..at].ends_with("url: ") || text[..at].ends_with("url: \"");
            let value = if whole { value } else { "x".to_owned() };
            text.replace_range(at..end, &value);
        }
        let text = text.replace('\u{0}', "$${");
        if let Err(error) = twinrow::config::parse(&text, &self.scratch.file("twinrow.yaml")) {
            panic!("{place}: {error}");
        }
    }
}

fn select(scratch: &Scratch, file: &str, sql: &str) -> Rows {
    let connection = rusqlite::Connection::open(scratch.file(file)).unwrap();
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{file}: {sql}: {error}"));
    let columns = statement.column_count();
    let text = |value: rusqlite::types::ValueRef<'_>| match value {
        rusqlite::types::ValueRef::Null => None,
        rusqlite::types::ValueRef::Integer(value) => Some(value.to_string()),
        rusqlite::types::ValueRef::Real(value) => Some(value.to_string()),
        rusqlite::types::ValueRef::Text(text) | rusqlite::types::ValueRef::Blob(text) => {
            Some(String::from_utf8_lossy(text).into_owned())
        }
    };
    let rows = statement.query_map([], |row| (0..columns).map(|i| row.get_ref(i).map(text)).collect()).unwrap();
    rows.collect::<Result<Rows, rusqlite::Error>>().unwrap()
}

/// Runs a page of the repository and says what was skipped.
pub async fn page(test: &str, path: &str) {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let report = run(path, &text).await;
    println!("{path}: {} blocks run, {} not run", report.run, report.not_run.len());
    for line in &report.not_run {
        println!("  not run: {line}");
    }
    if let Some(reason) = report.missing {
        support::skip(test, &reason);
    }
}
