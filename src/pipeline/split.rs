//! Split: a batch that is refused is tried in parts, until what is refused stands alone (I7).

use std::collections::VecDeque;

use super::Pipeline;
use super::apply::{Fate, moves, still_to_write, written};
use super::batch::Batch;
use super::capture::Moment;
use super::exchange::Exchange;
use super::item::Item;
use super::parking::{Parked, Parking};
use crate::error::{Error, Kind, Result};
use crate::model::{Link, Side};

/// More refusals than this in one batch, and the rest of it is tried in parts no smaller than [`PART_MIN`], and comes again
/// later: something is wrong with most of them (F7).
const REFUSALS_MAX: usize = 100;

/// Whoever stands behind those that are refused goes in such a part, and what is left over comes again without them.
const PART_MIN: usize = 32;

/// For so many seconds of a cycle, batches that are refused are tried in smaller parts.
const SPLIT_S: i64 = 20;

/// Why a record is not tried while another one stays as it is.
const WAITS: &str = "another record has a unique value that it gets, or refers to it, and has to go first";

/// What of a side is still to be tried.
struct Tries {
    parts: VecDeque<Vec<usize>>,
    /// Who passes unique values on to whom: looked into once something was refused.
    exchange: Option<Exchange>,
    refusals: usize,
    /// Refused for a unique value that another record has.
    blocked: Vec<usize>,
    /// To be tried again when the link's other batches were.
    again: Vec<usize>,
}

impl Tries {
    fn of(all: Vec<usize>) -> Tries {
        Tries { parts: VecDeque::from([all]), exchange: None, refusals: 0, blocked: Vec::new(), again: Vec::new() }
    }

    /// Two parts of one, next.
    fn put_back(&mut self, first: &[usize], second: &[usize]) {
        self.parts.push_front(second.to_vec());
        self.parts.push_front(first.to_vec());
    }

    /// After the first refusal: all that is left, this part too, in the order in which values become free and nobody refers
    /// to who goes. `false`: none of them has to do with another one.
    fn order(&mut self, link: &Link, at: usize, side: Side, items: &[Item], part: &[usize]) -> bool {
        if self.exchange.is_some() {
            return false;
        }
        let left: Vec<usize> = part.iter().chain(self.parts.iter().flatten()).copied().collect();
        let exchange = self.exchange.insert(Exchange::of(link, at, side, items, &left));
        if exchange.is_empty() {
            return false;
        }
        self.parts = exchange.parts(items).into_iter().filter(|part| !part.is_empty()).collect();
        true
    }

    fn halves<'a>(&self, part: &'a [usize]) -> Option<(&'a [usize], &'a [usize])> {
        match &self.exchange {
            Some(exchange) => exchange.halves(part),
            None => (part.len() > 1).then(|| part.split_at(part.len() / 2)),
        }
    }

    /// A record, or a ring, is refused, and with it whoever is to get a value of it. `moves`: who gets another key.
    fn refuse(&mut self, part: &[usize], side: Side, moves: impl Fn(usize) -> bool, error: &Error, fates: &mut [Fate]) {
        self.refusals += 1;
        for at in part {
            let cause = match part {
                [_] => error.message().to_owned(),
                _ if moves(*at) => not_given_away(side, error),
                _ => format!("it and others can only go together, and together they are refused: {}", error.message()),
            };
            fates[*at] = Fate::Refused(cause);
        }
        let waiting = self.exchange.as_ref().map(|exchange| exchange.waiting_for(part)).unwrap_or_default();
        for left in &mut self.parts {
            for at in left.extract_if(.., |at| waiting.contains(at)) {
                fates[at] = Fate::Busy(WAITS.to_owned());
                self.again.push(at);
            }
        }
        self.parts.retain(|left| !left.is_empty());
        if error.kind() == Kind::Duplicate {
            self.blocked.extend_from_slice(part);
        }
    }
}

impl Pipeline {
    /// Writes one side of a batch: together, and if the server refuses, in ever smaller parts until the
    /// bad record stands alone. Returns those that are worth another try in this cycle: what is in their way may be gone then.
    pub(super) async fn write_side(
        &mut self,
        moment: &mut Moment,
        link_at: usize,
        side: Side,
        batch: &mut Batch,
        fates: &mut [Fate],
    ) -> Result<Vec<usize>> {
        let all = still_to_write(side, batch, fates);
        if all.is_empty() {
            return Ok(all);
        }
        let integration = self.integration.clone();
        let link = &integration.links[link_at];
        let mut tries = Tries::of(all);
        while let Some(part) = tries.parts.pop_front() {
            let who = tries.exchange.as_ref().map(|exchange| exchange.let_go_first(&part)).unwrap_or_default();
            let parking = Parking { who, what: Parked::Keys };
            let error = match self.attempt(moment, link_at, side, batch, &part, fates, &parking).await {
                Ok(()) => continue,
                Err(error) => error,
            };
            let halves = tries.halves(&part);
            let several = halves.filter(|_| self.may_split());
            match (error.kind(), several) {
                (Kind::Rejected | Kind::Duplicate, Some(_)) if tries.order(link, link_at, side, &batch.items, &part) => {}
                (Kind::Rejected | Kind::Duplicate, Some((first, second)))
                    if tries.refusals < REFUSALS_MAX || part.len() > PART_MIN =>
                {
                    tries.put_back(first, second);
                }
                // Somebody's lock holds one of them: the large parts first, so that as many as can be are written in the
                // time there is.
                (Kind::Retry, Some((first, second))) => tries.parts.extend([first.to_vec(), second.to_vec()]),
                (Kind::Rejected | Kind::Duplicate, _) if halves.is_none() => {
                    tries.refuse(&part, side, |at| moves(link, side, &batch.items[at]), &error, fates);
                }
                // Only what takes a key depends on what others hold: the rest goes on without it.
                (Kind::Stale, _) if part.iter().any(|at| self.takes_key(link_at, side, &batch.items[*at])) => {
                    let takes = |at: &&usize| self.takes_key(link_at, side, &batch.items[**at]);
                    let (new, rest): (Vec<usize>, Vec<usize>) = part.iter().partition(takes);
                    new.iter().for_each(|at| fates[*at] = Fate::Busy(error.message().to_owned()));
                    tries.parts.extend((!rest.is_empty()).then_some(rest));
                }
                (Kind::Retry | Kind::Stale | Kind::Rejected | Kind::Duplicate, _) => {
                    tracing::debug!(link = link.name, %error, "comes again");
                    part.iter().for_each(|at| fates[*at] = Fate::Busy(error.message().to_owned()));
                }
                _ => return Err(error.context(format!("link {}", link.name))),
            }
        }
        self.swap(moment, link_at, side, batch, &tries, fates).await?;
        let updates = |at: &usize| fates[*at] != Fate::Written && !written(&batch.items[*at], side).is_empty();
        Ok(tries.again.iter().chain(tries.blocked.iter().filter(|at| updates(at))).copied().collect())
    }

    /// Each look for a record that is in the way may take a lock time-out, and meanwhile the windows stand open, which
    /// servers end after a while: so a cycle looks for so long, and the rest comes again.
    fn may_split(&mut self) -> bool {
        let now = self.door.now();
        now < *self.split_until.get_or_insert(now + SPLIT_S)
    }

    /// Records that stand in each other's way by unique values, though only the server sees it: to it `a` and `A` may be the
    /// same, or an index is not over whole columns, or not over all rows. Each ring that they seem to be in by itself, then all
    /// that are left.
    async fn swap(
        &mut self,
        moment: &mut Moment,
        link_at: usize,
        side: Side,
        batch: &mut Batch,
        tries: &Tries,
        fates: &mut [Fate],
    ) -> Result<()> {
        let updates = |at: &&usize| !written(&batch.items[**at], side).is_empty();
        let blocked: Vec<usize> = tries.blocked.iter().filter(updates).copied().collect();
        if blocked.len() < 2 {
            return Ok(());
        }
        for ring in Exchange::supposed(side, &batch.items, &blocked).rings() {
            for what in [Parked::All, Parked::AllByValues] {
                if !self.may_split() || self.go_together(moment, link_at, side, batch, &ring, fates, what).await?.is_none() {
                    break;
                }
            }
        }
        let takes = |at: &usize| tries.exchange.as_ref().is_some_and(|exchange| exchange.takes(*at));
        let left = |at: &usize| fates[*at] != Fate::Written && !takes(at);
        let rest: Vec<usize> = blocked.into_iter().filter(left).collect();
        if rest.len() < 2 {
            return Ok(());
        }
        if let Some(error) = self.go_together(moment, link_at, side, batch, &rest, fates, Parked::Keys).await? {
            for at in rest.into_iter().filter(|at| moves(&self.integration.links[link_at], side, &batch.items[*at])) {
                fates[at] = Fate::Refused(not_given_away(side, &error));
            }
        }
        Ok(())
    }

    /// Writes these together, all of which let go first; returns why they could not go.
    #[allow(clippy::too_many_arguments)] // As `attempt`.
    async fn go_together(
        &mut self,
        moment: &mut Moment,
        link_at: usize,
        side: Side,
        batch: &mut Batch,
        these: &[usize],
        fates: &mut [Fate],
        what: Parked,
    ) -> Result<Option<Error>> {
        let before = fates.to_vec();
        let parking = Parking { who: these.iter().copied().collect(), what };
        match self.attempt(moment, link_at, side, batch, these, fates, &parking).await {
            Ok(()) => Ok(None),
            Err(error) if matches!(error.kind(), Kind::Rejected | Kind::Duplicate | Kind::Retry | Kind::Stale) => {
                fates.clone_from_slice(&before);
                Ok(Some(error))
            }
            Err(error) => Err(error),
        }
    }
}

/// Why a record does not get its new key.
fn not_given_away(side: Side, error: &Error) -> String {
    format!("its new key is another record's in the {side}, which can't give it away first: {}", error.message())
}
