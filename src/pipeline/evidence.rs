//! Evidence: whose record has a key, as the rows of this moment say where the log leaves it open (rule 8).
//!
//! A record that was deleted and put back has its key again; but all of them may have been written anew, each under another
//! one's. Where a match rule says who is who, the row is compared with what was last agreed. If it differs, it is another
//! record's if that one is looked for: the row matches a record of the other side whose own twin is not there, or what was
//! under the key stands under another one now. If nobody else claims it, the statement decides: REPLACE changes a record, a
//! delete and an insert make a new one. Of a row that was written again since, nobody knows as what it was put back.

use std::collections::{HashMap, HashSet};

use super::batch::read_through;
use super::capture::Moment;
use super::translate::Plain;
use super::{BATCH, Pipeline};
use crate::endpoint::{Fetched, Unread};
use crate::error::Result;
use crate::model::{Both, Key, KeyBytes, Link, Op, Pair, Row, Side, Value};
use crate::reconcile::{self, Back, Late, Told, rows_agree};
use crate::sql::Session;

/// What the rows say about entries, by their places.
pub(super) struct Evidence<'a> {
    link: &'a Link,
    side: Side,
    back: HashMap<usize, PutBack>,
    late: HashMap<usize, Late>,
    /// Of pairs whose record may have been put back as another one: whether that stands under another key now.
    elsewhere: HashMap<i64, bool>,
}

/// What stands under the key of a record that an entry has put back.
struct PutBack {
    /// As far as it tells whose record it is; `None`: no row is there.
    row: Option<Row>,
    /// The keys it has after the entry and now.
    key: Keys,
    /// Whether one statement put it in the place of the one before.
    replaced: bool,
    /// Whether its row was written again since.
    changed: bool,
    /// What it matches on the other side, as far as that was asked.
    matches: Matches,
}

struct Keys {
    then: KeyBytes,
    now: KeyBytes,
}

/// What a row matches on the other side.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Matches {
    /// Nothing that is not spoken for.
    #[default]
    Nobody,
    /// The very twin of the record that had the key: both have the same new values.
    Twin,
    /// Another one.
    Other,
}

impl reconcile::Evidence for Evidence<'_> {
    fn back(&self, at: usize, pair: &Pair) -> Back {
        let Some(found) = self.back.get(&at) else { return Back::Same };
        let Some(row) = &found.row else { return Back::Other };
        if agree(self.link, pair, row, self.side) {
            return Back::Same;
        }
        match (found.matches, self.elsewhere.get(&pair.id)) {
            (Matches::Twin, Some(false)) => Back::Same,
            (Matches::Nobody, Some(false)) if found.replaced => Back::Same,
            (Matches::Nobody, Some(false)) if found.changed => Back::Unknown,
            _ => Back::Other,
        }
    }

    fn late(&self, at: usize) -> Option<Late> {
        self.late.get(&at).copied()
    }
}

fn agree(link: &Link, pair: &Pair, row: &Row, side: Side) -> bool {
    rows_agree(link, pair, row, side, &Plain(link))
}

/// Nobody knows any more what tells this pair's record from others.
pub(super) fn forget_evidence(link: &Link, pair: &mut Pair) {
    link.evidence().into_iter().for_each(|at| pair.bases[at] = None);
}

/// Whether a record under the key that this pair's had may be that one or another, and nothing will tell: see
/// [`forget_evidence`].
pub(super) fn is_unsure(link: &Link, pair: &Pair) -> bool {
    // (A column that was dropped and made anew says nothing of what it held.)
    let forgotten = |at: usize| pair.bases[at].is_none() && link.fields[at].remade == Both::default();
    proves(link) && link.evidence().into_iter().all(forgotten)
}

/// Whether a match rule says who is who, and not the key alone.
fn proves(link: &Link) -> bool {
    link.matching.iter().any(|rule| rule.proves)
}

impl Pipeline {
    /// What the rows say about the entries of one side. `pairs`: those that the entries may be about.
    pub(super) async fn evidence<'a>(
        &self,
        session: &mut dyn Session,
        moment: &mut Moment,
        at: usize,
        link: &'a Link,
        side: Side,
        pairs: &[Pair],
    ) -> Result<Evidence<'a>> {
        let held: Vec<KeyBytes> = pairs.iter().filter_map(|pair| pair.key[side].clone()).collect();
        // (An app's feed has an entry for what became of each record.)
        let told_at_once = self.endpoints[link.endpoint[side]].tracking().is_none();
        let late = if told_at_once { HashMap::new() } else { moment.late(at, link, side, self.midway, &held).await? };
        let mut evidence = Evidence { link, side, back: HashMap::new(), late, elsewhere: HashMap::new() };
        if proves(link) {
            evidence.back = moment.put_back(at, link, side, &evidence.late).await?;
        }
        let known = |pair: &Pair| pair.key[side].clone().or_else(|| pair.former[side].clone());
        let holders: HashMap<KeyBytes, &Pair> = pairs.iter().filter_map(|pair| Some((known(pair)?, pair))).collect();
        let differs = |(at, found): (&usize, &PutBack)| {
            let (pair, row) = (holders.get(&found.key.then)?, found.row.as_ref()?);
            (!agree(link, pair, row, side)).then_some((*at, *pair))
        };
        let open: Vec<(usize, &Pair)> = evidence.back.iter().filter_map(differs).collect();
        for part in open.chunks(BATCH) {
            self.who_else(session, moment, at, &mut evidence, part).await?;
        }
        Ok(evidence)
    }

    /// Who else claims what stands under the keys of these pairs, and where else their own records may be.
    async fn who_else(
        &self,
        session: &mut dyn Session,
        moment: &mut Moment,
        at: usize,
        evidence: &mut Evidence<'_>,
        open: &[(usize, &Pair)],
    ) -> Result<()> {
        let (link, side) = (evidence.link, evidence.side);
        let rows: Vec<&Row> = open.iter().filter_map(|(entry, _)| evidence.back.get(entry)?.row.as_ref()).collect();
        let theirs = self.matches_of(session, moment, at, link, side, &rows).await?;
        let twins = self.twins_of(moment, at, link, side.other(), open).await?;
        let rows: Vec<&Row> = twins.iter().map(|(_, row)| row).collect();
        let ours = self.matches_of(session, moment, at, link, side.other(), &rows).await?;
        let written = self.written_since(moment, at, evidence, open).await?;
        let settled = Settled {
            theirs: self.settled(session, moment, at, link, (side, side.other()), &theirs).await?,
            ours: self.settled(session, moment, at, link, (side, side), &ours).await?,
        };
        let ours: HashMap<i64, &Vec<Key>> = twins.iter().map(|(id, _)| *id).zip(&ours).collect();
        for ((entry, pair), theirs) in open.iter().zip(&theirs) {
            let Some(found) = evidence.back.get_mut(entry) else { continue };
            let twin = |key: &KeyBytes| Some(key) == pair.key[side.other()].as_ref();
            let theirs: Vec<KeyBytes> = theirs.iter().map(Key::encode).filter(|key| !settled.theirs.contains(key)).collect();
            found.matches = match theirs.as_slice() {
                [] => Matches::Nobody,
                keys if keys.iter().all(twin) => Matches::Twin,
                _ => Matches::Other,
            };
            let away = |key: &Key| key.encode() != found.key.now && !settled.ours.contains(&key.encode());
            found.changed |= written.contains(&found.key.now);
            evidence.elsewhere.insert(pair.id, ours.get(&pair.id).is_some_and(|keys| keys.iter().any(away)));
        }
        Ok(())
    }

    /// Which of the records that were put back were written again since, as what is not read yet says.
    async fn written_since(
        &self,
        moment: &mut Moment,
        at: usize,
        evidence: &Evidence<'_>,
        open: &[(usize, &Pair)],
    ) -> Result<HashSet<KeyBytes>> {
        let now = open.iter().filter_map(|(entry, _)| evidence.back.get(entry)?.key.now.decode());
        let (window, place) = moment.window(at, evidence.link, evidence.side);
        window.unread(place, &now.collect::<Vec<_>>(), Unread::Writes).await
    }

    /// The rows of the other side's records of these pairs, by the pairs' ids, where they are.
    async fn twins_of(
        &self,
        moment: &mut Moment,
        at: usize,
        link: &Link,
        side: Side,
        open: &[(usize, &Pair)],
    ) -> Result<Vec<(i64, Row)>> {
        let twins = open.iter().filter_map(|(_, pair)| Some((pair.id, pair.key[side].as_ref()?.decode()?)));
        let (ids, keys): (Vec<i64>, Vec<Key>) = twins.unzip();
        let (window, place) = moment.window(at, link, side);
        let (telling, mut twins) = (telling(link), Vec::with_capacity(ids.len()));
        let each = |at: usize, fetched| twins.extend(row_of(fetched).map(|row| (ids[at], only(&telling, row))));
        read_through(window, place, &keys, each).await?;
        Ok(twins)
    }

    /// Those of the keys found on the side `of` whose pair has the record of `side` that it always had: nobody looks for them.
    async fn settled(
        &self,
        session: &mut dyn Session,
        moment: &mut Moment,
        at: usize,
        link: &Link,
        (side, of): (Side, Side),
        found: &[Vec<Key>],
    ) -> Result<HashSet<KeyBytes>> {
        let holders = self.holders(session, link, of, found).await?;
        let live = holders.iter().filter_map(|(found, pair)| Some((found, pair, pair.key[side].as_ref()?.decode()?)));
        let live: Vec<(&KeyBytes, &Pair, Key)> = live.collect();
        let keys: Vec<Key> = live.iter().map(|(.., key)| key.clone()).collect();
        let (window, place) = moment.window(at, link, side);
        let mut settled = HashSet::new();
        let each = |at: usize, fetched| {
            let (found, pair, _) = &live[at];
            if row_of(fetched).is_some_and(|row| agree(link, pair, &row, side)) {
                settled.insert((*found).clone());
            }
        };
        read_through(window, place, &keys, each).await?;
        Ok(settled)
    }
}

struct Settled {
    theirs: HashSet<KeyBytes>,
    ours: HashSet<KeyBytes>,
}

fn row_of(fetched: Fetched) -> Option<Row> {
    match fetched {
        Fetched::Row(row, _) => Some(row),
        Fetched::Absent | Fetched::Unreadable(_) | Fetched::Later => None,
    }
}

impl Moment {
    /// What stands now where records were deleted and put back.
    async fn put_back(
        &mut self,
        at: usize,
        link: &Link,
        side: Side,
        late: &HashMap<usize, Late>,
    ) -> Result<HashMap<usize, PutBack>> {
        let entries = self.entries_of(at, link, side);
        let named = |told: Told| {
            let entry = &entries[told.at];
            (told.at, entry.key.encode(), told.key, entry.op == Op::Replace, told.changed)
        };
        let told: Vec<_> = reconcile::put_back(&entries, late).into_iter().map(named).collect();
        let telling = telling(link);
        let mut put_back = HashMap::with_capacity(told.len());
        let (window, place) = self.window(at, link, side);
        for part in told.chunks(BATCH) {
            let keys: Vec<Key> = part.iter().map(|(_, _, key, ..)| key.clone()).collect();
            let each = |at: usize, fetched| {
                // It is held as it is.
                if matches!(fetched, Fetched::Unreadable(_)) {
                    return;
                }
                let (entry, then, now, replaced, changed) = &part[at];
                let row = row_of(fetched).map(|row| only(&telling, row));
                let key = Keys { then: then.clone(), now: now.encode() };
                let found = PutBack { row, key, replaced: *replaced, changed: *changed, matches: Matches::default() };
                put_back.insert(*entry, found);
            };
            read_through(window, place, &keys, each).await?;
        }
        Ok(put_back)
    }

    /// The entries that were logged later than they happened: a delete, and the record is there; a rename, and it is not. What
    /// is not read yet may say more of one that is there: until then it has its key.
    /// `held`: the keys that pairs have.
    pub(super) async fn late(
        &mut self,
        at: usize,
        link: &Link,
        side: Side,
        midway: bool,
        held: &[KeyBytes],
    ) -> Result<HashMap<usize, Late>> {
        let entries = self.entries_of(at, link, side);
        let mut open = reconcile::late(&entries, midway);
        let held: HashSet<&KeyBytes> = held.iter().collect();
        open.retain(|(told, late)| late.before.is_some() || held.contains(&entries[told.at].key.encode()));
        let deletes: HashSet<usize> = open.iter().map(|(told, _)| told.at).filter(|at| entries[*at].op == Op::Delete).collect();
        let mut found = HashMap::new();
        let (window, place) = self.window(at, link, side);
        for part in open.chunks(BATCH) {
            let keys: Vec<Key> = part.iter().map(|(told, _)| told.key.clone()).collect();
            let mut there = vec![false; keys.len()];
            read_through(window, place, &keys, |at, row| there[at] = row != Fetched::Absent).await?;
            let unread = window.unread(place, &keys, Unread::Births).await?;
            for ((told, late), there) in part.iter().zip(there) {
                if (there || unread.contains(&told.key.encode())) == deletes.contains(&told.at) {
                    found.insert(told.at, *late);
                }
            }
        }
        Ok(found)
    }
}

/// The fields that tell a record from others, and those by which it is looked for.
fn telling(link: &Link) -> HashSet<usize> {
    let looked_for = link.matching.iter().flat_map(|rule| link.fields[rule.field].group(&rule.field).to_vec());
    link.evidence().into_iter().chain(looked_for).collect()
}

/// A row with nothing but these fields.
fn only(fields: &HashSet<usize>, mut row: Row) -> Row {
    row.iter_mut().enumerate().filter(|(at, _)| !fields.contains(at)).for_each(|(_, value)| *value = Value::Null);
    row
}
