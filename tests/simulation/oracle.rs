//! What must be true in the end, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use twinrow::model::{Blanks, ConflictPolicy, Deletes, KeyBytes, Row, Value, work_named};
use twinrow::sql::{Cell, Cells};

use crate::configuration::{Wire, mapped, wires};
use crate::database::{ENTITY, KEY, PARENT, X, Y, entity, raw};
use crate::keys::{PARENT_REGION, REGION, int};
use crate::options::{Rounding, receiver};
use crate::session::{REASON, S_KEY, T_KEY, number};
use crate::users::Effect;
use crate::world::{World, name};

/// A value as both sides know it: entity, field, number of the statement that wrote it.
type Fact = (i64, usize, i64);

/// What users did, and what we did that nobody may do.
#[derive(Clone, Default)]
pub struct Ledger {
    set: BTreeSet<Fact>,
    gone: BTreeSet<Fact>,
    pub deleted: BTreeSet<i64>,
    /// The same as [`Ledger::set`], to the last digit.
    exact: BTreeSet<Fact>,
    /// The same, by the database it was written in.
    written: [BTreeSet<Fact>; 3],
    /// Entities that ever stood under a database's table's key.
    stood: BTreeMap<(usize, usize, i64), BTreeSet<i64>>,
    /// Entities that one transaction has exchanged for each other under one key: if that was written again before anybody
    /// looked, nothing tells them apart.
    pub exchanged: BTreeSet<i64>,
    /// The table of each.
    tables: BTreeMap<i64, usize>,
    pub faults: Vec<String>,
    /// What went with a database that was set back.
    excused: BTreeSet<Fact>,
}

impl Ledger {
    pub fn user(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::Set(entity, field, raw) => {
                self.written[at].insert((entity, field, raw));
                self.set.insert((entity, field, raw / 10));
                self.exact.insert((entity, field, raw));
            }
            Effect::Gone(entity, field, raw) => {
                self.gone.insert((entity, field, raw / 10));
            }
            Effect::Deleted(entity) => {
                self.deleted.insert(entity);
            }
        }
    }

    pub fn stood(&mut self, at: usize, table: usize, key: i64, entity: &Value) {
        self.stood.entry((at, table, key)).or_default().insert(raw(entity));
        self.tables.insert(raw(entity), table);
    }

    /// A database was set back to before this.
    pub fn excuse(&mut self, effect: Effect) {
        if let Effect::Set(entity, field, raw) = effect {
            self.excused.insert((entity, field, raw / 10));
        }
    }

    /// Whether a user ever wrote this value, or this reference, for this record.
    pub fn wrote(&self, entity: i64, field: usize, value: i64) -> bool {
        self.set.contains(&(entity, field, value))
    }

    /// The same, in this database.
    fn wrote_at(&self, at: usize, (entity, field, value): &Fact) -> bool {
        self.written[at].range((*entity, *field, value * 10)..(*entity, *field, value * 10 + 10)).next().is_some()
    }

    pub fn we_deleted(&mut self, entity: &Value, at: &str) {
        if !self.deleted.contains(&raw(entity)) {
            self.fault(format!("wrong delete: e{} in {at}, which no user deleted", raw(entity)));
        }
    }

    pub fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }
}

/// The rows of one side by entity, with references told by entity.
struct Side {
    rows: BTreeMap<i64, Vec<(usize, Row, i64)>>,
}

impl Side {
    fn read(world: &World, at: usize) -> Side {
        let database = &world.databases[at];
        let mut rows: BTreeMap<i64, Vec<(usize, Row, i64)>> = BTreeMap::new();
        for (table, content) in database.tables.iter().enumerate() {
            for row in content.rows.values() {
                let parent = row.get(PARENT).filter(|parent| !parent.is_null()).map_or(0, |parent| {
                    let parents = content.refers.unwrap_or(0);
                    database.tables[parents].rows.get(&raw(parent)).map_or(-1, entity)
                });
                rows.entry(entity(row)).or_default().push((table, row.clone(), parent));
            }
        }
        Side { rows }
    }

    /// The records a record refers to, and those that refer to it.
    fn parent(&self, entity: i64) -> Option<i64> {
        let parent = self.rows.get(&entity)?.first()?.2;
        (parent != 0).then_some(parent)
    }

    fn is_referred(&self, entity: i64) -> bool {
        self.rows.values().flatten().any(|(.., parent)| *parent == entity)
    }

    fn facts(&self) -> BTreeSet<Fact> {
        let mut facts = BTreeSet::new();
        for (entity, rows) in &self.rows {
            for (_, row, parent) in rows {
                let filled = [X, Y].into_iter().filter(|field| !row[*field].is_null());
                facts.extend(filled.map(|field| (*entity, field, raw(&row[field]) / 10)));
                facts.insert((*entity, PARENT, *parent));
                facts.extend(row.get(REGION).map(|region| (*entity, REGION, raw(region))));
            }
        }
        facts
    }
}

impl World {
    /// Everything that is wrong, in words; nothing, if all is well.
    pub fn verdict(&self) -> Vec<String> {
        let mut wrong = self.ledger.faults.clone();
        // What an integration can say nothing of any more is not judged; the others go on as if nothing had been.
        let refused = self.any_refused(&mut wrong);
        if refused && self.options.integrations() == 1 {
            return wrong;
        }
        let sides: Vec<Side> = (0..self.options.data()).map(|at| Side::read(self, at)).collect();
        let explained = self.explained(&sides, &mut wrong);
        for (at, side) in sides.iter().enumerate() {
            // In a chain, what the one integration deletes and makes again comes to the third database anew, where the old
            // one may be held: a child that waits for it stands in the way of its delete.
            let held = |entity: &i64| at == 2 && explained.contains(entity);
            for (entity, rows) in side.rows.iter().filter(|(entity, rows)| rows.len() > 1 && !held(entity)) {
                wrong.push(format!("doubled: e{entity} stands {} times in {}", rows.len(), name(at)));
            }
        }
        let going = wires(&self.options).into_iter().filter(|wire| !self.is_refused(wire.integration));
        let ends: BTreeSet<[usize; 2]> = going.map(|wire| wire.ends).collect();
        for ends in ends {
            let [source, target] = ends.map(|at| &sides[at]);
            let entities: BTreeSet<i64> = source.rows.keys().chain(target.rows.keys()).copied().collect();
            for entity in entities.iter().filter(|entity| !explained.contains(entity)) {
                self.agree(*entity, source.rows.get(entity), target.rows.get(entity), &mut wrong);
            }
        }
        if !refused {
            self.nothing_lost(&sides, &explained, &mut wrong);
        }
        for (at, side) in sides.iter().enumerate() {
            for (entity, row) in side.rows.iter().flat_map(|(entity, rows)| rows.iter().map(move |(_, row, _)| (entity, row))) {
                if !row[Y].is_null() && !self.may_hold(at, *entity, raw(&row[Y])) {
                    wrong.push(format!("leak: e{entity} has a value in {} that nobody wrote", name(at)));
                }
            }
        }
        wrong
    }

    /// Whether a database may hold this second value: as it was written, or as it rounds, or where a whole row of the
    /// one that rounds may come back.
    fn may_hold(&self, at: usize, entity: i64, value: i64) -> bool {
        let comes_back = matches!(self.options.conflict, ConflictPolicy::Target | ConflictPolicy::Newest)
            || self.options.deletes == Deletes::Recreate;
        let rounds = self.databases[at].rounds || comes_back || at > 0 && self.options.rounding == Rounding::Mapped;
        self.ledger.exact.contains(&(entity, Y, value)) || rounds && self.ledger.wrote(entity, Y, value / 10)
    }

    fn agree(
        &self,
        entity: i64,
        source: Option<&Vec<(usize, Row, i64)>>,
        target: Option<&Vec<(usize, Row, i64)>>,
        wrong: &mut Vec<String>,
    ) {
        let own = |at: usize, of: &dyn Fn(&Fact) -> bool| self.ledger.written[at].iter().any(of);
        let table = source.or(target).map_or(0, |rows| rows[0].0);
        let receiver = receiver(self.options.direction_of(table));
        let (Some(source), Some(target)) = (source, target) else {
            let stays = self.options.deletes == Deletes::Keep || self.options.changes > 0.0 || receiver.is_some();
            let kept = stays && self.ledger.deleted.contains(&entity);
            let only = if source.is_some() { 0 } else { 1 };
            let unsent = receiver == Some(only) && own(only, &|fact| fact.0 == entity);
            if !kept && !unsent {
                wrong.push(format!("diverged: e{entity} is only in the {}", ["source", "target"][only]));
            }
            return;
        };
        let ((_, s, s_parent), (_, t, t_parent)) = (&source[0], &target[0]);
        let coarse = |value: &Value| if self.options.rounding == Rounding::No { raw(value) } else { raw(value) / 10 };
        if self.options.copy && s[KEY] != t[KEY] && receiver.is_none() {
            wrong.push(format!("diverged: e{entity} has another key"));
        }
        let fields = [
            (X, raw(&s[X]) == raw(&t[X])),
            (Y, coarse(&s[Y]) == coarse(&t[Y])),
            (PARENT, s_parent == t_parent),
            (REGION, s.get(REGION) == t.get(REGION)),
        ];
        for (field, same) in fields.into_iter().filter(|(field, _)| *field == PARENT || *field < s.len()) {
            // The receiver's own changes stay there, and so does what it has of an owner that was made again from it; a blank
            // may be protected.
            let own = self.options.receiver(table, field).is_some_and(|at| {
                if field == PARENT {
                    return true;
                }
                let (there, owner) = if at == 0 { (s, t) } else { (t, s) };
                let own = own(at, &|fact| *fact == (entity, field, raw(&there[field])));
                let blank = there[field].is_null() && (self.options.blank > 0.0 || receiver.is_some());
                // (Where the other side's change wins over a delete, too.)
                own || blank || owner[field].is_null() && self.ledger.deleted.contains(&entity)
            });
            let null = if field == PARENT { *s_parent == 0 || *t_parent == 0 } else { s[field].is_null() || t[field].is_null() };
            let blank = (self.options.blanks == Blanks::Keep || self.options.changes > 0.0) && null;
            if !same && !own && !blank {
                wrong.push(format!("diverged: e{entity} differs in field {field}"));
            }
        }
    }

    fn nothing_lost(&self, sides: &[Side], explained: &BTreeSet<i64>, wrong: &mut Vec<String>) {
        let ledger = &self.ledger;
        let (facts, kept): (Vec<BTreeSet<Fact>>, _) = (sides.iter().map(Side::facts).collect(), self.kept());
        let standing = |fact: &&Fact| !ledger.gone.contains(fact) && !kept.contains(fact) && !ledger.excused.contains(fact);
        for fact in ledger.set.iter().filter(standing) {
            let deleted = ledger.deleted.contains(&fact.0);
            let anywhere = facts.iter().any(|facts| facts.contains(fact));
            // Where all sides must agree, what is not in the source is nowhere; where a side alone decides, what it has not.
            let receiver = self.options.receiver(ledger.tables.get(&fact.0).copied().unwrap_or(0), fact.1);
            let owner = match receiver {
                None => (self.options.blanks == Blanks::Propagate).then_some(0),
                Some(receiver) => Some(1 - receiver).filter(|owner| ledger.wrote_at(*owner, fact)),
            };
            let owner = owner.filter(|_| self.options.changes == 0.0 && !deleted && !explained.contains(&fact.0));
            // What a link does not map goes with the record.
            let unmapped = fact.1 == Y && deleted && self.options.changes > 0.0;
            if !anywhere && !unmapped || owner.is_some_and(|owner| !facts[owner].contains(fact)) {
                let how = if deleted { "lost with a delete" } else { "lost" };
                wrong.push(format!("{how}: e{} field {} written by statement {}", fact.0, fact.1, fact.2));
            }
        }
        for entity in ledger.set.iter().filter(|fact| !ledger.excused.contains(fact)).map(|fact| fact.0).collect::<BTreeSet<_>>()
        {
            let stands = sides.iter().any(|side| side.rows.contains_key(&entity));
            if !stands && !ledger.deleted.contains(&entity) {
                wrong.push(format!("vanished: e{entity}"));
            }
        }
    }

    /// Values that stand in a conflict, pending or kept. Of one that waits for a person the rows still hold them.
    fn kept(&self) -> BTreeSet<Fact> {
        let mut facts = BTreeSet::new();
        for home in self.homes() {
            let undecided = |conflict: &&Vec<Cell>| number(&conflict[9]) == 2;
            for conflict in self.databases[home].own.conflict.values().filter(|conflict| !undecided(conflict)) {
                let Some(wire) = self.wire(home, &conflict[2]) else { continue };
                for (at, cell) in wire.ends.into_iter().zip([&conflict[7], &conflict[8]]) {
                    if let Cell::Text(text) = cell {
                        self.kept_values(&wire, at, text, &mut facts);
                    }
                }
            }
        }
        facts
    }

    fn kept_values(&self, wire: &Wire, at: usize, text: &str, facts: &mut BTreeSet<Fact>) {
        let texts: Vec<Option<String>> = serde_json::from_str(text).unwrap_or_default();
        let whole = mapped(wire, &self.options, true);
        // Of a link that did not map the second value for a while.
        let fields = if texts.len() < whole.len() { mapped(wire, &self.options, false) } else { whole };
        let place = |field: usize| fields.iter().position(|mapped| *mapped == field);
        let number = |field: usize| texts.get(place(field)?)?.as_ref()?.parse::<f64>().ok();
        let Some(entity) = number(ENTITY).map(|entity| entity as i64) else { return };
        for field in [X, Y] {
            let scale = if field == Y && self.options.rounding == Rounding::Mapped { 1.0 } else { 10.0 };
            facts.extend(number(field).map(|value| (entity, field, (value / scale).floor() as i64)));
        }
        facts.extend(number(REGION).map(|region| (entity, REGION, region as i64)));
        let parents = self.databases[at].tables[wire.table].refers;
        if let (Some(parents), Some(parent)) = (parents, number(PARENT)) {
            let region = number(PARENT_REGION).unwrap_or(0.0) as i64;
            let held = self.ledger.stood.get(&(at, parents, self.databases[at].keyed(region, parent as i64)));
            facts.extend(held.into_iter().flatten().map(|parent| (entity, PARENT, *parent)));
        }
    }

    /// Entities whose records are held for a person, with everything that waits for them. Nothing may be left on the
    /// worklist without a reason.
    fn explained(&self, sides: &[Side], wrong: &mut Vec<String>) -> BTreeSet<i64> {
        let mut explained = BTreeSet::new();
        let mut left = Vec::new();
        for home in self.homes() {
            for work in self.databases[home].own.work.values() {
                if self.wire(home, &work[0]).is_some_and(|wire| self.is_refused(wire.integration)) {
                    continue;
                }
                let reason = number(&work[REASON]);
                let entities = self.entities_of(home, work);
                let cause = if let Cell::Text(cause) = &work[4] { cause.as_str() } else { "" };
                left.push((reason, entities.clone(), format!("{entities:?} reason {reason}: {cause}")));
            }
        }
        loop {
            let before = left.len();
            left.retain(|(reason, entities, _)| {
                let stays = (0..=4).contains(reason) && entities.iter().any(|of| self.may_be_held(*of, sides, &explained));
                explained.extend(entities.iter().copied().filter(|_| stays));
                !stays
            });
            if left.len() == before {
                wrong.extend(left.into_iter().map(|(.., words)| format!("left on the worklist: {words}")));
                return explained;
            }
        }
    }

    /// The records an entry of the worklist is about.
    fn entities_of(&self, home: usize, work: &Cells) -> BTreeSet<i64> {
        let (Some(wire), Cell::Bytes(name)) = (self.wire(home, &work[0]), &work[2]) else { return BTreeSet::new() };
        let (key, _) = work_named(KeyBytes::from(name.as_slice()));
        let side = usize::try_from(number(&work[1])).unwrap_or(0);
        let decoded = |bytes: &[u8]| KeyBytes::from(bytes).decode().map(|key| int(&key));
        let columns = [S_KEY, T_KEY];
        let mut pairs = self.databases[home].own.pair.values();
        let twin = pairs.find(|pair| pair[1] == work[0] && pair[columns[side]] == Cell::Bytes(key.as_bytes().to_vec()));
        let mut entities = BTreeSet::new();
        for (end, at) in wire.ends.into_iter().enumerate() {
            let key = match twin {
                Some(pair) => match &pair[columns[end]] {
                    Cell::Bytes(bytes) => decoded(bytes),
                    _ => None,
                },
                None => decoded(key.as_bytes()).filter(|_| side == end),
            };
            entities.extend(key.and_then(|key| self.databases[at].tables[wire.table].rows.get(&key)).map(entity));
        }
        let place = decoded(key.as_bytes()).map(|key| (wire.ends[side], wire.table, key));
        entities.extend(place.and_then(|place| self.ledger.stood.get(&place)).into_iter().flatten());
        entities
    }

    /// Whether a record may have to wait for a person: its parent was deleted, or waits itself; it was deleted, or has
    /// another key now, and others refer to it; its key was used again, and keys are copied; or in one transaction.
    fn may_be_held(&self, of: i64, sides: &[Side], explained: &BTreeSet<i64>) -> bool {
        let deleted = |of: i64| self.ledger.deleted.contains(&of);
        // Where the link of the parents goes one way, those of the other side have no twin.
        let own = |of: i64| {
            let one_way = receiver(self.options.direction_of(self.ledger.tables.get(&of).copied().unwrap_or(0))).is_some();
            one_way && sides.iter().any(|side| !side.rows.contains_key(&of))
        };
        let orphan = sides
            .iter()
            .filter_map(|side| side.parent(of))
            .any(|parent| deleted(parent) || own(parent) || explained.contains(&parent));
        let needed =
            (deleted(of) || self.options.copy || self.options.is_composite()) && sides.iter().any(|side| side.is_referred(of));
        let reused = self.options.copy && self.options.reuse != [false, false];
        let exchanged = self.ledger.exchanged.contains(&of);
        orphan || needed || reused || exchanged || self.collides(of, sides) || self.options.conflict == ConflictPolicy::Hold
    }

    /// Whether its unique value is another record's in another database.
    fn collides(&self, of: i64, sides: &[Side]) -> bool {
        let values = |side: &Side| side.rows.get(&of).into_iter().flatten().map(|(_, row, _)| row[X].clone()).collect::<Vec<_>>();
        let values: Vec<Value> = sides.iter().flat_map(values).filter(|x| !x.is_null()).collect();
        let others =
            sides.iter().flat_map(|side| side.rows.iter().filter(|(entity, _)| **entity != of)).flat_map(|(_, rows)| rows);
        self.options.swaps && others.map(|(_, row, _)| &row[X]).any(|x| values.contains(x))
    }
}
