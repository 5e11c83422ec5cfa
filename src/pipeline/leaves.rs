//! Leaves: what is to be deleted goes leaf by leaf, and takes nothing along.

use std::collections::{HashMap, HashSet};

use super::apply::Do;
use super::item::Item;
use super::job::{Job, done, kept_by_itself};
use super::knots::references;
use crate::endpoint::{Outcome, Reach, Write};
use crate::error::Result;
use crate::model::{Key, KeyBytes};

impl Job<'_> {
    /// Deletes what takes nothing along that nobody has decided about (rule 18); what stays is returned. Children in
    /// other tables went before. In a tree, one leaf after the other falls, for most engines look at the rows of a statement
    /// one by one: what still has rows below it when nothing more can go stays.
    pub(super) async fn delete(&mut self, write: &mut dyn Write, items: &[Item], jobs: &[(usize, Do)]) -> Result<HashSet<usize>> {
        let deletes = jobs.iter().filter(|(_, what)| matches!(what, Do::Delete));
        let mut open: Vec<(usize, Key)> = deletes.filter_map(|(at, _)| Some((*at, self.key_of(&items[*at])?))).collect();
        let above: HashMap<usize, Vec<KeyBytes>> = open.iter().map(|(at, key)| (*at, self.above(&items[*at], key))).collect();
        let mut stays = HashSet::new();
        while !open.is_empty() {
            let referred: HashSet<&KeyBytes> = open.iter().flat_map(|(at, _)| &above[at]).collect();
            let (mut next, mut rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, key)| !referred.contains(&key.encode()));
            if next.is_empty() {
                // A ring: perhaps the server lets it go at once.
                std::mem::swap(&mut next, &mut rest);
            }
            let reach = self.reach(write, &next).await?;
            let (free, held): (Vec<_>, Vec<_>) = next.into_iter().zip(reach).partition(|(_, reach)| *reach == Reach::Row);
            if free.is_empty() {
                let reach = self.reach(write, &rest).await?;
                let all = held.into_iter().chain(rest.into_iter().zip(reach));
                stays.extend(all.map(|((at, _), reach)| self.stays(at, &reach)));
                break;
            }
            let (order, keys): (Vec<usize>, Vec<Key>) = free.into_iter().map(|(one, _)| one).unzip();
            let mut kept = Vec::new();
            for (one, outcome) in order.into_iter().zip(keys.clone()).zip(write.delete(self.collection(), &keys).await?) {
                match outcome {
                    Outcome::Stale => kept.push(one),
                    outcome => done(outcome).map(|_| ())?,
                }
            }
            stays.extend(self.kept(write, kept).await?);
            rest.extend(held.into_iter().map(|(one, _)| one));
            open = rest;
        }
        Ok(stays)
    }

    /// Those that a delete has left where they are: the others go.
    async fn kept(&mut self, write: &mut dyn Write, these: Vec<(usize, Key)>) -> Result<Vec<usize>> {
        let keys: Vec<Key> = these.iter().map(|(_, key)| key.clone()).collect();
        let locked = if keys.is_empty() { Vec::new() } else { write.lock(self.collection(), &keys).await? };
        let mut kept = Vec::new();
        for ((at, _), locked) in these.into_iter().zip(locked) {
            if locked.is_some() {
                self.refused.push((at, kept_by_itself(self.collection(), "deleted")));
                kept.push(at);
            } else {
                // A row that refers to it is on its way.
                kept.push(self.stays(at, &Reach::Locked));
            }
        }
        Ok(kept)
    }

    async fn reach(&self, write: &mut dyn Write, these: &[(usize, Key)]) -> Result<Vec<Reach>> {
        let keys: Vec<Key> = these.iter().map(|(_, key)| key.clone()).collect();
        if keys.is_empty() { Ok(Vec::new()) } else { write.reach(self.collection(), &keys).await }
    }

    /// The keys of the records of its own table that a record refers to.
    fn above(&self, item: &Item, key: &Key) -> Vec<KeyBytes> {
        let own = key.encode();
        let others = references(self.link, item, self.side).filter(|(via, parent, _)| *via == self.at && *parent != own);
        others.map(|(_, parent, _)| parent).collect()
    }

    /// Why a row is not deleted.
    fn stays(&mut self, at: usize, reach: &Reach) -> usize {
        let side = self.side;
        match reach {
            Reach::Row | Reach::Locked => self.busy(at, "a row that refers to it is being written"),
            Reach::Cascades(child) => {
                let cause =
                    format!("deleting it in the {side} would also delete rows of {child} (on delete cascade), which stay");
                self.refused.push((at, cause));
            }
            Reach::Hidden(child) => {
                let cause = format!(
                    "deleting it in the {side} may also delete rows of {child} (on delete cascade), which can't be read: \
                     grant select on {child} to this login"
                );
                self.refused.push((at, cause));
            }
        }
        at
    }
}
