//! The certificates of the test servers.

use std::path::PathBuf;
use std::process::Command;

/// Which certificate a server shows. Only tests of TLS look at it, one at a time for each server; it is its good one
/// again when this is dropped.
pub struct Certificate {
    ctl: PathBuf,
    directory: String,
}

impl Certificate {
    /// Of the server that the variable names, if it was started by `tests/servers/up.sh`.
    pub fn of(variable: &str) -> Result<Certificate, String> {
        let set = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
        let name = variable.trim_start_matches("TWINROW_TEST_").to_lowercase();
        let ctl = PathBuf::from(set("TWINROW_TEST_SERVERS")?).join(&name).join("ctl");
        let directory = set("TWINROW_TEST_TLS")?;
        if ctl.exists() { Ok(Certificate { ctl, directory }) } else { Err(format!("the server {name} is not ours to control")) }
    }

    /// From the next connection, or the server's next reload, on.
    pub fn serve(&self, name: &str) {
        assert!(Command::new(&self.ctl).args(["tls", name]).status().unwrap().success());
    }

    /// As [`Certificate::serve`], one that is good for so many seconds.
    pub fn serve_brief(&self, seconds: u32) {
        let tls = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/tls.sh");
        assert!(Command::new(tls).arg(&self.directory).arg(seconds.to_string()).status().unwrap().success());
        let data = self.ctl.with_file_name("data");
        for kind in ["pem", "key"] {
            // Written over, so that owner and mode stay.
            let brief = std::fs::read(format!("{}/brief.{kind}", self.directory)).unwrap();
            std::fs::write(data.join(format!("active.{kind}")), brief).unwrap();
        }
    }

    /// The file of an authority.
    pub fn authority(&self, name: &str) -> String {
        format!("{}/{name}.pem", self.directory)
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = Command::new(&self.ctl).args(["tls", "server"]).status();
    }
}

/// Modes and authorities to ask with.
pub const ASKED: [(&str, &str); 6] = [
    ("prefer", "ca"),
    ("require", "ca"),
    ("verify-ca", "ca"),
    ("verify-full", "ca"),
    ("verify-ca", "other-ca"),
    ("verify-full", "other-ca"),
];

/// What one of [`ASKED`] must be answered while the server shows this certificate: `connected`, or the kind of the
/// error and its text. `named`: the driver asks for the host's name even where only the authority counts.
#[track_caller]
pub fn check(shown: &str, (mode, ca): (&str, &str), named: bool, answer: &str) {
    let why = match (shown, mode, ca) {
        (_, "prefer" | "require", _) => None,
        ("expired", _, "ca") => Some("expired"),
        ("wronghost", "verify-full", "ca") => Some("not valid for name"),
        ("wronghost", "verify-ca", "ca") if named => Some("not valid for name"),
        (_, _, "ca") => None,
        // Which of the two it says first is its own affair.
        ("expired", ..) => Some("invalid peer certificate"),
        _ => Some("UnknownIssuer"),
    };
    match why {
        None => assert_eq!(answer, "connected", "{mode}, {ca}, {shown}"),
        Some(why) => assert!(answer.starts_with("Unreachable") && answer.contains(why), "{mode}, {ca}, {shown}: {answer}"),
    }
}
