//! `${NAME}` and `${file:PATH}` in texts: secrets come from outside the file.

use std::path::Path;

use super::shape::Text;
use crate::error::{Error, Kind, Result};

/// Where `${…}` comes from: the process's environment and files beside the configuration; a test's own
/// in tests.
pub(super) trait Outside {
    fn variable(&self, name: &str) -> Option<String>;
    fn file(&self, path: &Path) -> std::io::Result<String>;
}

/// The environment, and files relative to the configuration's folder.
pub(super) struct Process<'a> {
    pub folder: &'a Path,
}

impl Outside for Process<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        std::fs::read_to_string(self.folder.join(path))
    }
}

/// Replaces every `${…}` of the text; `$${` stands for `${`. No error shows what a variable holds.
pub(super) fn expand(text: &mut Text, outside: &dyn Outside) -> Result<()> {
    text.value = expanded(&text.value, outside, |_, value| value)?;
    Ok(())
}

/// As [`expand`], for a URL: what is put where user and password stand may hold any character, and is
/// encoded. A URL that comes from outside as a whole is taken as it is.
pub(super) fn expand_url(url: &mut Text, outside: &dyn Outside) -> Result<()> {
    let authority = url.value.find("://").map(|at| at + 3);
    let credentials = authority.zip(url.value.rfind('@')).map_or(0..0, |(from, to)| from..to.max(from));
    url.value =
        expanded(&url.value, outside, |at, value| if credentials.contains(&at) { percent_encoded(&value) } else { value })?;
    Ok(())
}

fn expanded(template: &str, outside: &dyn Outside, place: impl Fn(usize, String) -> String) -> Result<String> {
    let mut out = String::with_capacity(template.len());
    let mut done = 0;
    while let Some(at) = template[done..].find("${").map(|at| done + at) {
        if template[done..at].ends_with('$') {
            out.push_str(&template[done..at - 1]);
            out.push_str("${");
            done = at + 2;
            continue;
        }
        out.push_str(&template[done..at]);
        let end = template[at..].find('}').map(|end| at + end);
        let end = end.ok_or_else(|| Error::new(Kind::Config, "`${` without its `}`").hint("write $${ for a literal ${"))?;
        out.push_str(&place(at, fetch(&template[at + 2..end], outside)?));
        done = end + 1;
    }
    out.push_str(&template[done..]);
    Ok(out)
}

fn fetch(name: &str, outside: &dyn Outside) -> Result<String> {
    if let Some(path) = name.strip_prefix("file:") {
        let content = outside.file(Path::new(path)).map_err(|error| {
            Error::new(Kind::Config, format!("file `{path}` can't be read: {}", error.kind())).hint(format!("ls -l {path}"))
        })?;
        // Editors and `echo` end a file with a newline that is no part of the secret.
        return Ok(content
            .strip_suffix('\n')
            .map_or(content.as_str(), |text| text.strip_suffix('\r').unwrap_or(text))
            .to_owned());
    }
    outside.variable(name).ok_or_else(|| {
        Error::new(Kind::Config, format!("environment variable `{name}` is not set")).hint(format!("export {name}=…"))
    })
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
