//! Texts that are the same under a stated normalisation: what [`normalised`] says is what every engine finds, whatever
//! its own idea of letters is.

use std::collections::HashMap;

use twinrow::model::{Normal, Value, normalised};

use super::bench::{Bench, t};
use crate::support::Lab;

/// Texts in groups that some engine, collation or locale takes for the same, or for others.
const TEXTS: &[&str] = &[
    "INFO@x",
    "info@x",
    "Info@X",
    "ınfo@x",
    "İNFO@x",
    "i\u{307}nfo@x",
    "STRASSE",
    "straße",
    "STRAẞE",
    "strase",
    "straſſe",
    "Masse",
    "Maße",
    "masſe",
    "sss",
    "ßs",
    "sẞ",
    "ΟΔΟΣ",
    "οδος",
    "οδοσ",
    "ΌΔΟΣ",
    "ÉMILIE",
    "émilie",
    "EMILIE",
    "e\u{301}milie",
    "E\u{301}MILIE",
    "ÖZIL",
    "özil",
    "OEZIL",
    "ozil",
    "Kelvin",
    "kelvin",
    "\u{212a}elvin",
    "ÅNGSTRÖM",
    "ångström",
    "\u{212b}ngström",
    "aangström",
    "ﬁne",
    "fine",
    "FINE",
    "Ǆ",
    "ǅ",
    "ǆ",
    "DŽ",
    "µ",
    "μ",
    "Μ",
    "ПЁТР",
    "пётр",
    "петр",
    "ŁÓDŹ",
    "łódź",
    "lodz",
    "Ÿ",
    "ÿ",
    "ẞ",
    "ss",
    "SS",
    "aA",
    "AA",
    "å",
    "cH",
    "CH",
    "Ch",
    "dZs",
    "DZS",
    "llama",
    "LlAmA",
    "Ա",
    "ա",
    "Ⴀ",
    "ⴀ",
    "Ა",
    "ა",
    "Ꭰ",
    "ꭰ",
    "Ⓐ",
    "ⓐ",
    "ａ",
    "Ａ",
    "a",
    "A",
    "🍺",
    "🍣",
    "𐐀",
    "𐐨",
    "\u{1e900}",
    "\u{1e922}",
    "ΐ",
    "\u{1fd3}",
    "ᾳ",
    "ᾼ",
    "ΑΙ",
    " a",
    "a ",
    " A  ",
    "a\t",
    "A\t",
    "a\u{a0}",
    "A\u{a0}",
    "it's",
    "IT'S",
    "a_b",
    "A%B",
    "a\\b",
    "A\\B",
    "ab",
    "NAÏVE",
    "naïve",
    "x\ny",
    "X\nY",
];

/// The rules a person can state for one field.
const RULES: [Normal; 4] = [
    Normal { fold_case: false, trim: false },
    Normal { fold_case: false, trim: true },
    Normal { fold_case: true, trim: false },
    Normal { fold_case: true, trim: true },
];

/// Finds each of the texts that `fit` in columns of these types, each of which holds them all, as is stated.
pub async fn texts_are_found_as_stated(lab: &dyn Lab, kinds: &[&str], indexes: &[&str], fits: impl Fn(&str) -> bool) {
    let texts: Vec<String> = TEXTS.iter().filter(|text| fits(text)).map(|text| (*text).to_owned()).collect();
    let bench = words(lab, kinds, indexes, &texts).await;
    for column in 1..=kinds.len() {
        for normal in RULES {
            found_as_stated(&bench, column, normal, &texts, &texts).await;
        }
        // One at a time as well: how a text is looked for must not hang on those beside it.
        for (at, text) in texts.iter().enumerate().filter(|(at, _)| at % kinds.len() == column - 1) {
            found_as_stated(&bench, column, RULES[2 + at % 2], &texts, std::slice::from_ref(text)).await;
        }
    }
}

pub async fn c7_texts_are_alike_as_stated(lab: &dyn Lab) {
    texts_are_found_as_stated(lab, &[lab.dialect().text], &[], |_| true).await;
}

pub async fn c7_texts_are_alike_as_stated_beside_an_index(lab: &dyn Lab) {
    texts_are_found_as_stated(lab, &[lab.dialect().text], &["create index word_w on word (w1)"], |_| true).await;
}

pub async fn c7_every_letter_of_unicode_is_folded_as_stated(lab: &dyn Lab) {
    let cased = |c: &char| c.to_lowercase().next() != Some(*c) || c.to_uppercase().next() != Some(*c);
    let mut texts: Vec<String> = ('\0'..=char::MAX).filter(cased).map(|c| format!("1{c}")).collect();
    assert!(texts.len() > 2_000, "{}", texts.len());
    texts.extend(["1ss", "1fi", "1fl", "1st", "1i\u{307}"].map(str::to_owned));
    // No text has as many letters; if one has, it is compared like any other.
    let all = |fold: fn(char) -> String| ('\u{80}'..=char::MAX).filter(cased).map(fold).collect::<String>();
    texts.push(all(|c| c.to_string()));
    texts.push(all(|c| c.to_lowercase().to_string()));
    texts.push(texts[texts.len() - 1].chars().rev().collect());
    let kind = if lab.dialect().text == "text" { "text" } else { "mediumtext" };
    let bench = words(lab, &[kind], &[], &texts).await;
    found_as_stated(&bench, 1, RULES[3], &texts, &texts).await;
}

/// `word (id generated, w1, w2, …)`: each of these texts in every column, under the keys 1, 2, …
async fn words<'a>(lab: &'a dyn Lab, kinds: &[&str], indexes: &[&str], texts: &[String]) -> Bench<'a> {
    let columns: String = kinds.iter().enumerate().map(|(i, kind)| format!(", w{} {kind}", i + 1)).collect();
    lab.user(&format!("create table word (id {}{columns})", lab.dialect().generated_key)).await;
    for index in indexes {
        lab.user(index).await;
    }
    let names: Vec<String> = (1..=kinds.len()).map(|i| format!("w{i}")).collect();
    let backslash = if lab.dialect().quote == '`' { "\\\\" } else { "\\" };
    for some in texts.chunks(500) {
        let plain = |text: &String| format!("'{}'", text.replace('\'', "''").replace('\\', backslash));
        let values: Vec<String> = some.iter().map(|text| format!("({})", vec![plain(text); kinds.len()].join(", "))).collect();
        lab.user(&format!("insert into word ({}) values {}", names.join(", "), values.join(", "))).await;
    }
    Bench::new(lab, &["word"]).await
}

async fn found_as_stated(bench: &Bench<'_>, column: usize, normal: Normal, stored: &[String], asked: &[String]) {
    let rule = [(column, normal)];
    let form = |text: &String| normalised(&rule, &[t(text)]);
    let mut same: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for (at, text) in stored.iter().enumerate() {
        form(text).into_iter().for_each(|form| same.entry(form).or_default().push(at));
    }
    let values: Vec<Vec<Value>> = asked.iter().map(|text| vec![t(text)]).collect();
    let seen = bench.window().await.find(0, &rule, &values).await.unwrap();
    let mut write = bench.begin().await;
    let written = write.find(bench.collection(), &rule, &values).await.unwrap();
    write.rollback().await.unwrap();
    for (how, found) in [("window", seen), ("write", written)] {
        for (text, keys) in asked.iter().zip(found) {
            let mut places: Vec<usize> = keys.iter().map(|key| key.to_string().parse::<usize>().unwrap() - 1).collect();
            places.sort_unstable();
            let stated = form(text).and_then(|form| same.get(&form).cloned()).unwrap_or_default();
            let texts = |places: &[usize]| -> Vec<String> { places.iter().map(|at| stored[*at].clone()).collect() };
            assert!(
                places == stated,
                "{how}, column {column}, {normal:?}: as {text:?} were found {:?}, not {:?}",
                texts(&places),
                texts(&stated)
            );
        }
    }
}
