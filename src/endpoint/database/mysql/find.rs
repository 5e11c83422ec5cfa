//! Looking for rows by a match rule: the same statements in a window and under lock.

use mysql_async::Value as Wire;

use super::catalog::{qualified, quoted};
use super::connection::Connection;
use super::rows::{bytes_of, decode_key, is_text, json_table, place, unexpected};
use super::session::documents;
use super::value::{compared, encode, selected, treats_ascii_alike};
use crate::endpoint::CANDIDATES_MAX;
use crate::endpoint::database::alike::{self, Asked, Group};
use crate::error::Result;
use crate::model::{Collection, Column, Key, Normal, SHARP_S, Value, hex, spellings};

/// So many letters at most are replaced in one expression: each is a call in a call, and MariaDB's stack holds 500.
const LETTERS_MAX: usize = 250;

/// From so many texts on, the forms of all rows are made first: for fewer, the table they stand in costs more.
const FORMS_FIRST_MIN: usize = 4;

/// More rows than any table has.
const ALL: u64 = u64::MAX;

/// For each of `values` the keys whose rows match under the rule, a few more than may be listed.
pub(super) async fn by_match(
    connection: &mut Connection,
    collection: &Collection,
    rule: &[(usize, Normal)],
    values: &[Vec<Value>],
) -> Result<Vec<Vec<Key>>> {
    let mut found = vec![Vec::new(); values.len()];
    let indexed = alike::first_folded(collection, rule).filter(|at| {
        let (field, normal) = rule[*at];
        !normal.trim && treats_ascii_alike(collection.column(field))
    });
    for group in alike::groups(rule, values, indexed, LETTERS_MAX) {
        Search { collection, rule, group }.run(connection, &mut found).await?;
    }
    Ok(found)
}

/// One statement.
struct Search<'a> {
    collection: &'a Collection,
    rule: &'a [(usize, Normal)],
    group: Group,
}

impl Search<'_> {
    async fn run(&self, connection: &mut Connection, found: &mut [Vec<Key>]) -> Result<()> {
        let (sql, table) = (self.sql(&connection.server.database), &self.collection.table);
        let rows = self.group.asked.iter().map(|asked| self.json(asked));
        let mut offset = 0;
        for (json, size) in documents(rows, connection.json_max()) {
            for row in connection.rows(&sql, vec![Wire::Bytes(json)]).await? {
                let mut fields = row.unwrap().into_iter();
                let at = offset + place(&mut fields).ok_or_else(unexpected)?;
                if let (Some(key), Some(asked)) = (decode_key(table, &mut fields), self.group.asked.get(at)) {
                    alike::offer(&mut found[asked.at], key);
                }
            }
            offset += size;
        }
        Ok(())
    }

    /// A row of the statement's document.
    fn json(&self, asked: &Asked) -> String {
        let mut out = String::new();
        for ((field, _), value) in self.rule.iter().zip(&asked.values) {
            encode(self.column(*field), value, &mut out);
        }
        if let Some(at) = self.group.indexed {
            encode(self.column(self.rule[at].0), &asked.stored, &mut out);
        }
        out
    }

    fn sql(&self, database: &str) -> String {
        let table = &self.collection.table;
        let mut prefixes = vec![("v", self.rule.len())];
        prefixes.extend(self.group.indexed.map(|_| ("w", 1)));
        let (rows, alias, on) = if self.forms_first() {
            (self.table_of_forms(database), "d.k", self.on_forms())
        } else {
            (format!("{} as t", qualified(&table.name, database)), "t.", self.on_columns())
        };
        let names: Vec<String> = (0..table.key.len()).map(|i| format!("k{i}")).collect();
        let keys = table.key_columns().zip(&names).enumerate().map(|(i, (column, name))| {
            let source = if alias == "t." { format!("t.{}", quoted(&column.name)) } else { format!("{alias}{i}") };
            format!("{} as {name}", selected(column, &source))
        });
        format!(
            "select at_row, {} from (select a.at_row, {}, row_number() over (partition by a.at_row) as place from {} \
             straight_join {rows} on {on}) as ranked where place <= {}",
            names.join(", "),
            keys.collect::<Vec<_>>().join(", "),
            json_table(&prefixes),
            CANDIDATES_MAX + 1
        )
    }

    /// Whether the form of each row is made once, before the rows are compared with what is asked for: no index could
    /// serve, and a form for each pair of the two takes minutes on MariaDB, which hashes no expressions.
    fn forms_first(&self) -> bool {
        let formed = |(field, normal): &(usize, Normal)| {
            let column = self.column(*field);
            *normal != Normal::default() && is_text(column) && !self.by_pattern(column, *normal)
        };
        self.group.indexed.is_none() && self.group.asked.len() >= FORMS_FIRST_MIN && self.rule.iter().all(formed)
    }

    /// The keys and forms of all rows, and a number of the first form to find it by. The limits keep the server from putting
    /// the expressions back where they came from.
    fn table_of_forms(&self, database: &str) -> String {
        let table = &self.collection.table;
        let keys: Vec<String> = (0..table.key.len()).map(|i| format!("k{i}")).collect();
        let forms: Vec<String> = (0..self.rule.len()).map(|i| format!("f{i}")).collect();
        let columns = table.key_columns().zip(&keys).map(|(column, name)| format!("t.{} as {name}", quoted(&column.name)));
        let formed = self.rule.iter().zip(&forms).map(|((field, normal), name)| {
            let form = self.form(&format!("t.{}", quoted(&self.column(*field).name)), *normal);
            format!("cast({form} as binary) as {name}")
        });
        format!(
            "(select {}, {}, crc32(f0) as c from (select {} from {} as t limit {ALL}) as e limit {ALL}) as d",
            keys.join(", "),
            forms.join(", "),
            columns.chain(formed).collect::<Vec<_>>().join(", "),
            qualified(&table.name, database),
        )
    }

    fn on_forms(&self) -> String {
        let same = (0..self.rule.len()).map(|i| format!(" and d.f{i} = unhex(a.v{i})"));
        format!("d.c = crc32(unhex(a.v0)){}", same.collect::<String>())
    }

    fn on_columns(&self) -> String {
        let mut on: Vec<String> =
            self.rule.iter().enumerate().map(|(i, (field, normal))| self.matches(i, *field, *normal)).collect();
        if let Some(at) = self.group.indexed {
            let column = self.column(self.rule[at].0);
            on.push(format!("t.{} = {}", quoted(&column.name), compared(column, "a.w0")));
        }
        on.join(" and ")
    }

    fn column(&self, field: usize) -> &Column {
        self.collection.column(field)
    }

    /// A column equals the value of the rule's field `at`, which is in its form, whatever the column's collation thinks.
    fn matches(&self, at: usize, field: usize, normal: Normal) -> String {
        let (column, source) = (self.column(field), format!("a.v{at}"));
        let name = format!("t.{}", quoted(&column.name));
        let equal = format!("{name} = {}", compared(column, &source));
        if !is_text(column) {
            return equal;
        }
        if normal == Normal::default() {
            // The collation may use an index: it finds at least what is the same.
            return format!("{equal} and {} = unhex({source})", bytes_of(&name));
        }
        match &self.group.asked[0].values[at] {
            // Spelled out, for a pattern out of the document would be made ready for each row again.
            Value::Text(text) if self.by_pattern(column, normal) => {
                let (text, pattern) = (sharp_s_replaced(&trimmed(&name, normal)), hex(pattern(text).as_bytes()));
                format!("{text} regexp convert(x'{pattern}' using utf8mb4)")
            }
            _ => format!("cast({} as binary) = unhex({source})", self.form(&name, normal)),
        }
    }

    /// The form of a text under a normalisation.
    fn form(&self, name: &str, normal: Normal) -> String {
        let text = trimmed(name, normal);
        if normal.fold_case { self.folded(&text) } else { text }
    }

    /// A text without regard to case. The server's `lower` knows other letters than we do, but for those of ASCII.
    fn folded(&self, text: &str) -> String {
        let replaced = |text, (from, to): &(char, char)| format!("replace({text}, '{from}', '{to}')");
        let replaced = self.group.letters.iter().fold(sharp_s_replaced(text), replaced);
        format!("case when length({text}) = char_length({text}) then lower({text}) else {replaced} end")
    }

    /// Whether a text of too many letters for one expression is looked for, on its own.
    fn by_pattern(&self, column: &Column, normal: Normal) -> bool {
        self.group.letters.len() > LETTERS_MAX && normal.fold_case && is_text(column)
    }
}

/// A column's text, byte by byte, without the blanks that do not count.
fn trimmed(name: &str, normal: Normal) -> String {
    let text = format!("convert({name} using utf8mb4) collate utf8mb4_bin");
    if normal.trim { format!("trim({text})") } else { text }
}

fn sharp_s_replaced(text: &str) -> String {
    SHARP_S.0.iter().fold(text.to_owned(), |text, sharp| format!("replace({text}, '{sharp}', '{}')", SHARP_S.1))
}

/// A regular expression for all that is folded to this text, but for the sharp s.
fn pattern(folded: &str) -> String {
    let number = |c: &char| format!("\\x{{{:x}}}", u32::from(*c));
    let letter = |c: char| format!("[{}{}]", number(&c), spellings(c).iter().map(number).collect::<String>());
    format!("\\A{}\\z", folded.chars().map(letter).collect::<String>())
}
