//! References that were just written, once more before they are committed: the key of a parent may have been given to another
//! record since the rows were read (rules 2 and 3, C4).

use super::Pipeline;
use super::apply::Do;
use super::capture::Moment;
use super::job::{Done, may_come_twice};
use crate::endpoint::{MovedBy, Write};
use crate::error::{Error, Kind, Result};
use crate::model::{Field, Key, Side};

impl Pipeline {
    /// Whether every parent that was written is still the one that was meant. From here on it stays so, where the database knows
    /// the foreign key: a row refers to it.
    ///
    /// Only where a key may have a second holder: elsewhere the foreign key refuses what is gone.
    ///
    /// # Errors
    /// [`Kind::Stale`] if others have taken a key from its record: the reference comes again when the log was read.
    pub(super) async fn check_parents(
        &self,
        write: &mut dyn Write,
        moment: &Moment,
        link_at: usize,
        side: Side,
        done: &[Done],
    ) -> Result<()> {
        let links = &self.integration.links;
        for (at, field) in links[link_at].fields.iter().enumerate() {
            // All parts of a foreign key are looked at with the first.
            let Some(via) = field.via.filter(|_| field.group(&at).first() == Some(&at)) else { continue };
            let parents = &links[via];
            if !may_come_twice(parents, side) || !self.goes(via) {
                continue;
            }
            let keys = written_parents(field, at, side, done);
            if keys.is_empty() {
                continue;
            }
            let known = moment.known(via, parents, side);
            let moved = write.moved(&parents.collection[side], &keys, &known.position, &known.receipt, MovedBy::Others).await?;
            if !moved.is_empty() {
                return Err(Error::new(Kind::Stale, "the key of its parent may be another record's since it was read"));
            }
        }
        Ok(())
    }
}

/// The keys of the parents that references lead to which were just written.
fn written_parents(field: &Field, at: usize, side: Side, done: &[Done]) -> Vec<Key> {
    let wrote = |done: &&Done| match &done.what {
        Do::Create(_) => true,
        Do::Update(fields) => fields.iter().any(|(written, _)| field.group(&at).contains(written)),
        Do::Delete => false,
    };
    done.iter().filter(wrote).filter_map(|done| field.reference(at, &done.stored, side)).collect()
}
