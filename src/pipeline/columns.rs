//! Columns that were dropped and made anew under their old names, that got other names, or that are defined in another way.
//!
//! All values of such a column are gone, or are its default, and no log tells of it. So a field of such a column begins
//! without a base, as a new one does; what is empty there is no decision of anybody's, and is filled from the other side,
//! whatever the policy for blanks; and the link is compared whole.
//!
//! PostgreSQL numbers the columns of a table and gives no number out again. Elsewhere a column that was made anew stands behind
//! one that it stood before; or it was missing when its link, which could not go on, was last looked at.
//!
//! A column that was renamed is the column it was: when the configuration follows, its fields go on with what was agreed.
//!
//! What a column holds may be something else once it has another type, its enum's values have other names, or it is computed by
//! another expression. No log tells of that either: its link is compared whole, and what was agreed still stands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::item::Item;
use super::{Mode, Pipeline};
use crate::endpoint::{Born, Endpoint};
use crate::error::{Context, Error, Kind, Result};
use crate::model::{Both, Field, Integration, Link, Scan, ScanPart, Side, Table, TableName};
use crate::reconcile::Action;
use crate::sql::{Fence, Session};
use crate::state;

/// The settings that say which columns the tables of a link had: its number and the side follow.
const COLUMNS: &str = "columns:";

/// Whether a setting is one of these: nothing that a person would set.
pub fn is_columns(setting: &str) -> bool {
    setting.starts_with(COLUMNS)
}

fn setting(link: &Link, side: Side) -> String {
    format!("{COLUMNS}{}:{side}", link.number)
}

/// The columns of the tables of a link, in the order of the catalog; of an app, and of what is not there, none.
pub(super) type Columns = Both<Vec<Born>>;

/// What the state remembers of a table's columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    columns: Vec<Born>,
    /// Those that were not there when last looked at.
    missing: Vec<String>,
    /// Those that were made anew, at any time.
    remade: Vec<String>,
}

impl Noted {
    /// The names of the columns that were made anew since then.
    fn anew(&self, now: &[Born]) -> Vec<String> {
        let new = now.iter().filter(|column| {
            let Some(before) = self.columns.iter().find(|before| before.name == column.name) else { return false };
            let missing = self.missing.contains(&column.name) && !is_numbered_alike(before, column);
            missing || is_new(&self.columns, now, column)
        });
        new.map(|column| column.name.clone()).collect()
    }

    /// The names of the columns that are defined in another way since then.
    fn redefined(&self, now: &[Born]) -> Vec<String> {
        now.iter().filter(|column| is_redefined(&self.columns, column)).map(|column| column.name.clone()).collect()
    }

    /// The columns that have another name since then: the old and the new one of each.
    ///
    /// Where columns have no numbers a new one stands behind all others. So one that has the place of another was renamed,
    /// if any that is known stands behind it.
    fn renamed(&self, now: &[Born]) -> Vec<(String, String)> {
        let named = |list: &[Born], name: &str| list.iter().any(|column| column.name == name);
        let pairs: Vec<(&Born, &Born)> = match self.columns.iter().chain(now).all(|column| column.number.is_some()) {
            true => {
                let same = |now: &Born| self.columns.iter().find(|before| before.number == now.number);
                now.iter().filter_map(|now| Some((same(now)?, now))).collect()
            }
            false => {
                let mut pairs: Vec<(&Born, &Born)> = self.columns.iter().zip(now).collect();
                let stays = |(before, now): &(&Born, &Born)| before.name == now.name;
                pairs.truncate(pairs.iter().rposition(stays).map_or(0, |last| last + 1));
                let told = |(before, after): &(&Born, &Born)| {
                    before.name == after.name || !named(now, &before.name) && !named(&self.columns, &after.name)
                };
                if pairs.iter().all(told) { pairs } else { Vec::new() }
            }
        };
        let moved = pairs.into_iter().filter(|(before, now)| before.name != now.name);
        moved.map(|(before, now)| (before.name.clone(), now.name.clone())).collect()
    }

    /// As of now, when the link can go on.
    fn then(&self, now: &[Born]) -> Noted {
        let away = |name: &&String| now.iter().all(|column| column.name != **name);
        let mut remade: Vec<String> = self.remade.iter().cloned().chain(self.anew(now)).collect();
        remade.sort_unstable();
        remade.dedup();
        Noted { columns: now.to_vec(), missing: self.missing.iter().filter(away).cloned().collect(), remade }
    }

    /// The same, while it can't: what is missing is remembered.
    fn without(&self, now: &[Born]) -> Noted {
        let away = |column: &&Born| now.iter().all(|now| now.name != column.name);
        let mut missing: Vec<String> = self.columns.iter().filter(away).map(|column| column.name.clone()).collect();
        missing.extend(self.missing.iter().cloned());
        missing.sort_unstable();
        missing.dedup();
        Noted { missing, ..self.clone() }
    }
}

/// Whether a column has the number it had: it was away under another name.
fn is_numbered_alike(before: &Born, now: &Born) -> bool {
    now.number.is_some() && before.number == now.number
}

/// Whether a column of a table is another one than before, as far as the two lists tell.
fn is_new(before: &[Born], now: &[Born], column: &Born) -> bool {
    let place = |list: &[Born], name: &str| list.iter().position(|one| one.name == name);
    let Some(was) = place(before, &column.name).map(|at| &before[at]) else { return false };
    match (was.number, column.number) {
        // In another table, numbers say nothing.
        (Some((table, old)), Some((same, new))) => table == same && old != new,
        _ => before.iter().any(|other| {
            place(now, &other.name).is_some_and(|there| Some(there) < place(now, &column.name))
                && place(before, &other.name) > place(before, &column.name)
        }),
    }
}

/// Whether a column is defined in another way than before; nobody knows how one was that an older program has looked at.
fn is_redefined(before: &[Born], column: &Born) -> bool {
    let was = before.iter().find(|was| was.name == column.name).and_then(|was| was.definition.as_ref());
    was.zip(column.definition.as_ref()).is_some_and(|(was, is)| was != is)
}

/// The columns of all links' tables as they are now.
pub(super) async fn look(integration: &Integration, endpoints: &[Arc<dyn Endpoint>]) -> Result<Vec<Columns>> {
    let mut all = Vec::with_capacity(integration.links.len());
    for link in &integration.links {
        let mut columns = Columns::default();
        for side in Side::BOTH {
            let (at, table) = (link.endpoint[side], &link.collection[side].table);
            if endpoints[at].store().is_some() {
                let born = endpoints[at].born(std::slice::from_ref(&table.name)).await;
                let born = born.context(format!("endpoint {}", integration.endpoints[at]))?.pop().unwrap_or_default();
                columns[side] = if born.is_empty() { in_order(table) } else { born };
            }
        }
        all.push(columns);
    }
    Ok(all)
}

fn in_order(table: &Table) -> Vec<Born> {
    table.columns.iter().map(|column| Born { name: column.name.clone(), number: None, definition: None }).collect()
}

/// Notes the columns of a link, marks its fields whose columns were made anew, and has it compared, also if one is defined in
/// another way. `numbers`: the list of all mappings it ever had, in which such a field takes a new place, and so has no base.
pub(super) async fn note(
    session: &mut dyn Session,
    fence: &Fence,
    link: &mut Link,
    settings: &[(String, String)],
    now: &Columns,
    numbers: &mut [String],
    asked: i64,
) -> Result<()> {
    let mut compare = false;
    let noted = Both::from_fn(|side| {
        let before = settings.iter().find(|(known, _)| *known == setting(link, side));
        before.and_then(|(_, value)| serde_json::from_str::<Noted>(value).ok())
    });
    if link.broken.is_none() {
        let renamed = Both::from_fn(|side| noted[side].as_ref().map(|noted| noted.renamed(&now[side])).unwrap_or_default());
        follow_renamed(link, &renamed, numbers);
    }
    for side in Side::BOTH.into_iter().filter(|side| !now[*side].is_empty()) {
        let name = setting(link, side);
        let before = &noted[side];
        let known = before.clone().unwrap_or_default();
        let after = if link.broken.is_some() { known.without(&now[side]) } else { known.then(&now[side]) };
        if before.as_ref() != Some(&after) {
            state::write_setting(session, &fence.integration, &name, &serde_json::json!(after).to_string()).await?;
        }
        if link.broken.is_some() {
            continue;
        }
        compare |= mark_other_columns(link, side, &known, &after, &now[side], numbers);
    }
    if compare {
        let under_way = state::scan(session, link).await?.map(|scan| scan.part);
        let part = under_way.filter(|part| matches!(part, ScanPart::Recheck(_))).unwrap_or(ScanPart::Source);
        state::write_scan(session, &Scan { link: link.number, part, after: None, asked }).await?;
    }
    Ok(())
}

/// Marks the fields of a side whose columns were ever made anew (`after` names them), and gives those that were so since `known`
/// was noted a new place in `numbers`. Whether the link is to be compared: for these, or for others defined in another way.
fn mark_other_columns(link: &mut Link, side: Side, known: &Noted, after: &Noted, now: &[Born], numbers: &mut [String]) -> bool {
    let (new, redefined) = (known.anew(now), known.redefined(now));
    let mut compare = false;
    for at in 0..link.fields.len() {
        let column = &link.collection[side].column(at).name;
        link.fields[at].remade[side] = after.remade.contains(column);
        let field = &link.fields[at].name;
        let tell = |what: &str| {
            tracing::warn!(link = link.name, "{field}: its column in the {side} {what}: all records are compared");
        };
        if new.contains(column) {
            tell("was dropped and made anew");
            numbers.iter_mut().filter(|known| *known == field).for_each(|known| known.push_str(" (before it was made anew)"));
            compare = true;
        } else if redefined.contains(column) {
            tell("is defined in another way");
            compare = true;
        }
    }
    compare
}

/// Fields whose columns were renamed take the places that their mappings had under the old names.
fn follow_renamed(link: &Link, renamed: &Both<Vec<(String, String)>>, numbers: &mut [String]) {
    let fields = link.fields.iter().enumerate().filter(|(_, field)| !numbers.contains(&field.name));
    let moved: Vec<(usize, &String)> = fields
        .filter_map(|(at, field)| {
            let was = Both::from_fn(|side| {
                let name = &link.collection[side].column(at).name;
                renamed[side].iter().find(|(_, now)| now == name).map_or(name, |(old, _)| old)
            });
            let was = Field::called(was.source, was.target);
            Some((numbers.iter().position(|known| *known == was)?, &field.name))
        })
        .collect();
    for (at, name) in moved {
        numbers[at].clone_from(name);
    }
}

impl Pipeline {
    /// Between two cycles: the columns of the links that go must be those that were there when this process began.
    ///
    /// # Errors
    /// [`Kind::Retry`] if one was made anew, or is defined in another way: begin with step 1, which takes note of it.
    pub(super) async fn inspect_columns(&mut self) -> Result<()> {
        for (at, endpoint) in self.endpoints.clone().iter().enumerate() {
            let names: Vec<TableName> = self.tables(at).into_iter().map(|table| table.name).collect();
            let now = endpoint.born(&names).await.context(format!("endpoint {}", self.integration.endpoints[at]))?;
            let other = |(name, now): (&TableName, &Vec<Born>)| Some((name.clone(), self.other_column(at, name, now)?));
            if let Some((name, column)) = names.iter().zip(&now).find_map(other) {
                self.anew = true;
                let message = format!("column {column} of {name} was made anew, or is defined in another way");
                return Err(Error::new(Kind::Retry, message));
            }
        }
        Ok(())
    }

    /// A column of this table that is mapped, and is not what it was.
    fn other_column(&self, endpoint: usize, table: &TableName, now: &[Born]) -> Option<String> {
        self.going().into_iter().find_map(|at| {
            let (link, known) = (&self.integration.links[at], &self.columns[at]);
            let here = |side: &Side| link.endpoint[*side] == endpoint && link.collection[*side].table.name == *table;
            Side::BOTH.into_iter().filter(here).filter(|side| known[*side] != now).find_map(|side| {
                let mapped =
                    |column: &&Born| (0..link.fields.len()).any(|at| link.collection[side].column(at).name == column.name);
                let other = |column: &&Born| is_new(&known[side], now, column) || is_redefined(&known[side], column);
                now.iter().filter(mapped).find(other).map(|column| column.name.clone())
            })
        })
    }

    /// Before an empty value clears another one: its column must be the one that was there when this process began.
    ///
    /// # Errors
    /// [`Kind::Retry`] if it was made anew: begin with step 1, which takes note of it.
    pub(super) async fn check_columns(&mut self, link_at: usize, link: &Link, items: &[Item]) -> Result<()> {
        for side in Side::BOTH {
            let endpoint = self.endpoints[link.endpoint[side]].clone();
            if self.mode != Mode::Apply || endpoint.store().is_none() || !items.iter().any(|item| clears(item, side)) {
                continue;
            }
            let name = &link.collection[side].table.name;
            let mut now = endpoint.born(std::slice::from_ref(name)).await?.pop().unwrap_or_default();
            if now.is_empty() {
                now = endpoint.describe(Some(std::slice::from_ref(name))).await?.first().map(in_order).unwrap_or_default();
            }
            let before = Noted { columns: self.columns[link_at][side].clone(), ..Noted::default() };
            if let Some(column) = before.anew(&now).first() {
                self.anew = true;
                return Err(Error::new(Kind::Retry, format!("column {column} of {name} was dropped and made anew")));
            }
        }
        Ok(())
    }
}

/// Whether an empty value of this side is to clear one of the other's.
fn clears(item: &Item, side: Side) -> bool {
    match item.decision.as_ref().map(|decision| &decision.action) {
        Some(Action::Update(update)) => update.writes(side.other()).iter().any(|(_, value)| value.is_blank()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn born(names: &str) -> Vec<Born> {
        names.split(' ').map(|name| Born { name: name.into(), number: None, definition: None }).collect()
    }

    fn numbered(table: i64, columns: &[(&str, i64)]) -> Vec<Born> {
        let column = |(name, number): &(&str, i64)| Born { number: Some((table, *number)), ..born(name).remove(0) };
        columns.iter().map(column).collect()
    }

    fn noted(columns: Vec<Born>) -> Noted {
        Noted { columns, ..Noted::default() }
    }

    #[test]
    fn i6_a_column_that_was_made_anew_shows_by_its_place() {
        let before = noted(born("id name phone mail"));
        assert_eq!(before.anew(&born("id name mail phone")), ["phone"]);
        assert_eq!(before.anew(&born("id name mail note phone")), ["phone"]);
        assert_eq!(before.anew(&born("id phone mail name")), ["name"]);
        for same in
            ["id name phone mail", "id name phone mail note", "id phone mail", "id first name phone mail", "id name phone"]
        {
            assert_eq!(before.anew(&born(same)), [""; 0], "{same}");
        }
    }

    #[test]
    fn i6_a_column_that_was_made_anew_shows_by_its_number() {
        let before = noted(numbered(7, &[("id", 1), ("name", 2), ("phone", 3)]));
        assert_eq!(before.anew(&numbered(7, &[("id", 1), ("name", 2), ("phone", 4)])), ["phone"]);
        // As a dump puts it back.
        assert_eq!(before.anew(&numbered(8, &[("name", 1), ("id", 2), ("phone", 4)])), [""; 0]);
    }

    #[test]
    fn i1_a_column_that_is_defined_in_another_way_shows() {
        let defined = |columns: &[(&str, Option<&str>)]| -> Vec<Born> {
            let column = |(name, definition): &(&str, Option<&str>)| Born {
                definition: definition.map(str::to_owned),
                ..born(name).remove(0)
            };
            columns.iter().map(column).collect()
        };
        let before = noted(defined(&[("id", Some("1")), ("name", Some("2")), ("old", None)]));
        let now = defined(&[("id", Some("1")), ("name", Some("3")), ("old", Some("4")), ("new", Some("5"))]);
        assert_eq!(before.redefined(&now), ["name"]);
        assert_eq!(before.then(&now).redefined(&now), [""; 0], "once");
        assert_eq!(before.redefined(&born("id name old")), [""; 0], "where nobody can tell");
        let text = serde_json::json!(before).to_string().replace(",\"definition\":null", "");
        assert_eq!(serde_json::from_str::<Noted>(&text).unwrap(), before, "as an older program has written it");
    }

    #[test]
    fn i6_a_column_that_was_renamed_shows_by_its_place() {
        let renamed = |now: &str| noted(born("id name phone mail")).renamed(&born(now));
        let pair = |old: &str, new: &str| (old.to_owned(), new.to_owned());
        assert_eq!(renamed("id name tel mail"), [pair("phone", "tel")]);
        assert_eq!(renamed("id title tel mail note"), [pair("name", "title"), pair("phone", "tel")]);
        for unclear in ["id name phone mail", "id name mail tel", "id name phone tel", "id phone name mail", "id name tel", ""] {
            assert_eq!(renamed(unclear), [], "{unclear}");
        }
    }

    #[test]
    fn i6_a_column_that_was_renamed_shows_by_its_number() {
        let before = noted(numbered(7, &[("id", 1), ("name", 2), ("phone", 3)]));
        let pair = |old: &str, new: &str| (old.to_owned(), new.to_owned());
        assert_eq!(before.renamed(&numbered(7, &[("id", 1), ("name", 2), ("tel", 3)])), [pair("phone", "tel")]);
        let exchanged = before.renamed(&numbered(7, &[("id", 1), ("phone", 2), ("name", 3)]));
        assert_eq!(exchanged, [pair("name", "phone"), pair("phone", "name")]);
        assert_eq!(before.renamed(&numbered(7, &[("id", 1), ("name", 2), ("tel", 4)])), [], "another column");
        assert_eq!(before.renamed(&numbered(8, &[("id", 1), ("name", 2), ("tel", 3)])), [], "another table");
    }

    #[test]
    fn i6_a_column_that_was_missing_for_a_while_was_made_anew() {
        let gone = noted(born("id name phone")).without(&born("id name"));
        assert_eq!(gone.anew(&born("id name")), [""; 0]);
        let elsewhere = gone.then(&born("id name"));
        assert_eq!((&elsewhere.remade, &elsewhere.missing), (&vec![], &vec!["phone".to_owned()]));
        let back = gone.then(&born("id name phone"));
        assert_eq!((&back.remade, &back.missing), (&vec!["phone".to_owned()], &vec![]));
        assert_eq!(back.anew(&born("id name phone")), [""; 0], "once");
        assert_eq!(back.then(&born("id name phone")), back);
    }

    #[test]
    fn i6_a_column_that_was_renamed_away_and_back_is_the_column_it_was() {
        let before = noted(numbered(7, &[("id", 1), ("phone", 2)]));
        let away = before.without(&numbered(7, &[("id", 1), ("tel", 2)]));
        assert_eq!(away.anew(&numbered(7, &[("id", 1), ("phone", 2)])), [""; 0]);
        assert_eq!(away.anew(&numbered(7, &[("id", 1), ("phone", 3)])), ["phone"]);
    }
}
