//! How values cross over: types through `mapping`, foreign keys through the pairs of their link.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Pipeline;
use super::capture::Moment;
use crate::error::Result;
use crate::mapping;
use crate::model::{Both, Column, Key, KeyBytes, Kind, Link, Lossy, Pair, Row, Side, Table, Value};
use crate::reconcile::{Cause, Translate, Twin};
use crate::sql::Session;

/// Twins of the parents that a batch of rows refers to.
#[derive(Default)]
pub(super) struct Parents {
    /// By index of the parent's link and side of the known key: its key on the other side.
    twins: HashMap<(usize, Side, KeyBytes), KeyBytes>,
    /// The keys of parents that rows refer to by another spelling.
    spelled: HashMap<(usize, Side, KeyBytes), KeyBytes>,
    /// Those whose twin was deleted.
    bereft: HashSet<(usize, Side, KeyBytes)>,
    /// When only planning: those that will have a twin under a key that nobody knows yet.
    to_come: HashSet<(usize, Side, KeyBytes)>,
}

impl Parents {
    /// A parent's key as its own table has it.
    fn own(&self, via: usize, from: Side, reference: KeyBytes) -> KeyBytes {
        let place = (via, from, reference);
        self.spelled.get(&place).cloned().unwrap_or(place.2)
    }

    /// The keys of the parent that rows of a side refer to so, on both sides.
    pub(super) fn keys(&self, via: usize, from: Side, reference: KeyBytes) -> Option<Both<KeyBytes>> {
        let own = self.own(via, from, reference);
        let twin = self.twins.get(&(via, from, own.clone()))?.clone();
        let mut keys = Both { source: twin.clone(), target: twin };
        keys[from] = own;
        Some(keys)
    }

    /// Both records of a pair of the link `via` are each other's twins, as long as none is gone.
    pub(super) fn learn(&mut self, via: usize, pair: &Pair) {
        match &pair.key {
            Both { source: Some(source), target: Some(target) } => {
                self.twins.insert((via, Side::Source, source.clone()), target.clone());
                self.twins.insert((via, Side::Target, target.clone()), source.clone());
            }
            Both { source: Some(survivor), target: None } => _ = self.bereft.insert((via, Side::Source, survivor.clone())),
            Both { source: None, target: Some(survivor) } => _ = self.bereft.insert((via, Side::Target, survivor.clone())),
            Both { source: None, target: None } => {}
        }
    }

    /// What became of the twin of a parent that has none.
    fn twin(&self, via: usize, from: Side, parent: &KeyBytes) -> Twin {
        if self.bereft.contains(&(via, from, parent.clone())) { Twin::Deleted } else { Twin::ToCome }
    }

    /// When only planning: these will have a twin, under a key that nobody knows yet.
    pub(super) fn will_come(&mut self, parents: impl Iterator<Item = (usize, Side, KeyBytes)>) {
        self.to_come.extend(parents);
    }
}

/// What a plan foresees of a parent that has no twin in the map.
#[derive(Clone, Debug)]
pub(super) enum Foreseen {
    /// These two will be linked.
    Found(Box<Pair>),
    /// Its twin will be created.
    ToCome,
}

/// What stands for a key that is not given out yet: no value that a row has.
const KEY_TO_COME: &str = "a key that is not given out yet";

/// Translates the values of one link.
pub(super) struct Translator<'a> {
    pub(super) link: &'a Link,
    pub(super) links: &'a [Link],
    pub(super) parents: &'a Parents,
    /// Foreign keys that are left NULL for now, to break a cycle: field indexes.
    pub(super) left_out: &'a [usize],
}

impl Translate for Translator<'_> {
    fn translate(&self, field: usize, row: &Row, to: Side) -> std::result::Result<Value, Cause> {
        let from = to.other();
        let to_column = self.link.collection[to].column(field);
        let mapped = &self.link.fields[field];
        if row[field].is_null() || self.left_out.contains(&field) {
            return convert(self.link, field, &Value::Null, to);
        }
        let Some(via) = mapped.via else { return convert(self.link, field, &row[field], to) };
        let Some(parent) = mapped.reference(field, row, from) else {
            return Err(Cause::Held("another part of the same foreign key is empty: it refers to nothing".into()));
        };
        let parent = self.parents.own(via, from, parent.encode());
        let (part, parents) = (mapped.part(field, to), &self.links[via].collection[to].table);
        let twin = self.parents.keys(via, from, parent.clone()).and_then(|keys| keys[to].decode());
        match twin.and_then(|key| key.0.into_iter().nth(part)) {
            // The parent's key as its own table has it; the referring column may be of a wider type.
            Some(key) => {
                let from_column = parents.key_columns().nth(part).unwrap_or(to_column);
                mapping::convert(&key, from_column, to_column, mapped.lossy).map_err(|unfit| Cause::Held(unfit.cause))
            }
            None if self.parents.to_come.contains(&(via, from, parent.clone())) => Ok(Value::Text(KEY_TO_COME.into())),
            None => {
                let twin = self.parents.twin(via, from, &parent);
                Err(Cause::Parent(self.links[via].number, from, parent, twin))
            }
        }
    }
}

/// As [`Translator`], for what refers to nothing.
pub(super) struct Plain<'a>(pub(super) &'a Link);

impl Translate for Plain<'_> {
    fn translate(&self, field: usize, row: &Row, to: Side) -> std::result::Result<Value, Cause> {
        convert(self.0, field, &row[field], to)
    }
}

fn convert(link: &Link, field: usize, value: &Value, to: Side) -> std::result::Result<Value, Cause> {
    let from = link.collection[to.other()].column(field);
    mapping::convert(value, from, link.collection[to].column(field), link.fields[field].lossy)
        .map_err(|unfit| Cause::Held(unfit.cause))
}

impl Pipeline {
    /// Looks up the twins of all parents these rows refer to: one query per foreign key and side, and another one for what no
    /// pair has.
    pub(super) async fn parents(
        &self,
        session: &mut dyn Session,
        moment: &mut Moment,
        link: &Link,
        rows: &Both<Vec<&Row>>,
    ) -> Result<Parents> {
        let links = &self.integration.links;
        let mut parents = Parents::default();
        for (at, field) in link.fields.iter().enumerate() {
            // Of several parts, all are looked up with the first.
            let Some(via) = field.via.filter(|_| field.group(&at).first() == Some(&at)) else { continue };
            for side in Side::BOTH {
                let references = rows[side].iter().filter_map(|row| field.reference(at, row, side));
                let mut unknown: BTreeMap<KeyBytes, Key> = references.map(|key| (key.encode(), key)).collect();
                let keys: Vec<KeyBytes> = unknown.keys().cloned().collect();
                for pair in self.pairs_by_key(session, &links[via], side, &keys).await? {
                    parents.learn(via, &pair);
                    if let Some(key) = &pair.key[side] {
                        unknown.remove(key);
                    }
                }
                for key in unknown.keys() {
                    let name = (via, side, key.clone());
                    if let Some(Foreseen::Found(pair)) = self.foreseen.get(&name).or_else(|| self.supposed.resolved.get(&name)) {
                        parents.learn(via, pair);
                    }
                }
                self.learn_spelled(session, moment, Reference { link, at, via, side }, unknown, &mut parents).await?;
            }
        }
        Ok(parents)
    }

    /// References that no pair has may be another spelling of a key for the database, which knows the row.
    async fn learn_spelled(
        &self,
        session: &mut dyn Session,
        moment: &mut Moment,
        reference: Reference<'_>,
        mut unknown: BTreeMap<KeyBytes, Key>,
        parents: &mut Parents,
    ) -> Result<()> {
        let Reference { via, side, .. } = reference;
        let of = &self.integration.links[via];
        let table = &of.collection[side].table;
        unknown.retain(|_, key| may_be_spelled_otherwise(table, key));
        if unknown.is_empty() || !self.goes(via) {
            return Ok(());
        }
        let asked: Vec<Key> = unknown.values().map(|key| reference.as_kept(table, key)).collect();
        let (window, place) = moment.window(via, of, side);
        let own = window.spelled(place, &asked).await?.into_iter().map(|own| own.map(|key| key.encode()));
        let found = unknown.into_keys().zip(own).filter_map(|(spelled, own)| Some((spelled, own?)));
        let found: Vec<(KeyBytes, KeyBytes)> = found.filter(|(spelled, own)| spelled != own).collect();
        let keys: Vec<KeyBytes> = found.iter().map(|(_, own)| own.clone()).collect();
        for pair in self.pairs_by_key(session, of, side, &keys).await? {
            parents.learn(via, &pair);
        }
        parents.spelled.extend(found.into_iter().map(|(spelled, own)| ((via, side, spelled), own)));
        Ok(())
    }
}

/// The foreign key that a field of a link is the first part of, on one side.
#[derive(Clone, Copy)]
struct Reference<'a> {
    link: &'a Link,
    at: usize,
    /// The index of the parent's link.
    via: usize,
    side: Side,
}

impl Reference<'_> {
    /// A value of it in the types of the key it refers to, as far as those take it.
    fn as_kept(&self, parents: &Table, key: &Key) -> Key {
        let Reference { link, at, side, .. } = self;
        let parts = &link.fields[*at].parts[*side];
        let parts = if parts.is_empty() { std::slice::from_ref(at) } else { parts };
        let kept = |((column, value), part): ((&Column, &Value), &usize)| {
            let from = link.collection[*side].column(*part);
            mapping::convert(value, from, column, Lossy::Hold).unwrap_or_else(|_| value.clone())
        };
        Key(parents.key_columns().zip(&key.0).zip(parts).map(kept).collect())
    }
}

/// Whether a key may be equal to another one for the database, and not for us: by a collation, or by another type.
fn may_be_spelled_otherwise(table: &Table, key: &Key) -> bool {
    let exact =
        |kind: &Kind, value: &Value| matches!(kind, Kind::Int { .. } | Kind::Uuid | Kind::Bytes { .. }) && kind.holds(value);
    !table.key_columns().zip(&key.0).all(|(column, value)| exact(&column.kind, value))
}
