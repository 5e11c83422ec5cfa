//! One batch of the worklist: identify, fetch, match, decide.

use std::collections::{HashMap, HashSet};

use super::capture::Moment;
use super::translate::{Parents, Translator};
use super::{Mode, Pipeline};
use crate::endpoint::{CANDIDATES_MAX, Fetched};
use crate::error::Result;
use crate::model::{
    Both, Key, KeyBytes, KeySource, Link, Pair, PairStatus, Pos, Reason, Row, Side, Value, waited_for, waits_for,
};
use crate::reconcile::{self, Action, Cause, Decision, Dirty, Question, Seen, Situation, Translate};
use crate::sql::Session;
use crate::state;

/// A key on the worklist.
#[derive(Clone, Debug)]
pub(super) struct Todo {
    pub(super) side: Side,
    pub(super) key: KeyBytes,
    /// The position of its last log entry, where there is one.
    pub(super) pos: Pos,
    /// How often it was tried before.
    pub(super) attempts: i64,
    /// Whether it stands in the worklist table.
    pub(super) recorded: bool,
    /// Whether all its log entries are our own writes.
    pub(super) own: bool,
}

impl Todo {
    pub(super) fn new(side: Side, key: KeyBytes) -> Todo {
        Todo { side, key, pos: Pos::default(), attempts: 0, recorded: false, own: false }
    }

    pub(super) fn dirty(side: Side, dirty: Dirty) -> Todo {
        Todo { pos: dirty.pos, own: dirty.own, ..Todo::new(side, dirty.key) }
    }

    /// Whether it is the echo of a write that the pair was recorded with, and nothing else has happened to
    /// the row since. The tag alone would not do: the pair must know of this very write.
    fn is_echo(&self, pair: &Pair) -> bool {
        self.own && !self.recorded && pair.pos[self.side] >= self.pos
    }
}

/// What was found under a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Slot {
    /// The record is not known there.
    None,
    /// Gone, with evidence.
    Gone,
    /// Absent, without.
    Absent,
    /// A row, and its version where the endpoint has one.
    Row(Row, Option<String>),
    /// Something that can't be read.
    Unreadable(String),
}

impl Slot {
    fn seen(&self) -> Seen<'_> {
        match self {
            Slot::None => Seen::None,
            Slot::Gone => Seen::Gone,
            Slot::Absent => Seen::Unexplained,
            Slot::Row(row, _) => Seen::Row(row),
            Slot::Unreadable(cause) => Seen::Unreadable(cause),
        }
    }

    pub(super) fn row(&self) -> Option<&Row> {
        match self {
            Slot::Row(row, _) => Some(row),
            Slot::None | Slot::Gone | Slot::Absent | Slot::Unreadable(_) => None,
        }
    }
}

/// One record on its way through a batch.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) todo: Todo,
    /// Its pair; for two records that were just matched, one that is not in the map yet (`ver` 0).
    pub(super) pair: Option<Pair>,
    /// Live keys on both sides.
    pub(super) key: Both<Option<KeyBytes>>,
    pub(super) slot: Both<Slot>,
    /// The two were just found to be twins: it is recorded even if nothing needs to be written.
    pub(super) linking: bool,
    /// Foreign keys left NULL in step one, to be filled in later: field indexes.
    pub(super) left_out: Vec<usize>,
    pub(super) decision: Option<Decision>,
}

impl Item {
    fn new(todo: Todo) -> Item {
        let mut key = Both::default();
        key[todo.side] = Some(todo.key.clone());
        let slot = Both { source: Slot::None, target: Slot::None };
        Item { todo, pair: None, key, slot, linking: false, left_out: Vec::new(), decision: None }
    }

    fn of_pair(todo: Todo, pair: Pair) -> Item {
        let mut item = Item::new(todo);
        item.set_pair(pair);
        item
    }

    fn set_pair(&mut self, pair: Pair) {
        for side in Side::BOTH {
            if pair.gone(side) {
                self.slot[side] = Slot::Gone;
            } else if self.key[side] != pair.key[side] {
                self.slot[side] = Slot::None;
            }
        }
        self.key = pair.key.clone();
        self.pair = Some(pair);
    }

    /// Unknown on both sides' terms, and still to be decided.
    fn unknown(&self, side: Side) -> bool {
        self.pair.is_none() && self.todo.side == side && self.decision.is_none()
    }

    fn decide_as(&mut self, situation: Situation, action: Action) {
        self.decision = Some(Decision { situation, action });
    }

    fn hold(&mut self, situation: Situation, cause: String) {
        self.decide_as(situation, Action::Hold(Cause::Held(cause)));
    }
}

/// A decided batch.
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    /// Keys that need nothing more: known, and decided in this very cycle already.
    pub(super) settled: Vec<Todo>,
}

impl Pipeline {
    /// From keys to decisions. Reads only, but for pairs that a returning key revives.
    pub(super) async fn decide(
        &mut self,
        session: &mut dyn Session,
        moment: &mut Moment,
        link_at: usize,
        todos: Vec<Todo>,
        known: Vec<Pair>,
    ) -> Result<Batch> {
        let integration = self.integration.clone();
        let link = &integration.links[link_at];
        let (mut items, settled) = self.identify(session, link, todos, known).await?;
        fetch(moment, link_at, link, &mut items).await?;
        hide_unread(moment, link_at, link, &mut items).await?;
        self.returning(session, link, &mut items, &settled).await?;
        self.match_unknown(session, moment, link_at, link, &mut items).await?;
        let rows = Both {
            source: items.iter().filter_map(|item| item.slot.source.row()).collect(),
            target: items.iter().filter_map(|item| item.slot.target.row()).collect(),
        };
        let parents = self.parents(session, link, &rows).await?;
        let translator = Translator { link, links: &integration.links, parents: &parents, left_out: &[] };
        for item in items.iter_mut().filter(|item| item.decision.is_none()) {
            item.decision = Some(decide_item(link, item, &translator));
        }
        self.break_cycles(session, link_at, &parents, &mut items).await?;
        Ok(Batch { items, settled })
    }

    /// Keys to pairs. A pair that both sides name, or that this cycle has recorded already, comes once; one
    /// that lost a side is decided only under the key it lost, which is on the worklist.
    async fn identify(
        &self,
        session: &mut dyn Session,
        link: &Link,
        todos: Vec<Todo>,
        known: Vec<Pair>,
    ) -> Result<(Vec<Item>, Vec<Todo>)> {
        let mut by_key: HashMap<(Side, KeyBytes), Pair> = HashMap::new();
        for side in Side::BOTH {
            let mut keys: Vec<KeyBytes> = todos.iter().filter(|todo| todo.side == side).map(|todo| todo.key.clone()).collect();
            keys.sort_unstable();
            keys.dedup();
            for pair in state::by_key(session, link, side, &keys).await? {
                if let Some(key) = pair.key[side].clone() {
                    by_key.insert((side, key), pair);
                }
            }
        }
        let (mut items, mut settled, mut seen) = (Vec::with_capacity(todos.len()), Vec::new(), HashSet::new());
        for pair in known {
            seen.insert(pair.id);
            let side = if pair.key.source.is_some() { Side::Source } else { Side::Target };
            let key = pair.key[side].clone().or_else(|| pair.former[side].clone()).unwrap_or(KeyBytes(Vec::new()));
            let todo = Todo { recorded: true, ..Todo::new(side, key) };
            items.push(Item::of_pair(todo, pair));
        }
        for todo in todos {
            match by_key.get(&(todo.side, todo.key.clone())) {
                Some(pair) if lost(pair) || pair.cycle == self.cycle || todo.is_echo(pair) || !seen.insert(pair.id) => {
                    settled.push(todo);
                }
                Some(pair) => items.push(Item::of_pair(todo, pair.clone())),
                None => items.push(Item::new(todo)),
            }
        }
        Ok((items, settled))
    }

    /// Keys that pairs once had. An unknown record under such a key may be the deleted one, back again (rule
    /// 8); and a key on the worklist stands for every pair that lost it and is not decided yet, whoever has
    /// the key now.
    async fn returning(&mut self, session: &mut dyn Session, link: &Link, items: &mut Vec<Item>, settled: &[Todo]) -> Result<()> {
        let (mut revived, mut added, mut present) = (Vec::new(), Vec::new(), HashSet::new());
        for side in Side::BOTH {
            let recorded = |todo: &&Todo| todo.recorded && todo.side == side;
            let todos = items.iter().map(|item| &item.todo).chain(settled);
            let standing: Vec<Todo> = todos.filter(recorded).cloned().collect();
            let unknown = items.iter().filter(|item| item.unknown(side)).map(|item| item.todo.key.clone());
            let keys = standing.iter().map(|todo| todo.key.clone()).chain(unknown).collect();
            let mut formers = self.former_holders(session, link, side, keys).await?;
            for item in items.iter_mut().filter(|item| item.unknown(side)) {
                // The one that lost it last.
                let Some(pair) = formers.get(&item.todo.key).and_then(|holders| holders.first()) else { continue };
                let is_back = |row: &Row| pair.cycle != self.cycle && same_record(link, pair, row, side);
                if item.slot[side].row().is_some_and(is_back) && present.insert(pair.id) {
                    let mut pair = pair.clone();
                    pair.key[side] = Some(item.todo.key.clone());
                    pair.former[side] = None;
                    pair.pos[side] = pair.pos[side].max(item.todo.pos);
                    pair.ver += 1;
                    revived.push(pair.clone());
                    item.set_pair(pair);
                }
            }
            for todo in standing {
                let holders = formers.remove(&todo.key).unwrap_or_default();
                let rest = holders.into_iter().filter(|pair| revived.iter().all(|revived: &Pair| revived.id != pair.id));
                added.extend(rest.map(|pair| self.lost_item(&todo, present.insert(pair.id), pair)));
            }
        }
        if !revived.is_empty() && self.mode == Mode::Apply {
            let mut tx = self.home()?.begin(&self.fence).await?;
            state::update(&mut *tx, link, &revived).await?;
            tx.commit().await?;
            self.door.step("identify.revived").await?;
        }
        items.extend(added);
        Ok(())
    }

    /// A pair to be decided because it lost a side.
    fn lost_item(&self, todo: &Todo, first: bool, pair: Pair) -> Item {
        if first && pair.cycle != self.cycle {
            return Item::of_pair(todo.clone(), pair);
        }
        // Recorded after this moment's rows were read (rule 3), or in this batch under its other name.
        let mut item = Item::new(todo.clone());
        item.decide_as(Situation::Undecided, Action::Retry);
        item
    }

    /// The pairs that lost `side` under these keys, by key, the one that lost it last first.
    async fn former_holders(
        &self,
        session: &mut dyn Session,
        link: &Link,
        side: Side,
        mut keys: Vec<KeyBytes>,
    ) -> Result<HashMap<KeyBytes, Vec<Pair>>> {
        keys.sort_unstable();
        keys.dedup();
        let mut holders: HashMap<KeyBytes, Vec<Pair>> = HashMap::new();
        for pair in state::by_former(session, link, side, &keys).await? {
            let Some(key) = pair.former[side].clone() else { continue };
            if pair.status == PairStatus::Linked {
                holders.entry(key).or_default().push(pair);
            }
        }
        for pairs in holders.values_mut() {
            pairs.sort_by_key(|pair| std::cmp::Reverse((pair.pos[side], pair.id)));
        }
        Ok(holders)
    }

    /// Finds the twin of each unknown record, or says why it has none.
    async fn match_unknown(
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
                .filter_map(|(at, item)| Some(Asked { at, key: item.todo.key.clone(), row: item.slot[side].row()?.clone() }))
                .collect();
            for (asked, hit) in asked.iter().zip(self.candidates(session, moment, link_at, link, side, &asked).await?) {
                match hit {
                    Hit::Free(key, survivor) => found.push((asked.at, key, survivor)),
                    Hit::New => {}
                    Hit::Many(words) => items[asked.at].hold(Situation::Ambiguous, words),
                }
            }
        }
        self.pair_up(moment, link_at, link, items, found);
        fetch(moment, link_at, link, items).await?;
        hide_unread(moment, link_at, link, items).await
    }

    /// Each item with a free match becomes a pair that is not in the map yet, or takes the place its
    /// predecessor left in one.
    fn pair_up(
        &mut self,
        moment: &Moment,
        link_at: usize,
        link: &Link,
        items: &mut [Item],
        found: Vec<(usize, KeyBytes, Option<Pair>)>,
    ) {
        let mut claimed: HashSet<(Side, KeyBytes)> = HashSet::new();
        for (at, key, survivor) in found {
            let item = &mut items[at];
            let side = item.todo.side;
            // The same two, met from both sides in one batch.
            if !claimed.insert((side, item.todo.key.clone())) || !claimed.insert((side.other(), key.clone())) {
                item.decide_as(Situation::Nothing, Action::Ignore);
                continue;
            }
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
        let mut rows = Both::default();
        rows[side] = asked.iter().map(|asked| &asked.row).collect();
        let parents = self.parents(session, link, &rows).await?;
        let translator = Translator { link, links: &self.integration.links, parents: &parents, left_out: &[] };
        let values = |translate: bool| -> Vec<Vec<Value>> {
            let value = |row: &Row, field: usize| {
                if !translate {
                    return row[field].clone();
                }
                // What has no form on the other side matches nothing there.
                translator.translate(field, &row[field], side.other()).unwrap_or(Value::Null)
            };
            asked.iter().map(|asked| rule.iter().map(|(field, _)| value(&asked.row, *field)).collect()).collect()
        };
        let (ours, theirs) = (values(false), values(true));
        let (window, place) = moment.window(link_at, link, side.other());
        let theirs = window.find(place, &rule, &theirs).await?;
        let (window, place) = moment.window(link_at, link, side);
        let ours = window.find(place, &rule, &ours).await?;
        let twins = self.holders(session, link, side.other(), &theirs).await?;
        let known = self.holders(session, link, side, &ours).await?;
        let hits = asked.iter().zip(theirs.iter().zip(&ours)).map(|(asked, (theirs, ours))| {
            let rivals: Vec<KeyBytes> =
                ours.iter().map(Key::encode).filter(|key| *key != asked.key && !known.contains_key(key)).collect();
            hit(&asked.key, theirs, &rivals, &twins, side)
        });
        Ok(hits.collect())
    }

    async fn holders(
        &self,
        session: &mut dyn Session,
        link: &Link,
        side: Side,
        lists: &[Vec<Key>],
    ) -> Result<HashMap<KeyBytes, Pair>> {
        let mut keys: Vec<KeyBytes> = lists.iter().flatten().map(Key::encode).collect();
        keys.sort_unstable();
        keys.dedup();
        let pairs = state::by_key(session, link, side, &keys).await?;
        Ok(pairs.into_iter().filter_map(|pair| Some((pair.key[side].clone()?, pair))).collect())
    }

    /// Two records that wait for each other, or one that refers to itself: where the column takes NULL
    /// the record is written without the reference first, and finished later (C15).
    async fn break_cycles(&self, session: &mut dyn Session, link_at: usize, parents: &Parents, items: &mut [Item]) -> Result<()> {
        let links = &self.integration.links;
        let link = &links[link_at];
        // Only for creates: an existing row keeps the reference it has.
        let creates = |item: &&mut Item| {
            item.todo.attempts > 0 && item.pair.as_ref().is_none_or(|pair| pair.ver > 0 && pair.gone(item.todo.side.other()))
        };
        for item in items.iter_mut().filter(creates) {
            let Some(Decision { action: Action::Hold(Cause::Parent(number, side, key)), .. }) = &item.decision else { continue };
            let Some(parent_at) = links.iter().position(|link| link.number == *number) else { continue };
            if parent_at < link_at {
                continue;
            }
            let (side, own) = (*side, waits_for(link.number, *side, &item.todo.key));
            if !self.waits_in_a_ring(session, own, waits_for(*number, side, key)).await? {
                continue;
            }
            let to = side.other();
            let left_out: Vec<usize> = (0..link.fields.len())
                .filter(|at| link.fields[*at].via == Some(parent_at) && link.collection[to].column(*at).nullable)
                .collect();
            let translator = Translator { link, links, parents, left_out: &left_out };
            item.decision = Some(decide_item(link, item, &translator));
            item.left_out = left_out;
        }
        Ok(())
    }

    /// Whether following who waits for whom leads from `parent` back to `own`. A parent that waits for
    /// something else is no ring: its turn comes.
    async fn waits_in_a_ring(&self, session: &mut dyn Session, own: Vec<u8>, parent: Vec<u8>) -> Result<bool> {
        let (mut seen, mut at) = (HashSet::from([own.clone()]), parent);
        while seen.insert(at.clone()) {
            let Some((number, side, key)) = waited_for(&at) else { return Ok(false) };
            let Some(link) = self.integration.links.iter().find(|link| link.number == number) else { return Ok(false) };
            let works = state::read_work(session, link, side, &[key]).await?;
            match works.into_iter().find_map(|work| work.waits.filter(|_| work.reason == Reason::Waiting)) {
                Some(next) => at = next,
                None => return Ok(false),
            }
        }
        Ok(at == own)
    }
}

struct Asked {
    at: usize,
    key: KeyBytes,
    row: Row,
}

/// What looking for a match found.
enum Hit {
    /// Nothing: a new record.
    New,
    /// One record without a twin; or the survivor of a pair whose other record is gone.
    Free(KeyBytes, Option<Pair>),
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
                Some(pair) if pair.gone(side) && pair.status == PairStatus::Linked => Hit::Free(key, Some(pair.clone())),
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

/// Whether a row under a former key is the record that was there: certain where keys are never given
/// out twice, else only if it looks the same (rule 8, C4).
fn same_record(link: &Link, pair: &Pair, row: &Row, side: Side) -> bool {
    match link.collection[side].table.key_source {
        KeySource::Generated | KeySource::Default | KeySource::Trigger => true,
        KeySource::GeneratedReused | KeySource::Given => reconcile::rows_agree(link, pair, row, side),
    }
}

/// Whether a pair lost a side.
fn lost(pair: &Pair) -> bool {
    pair.gone(Side::Source) || pair.gone(Side::Target)
}

fn decide_item(link: &Link, item: &Item, translator: &Translator<'_>) -> Decision {
    // A pair that lost a side is decided from the worklist, where it is under the brake.
    if !item.todo.recorded && item.pair.as_ref().is_some_and(lost) {
        return Decision { situation: Situation::Nothing, action: Action::Ignore };
    }
    let (source, target) = (item.slot.source.seen(), item.slot.target.seen());
    let question = Question { link, pair: item.pair.as_ref(), source, target, translate: translator };
    if !item.linking {
        return reconcile::decide(&question);
    }
    match (source, target) {
        (Seen::Row(source), Seen::Row(target)) if item.pair.as_ref().is_some_and(|pair| pair.ver == 0) => {
            reconcile::link_found(link, source, target, translator)
        }
        (Seen::Row(_), Seen::Row(_)) => {
            let mut decision = reconcile::decide(&question);
            decision.situation = Situation::Found;
            if decision.action == Action::Ignore || decision.action == Action::Report {
                decision.action = Action::Update(reconcile::Update::default());
            }
            decision
        }
        // Its match went away between the look and the fetch.
        _ => Decision { situation: Situation::Undecided, action: Action::Retry },
    }
}

/// Reads the rows that are not read yet, one query a side.
async fn fetch(moment: &mut Moment, link_at: usize, link: &Link, items: &mut [Item]) -> Result<()> {
    for side in Side::BOTH {
        let mut wanted: Vec<usize> = Vec::new();
        let mut keys: Vec<Key> = Vec::new();
        for (at, item) in items.iter().enumerate() {
            if item.slot[side] == Slot::None
                && item.decision.is_none()
                && let Some(key) = item.key[side].as_ref().and_then(KeyBytes::decode)
            {
                wanted.push(at);
                keys.push(key);
            }
        }
        if keys.is_empty() {
            continue;
        }
        let (window, place) = moment.window(link_at, link, side);
        for (at, fetched) in wanted.into_iter().zip(window.fetch(place, &keys).await?) {
            items[at].slot[side] = match fetched {
                Fetched::Row(row, version) => Slot::Row(row, version),
                Fetched::Absent => Slot::Absent,
                Fetched::Unreadable(cause) => Slot::Unreadable(cause),
            };
        }
    }
    Ok(())
}

/// Records about whose keys the log knows more than was read: nothing may be concluded yet (rule 2).
async fn hide_unread(moment: &mut Moment, link_at: usize, link: &Link, items: &mut [Item]) -> Result<()> {
    for side in Side::BOTH {
        let keys: Vec<Key> = items
            .iter()
            .filter(|item| item.decision.is_none())
            .filter_map(|item| item.key[side].as_ref().and_then(KeyBytes::decode))
            .collect();
        if keys.is_empty() {
            continue;
        }
        let (window, place) = moment.window(link_at, link, side);
        let unread = window.unread(place, &keys).await?;
        if unread.is_empty() {
            continue;
        }
        for item in items.iter_mut().filter(|item| item.decision.is_none()) {
            if item.key[side].as_ref().is_some_and(|key| unread.contains(key)) {
                item.decide_as(Situation::Undecided, Action::Retry);
            }
        }
    }
    Ok(())
}
