//! What must be true in the end, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use twinrow::model::{Blanks, ConflictPolicy, Deletes, Direction, KeyBytes, Row, Value};
use twinrow::sql::Cell;

use crate::database::{ENTITY, KEY, PARENT, X, Y, entity, raw};
use crate::session::{REASON, S_KEY, T_KEY, number};
use crate::users::Effect;
use crate::world::{Rounding, World, name};

/// A value as both sides know it: entity, field, number of the statement that wrote it.
type Fact = (i64, usize, i64);

/// What users did, and what we did that nobody may do.
#[derive(Default)]
pub struct Ledger {
    set: BTreeSet<Fact>,
    gone: BTreeSet<Fact>,
    pub deleted: BTreeSet<i64>,
    /// The same as [`Ledger::set`], to the last digit.
    exact: BTreeSet<Fact>,
    /// Of these, what was written in the target.
    of_target: BTreeSet<Fact>,
    /// Entities that ever stood under a database's table's key.
    stood: BTreeMap<(usize, usize, i64), BTreeSet<i64>>,
    pub faults: Vec<String>,
}

impl Ledger {
    pub fn user(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::Set(entity, field, raw) => {
                if at == 1 {
                    self.of_target.insert((entity, field, raw));
                }
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

    fn facts(&self) -> BTreeSet<Fact> {
        let mut facts = BTreeSet::new();
        for (entity, rows) in &self.rows {
            for (_, row, parent) in rows {
                let filled = [X, Y].into_iter().filter(|field| !row[*field].is_null());
                facts.extend(filled.map(|field| (*entity, field, raw(&row[field]) / 10)));
                facts.insert((*entity, PARENT, *parent));
            }
        }
        facts
    }
}

impl World {
    /// Everything that is wrong, in words; nothing, if all is well.
    pub fn verdict(&self) -> Vec<String> {
        let mut wrong = self.ledger.faults.clone();
        let (source, target) = (Side::read(self, 0), Side::read(self, 1));
        let explained = self.explained(&mut wrong);
        for (at, side) in [(0, &source), (1, &target)] {
            for (entity, rows) in side.rows.iter().filter(|(_, rows)| rows.len() > 1) {
                wrong.push(format!("doubled: e{entity} stands {} times in {}", rows.len(), name(at)));
            }
        }
        let entities: BTreeSet<i64> = source.rows.keys().chain(target.rows.keys()).copied().collect();
        for entity in entities.iter().filter(|entity| !explained.contains(entity)) {
            self.agree(*entity, source.rows.get(entity), target.rows.get(entity), &mut wrong);
        }
        self.nothing_lost(&source, &target, &explained, &mut wrong);
        for (entity, rows) in &source.rows {
            if rows.iter().any(|(_, row, _)| !row[Y].is_null() && !self.ledger.exact.contains(&(*entity, Y, raw(&row[Y])))) {
                wrong.push(format!("leak: e{entity} has a value in the source that nobody wrote"));
            }
        }
        wrong
    }

    fn agree(
        &self,
        entity: i64,
        source: Option<&Vec<(usize, Row, i64)>>,
        target: Option<&Vec<(usize, Row, i64)>>,
        wrong: &mut Vec<String>,
    ) {
        let (Some(source), Some(target)) = (source, target) else {
            let kept = (self.options.deletes == Deletes::Keep || self.one_way()) && self.ledger.deleted.contains(&entity);
            let stays = self.one_way() && source.is_none() && self.ledger.of_target.iter().any(|fact| fact.0 == entity);
            if !kept && !stays {
                wrong.push(format!("diverged: e{entity} is only in the {}", if source.is_some() { "source" } else { "target" }));
            }
            return;
        };
        let ((_, s, s_parent), (_, t, t_parent)) = (&source[0], &target[0]);
        let coarse = |value: &Value| if self.options.rounding == Rounding::No { raw(value) } else { raw(value) / 10 };
        if self.options.copy && s[KEY] != t[KEY] && !self.one_way() {
            wrong.push(format!("diverged: e{entity} has another key"));
        }
        for (field, same) in [(X, raw(&s[X]) == raw(&t[X])), (Y, coarse(&s[Y]) == coarse(&t[Y])), (PARENT, s_parent == t_parent)]
        {
            // The target's own changes stay there; a blank may be protected.
            let own = self.one_way() && (field == PARENT || self.ledger.of_target.contains(&(entity, field, raw(&t[field]))));
            let blank = self.options.blanks == Blanks::Keep && field != PARENT && (s[field].is_null() || t[field].is_null());
            if !same && !own && !blank {
                wrong.push(format!("diverged: e{entity} differs in field {field}"));
            }
        }
    }

    fn nothing_lost(&self, source: &Side, target: &Side, explained: &BTreeSet<i64>, wrong: &mut Vec<String>) {
        let ledger = &self.ledger;
        let (in_source, in_target, kept) = (source.facts(), target.facts(), self.kept());
        for fact in ledger.set.iter().filter(|fact| !ledger.gone.contains(fact) && !kept.contains(fact)) {
            let deleted = ledger.deleted.contains(&fact.0);
            let anywhere = in_source.contains(fact) || in_target.contains(fact);
            // Where both sides must agree, what is not in the source is nowhere.
            let agree = !self.one_way() && self.options.blanks == Blanks::Propagate;
            if !anywhere || (agree && !deleted && !explained.contains(&fact.0) && !in_source.contains(fact)) {
                let how = if deleted { "lost with a delete" } else { "lost" };
                wrong.push(format!("{how}: e{} field {} written by statement {}", fact.0, fact.1, fact.2));
            }
        }
        for entity in ledger.set.iter().map(|fact| fact.0).collect::<BTreeSet<_>>() {
            let stands = source.rows.contains_key(&entity) || target.rows.contains_key(&entity);
            if !stands && !ledger.deleted.contains(&entity) {
                wrong.push(format!("vanished: e{entity}"));
            }
        }
    }

    /// Values that stand in a conflict, pending or kept.
    fn kept(&self) -> BTreeSet<Fact> {
        let mut facts = BTreeSet::new();
        for conflict in self.databases[self.home()].own.conflict.values() {
            let table = usize::try_from(number(&conflict[2]) - 1).unwrap_or(0);
            for (at, cell) in [(0, &conflict[7]), (1, &conflict[8])] {
                let Cell::Text(text) = cell else { continue };
                let texts: Vec<Option<String>> = serde_json::from_str(text).unwrap_or_default();
                let number = |field: usize| texts.get(field)?.as_ref()?.parse::<f64>().ok();
                let Some(entity) = number(ENTITY).map(|entity| entity as i64) else { continue };
                for field in [X, Y] {
                    let scale = if field == Y && self.options.rounding == Rounding::Mapped { 1.0 } else { 10.0 };
                    facts.extend(number(field).map(|value| (entity, field, (value / scale).floor() as i64)));
                }
                let parents = self.databases[at].tables[table].refers;
                if let (Some(parents), Some(parent)) = (parents, number(PARENT)) {
                    let held = self.ledger.stood.get(&(at, parents, parent as i64));
                    facts.extend(held.into_iter().flatten().map(|parent| (entity, PARENT, *parent)));
                }
            }
        }
        facts
    }

    /// Entities whose records are held for a person, with everything that waits for them. Nothing else may
    /// be left on the worklist.
    fn explained(&self, wrong: &mut Vec<String>) -> BTreeSet<i64> {
        let home = &self.databases[self.home()];
        let mut explained = BTreeSet::new();
        for work in home.own.work.values() {
            let (table, side) = (usize::try_from(number(&work[0]) - 1).unwrap_or(0), number(&work[1]));
            let Cell::Bytes(key) = &work[2] else { continue };
            let key = KeyBytes(key.clone()).decode().map_or(0, |key| raw(&key.0[0]));
            let (Cell::Text(cause), reason) = (&work[4], number(&work[REASON])) else { continue };
            let may_stay = self.may_be_held() && matches!(reason, 0..=4);
            if !may_stay {
                wrong.push(format!("left on the worklist: table {table} side {side} key {key} reason {reason}: {cause}"));
                continue;
            }
            for at in [0, 1] {
                let own = &work[2];
                let twin =
                    home.own.pair.values().find(|pair| pair[1] == work[0] && pair[if side == 0 { S_KEY } else { T_KEY }] == *own);
                let key = match twin {
                    Some(pair) => match &pair[if at == 0 { S_KEY } else { T_KEY }] {
                        Cell::Bytes(bytes) => KeyBytes(bytes.clone()).decode().map(|key| raw(&key.0[0])),
                        _ => None,
                    },
                    None if side == at as i64 => Some(key),
                    None => None,
                };
                let row = key.and_then(|key| self.databases[at].tables[table].rows.get(&key));
                explained.extend(row.map(entity));
            }
            if let Some(held) = self.ledger.stood.get(&(side as usize, table, key)) {
                explained.extend(held);
            }
        }
        explained
    }

    /// Whether some record may have to wait for a person: parents deleted on one side whose children
    /// were written on the other.
    fn may_be_held(&self) -> bool {
        let orphans = self.options.shape != crate::world::Shape::Flat && self.options.delete + self.options.truncate > 0.0;
        orphans || self.options.conflict == ConflictPolicy::Hold
    }

    fn one_way(&self) -> bool {
        self.options.direction == Direction::ToTarget
    }
}
