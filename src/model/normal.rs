//! Stated normalisation: which values a match rule takes for the same. What stands here is what every endpoint finds,
//! whatever its engine, locale or collation has for an own idea of letters: what one side finds and the other does not
//! becomes a second record.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Value;

/// How texts of a match field are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Normal {
    /// Upper and lower case are the same.
    pub fold_case: bool,
    /// Blanks at both ends do not count.
    pub trim: bool,
}

impl Normal {
    /// A text as it is compared.
    pub fn form(self, text: &str) -> String {
        let text = if self.trim { text.trim_matches(' ') } else { text };
        if self.fold_case { fold(text) } else { text.to_owned() }
    }

    /// A value as it is compared; only texts are normalised.
    pub fn form_of(self, value: &Value) -> Value {
        match value {
            Value::Text(text) => Value::Text(self.form(text)),
            other => other.clone(),
        }
    }
}

/// What a match rule compares: two records match exactly if these bytes are equal. `None`: one of the values matches
/// nothing (C10).
pub fn normalised(rule: &[(usize, Normal)], values: &[Value]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for ((_, normal), value) in rule.iter().zip(values) {
        let value = normal.form_of(value);
        if value.is_blank() {
            return None;
        }
        let mut part = Vec::new();
        value.canonical(&mut part);
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part);
    }
    Some(bytes)
}

/// What the sharp s is folded to, the one letter that becomes two.
pub const SHARP_S: ([char; 2], &str) = (['ß', 'ẞ'], "ss");

/// A text without regard to upper and lower case: letter by letter, so that no neighbour and no language matters.
fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if SHARP_S.0.contains(&c) { out.push_str(SHARP_S.1) } else { out.push(letter(c)) }
    }
    out
}

/// The lower case of the upper case, so that both small sigmas are the same. Letters that have one of ASCII in either
/// case but are not of ASCII themselves (the Turkish `İ` and `ı`, the sign for kelvin) are letters of their own, and so is
/// what would become several: then a text of ASCII is alike to nothing but texts of ASCII, which every engine can look for.
fn letter(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let small = single(c.to_lowercase()).unwrap_or(c);
    let capital = single(small.to_uppercase()).unwrap_or(small);
    let folded = single(capital.to_lowercase()).unwrap_or(capital);
    if folded.is_ascii() { c } else { folded }
}

fn single(mut letters: impl Iterator<Item = char>) -> Option<char> {
    letters.next().filter(|_| letters.next().is_none())
}

/// The other spellings of each letter: what is folded to it.
static SPELLINGS: LazyLock<HashMap<char, Vec<char>>> = LazyLock::new(|| {
    let mut all: HashMap<char, Vec<char>> = HashMap::new();
    for c in ('\0'..=char::MAX).filter(|c| letter(*c) != *c) {
        all.entry(letter(c)).or_default().push(c);
    }
    all
});

/// The letters that are folded to this one, but for itself and the sharp s.
pub fn spellings(folded: char) -> &'static [char] {
    SPELLINGS.get(&folded).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c7_case_is_folded_beyond_ascii() {
        let fold = |text: &str| Normal { fold_case: true, trim: true }.form(text);
        assert_eq!(fold(" STRASSE "), fold("straße"));
        assert_eq!(fold("STRAẞE"), fold("straße"));
        assert_eq!(fold("ΟΔΟΣ"), fold("οδος"));
        assert_eq!(fold("ÉMILIE"), fold("émilie"));
        assert_ne!(fold("ı"), fold("i"));
        assert_ne!(fold("İ"), fold("i"));
        assert_eq!(Normal { fold_case: false, trim: true }.form(" a\t"), "a\t");
    }

    /// What engines are asked for rests on this.
    #[test]
    fn c7_a_folded_letter_stays_as_it_is() {
        for c in '\0'..=char::MAX {
            let folded = fold(&c.to_string());
            assert_eq!(fold(&folded), folded, "{c}");
            let sharp = SHARP_S.0.contains(&c);
            assert_eq!(c.is_ascii() || sharp, folded.is_ascii(), "{c}: only texts of ASCII become such, but for the sharp s");
            let changed = folded != c.to_string() && !sharp;
            assert_eq!(changed, folded.chars().any(|one| spellings(one).contains(&c)), "{c}");
        }
    }
}
