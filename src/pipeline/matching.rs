//! Match: the twin of each unknown record, or why it has none.

use std::collections::{HashMap, HashSet};

use super::Pipeline;
use super::batch::{fetch_now, hide_unread, read_through};
use super::capture::Moment;
use super::identify::reused;
use super::item::Item;
use super::translate::{Plain, Translator};
use crate::endpoint::{CANDIDATES_MAX, Fetched, Unread};
use crate::error::Result;
use crate::model::{Both, Key, KeyBytes, Link, Pair, PairStatus, Row, Side, Value, work_name};
use crate::reconcile::{Action, Situation, Translate, rows_agree};
use crate::sql::Session;

impl Pipeline {
    /// Finds the twin of each unknown record, or says why it has none.
    pub(super) async fn match_unknown(
        &mut self,
        session: &mut dyn Session,
        moment: &mut Moment,
        link_at: usize,
        link: &Link,
        items: &mut [Item],
    ) -> Result<()> {
        let mut found = Vec::new();
        for side in Side::BOTH {
            if link.matching.is_empty() {
                break;
            }
            let asked: Vec<Asked> = items
                .iter()
                .enumerate()
                .filter(|(_, item)| item.unknown(side))
                .filter_map(|(at, item)| {
                    let (key, attempts) = (item.todo.key.clone(), item.todo.attempts);
                    Some(Asked { at, key, attempts, row: item.slot[side].row()?.clone() })
                })
                .collect();
            for (asked, hit) in asked.iter().zip(self.candidates(session, moment, link_at, link, side, &asked).await?) {
                match hit {
                    Hit::Free(key, survivor) => found.push((asked.at, key, survivor.map(|pair| *pair))),
                    Hit::New if items[asked.at].unsure => {
                        let words = "it was deleted and put back in one transaction and then changed: the record that was there \
                                     before, or another one? Give it the values it had, or delete the other one's twin";
                        items[asked.at].hold(Situation::Ambiguous, words.to_owned());
                    }
                    Hit::New => {}
                    Hit::Left => items[asked.at].decide_as(Situation::Undecided, Action::Retry),
                    Hit::Reused => reused(link, &mut items[asked.at]),
                    Hit::Many(words) => items[asked.at].hold(Situation::Ambiguous, words),
                }
            }
        }
        let regained = self.pair_up(moment, link_at, link, items, found);
        fetch_now(moment, link_at, link, items).await?;
        hide_unread(moment, link_at, link, items).await?;
        self.reattach(link, items, regained).await
    }

    /// What took the place its predecessor left in a pair keeps it, also if it can't be synced as it is.
    async fn reattach(&mut self, link: &Link, items: &mut [Item], regained: Vec<Regained>) -> Result<()> {
        let (mut pairs, mut names) = (Vec::new(), Vec::new());
        for Regained { at, gone } in regained {
            let item = &mut items[at];
            if item.decision.is_some() || self.is_unsettled(link, item) {
                continue;
            }
            if let Some(pair) = &mut item.pair {
                pair.ver += 1;
                pairs.push(pair.clone());
                names.push(gone);
            }
        }
        self.record_found_again(link, &pairs, &names).await
    }

    /// Each item with a free match becomes a pair that is not in the map yet, or takes the place its
    /// predecessor left in one; those that do the latter are returned.
    fn pair_up(
        &mut self,
        moment: &Moment,
        link_at: usize,
        link: &Link,
        items: &mut [Item],
        found: Vec<(usize, KeyBytes, Option<Pair>)>,
    ) -> Vec<Regained> {
        let mut regained = Vec::new();
        let mut claimed: HashMap<(Side, KeyBytes), usize> = HashMap::new();
        for (at, key, survivor) in found {
            let item = &mut items[at];
            let side = item.todo.side;
            let both = [(side, item.todo.key.clone()), (side.other(), key.clone())];
            match both.each_ref().map(|name| claimed.get(name).copied()) {
                [None, None] => claimed.extend(both.map(|name| (name, at))),
                // The same two, met from both sides in one batch.
                [Some(first), Some(other)] if first == other => {
                    item.same_as = Some(first);
                    item.decide_as(Situation::Nothing, Action::Ignore);
                    continue;
                }
                // Another one has found the same: whether it stays so, that one's write tells.
                _ => {
                    item.decide_as(Situation::Undecided, Action::Retry);
                    continue;
                }
            }
            let former = survivor.as_ref().and_then(|pair| Some(work_name(pair.former[side].as_ref()?, Some(pair.id))));
            regained.extend(former.map(|name| Regained { at, gone: (side, name) }));
            let mut pair = survivor.unwrap_or_else(|| Pair {
                id: self.next_id(),
                link: link.number,
                key: Both::default(),
                former: Both::default(),
                pos: Both::default(),
                status: PairStatus::Linked,
                ver: 0,
                cycle: 0,
                bases: vec![None; link.fields.len()],
            });
            pair.pos[side.other()] = pair.pos[side.other()].max(moment.last(link_at, side.other(), &key));
            pair.key[side.other()] = Some(key);
            pair.key[side] = Some(item.todo.key.clone());
            pair.former[side] = None;
            pair.pos[side] = pair.pos[side].max(item.todo.pos);
            item.linking = true;
            item.set_pair(pair);
        }
        regained
    }

    /// For each row the state of its match: none, one that is free, or a reason to hold.
    async fn candidates(
        &self,
        session: &mut dyn Session,
        moment: &mut Moment,
        link_at: usize,
        link: &Link,
        side: Side,
        asked: &[Asked],
    ) -> Result<Vec<Hit>> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let rule: Vec<_> = link.matching.iter().map(|rule| (rule.field, rule.normal)).collect();
        let rows: Vec<&Row> = asked.iter().map(|asked| &asked.row).collect();
        let theirs = self.matches_of(session, moment, link_at, link, side, &rows).await?;
        let ours: Vec<Vec<Key>> = match link.matches_whole_key(side) {
            true => vec![Vec::new(); asked.len()],
            false => {
                let value = |row: &&Row| rule.iter().map(|(field, _)| row[*field].clone()).collect();
                let values: Vec<Vec<Value>> = rows.iter().map(value).collect();
                let (window, place) = moment.window(link_at, link, side);
                window.find(place, &rule, &values).await?
            }
        };
        let twins = self.holders(session, link, side.other(), &theirs).await?;
        let known = self.holders(session, link, side, &ours).await?;
        let unexplained = self.unexplained(session, moment, link_at, link, side, asked, &theirs, &twins).await?;
        let hits = asked.iter().zip(theirs.iter().zip(&ours)).map(|(asked, (theirs, ours))| {
            let rivals: Vec<KeyBytes> =
                ours.iter().map(Key::encode).filter(|key| *key != asked.key && !known.contains_key(key)).collect();
            let left = |key: &Key| self.left.contains(&(link.number, side.other(), key.encode()));
            if theirs.iter().any(left) || unexplained.contains(&asked.key) {
                return Hit::Left;
            }
            match hit(&asked.key, theirs, &rivals, &twins, side) {
                // What was another record's twin is found by the key alone, which was given out again.
                Hit::Free(_, Some(pair))
                    if link.matched_by_key_alone() && !rows_agree(link, &pair, &asked.row, side, &Plain(link)) =>
                {
                    Hit::Reused
                }
                hit => hit,
            }
        });
        Ok(hits.collect())
    }

    /// Those of the records asked about that match one whose own twin is not there any more, as after TRUNCATE and a
    /// reload, or of which the log knows more than was read: before a person is asked, the log or the compare under way
    /// may yet say that it is gone.
    #[allow(clippy::too_many_arguments)] // What is known of one side's match.
    async fn unexplained(
        &self,
        session: &mut dyn Session,
        moment: &mut Moment,
        link_at: usize,
        link: &Link,
        side: Side,
        asked: &[Asked],
        theirs: &[Vec<Key>],
        twins: &HashMap<KeyBytes, Pair>,
    ) -> Result<HashSet<KeyBytes>> {
        let twin = |found: &Vec<Key>| match found.as_slice() {
            [one] => twins.get(&one.encode())?.key[side].as_ref()?.decode(),
            _ => None,
        };
        let taken: Vec<(&Asked, Key)> =
            asked.iter().zip(theirs).filter_map(|(asked, found)| Some((asked, twin(found)?))).collect();
        if taken.is_empty() {
            return Ok(HashSet::new());
        }
        let keys: Vec<Key> = taken.iter().map(|(_, key)| key.clone()).collect();
        let (window, place) = moment.window(link_at, link, side);
        let unread = window.unread(place, &keys, Unread::Births).await?;
        let mut absent = vec![false; keys.len()];
        read_through(window, place, &keys, |at, row| absent[at] = row == Fetched::Absent).await?;
        let compared = absent.contains(&true) && self.compare_of(session, link).await?.is_some();
        let open = taken.into_iter().zip(absent).filter(|((asked, key), absent)| {
            let soon = compared || asked.attempts < TOLD_SOON;
            unread.contains(&key.encode()) || *absent && soon
        });
        Ok(open.map(|((asked, _), _)| asked.key.clone()).collect())
    }

    /// For each of these rows of a side, the keys on the other side that match it.
    pub(super) async fn matches_of(
        &self,
        session: &mut dyn Session,
        moment: &mut Moment,
        link_at: usize,
        link: &Link,
        side: Side,
        rows: &[&Row],
    ) -> Result<Vec<Vec<Key>>> {
        let rule: Vec<_> = link.matching.iter().map(|rule| (rule.field, rule.normal)).collect();
        let mut both = Both::default();
        both[side] = rows.to_vec();
        let parents = self.parents(session, moment, link, &both).await?;
        let translator = Translator { link, links: &self.integration.links, parents: &parents, left_out: &[] };
        // What has no form on the other side matches nothing there.
        let value = |row: &Row, field: usize| translator.translate(field, row, side.other()).unwrap_or(Value::Null);
        let values: Vec<Vec<Value>> = rows.iter().map(|row| rule.iter().map(|(field, _)| value(row, *field)).collect()).collect();
        let (window, place) = moment.window(link_at, link, side.other());
        window.find(place, &rule, &values).await
    }

    /// The pairs that hold any of these keys, by key.
    pub(super) async fn holders(
        &self,
        session: &mut dyn Session,
        link: &Link,
        side: Side,
        lists: &[Vec<Key>],
    ) -> Result<HashMap<KeyBytes, Pair>> {
        let mut keys: Vec<KeyBytes> = lists.iter().flatten().map(Key::encode).collect();
        keys.sort_unstable();
        keys.dedup();
        let pairs = self.pairs_by_key(session, link, side, &keys).await?;
        Ok(pairs.into_iter().filter_map(|pair| Some((pair.key[side].clone()?, pair))).collect())
    }
}

/// So often a log that is read is waited for to say what became of a record that is not there.
const TOLD_SOON: i64 = 3;

/// An item that took the place of a lost record, and the entry of the worklist that says it was lost.
struct Regained {
    at: usize,
    gone: (Side, KeyBytes),
}

struct Asked {
    at: usize,
    key: KeyBytes,
    attempts: i64,
    row: Row,
}

/// What looking for a match found.
enum Hit {
    /// One whose record has another key since it was read.
    Left,
    /// Nothing: a new record.
    New,
    /// One record without a twin; or the survivor of a pair whose other record is gone.
    Free(KeyBytes, Option<Box<Pair>>),
    /// The survivor of another record, found by nothing but the key they had one after the other.
    Reused,
    /// A person must choose.
    Many(String),
}

fn hit(own: &KeyBytes, theirs: &[Key], rivals: &[KeyBytes], twins: &HashMap<KeyBytes, Pair>, side: Side) -> Hit {
    let other = side.other();
    match theirs {
        // Of several new records with the same match values the first is created, the others find it taken.
        [] => match rivals.iter().filter(|rival| *rival < own).min() {
            Some(first) => Hit::Many(format!("{side} record {} has the same match values", shown(first))),
            None => Hit::New,
        },
        [one] if rivals.is_empty() => {
            let key = one.encode();
            match twins.get(&key) {
                None => Hit::Free(key, None),
                Some(pair) if pair.gone(side) && pair.status == PairStatus::Linked => {
                    Hit::Free(key, Some(Box::new(pair.clone())))
                }
                Some(pair) => {
                    let twin = pair.key[side].as_ref().map_or_else(String::new, |key| format!(" {}", shown(key)));
                    Hit::Many(format!("matches {other} record {one}, whose twin is{twin}"))
                }
            }
        }
        [one] => {
            let rivals: Vec<String> = rivals.iter().map(shown).collect();
            Hit::Many(format!("matches {other} record {one}, and so does {side} record {}", rivals.join("; ")))
        }
        many => {
            let keys: Vec<String> = many.iter().take(CANDIDATES_MAX).map(Key::to_string).collect();
            let more = if many.len() > CANDIDATES_MAX { " and more" } else { "" };
            Hit::Many(format!("matches several {other} records: {}{more}", keys.join("; ")))
        }
    }
}

fn shown(key: &KeyBytes) -> String {
    key.decode().map_or_else(|| "?".to_owned(), |key| key.to_string())
}
