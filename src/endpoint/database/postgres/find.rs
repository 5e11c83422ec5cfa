//! Looking for rows by a match rule: as [`Window::find`](crate::endpoint::Window::find), in windows and write transactions
//! alike.

use tokio_postgres::types::ToSql;

use super::catalog::{quote, quote_table};
use super::rows::{Columns, operator, params, read_key, select_key, unnest};
use super::session::Conn;
use super::value::{Param, cast};
use crate::endpoint::CANDIDATES_MAX;
use crate::endpoint::database::alike::{self, Group, first_folded, groups};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::{Collection, Column, Key, Kind, Normal, SHARP_S, Value};

/// For each of `values` the keys of the rows that match.
pub(super) async fn find(
    conn: &mut Conn,
    collection: &Collection,
    rule: &[(usize, Normal)],
    values: &[Vec<Value>],
) -> Result<Vec<Vec<Key>>> {
    let mut found = vec![Vec::new(); values.len()];
    if rule.is_empty() {
        return Ok(found);
    }
    for search in searches(conn, collection, rule, values).await? {
        search.run(conn, &mut found).await?;
    }
    Ok(found)
}

/// The statements that find these values.
async fn searches<'a>(
    conn: &mut Conn,
    collection: &'a Collection,
    rule: &'a [(usize, Normal)],
    values: &[Vec<Value>],
) -> Result<Vec<Search<'a>>> {
    let searches = |groups: Vec<Group>, own| groups.into_iter().map(|group| Search { collection, rule, group, own }).collect();
    if !rule.iter().any(|(_, normal)| normal.fold_case) {
        return Ok(searches(groups(rule, values, None, usize::MAX), false));
    }
    let folded = first_folded(collection, rule);
    let letters = own_letters(conn, collection, folded.map(|at| rule[at].0)).await?;
    if letters.unicode {
        return Ok(searches(groups(rule, values, folded.filter(|_| letters.plain), usize::MAX), false));
    }
    let unfolded: Vec<_> = rule.iter().map(|(field, normal)| (*field, Normal { fold_case: false, ..*normal })).collect();
    Ok(searches(groups(&unfolded, values, None, usize::MAX), true))
}

/// What the server makes of letters.
struct OwnLetters {
    /// The database can hold every letter.
    unicode: bool,
    /// `lower` under the column's collation does to ASCII what everybody expects; in Turkish it does not.
    plain: bool,
}

async fn own_letters(conn: &mut Conn, collection: &Collection, field: Option<usize>) -> Result<OwnLetters> {
    // Of no row: the collation of the whole is the column's.
    let text = field.map_or_else(
        || "'I'".to_owned(),
        |field| {
            let (column, table) = (quote(&collection.column(field).name), quote_table(&collection.table.name));
            format!("coalesce((select t.{column}::pg_catalog.text from {table} t limit 0), 'I')")
        },
    );
    let sql = format!(
        "select pg_catalog.getdatabaseencoding() operator(pg_catalog.=) 'UTF8', \
         pg_catalog.lower({text}) collate \"C\" operator(pg_catalog.=) 'i'"
    );
    let answers = conn.query(&sql, &[]).await?;
    let missing = || Error::new(ErrorKind::Internal, "the server says nothing about its letters");
    let answer = answers.first().ok_or_else(missing)?;
    Ok(OwnLetters { unicode: answer.get(0), plain: answer.get(1) })
}

/// One statement.
struct Search<'a> {
    collection: &'a Collection,
    rule: &'a [(usize, Normal)],
    group: Group,
    /// The server's own `lower` says what is alike: what is stated can't be asked of a database that does not hold every
    /// letter.
    own: bool,
}

impl Search<'_> {
    async fn run(&self, conn: &mut Conn, found: &mut [Vec<Key>]) -> Result<()> {
        let asked = &self.group.asked;
        let field = |at: usize| asked.iter().map(|asked| Param(&asked.values[at])).collect();
        let mut columns: Columns<'_> = (0..self.rule.len()).map(field).collect();
        if self.group.indexed.is_some() {
            columns.push(asked.iter().map(|asked| Param(&asked.stored)).collect());
        }
        let (from, to): (String, String) = self.group.letters.iter().copied().unzip();
        let mut params = params(&columns);
        if self.replaces() {
            params.extend([&from as &(dyn ToSql + Sync), &to]);
        }
        for answer in &conn.query(&self.sql(), &params).await? {
            let ord: i64 = answer.get(0);
            let key = read_key(answer, 1, &self.collection.table).map_err(|why| Error::new(ErrorKind::Rejected, why))?;
            let Some(asked) = usize::try_from(ord - 1).ok().and_then(|at| asked.get(at)) else { continue };
            alike::offer(&mut found[asked.at], key);
        }
        Ok(())
    }

    /// Whether the statement has the letters among its parameters.
    fn replaces(&self) -> bool {
        let folded = |(field, normal): &(usize, Normal)| normal.fold_case && is_text(self.collection.column(*field));
        !self.own && self.rule.iter().any(folded)
    }

    fn sql(&self) -> String {
        let table = &self.collection.table;
        let column = |at: usize| self.collection.column(self.rule[at].0);
        let mut named: Vec<(&Column, String)> = (0..self.rule.len()).map(|at| (column(at), format!("m{}", at + 1))).collect();
        let mut conditions: Vec<String> =
            self.rule.iter().zip(&named).map(|((_, normal), (column, name))| self.equal(column, name, *normal)).collect();
        if let Some(at) = self.group.indexed {
            conditions
                .push(format!("pg_catalog.lower({}) operator(pg_catalog.=) v.stored", text_of(column(at), self.rule[at].1)));
            named.push((column(at), "stored".to_owned()));
        }
        let keys = select_key(table);
        let names: Vec<String> = (1..=table.key.len()).map(|i| format!("k{i}")).collect();
        format!(
            "select ord, {names} from (select v.ord, row_number() over (partition by v.ord), {keys} from {} join {} t on {}) f(ord, nth, {names}) where nth <= {}",
            unnest(named.into_iter()),
            quote_table(&table.name),
            conditions.join(" and "),
            CANDIDATES_MAX + 1,
            names = names.join(", "),
        )
    }

    /// How a match column is compared. The plain comparison comes first, because an index may serve it;
    /// the bytes decide, because `=` may be blind to case or accents (C6).
    fn equal(&self, column: &Column, name: &str, normal: Normal) -> String {
        let (ours, theirs) = (format!("t.{}", quote(&column.name)), format!("v.{name}"));
        let text = text_of(column, normal);
        match column.kind {
            Kind::Text { .. } if normal == Normal::default() => {
                let equal = operator("=", [column]);
                format!(
                    "{ours} {equal} {} and {text} collate \"C\" operator(pg_catalog.=) {theirs} collate \"C\"",
                    cast(column, &theirs)
                )
            }
            Kind::Text { .. } | Kind::Enum(_) => {
                let (ours, theirs) = self.forms(&text, &theirs, normal);
                format!("{ours} collate \"C\" operator(pg_catalog.=) {theirs} collate \"C\"")
            }
            Kind::Json | Kind::JsonDoubles | Kind::Other(_) | Kind::Any => {
                format!("{ours}::pg_catalog.text operator(pg_catalog.=) {theirs}")
            }
            _ => format!("{ours} operator(pg_catalog.=) {}", cast(column, &theirs)),
        }
    }

    /// A text of the table and one that is asked for, which is in its form, so that alike means equal.
    fn forms(&self, ours: &str, theirs: &str, normal: Normal) -> (String, String) {
        if !normal.fold_case {
            return (ours.to_owned(), theirs.to_owned());
        }
        if self.own {
            let lower = |text: &str| format!("pg_catalog.lower({text} collate \"default\")");
            return (lower(ours), lower(theirs));
        }
        let ours = format!("({ours} collate \"C\")");
        let replaced =
            SHARP_S.0.iter().fold(ours.clone(), |text, sharp| format!("pg_catalog.replace({text}, '{sharp}', '{}')", SHARP_S.1));
        let from = self.rule.len() + usize::from(self.group.indexed.is_some()) + 1;
        let ascii = format!("pg_catalog.octet_length({ours}) operator(pg_catalog.=) pg_catalog.length({ours})");
        let folded = format!(
            "case when {ascii} then pg_catalog.lower({ours}) else pg_catalog.translate({replaced}, ${from}, ${}) end",
            from + 1
        );
        (format!("({folded})"), theirs.to_owned())
    }
}

fn is_text(column: &Column) -> bool {
    matches!(column.kind, Kind::Text { .. } | Kind::Enum(_))
}

/// A column's text, without the blanks that do not count.
fn text_of(column: &Column, normal: Normal) -> String {
    let text = format!("t.{}::pg_catalog.text", quote(&column.name));
    if normal.trim { format!("pg_catalog.btrim({text})") } else { text }
}
