//! How the code is laid out: who may use whom, how long things get, and that the engines are twins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may import whom; `main` and `cli` may import anything, and every part itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("model", &["error"]),
    ("mapping", &["model", "error"]),
    ("reconcile", &["model", "error"]),
    ("sql", &["error"]),
    ("endpoint", &["model", "error", "sql"]),
    ("state", &["model", "error", "sql"]),
    ("config", &["model", "error", "mapping", "endpoint"]),
    ("pipeline", &["model", "error", "sql", "mapping", "reconcile", "endpoint", "state"]),
    ("cli", &["model", "error", "sql", "mapping", "reconcile", "endpoint", "state", "config", "pipeline"]),
];

/// Budgets; what is over them is printed, what is far over them fails.
const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 60;
const FILE_LINES_MAX: usize = 2 * FILE_LINES;
const FUNCTION_LINES_MAX: usize = 2 * FUNCTION_LINES;

/// Names that say nothing of what is in them, and the file in which one of them does.
const VAGUE: [&str; 5] = ["utils", "common", "helpers", "manager", "service"];
const TELLING: [&str; 1] = ["endpoint/app/service.rs"]; // the service an app is

struct Source {
    path: PathBuf,
    /// The top-level module it belongs to.
    part: String,
    /// Without its tests.
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut paths = Vec::new();
    walk(&src, &mut paths);
    paths.sort();
    let source = |path: PathBuf| {
        let name = path.file_stem()?.to_str()?;
        if path.extension()? != "rs" || name.ends_with("tests") {
            return None;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // The tests stand last, and may use more.
        let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        let relative = path.strip_prefix(&src).unwrap().to_owned();
        let part = relative.components().next()?.as_os_str().to_str()?.trim_end_matches(".rs").to_owned();
        Some(Source { path: relative, part, text })
    };
    let sources: Vec<Source> = paths.into_iter().filter_map(source).collect();
    assert!(sources.len() > 50, "the sources were not found: {}", sources.len());
    sources
}

/// The parts a text names as `crate::part`.
fn imports(text: &str) -> BTreeSet<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let words = code.flat_map(|line| line.split("crate::").skip(1));
    words.map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap_or_default()).collect()
}

#[test]
fn imports_follow_the_arrows() {
    let rules: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let parts: BTreeSet<String> = sources().into_iter().map(|source| source.part).collect();
    let known: BTreeSet<String> = rules.keys().map(|part| (*part).to_owned()).chain(["lib".into(), "main".into()]).collect();
    assert_eq!(parts, known, "a part of src/ without a rule, or a rule without a part");
    let mut seen = 0;
    for source in sources() {
        let Some(allowed) = rules.get(source.part.as_str()) else { continue };
        for import in imports(&source.text) {
            // Macros stand at the top of the crate.
            if import == source.part || import == "statements" {
                continue;
            }
            seen += 1;
            assert!(allowed.contains(&import), "{}: {} may not use crate::{import}", source.path.display(), source.part);
        }
    }
    assert!(seen > 100, "only {seen} imports were found");
}

#[test]
fn only_pipeline_and_cli_know_endpoint_and_state() {
    for source in sources() {
        let imports = imports(&source.text);
        let own = [source.part.as_str()];
        let knows = |part: &str| imports.contains(part) || own.contains(&part);
        if knows("endpoint") && knows("state") {
            assert!(matches!(source.part.as_str(), "pipeline" | "cli"), "{} knows both sides", source.path.display());
        }
    }
}

#[test]
fn decisions_and_mapping_are_pure() {
    let impure = ["async ", ".await", "tokio", "std::fs", "std::net", "std::env", "std::io", "SystemTime", "Instant::", "rand::"];
    let mut seen = 0;
    for source in sources().iter().filter(|source| matches!(source.part.as_str(), "reconcile" | "mapping")) {
        seen += 1;
        for line in source.text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for word in impure {
                assert!(!line.contains(word), "{}: `{word}` in: {line}", source.path.display());
            }
        }
    }
    assert!(seen >= 5, "reconcile and mapping were not found");
}

#[test]
fn nothing_has_a_vague_name() {
    for source in sources().iter().filter(|source| !TELLING.iter().any(|path| source.path == Path::new(path))) {
        for part in source.path.with_extension("").components() {
            let part = part.as_os_str().to_str().unwrap();
            assert!(!VAGUE.iter().any(|vague| part.split('_').any(|word| word == *vague)), "{}", source.path.display());
        }
    }
}

/// Functions of a formatted file: name and length. One ends where a brace stands at its own depth.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some((before, after)) = code.split_once("fn ") else { continue };
        if !before
            .split_whitespace()
            .all(|word| word.starts_with("pub") || matches!(word, "async" | "const" | "super)" | "crate)"))
        {
            continue;
        }
        let indent = &line[..line.len() - code.len()];
        let end = format!("{indent}}}");
        let length = lines[at..].iter().position(|line| {
            *line == end || (line.starts_with(indent) && line.ends_with(';') && !line.starts_with(&format!("{indent} ")))
        });
        let name = after.split(['(', '<']).next().unwrap_or_default().to_owned();
        found.push((name, length.unwrap_or(0) + 1));
    }
    found
}

#[test]
fn files_and_functions_keep_their_budgets() {
    let (mut over, mut far_over, mut seen) = (Vec::new(), Vec::new(), 0);
    let mut note = |what: String, lines: usize, budget: usize, max: usize| {
        if lines > budget {
            over.push(format!("{lines:5} lines (budget {budget}): {what}"));
        }
        if lines > max {
            far_over.push(what);
        }
    };
    for source in sources() {
        let path = source.path.display();
        note(path.to_string(), source.text.lines().count(), FILE_LINES, FILE_LINES_MAX);
        for (name, lines) in functions(&source.text) {
            seen += 1;
            note(format!("{path}: fn {name}"), lines, FUNCTION_LINES, FUNCTION_LINES_MAX);
        }
    }
    over.sort();
    println!("{}", over.join("\n"));
    assert!(seen > 500, "only {seen} functions were found");
    assert_eq!(far_over, Vec::<String>::new(), "twice over budget: split them, or say why in an ADR");
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The statements `sql.rs` lists, which every engine has a file for. An engine may have more of its own.
fn listed() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("src/sql.rs")).unwrap();
    let list = text.split("@list $engine,").nth(1).unwrap().split(");").next().unwrap();
    list.split('"').skip(1).step_by(2).map(|name| format!("{name}.sql")).collect()
}

#[test]
fn engines_are_twins() {
    let listed = listed();
    assert!(listed.len() > 50, "{listed:?}");
    let mut engines = names(&root().join("src/endpoint/database"));
    // What they share stands beside them.
    engines.retain(|name| !name.ends_with(".rs"));
    assert!(engines.len() >= 3, "{engines:?}");
    for engine in engines {
        let files = names(&root().join("sql").join(&engine));
        let missing: Vec<_> = listed.difference(&files).collect();
        assert!(missing.is_empty(), "sql/{engine} lacks {missing:?}");
        assert!(root().join("migrations").join(&engine).is_dir(), "migrations/{engine} is missing");
        let code: String = {
            let mut paths = Vec::new();
            walk(&root().join("src/endpoint/database").join(&engine), &mut paths);
            paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
        };
        for extra in files.difference(&listed).filter(|name| name.ends_with(".sql")) {
            let name = extra.trim_end_matches(".sql");
            let used = code.contains(&format!("\"{name}\"")) || code.contains(&format!("/{extra}"));
            assert!(used, "nobody uses sql/{engine}/{extra}");
        }
    }
}
