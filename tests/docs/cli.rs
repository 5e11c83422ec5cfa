//! What commands print and how they end.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use twinrow::cli::{APPROVAL, DONE, FAILED, FENCED, USAGE};

use crate::program::{CONFIG, Ran, Running, Scratch};

/// All commands, as `--help` lists them.
const COMMANDS: [&str; 14] = [
    "demo",
    "init",
    "check",
    "install",
    "uninstall",
    "plan",
    "run",
    "resync",
    "status",
    "held",
    "conflicts",
    "pairs",
    "approve",
    "completions",
];

/// A run as a transcript, without what differs between machines and days.
fn transcript(scratch: &Scratch, args: &[&str]) -> String {
    let ran = scratch.run(args);
    let text = format!("$ twinrow {}\n{}{}=> {}\n", args.join(" "), ran.out, ran.err, ran.code);
    redacted(&text)
}

fn redacted(text: &str) -> String {
    let word = |word: &str| {
        let core = word.trim_end_matches([',', '.']);
        let time = core.len() >= 20 && core.ends_with('Z') && core.as_bytes()[4] == b'-' && core.contains('T');
        let hash = core.len() == 32 && core.bytes().all(|b| b.is_ascii_hexdigit());
        if time {
            word.replace(core, "<time>")
        } else if hash {
            word.replace(core, "<id>")
        } else {
            word.to_owned()
        }
    };
    let line = |line: &str| {
        let mut line = line.split(' ').map(word).collect::<Vec<_>>().join(" ");
        if let Some(at) = line.find("SQLite 3.") {
            let end = line[at + 7..].find(',').map_or(line.len(), |n| at + 7 + n);
            line.replace_range(at + 7..end, "<version>");
        }
        // The names of triggers and logs end in a hash, the names of hosts and processes differ.
        if let Some(at) = line.find("run by ") {
            line.truncate(at + 7);
            line.push_str("<who>");
        }
        line
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn help_of_every_command() {
    let scratch = Scratch::new();
    let top = scratch.done(&["--help"]).out;
    let listed: Vec<&str> = top
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert_eq!(listed, COMMANDS);
    let mut all = scratch.done(&["-h"]).out;
    for command in COMMANDS {
        all.push_str(&format!("\n$ twinrow {command} -h\n{}", scratch.done(&[command, "-h"]).out));
    }
    insta::assert_snapshot!("help", all);
}

/// Every option a command has is in docs/cli.md, and so is every command.
#[test]
fn docs_name_every_command_and_option() {
    let page = include_str!("../../docs/cli.md");
    let scratch = Scratch::new();
    for command in COMMANDS {
        assert!(page.contains(&format!("**`{command}")), "docs/cli.md does not describe `{command}`");
        let help = scratch.done(&[command, "-h"]).out;
        let options = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2);
        for option in options.map(|word| word.trim_end_matches([',', '.', ';', ':'])) {
            assert!(
                matches!(option, "--help" | "--version") || page.contains(option),
                "docs/cli.md lacks {option} of `{command}`"
            );
        }
    }
}

#[test]
fn completions_are_not_empty() {
    let scratch = Scratch::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = scratch.done(&["completions", shell]).out;
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

/// Every error names the next step, and ends as documented.
#[test]
fn errors_say_what_to_do_next() {
    let mut all = String::new();
    let mut note = |title: &str, scratch: &Scratch, args: &[&str], code: i32| {
        let text = transcript(scratch, args);
        assert!(text.ends_with(&format!("=> {code}\n")), "{title}: {text}");
        assert!(text.contains("\nerror: ") && text.contains("\nnext:  "), "{title}: {text}");
        all.push_str(&format!("# {title}\n{text}\n"));
    };
    note("no configuration", &Scratch::new(), &["status"], 2);

    let config = |from: &str, to: &str| {
        let scratch = Scratch::shop_and_crm();
        assert!(CONFIG.contains(from));
        scratch.write("twinrow.yaml", &CONFIG.replace(from, to));
        scratch
    };
    note("unknown key", &config("fields:", "feilds:"), &["check"], 2);
    note("unknown value", &config("    match: [email]\n", "    conflict: sauce\n"), &["check"], 2);
    note("not YAML", &config("links:", "links: ["), &["check"], 2);
    note("not YAML, and why", &config("name: full_name", "\tname: full_name"), &["check"], 2);
    note("a list is no word", &config("source: shop\n", "source: [shop]\n"), &["check"], 2);
    note("bad scheme", &config("sqlite:shop.db", "postgre://shop"), &["check"], 2);
    note("variable not set", &config("sqlite:shop.db", "sqlite:${TWINROW_NOT_SET}"), &["check"], 2);
    note("no such endpoint", &config("target: crm\n", "target: cmr\n"), &["check"], 2);
    note("no such table", &config("source: customer", "source: custmer"), &["check"], 2);
    note("no such column", &config("name: full_name", "nmae: full_name"), &["check"], 2);
    note("file missing", &config("sqlite:shop.db", "sqlite:none.db"), &["check"], 1);
    let no_database = config("sqlite:shop.db", "sqlite:text.db");
    no_database.write("text.db", &"no database ".repeat(100));
    note("no database", &no_database, &["check"], 1);

    let scratch = Scratch::shop_and_crm();
    for command in [&["status"][..], &["held"], &["conflicts"], &["pairs", "customers"], &["approve", "customers"]] {
        note("never run", &scratch, command, 2);
    }
    let url = "sqlite:shop.db";
    note("init over a file", &scratch, &["init", "--source", url, "--target", "sqlite:crm.db"], 2);
    note(
        "init of nothing",
        &scratch,
        &["--config", "b.yaml", "init", "--source", "a=sqlite:none.db", "--target", "b=sqlite:crm.db"],
        1,
    );
    note(
        "init with one name twice",
        &scratch,
        &["--config", "b.yaml", "init", "--source", "a=sqlite:shop.db", "--target", "a=sqlite:crm.db"],
        2,
    );
    scratch.done(&["run", "--once"]);
    note("no such link", &scratch, &["pairs", "custmers"], 2);
    note("no such link", &scratch, &["resync", "full", "custmers"], 2);
    note("no such link", &scratch, &["uninstall", "--link", "custmers"], 2);
    note("no such link", &scratch, &["held", "retry", "custmers"], 2);
    note("nothing is braked", &scratch, &["approve", "customers"], 2);
    note("not on the worklist", &scratch, &["held", "show", "customers", "source", "1"], 2);
    note("no such conflict", &scratch, &["conflicts", "show", "12"], 2);
    note("uninstall --all without --yes", &scratch, &["uninstall", "--all"], 3);
    insta::assert_snapshot!("errors", all);
}

/// What clap refuses ends as a wrong configuration does.
#[test]
fn wrong_arguments_end_with_2() {
    let scratch = Scratch::shop_and_crm();
    for args in [&["frobnicate"][..], &[], &["run", "--onec"], &["pairs"], &["uninstall", "--yes"], &["held", "show", "a"]] {
        let ran = scratch.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{args:?}: {ran:?}");
    }
}

#[test]
fn a_first_sync_of_two_full_sides_waits_for_approval() {
    let scratch = Scratch::shop_and_crm();
    scratch.sql("crm.db", "insert into contacts (full_name, mail) values ('Bo', 'bo@example.org'), ('Cy', 'cy@example.org')");
    let asked = scratch.run(&["run", "--once"]);
    assert_eq!(asked.code, 3, "{asked:?}");
    assert!(asked.out.contains("source only: source 1") && asked.out.contains("target only: target 9002"), "{asked:?}");
    assert!(asked.err.contains("error: ") && asked.err.contains("next:  twinrow run --approve"), "{asked:?}");
    assert_eq!(scratch.value("crm.db", "select count(*) from contacts"), "Integer(2)", "nothing is written");
    scratch.done(&["approve", "first-sync"]);
    scratch.done(&["run", "--once"]);
    assert_eq!(scratch.value("crm.db", "select count(*) from contacts"), "Integer(3)");
    assert_eq!(scratch.value("shop.db", "select count(*) from customer"), "Integer(3)");
}

#[test]
fn a_brake_says_so_and_waits_for_approval() {
    let scratch = Scratch::shop_and_crm();
    scratch.write("twinrow.yaml", &CONFIG.replace("    match:", "    safety: mirror\n    match:"));
    let many = "with recursive n(i) as (select 100 union all select i + 1 from n where i < 299)
                insert into customer (id, name, email) select i, 'n', 'e' || i from n";
    scratch.sql("shop.db", many);
    scratch.done(&["run", "--once"]);
    scratch.sql("shop.db", "delete from customer where id >= 200");
    let braked = scratch.run(&["run", "--once"]);
    let next = "Next: twinrow held list   # shows them; then: twinrow approve customers";
    assert!(braked.err.contains("the brake tripped") && braked.err.contains(next), "{braked:?}");
    let waiting = scratch.done(&["held", "list"]).out;
    assert_eq!(waiting.lines().filter(|line| line.starts_with("customers source 2")).count(), 100, "{waiting}");
    let status = scratch.done(&["status"]).out;
    assert!(
        status.contains("customers: BRAKE: 100 records gone of 202") && status.contains("twinrow approve customers"),
        "{status}"
    );
    assert_eq!(scratch.value("crm.db", "select count(*) from contacts"), "Integer(202)");
    scratch.done(&["approve", "customers"]);
    scratch.done(&["run", "--once"]);
    assert_eq!(scratch.value("crm.db", "select count(*) from contacts"), "Integer(102)");
    assert!(!scratch.done(&["status"]).out.contains("BRAKE"));
}

/// Waits until a condition holds; a minute at most.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn daemon(scratch: &Scratch) -> Child {
    scratch.command(&["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The exit code of a program that is about to end.
fn exit(running: &mut Running) -> Option<i32> {
    let start = Instant::now();
    loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            return status.code();
        }
        assert!(start.elapsed() < Duration::from_secs(60), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// I8: two processes never both write; the one that was pushed aside says so.
#[test]
fn i8_a_second_process_is_fenced_with_4() {
    let scratch = Scratch::shop_and_crm();
    scratch.done(&["run", "--once"]);
    let mut first = Running(daemon(&scratch));
    let running = || scratch.run(&["status"]).out.contains("run by");
    eventually("the daemon runs", running);
    let second = scratch.run(&["run", "--once"]);
    assert_eq!(second.code, 4, "{second:?}");
    assert!(second.err.contains("is being run by") && second.err.contains("next:  "), "{second:?}");
    // What only looks, or asks for something else than a run, is not told to type one.
    for (args, next) in [
        (&["plan"][..], "twinrow plan   # while it runs: twinrow status, twinrow held list"),
        (&["resync", "full", "customers"], "twinrow resync full customers"),
        (&["approve", "first-sync"], "twinrow approve first-sync"),
    ] {
        let refused = scratch.run(args);
        assert_eq!(refused.code, 4, "{args:?}: {refused:?}");
        assert!(refused.err.ends_with(&format!("next:  stop it, then: {next}\n")), "{args:?}: {refused:?}");
    }
    scratch.done(&["run", "--once", "--take-over"]);
    // The first one learns it by its next write.
    scratch.sql("shop.db", "update customer set name = 'Ada L.' where id = 1");
    assert_eq!(exit(&mut first), Some(4));
}

/// What it says is typed next removes no more than what was asked, in the same configuration.
#[test]
fn uninstall_while_it_runs_says_how_to_remove_just_that() {
    let scratch = Scratch::shop_and_crm();
    scratch.write("other crm.yaml", CONFIG);
    let _running = Running(daemon(&scratch));
    eventually("the daemon runs", || scratch.run(&["status"]).out.contains("run by"));
    for (args, next) in [
        (&["uninstall"][..], "twinrow uninstall --take-over"),
        (&["uninstall", "--link", "customers"], "twinrow uninstall --link customers --take-over"),
        (&["uninstall", "--all"], "twinrow uninstall --all --take-over"),
        (&["uninstall", "--all", "--yes"], "twinrow uninstall --all --yes --take-over"),
        (
            &["-c", "./other crm.yaml", "uninstall", "--link", "customers"],
            "twinrow --config './other crm.yaml' uninstall --link customers --take-over",
        ),
    ] {
        let refused = scratch.run(args);
        assert_eq!(refused.code, 4, "{args:?}: {refused:?}");
        assert!(refused.err.ends_with(&format!("next:  stop it, or: {next}\n")), "{args:?}: {refused:?}");
    }
    assert_ne!(objects(&scratch, "shop.db"), "Integer(0)", "nothing is removed");
}

/// SIGTERM ends it in order: what it was doing is finished, and nobody need wait for it.
#[test]
fn a_signal_ends_a_run_in_order() {
    let scratch = Scratch::shop_and_crm();
    let mut running = Running(daemon(&scratch));
    eventually("the first sync is done", || {
        scratch.run(&["status"]).out.contains("run by")
            && scratch.value("crm.db", "select count(*) from contacts") == "Integer(2)"
    });
    signal(&running, "-TERM");
    assert_eq!(exit(&mut running), Some(0));
    assert!(scratch.done(&["status"]).out.contains("not running"));
    scratch.done(&["run", "--once"]);
}

/// So many rows that a run of them does not end before a signal arrives.
const MANY: i64 = 60_000;

fn many_rows(scratch: &Scratch) {
    let rows = format!(
        "with recursive n(i) as (select 10 union all select i + 1 from n where i < {MANY})
         insert into customer (id, name, email) select i, 'n', 'e' || i from n"
    );
    scratch.sql("shop.db", &rows);
}

fn signal(running: &Running, name: &str) {
    let id = running.0.id().to_string();
    assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
}

/// A supervisor that tells the process and then its group has told it once.
#[test]
fn a_signal_that_comes_twice_at_once_ends_a_run_in_order() {
    let scratch = Scratch::shop_and_crm();
    many_rows(&scratch);
    let mut run = Running(scratch.command(&["run", "--once"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let written = || scratch.value("crm.db", "select count(*) from contacts");
    eventually("it writes", || scratch.run(&["status"]).out.contains("run by") && written() != "Integer(0)");
    let id = run.0.id();
    let twice = format!("kill -TERM {id}; kill -TERM {id}");
    assert!(std::process::Command::new("sh").args(["-c", &twice]).status().unwrap().success());
    assert_eq!(exit(&mut run), Some(1));
    assert_ne!(written(), format!("Integer({})", MANY - 7), "it was done before the signal came");
    let status = scratch.done(&["status"]).out;
    assert!(status.contains("not running"), "{status}");
}

/// Told to stop before everything is done, it lets go: the next one need not wait, and does the rest.
#[test]
fn a_run_that_is_interrupted_lets_go_and_ends_with_1() {
    let scratch = Scratch::shop_and_crm();
    many_rows(&scratch);
    let count = || scratch.value("crm.db", "select count(*) from contacts");
    for (args, name) in [(&["run", "--once"][..], "-INT"), (&["run", "--once"], "-TERM"), (&["resync", "full"], "-INT")] {
        let before = if scratch.run(&["status"]).code == 0 { count() } else { "Integer(0)".to_owned() };
        let mut run = Running(scratch.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        eventually("it writes", || scratch.run(&["status"]).out.contains("run by") && count() != before);
        signal(&run, name);
        assert_eq!(exit(&mut run), Some(1), "{args:?}");
        let mut told = String::new();
        run.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert!(told.contains("error: told to stop: ") && told.ends_with("next:  twinrow run --once\n"), "{args:?}: {told}");
        assert_ne!(count(), format!("Integer({})", MANY - 7), "{args:?}: it was done before the signal came");
        let status = scratch.done(&["status"]).out;
        assert!(status.contains("not running"), "{args:?}: {status}");
    }
    scratch.done(&["run", "--once"]);
    assert_eq!(count(), format!("Integer({})", MANY - 7));
}

/// The documented fields: each name in the document stands in docs/cli.md.
fn assert_documented(command: &str, value: &Value, data: &[&str]) {
    let page = include_str!("../../docs/cli.md");
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                // A name that ends in a number is documented with `N`.
                let named = key.trim_end_matches(|c: char| c.is_ascii_digit());
                let named = if named == key { key.clone() } else { format!("{named}N") };
                assert!(
                    data.contains(&key.as_str()) || page.contains(&format!("`{named}`")),
                    "{command} --json: `{key}` is not in docs/cli.md"
                );
                assert_documented(command, value, data);
            }
        }
        Value::Array(all) => all.iter().for_each(|value| assert_documented(command, value, data)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn json(scratch: &Scratch, args: &[&str], fields: &[&str]) -> Value {
    let ran = scratch.done(&[args, &["--json"]].concat());
    let value: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{args:?}: {error}: {ran:?}"));
    // Names of links, endpoints and situations are no fields.
    assert_documented(
        args[0],
        &value,
        &[
            "customers",
            "shop",
            "crm",
            "source only",
            "target only",
            "found",
            "conflict",
            "source changed",
            "target changed",
            "agreed",
        ],
    );
    let one = match &value {
        Value::Array(all) => all.first().unwrap_or_else(|| panic!("{args:?}: empty")),
        other => other,
    };
    for field in fields {
        assert!(one.get(field).is_some(), "{args:?}: no `{field}` in {value}");
    }
    value
}

#[test]
fn json_of_every_command_has_the_documented_fields() {
    let scratch = Scratch::shop_and_crm();
    scratch.sql("shop.db", "insert into customer values (3, 'Cy', 'cy@example.org', 5000)");
    let init = ["--config", "b.yaml", "init", "--source", "shop=sqlite:shop.db", "--target", "crm=sqlite:crm.db"];
    let written: Value = serde_json::from_str(&scratch.done(&[&init[..], &["--json"]].concat()).out).unwrap();
    assert_eq!(written["file"], "b.yaml");
    assert_documented("init", &written, &[]);
    let checked = json(&scratch, &["check"], &["endpoints", "warnings", "problems"]);
    assert_eq!(checked["endpoints"][0]["name"], "shop");
    json(&scratch, &["install", "--print-sql"], &["shop", "crm"]);
    assert!(json(&scratch, &["install"], &[]).as_array().is_some_and(|lines| lines.len() > 3));
    let plan = json(&scratch, &["plan"], &["entries", "links"]);
    assert_eq!(plan["links"]["customers"]["created_target"], 3);
    let run = json(&scratch, &["run", "--once"], &["entries", "links"]);
    assert_eq!(run["links"]["customers"]["created_target"], 2);
    let held = json(&scratch, &["held"], &["link", "side", "key", "reason", "cause", "attempts", "since"]);
    assert_eq!(held.as_array().map(Vec::len), Some(1));
    assert_eq!(held[0]["key"], "3");
    json(
        &scratch,
        &["held", "show", "customers", "source", "3"],
        &["link", "side", "key", "reason", "cause", "attempts", "since"],
    );
    scratch.sql("shop.db", "update customer set name = 'Ada of the shop' where id = 1");
    scratch.sql("crm.db", "update contacts set full_name = 'Ada of the CRM' where mail = 'ada@example.org'");
    scratch.done(&["run", "--once"]);
    let fields = ["id", "at", "link", "source", "target", "loser", "kept"];
    let conflicts = json(&scratch, &["conflicts"], &fields);
    let id = conflicts[0]["id"].as_str().unwrap();
    let shown = json(&scratch, &["conflicts", "show", id], &fields);
    assert_eq!(shown["fields"][0]["target"], "Ada of the CRM");
    let pairs = json(&scratch, &["pairs", "customers"], &["source", "target", "differs_by_policy"]);
    assert_eq!(pairs.as_array().map(Vec::len), Some(2));
    let status = json(&scratch, &["status"], &["integration", "run_by", "settings", "links"]);
    assert_eq!((&status["links"][0]["pairs"], &status["links"][0]["held"]), (&Value::from(2), &Value::from(1)));
    json(&scratch, &["resync", "full"], &["entries", "links"]);
    assert!(json(&scratch, &["uninstall"], &[]).as_array().is_some_and(|lines| lines.len() > 3));
    json(&scratch, &["uninstall", "--all", "--yes"], &[]);
}

/// What `init` writes of any two databases can be read, and checked.
#[test]
fn what_init_writes_passes_check() {
    let scratch = Scratch::new();
    let order = |table: &str| {
        format!(
            "create table customer (id integer primary key, name text, \"E-Mail\" text unique);
             create table {table} (id integer primary key, customer_id integer references customer (id), note text)"
        )
    };
    scratch.sql("a.db", &order("purchase"));
    scratch.sql("b.db", &order("tblPurchases"));
    scratch.done(&["init", "--source", "shop=sqlite:a.db", "--target", "crm=sqlite:b.db"]);
    let checked = scratch.done(&["check"]);
    assert!(checked.out.ends_with("ok\n"), "{checked:?}");
    scratch
        .sql("a.db", "insert into customer values (5, 'Ada', 'ada@example.org'); insert into purchase values (9, 5, 'a lamp')");
    scratch.done(&["run", "--once"]);
    assert_eq!(
        scratch.value("b.db", "select count(*) from tblPurchases p join customer c on c.id = p.customer_id"),
        "Integer(1)"
    );
}

/// A list that was cut off says so, where a program that reads it is not disturbed.
#[test]
fn pairs_say_when_there_are_more() {
    let scratch = Scratch::shop_and_crm();
    scratch.done(&["run", "--once"]);
    for args in [&["pairs", "customers", "--limit", "1"][..], &["--json", "pairs", "customers", "--limit", "1"]] {
        let ran = scratch.done(args);
        assert_eq!(ran.err, "the first 1 only; next: twinrow pairs customers --limit NUMBER\n", "{ran:?}");
        assert!(!ran.out.contains("9002"), "{ran:?}");
    }
    assert_eq!(scratch.done(&["pairs", "customers", "--limit", "2"]).err, "");
}

/// A plan says why it would hold a record.
#[test]
fn a_plan_names_the_causes() {
    let scratch = Scratch::shop_and_crm();
    scratch.sql("shop.db", "insert into customer values (3, 'Cy', 'c@x', 'many'), (4, 'Di', 'd@x', 'few')");
    let plan = scratch.done(&["plan"]).out;
    assert!(plan.contains("\n  customers: 2 held: credit -> credit: "), "{plan}");
    assert!(!plan.contains("many"), "{plan}");
}

/// What a run refuses before it begins stands in the status too.
#[test]
fn the_status_says_that_a_database_was_restored() {
    let scratch = Scratch::shop_and_crm();
    scratch.done(&["run", "--once"]);
    scratch.sql("shop.db", &format!("vacuum into '{}'", scratch.file("backup.db").display()));
    scratch.sql("crm.db", "update contacts set full_name = 'Ada L.' where mail = 'ada@example.org'");
    scratch.done(&["run", "--once"]);
    assert!(!scratch.done(&["status"]).out.contains("REFUSED"));
    assert!(scratch.done(&["check"]).out.ends_with("ok\n"));
    for ending in ["", "-wal", "-shm"] {
        // Not each journal mode has these.
        let _ = std::fs::remove_file(scratch.file(&format!("shop.db{ending}")));
    }
    std::fs::rename(scratch.file("backup.db"), scratch.file("shop.db")).unwrap();
    let refused = scratch.run(&["run", "--once"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let status = scratch.done(&["status"]).out;
    let why = "REFUSED: endpoint shop: this database is older than the state remembers: it was restored from a backup; nothing was read or written; next: see docs/guarantees.md";
    assert!(status.contains(why), "{status}");
    let json: Value = serde_json::from_str(&scratch.done(&["--json", "status"]).out).unwrap();
    assert!(json["refused"]["cause"].as_str().is_some_and(|cause| cause.contains("restored from a backup")), "{json}");
    let checked = scratch.run(&["check"]);
    assert_eq!(checked.code, refused.code, "{checked:?}");
    assert!(checked.out.contains("problem: run is refused: endpoint shop: this database is older"), "{checked:?}");
    assert_eq!(checked.err, refused.err, "the same in the same words");
}

/// The process that runs has the configuration it was started with: once the file is corrected, that is what is in the way.
#[test]
fn the_status_says_that_a_corrected_file_needs_another_process() {
    let scratch = Scratch::shop_and_crm();
    scratch.done(&["run", "--once"]);
    scratch.write("twinrow.yaml", &CONFIG.replace("name: full_name", "name: ful_name"));
    let _running = Running(daemon(&scratch));
    let status = || scratch.done(&["status"]).out;
    eventually("the daemon has met it", || status().contains("run by") && status().contains("STANDS STILL since"));
    assert!(status().contains("next: correct it, then: twinrow check"), "{}", status());
    scratch.write("twinrow.yaml", CONFIG);
    let corrected = "next: it is corrected: end the process that runs it, then: twinrow run\n";
    assert!(status().contains("STANDS STILL since") && status().contains(corrected), "{}", status());
}

fn objects(scratch: &Scratch, file: &str) -> String {
    scratch.value(file, "select count(*) from sqlite_master where name like 'twinrow%'")
}

/// The demo checks itself: its last word is read afresh from both files.
#[test]
fn the_demo_ends_in_agreement() {
    let scratch = Scratch::new();
    let ran = scratch.done(&["demo", "--dir", "here"]);
    assert!(ran.out.contains("\nBoth sides agree") && ran.out.contains(" 0 differ, 0 doubled"), "{ran:?}");
    let nothing_held = ran.out.contains("(0 held)");
    assert_eq!(ran.out.contains("\nBoth sides agree.\n"), nothing_held, "what is held is not agreed on: {ran:?}");
    let config = scratch.file("here/twinrow.yaml");
    let status = scratch.done(&["--config", config.to_str().unwrap(), "status"]).out;
    assert!(status.contains("customers") && status.contains("purchases"), "{status}");
}

/// A69: what can't be synced any more can still be uninstalled.
#[test]
fn a69_uninstall_needs_no_tables() {
    let scratch = Scratch::shop_and_crm();
    scratch.done(&["run", "--once"]);
    scratch.sql("shop.db", "drop table customer");
    let refused = scratch.run(&["run", "--once"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    scratch.done(&["uninstall"]);
    let logs = "select count(*) from sqlite_master where name like 'twinrow_log%' or type = 'trigger'";
    assert_eq!((scratch.value("shop.db", logs), scratch.value("crm.db", logs)), ("Integer(0)".into(), "Integer(0)".into()));
    assert_eq!(scratch.value("crm.db", "select count(*) from twinrow_pair"), "Integer(2)", "the identity map stays");
}

#[test]
fn uninstall_all_asks_first_and_leaves_nothing() {
    let scratch = Scratch::shop_and_crm();
    scratch.done(&["run", "--once"]);
    let asked: Ran = scratch.run(&["uninstall", "--all"]);
    assert_eq!(asked.code, 3, "{asked:?}");
    assert_eq!(scratch.value("crm.db", "select count(*) from twinrow_pair"), "Integer(2)");
    scratch.done(&["uninstall", "--all", "--yes"]);
    assert_eq!((objects(&scratch, "shop.db"), objects(&scratch, "crm.db")), ("Integer(0)".into(), "Integer(0)".into()));
    assert_eq!(scratch.value("crm.db", "select count(*) from contacts"), "Integer(2)", "rows of users are not touched");
    assert_eq!(scratch.done(&["uninstall"]).out, "nothing was installed\n");
}

/// The table of docs/cli.md is what the program has; tests of this file meet each.
#[test]
fn exit_codes_are_documented() {
    let page = include_str!("../../docs/cli.md");
    let section = page.split("## Exit codes").nth(1).unwrap().split("\n## ").next().unwrap();
    let codes: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next())
        .filter(|code| code.parse::<u8>().is_ok())
        .collect();
    let all = [DONE, FAILED, USAGE, APPROVAL, FENCED].map(|code| code.to_string());
    assert_eq!(codes, all.iter().map(String::as_str).collect());
}
