//! What a plan foresees: which records without a twin will have one, because the same run gives it to them before their children
//! come.
//!
//! A plan writes nothing, so the map does not tell. The parents of each batch are decided with it, and their parents; what
//! is foreseen is forgotten with the batch.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;

use super::Pipeline;
use super::batch::Queue;
use super::capture::Moment;
use super::item::{Item, Todo};
use super::translate::Foreseen;
use crate::error::Result;
use crate::model::{KeyBytes, Side};
use crate::reconcile::Action;
use crate::sql::Session;

/// How many levels of parents above a batch are looked at.
const LEVELS_MAX: usize = 24;

/// How many looks a batch takes in all: in a ring, what leads nowhere would be asked about over and over.
const LOOKS_MAX: usize = 100;

/// By the place of a link and side: keys that records refer to.
type Referred = BTreeMap<(usize, Side), BTreeSet<KeyBytes>>;

impl Pipeline {
    /// Decides the parents of these records that have no twin, and remembers those that will have one.
    pub(super) fn foresee<'a>(
        &'a mut self,
        session: &'a mut dyn Session,
        moment: &'a mut Moment,
        link_at: usize,
        items: &'a [Item],
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async move {
            if self.levels == LEVELS_MAX || self.looks == LOOKS_MAX {
                return Ok(());
            }
            self.levels += 1;
            self.looks += 1;
            let referred = self.referred(link_at, items);
            for ((via, side), keys) in referred {
                self.foresee_parents(session, moment, via, side, keys).await?;
            }
            self.levels -= 1;
            Ok(())
        })
    }

    /// The records that will have a twin which is yet to be created.
    pub(super) fn to_come(&self) -> impl Iterator<Item = (usize, Side, KeyBytes)> {
        let all = self.foreseen.iter().chain(&self.supposed.resolved);
        all.filter(|(_, twin)| matches!(twin, Foreseen::ToCome)).map(|(name, _)| name.clone())
    }

    /// No higher than the parents' parents: who is above was looked at, or will be.
    pub(super) fn look_no_higher(&mut self) {
        self.levels = LEVELS_MAX - 2;
    }

    /// With the batch.
    pub(super) fn forget_foreseen(&mut self) {
        self.foreseen.clear();
        (self.levels, self.looks) = (0, 0);
    }

    /// Whom these records refer to, but for those of whom it is known already.
    fn referred(&self, link_at: usize, items: &[Item]) -> Referred {
        let integration = self.integration.clone();
        let link = &integration.links[link_at];
        let mut referred = Referred::new();
        for (at, field) in link.fields.iter().enumerate() {
            let Some(via) = field.via.filter(|_| field.group(&at).first() == Some(&at)) else { continue };
            for side in Side::BOTH {
                let rows = items.iter().filter_map(|item| item.slot[side].row());
                let keys = rows.filter_map(|row| field.reference(at, row, side)).map(|key| key.encode());
                let new = keys.filter(|key| {
                    let name = (via, side, key.clone());
                    !self.foreseen.contains_key(&name) && !self.supposed.resolved.contains_key(&name)
                });
                referred.entry((via, side)).or_default().extend(new);
            }
        }
        referred
    }

    async fn foresee_parents(
        &mut self,
        session: &mut dyn Session,
        moment: &mut Moment,
        via: usize,
        side: Side,
        mut keys: BTreeSet<KeyBytes>,
    ) -> Result<()> {
        let integration = self.integration.clone();
        let link = &integration.links[via];
        if keys.is_empty() || !self.goes(via) {
            return Ok(());
        }
        let asked: Vec<KeyBytes> = keys.iter().cloned().collect();
        let pairs = self.pairs_by_key(session, link, side, &asked).await?;
        let paired: BTreeSet<KeyBytes> = pairs.into_iter().filter_map(|pair| pair.key[side].clone()).collect();
        keys.retain(|key| !paired.contains(key));
        let todo = |key: KeyBytes| Todo { pos: moment.last(via, side, &key), ..Todo::new(side, key) };
        let mut queue = Queue { todos: keys.into_iter().map(todo).collect(), pairs: Vec::new() };
        while queue.len() > 0 {
            let part = queue.take(self.fit(link));
            let mut batch = self.decide(session, moment, via, part).await?;
            queue.put_back(std::mem::take(&mut batch.later));
            self.brake(link, &mut batch);
            for item in batch.items {
                if let Some(twin) = foreseen(&item) {
                    self.foreseen.insert((via, side, item.todo.key), twin);
                }
            }
        }
        Ok(())
    }
}

/// What will be of a record.
pub(super) fn foreseen(item: &Item) -> Option<Foreseen> {
    match (&item.decision.as_ref()?.action, &item.pair) {
        (Action::Create(..), _) => Some(Foreseen::ToCome),
        (Action::Update(_) | Action::Ignore | Action::Report, Some(pair)) => Some(Foreseen::Found(Box::new(pair.clone()))),
        _ => None,
    }
}
