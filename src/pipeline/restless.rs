//! Records whose two sides answer each other without end: two jobs that undo each other's work, or two applications that talk
//! with each other by a field of the record.
//!
//! What a trigger makes of a write of ours is read back in that write's own transaction, and is no answer. So an answer is
//! somebody's own transaction, and each value of it is worth as much as any other: none is refused. After so many rounds the
//! record is held for a second, and then it goes on with what stands there; each time after that for twice as long: a talk is
//! hardly held up, and what never ends costs less and less.

use std::collections::{HashMap, VecDeque};

use super::WINDOW_MAX;
use super::finish::PAUSE_MAX_S;
use super::item::Item;
use crate::model::{Base, Both, Fingerprint, Pair};

/// An answer within so many seconds of our write, or in the cycle after it, has come at once.
const AT_ONCE: i64 = 3;

/// The longest pause in seconds, where the two sides have the same values again, and where they have others each time: what goes
/// round in a circle gets nowhere, and a talk may.
const CIRCLE_MAX: i64 = PAUSE_MAX_S;
const TALK_MAX: i64 = 60;

/// Whoever is not held again for so many seconds more than the pause took has come to rest.
const REST: i64 = 60;

/// How long each pair was held the last time, by its id. A process that starts knows of none: they begin with a second.
#[derive(Default)]
pub(super) struct Restless {
    pauses: HashMap<i64, Pause>,
    /// The first cycle of each of the last seconds, as far back as answers come at once.
    seconds: VecDeque<(i64, i64)>,
}

#[derive(Default)]
struct Pause {
    until: i64,
    length: i64,
    values: Both<Option<Fingerprint>>,
}

impl Pause {
    /// Whether it is still held. What lies further ahead was noted by a clock that was.
    fn holds(&self, now: i64) -> bool {
        (1..=self.length).contains(&(self.until - now))
    }

    fn over(&self, now: i64) -> bool {
        now > self.until + self.length + REST
    }

    /// The one after it.
    fn next(&self, values: Both<Option<Fingerprint>>, now: i64) -> Pause {
        let most = if self.values == values { CIRCLE_MAX } else { TALK_MAX };
        let length = if self.over(now) { 1 } else { (self.length * 2).min(most) };
        Pause { until: now + length, length, values }
    }
}

impl Restless {
    /// A cycle begins.
    pub(super) fn next_cycle(&mut self, cycle: i64, now: i64) {
        // (Again, if the clock was set back.)
        self.seconds.retain(|(second, _)| *second <= now);
        if self.seconds.back().is_none_or(|(second, _)| *second < now) {
            self.seconds.push_back((now, cycle));
        }
        while self.seconds.get(1).is_some_and(|(second, _)| *second <= now - AT_ONCE) {
            self.seconds.pop_front();
        }
    }

    /// The rounds of a record are counted anew if this answer did not come at once, or if it has waited on the worklist.
    pub(super) fn rest(&self, item: &mut Item) {
        if let Some(pair) = item.pair.as_mut().filter(|pair| item.todo.recorded || !self.at_once(pair)) {
            pair.bases.iter_mut().flatten().for_each(Base::rest);
        }
    }

    /// Whether a pair was written a moment ago.
    fn at_once(&self, pair: &Pair) -> bool {
        self.seconds.front().is_some_and(|(_, cycle)| pair.cycle >= *cycle)
    }

    /// A record has gone through all its rounds in this field once more: until when it is held, in seconds since 1970.
    pub(super) fn hold(&mut self, item: &Item, field: usize, now: i64) -> i64 {
        let values = Both::from_fn(|side| item.slot[side].row().map(|row| row[field].fingerprint()));
        item.pair.as_ref().map_or(now, |pair| self.hold_pair(pair.id, values, now))
    }

    /// Of more than a window's worth, those that are not known are held as long as any.
    fn hold_pair(&mut self, pair: i64, values: Both<Option<Fingerprint>>, now: i64) -> i64 {
        if self.pauses.len() >= WINDOW_MAX && !self.pauses.contains_key(&pair) {
            self.pauses.retain(|_, pause| !pause.over(now));
            if self.pauses.len() >= WINDOW_MAX {
                return now + CIRCLE_MAX;
            }
        }
        let pause = self.pauses.entry(pair).or_default();
        if !pause.holds(now) {
            *pause = pause.next(values, now);
        }
        pause.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{KeyBytes, PairStatus, Side};
    use crate::pipeline::item::Todo;

    const NOW: i64 = 1_000_000;

    fn values(n: u64) -> Both<Option<Fingerprint>> {
        Both { source: Some(Fingerprint(n)), target: Some(Fingerprint(7)) }
    }

    /// The pauses of a record that never ends, with the values it has at each.
    fn pauses(values: impl Fn(u64) -> Both<Option<Fingerprint>>) -> Vec<i64> {
        let (mut restless, mut now) = (Restless::default(), NOW);
        let mut pause = |round: u64| {
            let began = now;
            now = restless.hold_pair(7, values(round), began);
            assert_eq!(restless.hold_pair(7, values(round), now - 1), now, "it is held already");
            now - began
        };
        (0..14).map(&mut pause).collect()
    }

    #[test]
    fn b7_each_pause_is_twice_the_one_before() {
        assert_eq!(pauses(|_| values(5)), [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]);
        assert_eq!(pauses(values), [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60, 60], "a talk");
    }

    #[test]
    fn b7_an_answer_that_did_not_come_at_once_begins_anew() {
        let mut restless = Restless::default();
        let rounds = |restless: &Restless, cycle: i64| {
            let base = Base { bounces: 9, ..Base::agreed(Fingerprint(1), Fingerprint(1)) };
            let pair = Pair {
                id: 7,
                link: 1,
                key: Both::default(),
                former: Both::default(),
                pos: Both::default(),
                status: PairStatus::Linked,
                ver: 1,
                cycle,
                bases: vec![Some(base), None],
            };
            let now = |recorded: bool| {
                let todo = Todo { recorded, ..Todo::new(Side::Source, KeyBytes::default()) };
                let mut item = Item::of_pair(todo, pair.clone());
                restless.rest(&mut item);
                item.pair.unwrap().bases[0].unwrap().bounces / 2
            };
            assert_eq!(now(true), 0, "it has waited");
            now(false)
        };
        assert_eq!(rounds(&restless, 1), 0, "of another process");
        // A hundred cycles a second, then one of a minute.
        (0..1000).for_each(|cycle| restless.next_cycle(cycle, NOW + cycle / 100));
        assert_eq!([600, 599, 999].map(|cycle| rounds(&restless, cycle)), [4, 0, 4]);
        assert_eq!(restless.seconds.len(), 4);
        restless.next_cycle(1000, NOW + 70);
        restless.next_cycle(1001, NOW + 130);
        assert_eq!([1000, 999].map(|cycle| rounds(&restless, cycle)), [4, 0]);
        restless.next_cycle(1002, NOW);
        assert_eq!([1002, 1001].map(|cycle| rounds(&restless, cycle)), [4, 0], "the clock was ahead");
    }

    #[test]
    fn b7_what_has_come_to_rest_begins_with_a_second() {
        let mut restless = Restless::default();
        let first = restless.hold_pair(7, values(5), NOW);
        assert_eq!(restless.hold_pair(8, values(5), first) - first, 1, "another one");
        let second = restless.hold_pair(7, values(5), first);
        let later = second + 2 + REST + 1;
        assert_eq!((second - first, restless.hold_pair(7, values(5), later) - later), (2, 1));
        let set_back = NOW - 1_000;
        assert_eq!(restless.hold_pair(8, values(5), set_back) - set_back, 2, "the clock was ahead");
    }

    #[test]
    fn b7_no_more_is_remembered_than_a_window_holds() {
        let mut restless = Restless::default();
        let window = i64::try_from(WINDOW_MAX).unwrap();
        for pair in 0..window {
            assert_eq!(restless.hold_pair(pair, values(5), NOW), NOW + 1);
        }
        assert_eq!(restless.hold_pair(window, values(5), NOW), NOW + CIRCLE_MAX);
        assert_eq!((restless.hold_pair(5, values(5), NOW + 1), restless.pauses.len()), (NOW + 3, WINDOW_MAX));
        let later = NOW + REST + 3;
        assert_eq!((restless.hold_pair(window, values(5), later), restless.pauses.len()), (later + 1, 2));
    }
}
