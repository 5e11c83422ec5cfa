//! Every page: its commands work, and print what they are shown to print.

use std::collections::BTreeSet;
use std::path::Path;

use crate::book::{Block, Part, describes, page, parse};

macro_rules! pages {
    ($($name:ident: $path:literal,)*) => {
        const PAGES: &[&str] = &[$($path),*];
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                page(concat!(module_path!(), "::", stringify!($name)), $path).await;
            }
        )*
    };
}

pages! {
    readme: "README.md",
    architecture: "ARCHITECTURE.md",
    changelog: "CHANGELOG.md",
    contributing: "CONTRIBUTING.md",
    getting_started: "docs/getting-started.md",
    guarantees: "docs/guarantees.md",
    grants: "docs/grants.md",
    performance: "docs/performance.md",
    command_line: "docs/cli.md",
    configuration: "docs/config.md",
    types: "docs/types.md",
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn markdown(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    names.filter(|name| name.ends_with(".md")).map(|name| format!("{prefix}{name}")).collect()
}

/// A page without a test of its own is run here, so that none is left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_other_page() {
    let there: BTreeSet<String> = markdown("").into_iter().chain(markdown("docs")).collect();
    for path in PAGES {
        assert!(there.contains(*path), "{path} is missing");
    }
    for path in there.iter().filter(|path| !PAGES.contains(&path.as_str())) {
        page(concat!(module_path!(), "::every_other_page"), path).await;
    }
}

fn blocks(path: &str) -> Vec<Block> {
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    let parts = parse(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    parts.into_iter().filter_map(|part| if let Part::Block(block) = part { Some(block) } else { None }).collect()
}

/// Decisions are not run, so a block in one says why.
#[test]
fn blocks_of_decisions_are_marked() {
    let pages = markdown("docs/adr");
    assert!(!pages.is_empty());
    for path in pages {
        let unmarked = blocks(&path).into_iter().find(|block| block.no_run.is_none());
        assert_eq!(unmarked, None, "{path}: it needs `no-run: reason`");
    }
}

/// `./test --proven` shows what this prints.
#[test]
fn blocks_that_are_not_run_are_counted() {
    let (mut run, mut not_run) = (0, 0);
    for path in markdown("").into_iter().chain(markdown("docs")).chain(markdown("docs/adr")) {
        for block in blocks(&path) {
            match block.no_run {
                None => run += 1,
                Some(reason) => {
                    assert!(!reason.is_empty(), "{path}:{}: `no-run` without a reason", block.line);
                    println!("{path}:{}: not run: {reason}", block.line);
                    not_run += 1;
                }
            }
        }
    }
    println!("{run} blocks of the documentation are run, {not_run} are not");
    assert!(not_run * 5 < run, "too many blocks are not run: {not_run} of {run}");
}

/// The table of engines in README is what the scripts start.
#[test]
fn versions_that_are_run_are_told() {
    let lib = include_str!("../servers/lib.sh");
    let table: Vec<Vec<&str>> = include_str!("../../README.md")
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let told = |engine: &str, column: usize| -> Vec<&str> {
        let row = table.iter().find(|row| row[0].to_lowercase().starts_with(engine)).unwrap_or_else(|| panic!("no row {engine}"));
        row[column].split(", ").filter(|version| !version.is_empty()).collect()
    };
    // (Of the others, any version that is installed will do.)
    let version = |name: &str| {
        let line = lib.lines().find(|line| line.trim_start().starts_with(&format!("{name})"))).unwrap();
        line.split_once("want=").map(|(_, rest)| rest.split(' ').next().unwrap()).filter(|version| *version != "''")
    };
    let mut seen = 0;
    for (list, column) in [("every_run", 1), ("matrix_only", 2)] {
        let names = lib.split_once(&format!("{list}=\"")).unwrap().1.split('"').next().unwrap();
        for name in names.split(' ') {
            let Some(version) = version(name) else { continue };
            let engine = name.trim_end_matches(|c: char| c.is_ascii_digit());
            seen += 1;
            assert!(told(engine, column).contains(&version), "README: {name} is in {list}");
            assert!(!told(engine, 3).contains(&version), "README: {name} is run");
        }
    }
    assert_eq!(seen, 5);
}

/// The targets of a page's links, without those to other sites.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for path in markdown("").into_iter().chain(markdown("docs")).chain(markdown("docs/adr")) {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        for link in links(&text) {
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = root().join(&path).parent().unwrap().to_owned();
            let to = if file.is_empty() { root().join(&path) } else { folder.join(file) };
            assert!(to.exists(), "{path}: a link to {link}");
            if !anchor.is_empty() {
                let there = anchors(&std::fs::read_to_string(&to).unwrap());
                assert!(there.contains(anchor), "{path}: a link to {link}, which has {there:?}");
            }
        }
    }
    assert!(seen > 10, "{seen} links");
}

/// What errors refer to must be there: `see docs/guarantees.md, "…"`.
#[test]
fn sections_that_errors_name_exist() {
    let mut paths = vec![root().join("src")];
    let mut seen = 0;
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for rest in text.split("docs/").skip(1) {
            let Some((name, after)) = rest.split_once(".md") else { continue };
            let page = std::fs::read_to_string(root().join("docs").join(format!("{name}.md")));
            let page = page.unwrap_or_else(|error| panic!("{}: docs/{name}.md: {error}", path.display()));
            seen += 1;
            if let Some(section) = after.strip_prefix(", \\\"").and_then(|rest| rest.split("\\\"").next()) {
                let heading = |line: &str| line.starts_with('#') && line.to_lowercase().ends_with(&section.to_lowercase());
                assert!(page.lines().any(heading), "{}: docs/{name}.md has no section {section:?}", path.display());
            }
        }
    }
    assert!(seen > 0);
}

#[test]
fn blocks_without_a_known_language_are_refused() {
    assert!(parse("```\nls\n```\n").unwrap_err().contains("line 1"));
    assert!(parse("\n```shell\nls\n```\n").unwrap_err().contains("line 2"));
    assert!(parse("```sh\nls\n").unwrap_err().contains("does not end"));
    assert!(parse("~~~\nls\n~~~\n").unwrap_err().contains("line 1"));
    let wanted = Block {
        line: 3,
        language: "sql".to_owned(),
        target: "a.db".to_owned(),
        text: "select 1\n".to_owned(),
        no_run: Some("slow".to_owned()),
        exit: 3,
        wrong: false,
    };
    let parts = parse("<!-- no-run: slow -->\n<!-- exit: 3 -->\n```sql a.db\nselect 1\n```\n").unwrap();
    assert_eq!(parts, [Part::Block(wanted)]);
}

#[test]
fn output_is_compared_with_wildcards() {
    for (expected, actual, same) in [
        ("a\nb\n", "a\nb", true),
        ("a\n", "a\nb", false),
        ("a\n…\nc", "a\nb\nb\nc", true),
        ("a\n…\nc", "a\nc", true),
        ("a\n…\nc", "a\nb", false),
        ("at …Z: …", "at 12:00Z: done", true),
        ("at …Z: done", "at 12:00: done", false),
        ("…", "", true),
        ("a", "", false),
    ] {
        assert_eq!(describes(expected, actual), same, "{expected:?} {actual:?}");
    }
}
