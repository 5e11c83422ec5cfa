//! Texts alike but for case, as a server is asked for them. What is alike is stated in [`crate::model::Normal`]; a server's
//! own `lower` follows its locale, its version and the column's collation. So it is given the letters.

use std::collections::BTreeSet;

use crate::endpoint::CANDIDATES_MAX;
use crate::model::{Collection, Key, Kind, Normal, SHARP_S, Value, normalised, spellings};

/// So many texts at most are looked up in an index for one.
const STORED_MAX: usize = 32;

/// Values that are looked for.
#[derive(Clone)]
pub(super) struct Asked {
    /// Their place among those the caller asked for.
    pub at: usize,
    /// One for each field of the rule, as it is compared.
    pub values: Vec<Value>,
    /// How the field that has an index may be stored, in small letters of ASCII.
    pub stored: Value,
}

/// What one statement looks for.
pub(super) struct Group {
    pub asked: Vec<Asked>,
    /// Which field of the rule is looked up by how it may be stored.
    pub indexed: Option<usize>,
    /// The letters a server is to replace, each by the other, so that texts are alike exactly if they are equal then; a
    /// sharp s before them. Others can't make a text equal to one that is asked for.
    pub letters: BTreeSet<(char, char)>,
}

/// The first field of the rule, a text, whose case does not matter.
pub(super) fn first_folded(collection: &Collection, rule: &[(usize, Normal)]) -> Option<usize> {
    rule.iter().position(|(field, normal)| normal.fold_case && matches!(collection.column(*field).kind, Kind::Text { .. }))
}

/// What can match at all, for NULL and empty match nothing (C10), in groups that need no more than `letters_max` letters
/// each, or are one. What can be told in a few texts of field `indexed` stands once for each of them.
pub(super) fn groups(rule: &[(usize, Normal)], values: &[Vec<Value>], indexed: Option<usize>, letters_max: usize) -> Vec<Group> {
    let (mut by_index, mut others) = (Vec::new(), Vec::new());
    for (at, values) in values.iter().enumerate().filter(|(_, values)| normalised(rule, values).is_some()) {
        let values: Vec<Value> = rule.iter().zip(values).map(|((_, normal), value)| normal.form_of(value)).collect();
        let letters = letters(rule, &values);
        match indexed.and_then(|field| stored(&values[field])) {
            Some(texts) => {
                let asked = texts.into_iter().map(|text| Asked { at, values: values.clone(), stored: Value::Text(text) });
                add(&mut by_index, asked.collect(), indexed, letters, letters_max);
            }
            None => add(&mut others, vec![Asked { at, values, stored: Value::Null }], None, letters, letters_max),
        }
    }
    by_index.append(&mut others);
    by_index
}

/// Adds to the last group, or to a new one if that would need too many letters.
fn add(groups: &mut Vec<Group>, asked: Vec<Asked>, indexed: Option<usize>, letters: BTreeSet<(char, char)>, letters_max: usize) {
    match groups.last_mut() {
        Some(group) if group.letters.len() + letters.difference(&group.letters).count() <= letters_max => {
            group.asked.extend(asked);
            group.letters.extend(letters);
        }
        _ => groups.push(Group { asked, indexed, letters }),
    }
}

/// Adds a key that was found, if there is place: one row may be found by several of the texts it could have held.
pub(super) fn offer(found: &mut Vec<Key>, key: Key) {
    if found.len() <= CANDIDATES_MAX && !found.contains(&key) {
        found.push(key);
    }
}

/// The letters that are alike to those of the texts whose case does not matter.
fn letters(rule: &[(usize, Normal)], values: &[Value]) -> BTreeSet<(char, char)> {
    let text = |((_, normal), value): (&(usize, Normal), &'_ Value)| match value {
        Value::Text(text) if normal.fold_case => Some(text.clone()),
        _ => None,
    };
    let texts: Vec<String> = rule.iter().zip(values).filter_map(text).collect();
    let folded: BTreeSet<char> = texts.iter().flat_map(|text| text.chars()).collect();
    folded.into_iter().flat_map(|to| spellings(to).iter().map(move |from| (*from, to))).collect()
}

/// Every text that is folded to this one, apart from the case of its ASCII: nothing else than ASCII and the sharp s is
/// folded to ASCII.
fn stored(folded: &Value) -> Option<Vec<String>> {
    let Value::Text(folded) = folded else { return None };
    let mut texts = vec![String::new()];
    let mut before = Vec::new();
    for (at, c) in folded.char_indices() {
        if !c.is_ascii() {
            return None;
        }
        let mut longer: Vec<String> = texts.iter().map(|text| format!("{text}{c}")).collect();
        if folded[..at + 1].ends_with(SHARP_S.1) {
            longer.extend(before.iter().flat_map(|text| SHARP_S.0.map(|sharp| format!("{text}{sharp}"))));
        }
        if longer.len() > STORED_MAX {
            return None;
        }
        before = std::mem::replace(&mut texts, longer);
    }
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c7_a_sharp_s_may_be_stored_for_each_double_s() {
        let stored = |text: &str| stored(&Value::Text(text.to_owned()));
        assert_eq!(stored("info@x").unwrap(), ["info@x"]);
        assert_eq!(stored("masse").unwrap(), ["masse", "maße", "maẞe"]);
        assert_eq!(stored("sss").unwrap(), ["sss", "ßs", "ẞs", "sß", "sẞ"]);
        assert_eq!(stored("özil"), None);
        assert_eq!(stored(&"ss".repeat(20)), None, "too many");
        assert_eq!(stored(&"ss, ".repeat(3)).unwrap().len(), 27);
    }

    #[test]
    fn c7_a_statement_replaces_no_more_letters_than_it_may() {
        let rule = [(0, Normal { fold_case: true, trim: false })];
        let values = ["ÀÈ", "àé", "òù", "", "Masse"].map(|text| vec![Value::Text(text.to_owned())]);
        let found = groups(&rule, &values, Some(0), 4);
        let places = |group: &Group| group.asked.iter().map(|asked| asked.at).collect::<Vec<_>>();
        assert_eq!(found.iter().map(places).collect::<Vec<_>>(), [vec![4, 4, 4], vec![0, 1], vec![2]]);
        assert_eq!(found[1].letters, BTreeSet::from([('À', 'à'), ('È', 'è'), ('É', 'é')]));
        assert_eq!(found.iter().map(|group| group.indexed).collect::<Vec<_>>(), [Some(0), None, None]);
    }
}
