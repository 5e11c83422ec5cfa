//! At a terminal, and where there is none.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use crate::program::{Ran, Scratch, TWINROW, ran};

/// What a shell is to run: in its own place, for a shell that waits dies of the Ctrl-C that the program lives on.
fn command_line(args: &str) -> String {
    format!("exec {TWINROW} {args}")
}

/// Runs the program at a terminal, with what a person types there; all it shows is in `out`.
fn at_a_terminal(scratch: &Scratch, args: &str, typed: &str) -> Ran {
    // From util-linux: it makes a terminal of its own for the command.
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &command_line(args), "/dev/null"]).current_dir(scratch.path());
    command.env_remove("TWINROW_LOG").env_remove("RUST_LOG").env("TERM", "xterm");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    ran(child.wait_with_output().unwrap())
}

/// As [`at_a_terminal`]; what is typed comes once the program has asked.
fn asked_at_a_terminal(scratch: &Scratch, args: &str, typed: &str) -> Ran {
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &command_line(args), "/dev/null"]).current_dir(scratch.path());
    command.env_remove("TWINROW_LOG").env_remove("RUST_LOG").env("TERM", "xterm");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let mut screen = child.stdout.take().unwrap();
    let (mut shown, mut byte) = (Vec::new(), [0]);
    while !shown.ends_with(b"[y/N] ") && screen.read(&mut byte).unwrap() == 1 {
        shown.push(byte[0]);
    }
    keyboard.write_all(typed.as_bytes()).unwrap();
    keyboard.flush().unwrap();
    screen.read_to_end(&mut shown).unwrap();
    let ended = ran(child.wait_with_output().unwrap());
    Ran { out: String::from_utf8(shown).unwrap(), ..ended }
}

/// Two sides with data.
fn full() -> Scratch {
    let scratch = Scratch::shop_and_crm();
    scratch.sql("crm.db", "insert into contacts (full_name, mail) values ('Bo', 'bo@example.org'), ('Cy', 'cy@example.org')");
    scratch
}

#[test]
fn a_first_sync_asks_a_person() {
    let scratch = full();
    for no in ["n\n", "\n"] {
        let asked = at_a_terminal(&scratch, "run --once", no);
        assert!(asked.out.contains("target only: target 9002") && asked.out.contains("Write this? [y/N]"), "{asked:?}");
        assert_eq!(asked.code, 3, "{asked:?}");
        assert_eq!(scratch.value("crm.db", "select count(*) from contacts"), "Integer(2)", "nothing is written");
    }
    let asked = at_a_terminal(&scratch, "run --once", "y\n");
    assert!(asked.out.contains("Write this? [y/N]"), "{asked:?}");
    assert_eq!(asked.code, 0, "{asked:?}");
    assert_eq!(scratch.value("crm.db", "select count(*) from contacts"), "Integer(3)");
    assert_eq!(scratch.value("shop.db", "select count(*) from customer"), "Integer(3)");
    // Once.
    assert!(!at_a_terminal(&scratch, "run --once", "").out.contains("Write this?"));
}

/// Ctrl-C is a no, and nobody has to wait for a process that is gone.
#[test]
fn ctrl_c_at_the_question_of_a_first_sync_lets_go_and_ends_with_3() {
    let scratch = full();
    for args in ["run", "run --once"] {
        let asked = asked_at_a_terminal(&scratch, args, "\u{3}");
        assert_eq!(asked.code, 3, "{asked:?}");
        assert!(asked.out.contains("next:  twinrow run --approve"), "{asked:?}");
        let status = scratch.done(&["status"]).out;
        assert!(status.contains("not running"), "{args}: {status}");
    }
    assert_eq!(scratch.value("crm.db", "select count(*) from contacts"), "Integer(2)", "nothing is written");
    assert_eq!(asked_at_a_terminal(&scratch, "run --once", "y\n").code, 0);
}

#[test]
fn a_run_shows_its_progress_on_a_terminal_alone() {
    let progress = " decided, ";
    let scratch = Scratch::shop_and_crm();
    let shown = at_a_terminal(&scratch, "run --once", "");
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.out.contains(progress) && shown.out.contains('\u{1b}'), "{shown:?}");
    scratch.sql("shop.db", "insert into customer values (3, 'Cy', 'cy@example.org', 5)");
    let piped = scratch.done(&["run", "--once"]);
    assert!(!piped.err.contains(progress) && !piped.out.contains('\u{1b}') && !piped.err.contains('\u{1b}'), "{piped:?}");
}

#[test]
fn logs_are_lines_for_people_and_json_on_request() {
    let people = Scratch::shop_and_crm().done(&["-v", "run", "--once"]).err;
    assert!(people.lines().count() > 2 && people.contains("INFO"), "{people}");
    assert!(people.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_err()), "{people}");
    let json = Scratch::shop_and_crm().done(&["-v", "--log-format", "json", "run", "--once"]).err;
    assert!(json.lines().count() > 0, "nothing is logged");
    for line in json.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
}
