//! How values cross over: types through `mapping`, foreign keys through the pairs of their link.

use std::collections::HashMap;

use super::Pipeline;
use crate::error::Result;
use crate::mapping;
use crate::model::{Both, KeyBytes, Link, Pair, Row, Side, Value};
use crate::reconcile::{Cause, Translate};
use crate::sql::Session;
use crate::state;

/// Twins of the parents that a batch of rows refers to.
#[derive(Default)]
pub(super) struct Parents {
    /// By index of the parent's link and side of the known key: its key on the other side.
    twins: HashMap<(usize, Side, KeyBytes), KeyBytes>,
}

impl Parents {
    /// The key of a parent on the other side.
    pub(super) fn twin(&self, via: usize, from: Side, key: &KeyBytes) -> Option<&KeyBytes> {
        self.twins.get(&(via, from, key.clone()))
    }

    /// Both records of a pair of the link `via` are each other's twins.
    pub(super) fn learn(&mut self, via: usize, pair: &Pair) {
        if let Both { source: Some(source), target: Some(target) } = &pair.key {
            self.twins.insert((via, Side::Source, source.clone()), target.clone());
            self.twins.insert((via, Side::Target, target.clone()), source.clone());
        }
    }
}

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
        let parent = parent.encode();
        let (part, parents) = (mapped.part(field, to), &self.links[via].collection[to].table);
        let twin = self.parents.twin(via, from, &parent).and_then(KeyBytes::decode);
        match twin.and_then(|key| key.0.into_iter().nth(part)) {
            // The parent's key as its own table has it; the referring column may be of a wider type.
            Some(key) => {
                let from_column = parents.key_columns().nth(part).unwrap_or(to_column);
                mapping::convert(&key, from_column, to_column, mapped.lossy).map_err(|unfit| Cause::Held(unfit.cause))
            }
            None => Err(Cause::Parent(self.links[via].number, from, parent)),
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
    /// Looks up the twins of all parents these rows refer to: one query per foreign key and side.
    pub(super) async fn parents(&self, session: &mut dyn Session, link: &Link, rows: &Both<Vec<&Row>>) -> Result<Parents> {
        let mut parents = Parents::default();
        for (at, field) in link.fields.iter().enumerate() {
            // Of several parts, all are looked up with the first.
            let Some(via) = field.via.filter(|_| field.group(&at).first() == Some(&at)) else { continue };
            for side in Side::BOTH {
                let mut keys: Vec<KeyBytes> =
                    rows[side].iter().filter_map(|row| field.reference(at, row, side)).map(|key| key.encode()).collect();
                keys.sort_unstable();
                keys.dedup();
                for pair in state::by_key(session, &self.integration.links[via], side, &keys).await? {
                    parents.learn(via, &pair);
                }
            }
        }
        Ok(parents)
    }
}
