//! Runs whose order of events is written down: for each rule the interleaving that needs it, once and for
//! certain. What they end with is judged as every other run.

use twinrow::model::{Blanks, ConflictPolicy, Deletes, Value};
use twinrow::pipeline::BATCH;

use crate::database::{ENTITY, PARENT, X, Y, entity, raw};
use crate::restore::Restored;
use crate::run::Run;
use crate::session::{REASON, number};
use crate::users::Statement;
use crate::world::{Home, OnDelete, Options, Rounding, Shape, Trouble, World};

pub(crate) const S: usize = 0;
pub(crate) const T: usize = 1;
pub(crate) const TABLE: usize = 0;

/// So many writes are begun before records that refer to each other are gone: both at once, each alone, and both with their
/// references emptied.
const RING_WRITES: usize = 4;

pub(crate) struct Script(pub(crate) Run);

/// Nobody interferes but the script.
pub(crate) fn quiet() -> Options {
    Options { home: Home::Third, crash: 0.0, second: 0.0, away: 0.0, fault: 0.0, abort: 0.0, ..Options::default() }
}

impl Script {
    pub(crate) fn new(options: Options) -> Script {
        let mut run = Run::new(1, options, true);
        run.prepare();
        assert!(run.failed.is_empty(), "{:?}", run.failed);
        Script(run)
    }

    /// A user's transaction, committed.
    pub(crate) fn user<T>(&mut self, at: usize, act: impl FnOnce(&mut Statement, &mut World) -> T) -> T {
        let done = self.open(at, act);
        self.end(at, false);
        done
    }

    /// A user's transaction that stays open.
    pub(crate) fn open<T>(&mut self, at: usize, act: impl FnOnce(&mut Statement, &mut World) -> T) -> T {
        self.0.world().open(at, act)
    }

    pub(crate) fn end(&mut self, at: usize, roll_back: bool) {
        let mut world = self.0.world();
        let last = world.databases[at].users.len() - 1;
        world.end_user(at, last, Some(roll_back));
    }

    /// A new record; its key.
    pub(crate) fn insert(&mut self, at: usize) -> i64 {
        self.user(at, |statement, world| {
            let key = world.databases[at].new_key(TABLE);
            let entity = world.id() as i64;
            add(statement, world, key, entity);
            key
        })
    }

    /// A record under a key; its entity is another one, or the one given.
    pub(crate) fn insert_as(&mut self, at: usize, key: i64, entity: Option<i64>) {
        self.user(at, |statement, world| {
            let entity = entity.unwrap_or_else(|| world.id() as i64);
            add(statement, world, key, entity);
        });
    }

    pub(crate) fn update(&mut self, at: usize, key: i64, field: usize) {
        self.user(at, |statement, world| set(statement, world, at, key, field));
    }

    pub(crate) fn delete(&mut self, at: usize, key: i64) {
        self.user(at, |statement, world| {
            let before = world.databases[at].tables[TABLE].rows[&key].clone();
            statement.delete(world, TABLE, key, &before);
        });
    }

    pub(crate) fn rename(&mut self, at: usize, key: i64, to: i64) {
        self.user(at, |statement, world| {
            let before = world.databases[at].tables[TABLE].rows[&key].clone();
            let number = world.id() as i64;
            statement.give_key(world, TABLE, key, &before, to, number);
        });
    }

    /// The process that was started last, after `step`.
    pub(crate) fn start_until(&mut self, step: &'static str) -> u64 {
        self.0.start(false);
        self.until(self.0.started, step);
        self.0.started
    }

    pub(crate) fn until(&mut self, process: u64, step: &'static str) {
        for _ in 0..10_000 {
            self.0.world().passed = None;
            assert!(self.0.poll(process), "process {process} ended before {step}: {:?}", self.0.failed);
            if self.0.world().passed == Some((process, step)) {
                return;
            }
        }
        panic!("process {process} never came to {step}");
    }

    /// So many steps of a process that may be waiting for another one.
    pub(crate) fn polls(&mut self, process: u64, count: usize) {
        for _ in 0..count {
            self.0.poll(process);
        }
    }

    /// As many cycles as it takes, by a process that ends then.
    pub(crate) fn sync(&mut self) {
        self.0.start(false);
        self.0.cycles(6);
        self.crash();
    }

    pub(crate) fn crash(&mut self) {
        self.0.crash(0);
    }

    pub(crate) fn trouble(&mut self, at: usize, trouble: Trouble) {
        self.0.world().trouble = Some((at, trouble));
    }

    /// The key of a record of a side.
    pub(crate) fn key(&self, at: usize, of: i64) -> Option<i64> {
        let world = self.0.world();
        world.databases[at].tables[TABLE].rows.iter().find(|(_, row)| entity(row) == of).map(|(key, _)| *key)
    }

    pub(crate) fn entity(&self, at: usize, key: i64) -> i64 {
        entity(&self.0.world().databases[at].tables[TABLE].rows[&key])
    }

    /// A record both sides have; its keys.
    pub(crate) fn twins(&mut self) -> [i64; 2] {
        let source = self.insert(S);
        self.sync();
        let of = self.entity(S, source);
        [source, self.key(T, of).expect("its twin was made")]
    }

    pub(crate) fn rows(&self, at: usize) -> Vec<Vec<i64>> {
        self.0.world().databases[at].tables[TABLE].rows.values().map(|row| row.iter().map(raw).collect()).collect()
    }

    pub(crate) fn has(&self, at: usize, key: i64) -> bool {
        self.0.world().databases[at].tables[TABLE].rows.contains_key(&key)
    }

    /// How many records each brake holds.
    pub(crate) fn brakes(&self) -> Vec<i64> {
        let world = self.0.world();
        world.databases[world.home()].own.brake.values().map(|brake| number(&brake[4])).collect()
    }

    /// Whatever waits for a while has waited.
    pub(crate) fn later(&mut self) {
        self.0.world().clock += 4_000;
        self.sync();
    }

    /// Takes away the rows that refer to one of the target's.
    pub(crate) fn empty_family(&mut self, parent: i64) {
        self.user(T, |statement, world| {
            let rows = world.databases[T].tables[1].rows.clone();
            for (key, row) in rows.iter().filter(|(_, row)| row[PARENT] == Value::Int(i128::from(parent))) {
                statement.delete(world, 1, *key, row);
            }
        });
    }

    pub(crate) fn reasons(&self) -> Vec<i64> {
        let world = self.0.world();
        world.databases[world.home()].own.work.values().map(|work| number(&work[REASON])).collect()
    }

    /// Both sides come together, nothing is lost or doubled, and then nothing more is written.
    pub(crate) fn ends_well(mut self) {
        self.0.calm();
        let world = self.0.world();
        let mut wrong = self.0.failed.clone();
        wrong.extend(world.verdict());
        if !wrong.is_empty() {
            let trace = world.trace.clone().unwrap_or_default();
            println!("{}", trace[trace.len().saturating_sub(150)..].join("\n"));
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

pub(crate) fn add(statement: &mut Statement, world: &mut World, key: i64, entity: i64) {
    let number = world.id() as i64;
    statement.add(world, TABLE, key, entity, number);
}

pub(crate) fn set(statement: &mut Statement, world: &mut World, at: usize, key: i64, field: usize) {
    let before = world.databases[at].tables[TABLE].rows[&key].clone();
    let number = world.id() as i64;
    statement.set(world, TABLE, key, &before, field, number);
}

#[test]
fn rule1_a_record_whose_twin_was_locked_comes_again() {
    let mut script = Script::new(quiet());
    let [s, t] = script.twins();
    script.open(T, |statement, world| set(statement, world, T, t, Y));
    script.update(S, s, X);
    script.sync();
    script.end(T, true);
    script.ends_well();
}

#[test]
fn rule1_the_cursor_waits_for_the_work() {
    let mut script = Script::new(quiet());
    script.insert(S);
    script.start_until("apply.begun");
    script.crash();
    script.ends_well();
}

#[test]
fn rule1_logs_are_acknowledged_last() {
    let mut script = Script::new(quiet());
    script.insert(S);
    script.start_until("acknowledge.done");
    script.crash();
    script.ends_well();
}

#[test]
fn rule2_an_absent_row_is_not_a_deleted_one() {
    let mut script = Script::new(Options { limit: 1, ..quiet() });
    let [_, t] = script.twins();
    script.update(T, t, X);
    script.rename(T, t, t + 5);
    script.ends_well();
}

#[test]
fn rule2_a_key_the_unread_log_gave_to_another_record() {
    let mut script = Script::new(Options { limit: 1, reuse: [false, true], ..quiet() });
    let [_, t] = script.twins();
    script.update(T, t, X);
    script.delete(T, t);
    script.insert_as(T, t, None);
    script.ends_well();
}

#[test]
fn rule2_a_retry_asks_the_unread_log_too() {
    let mut script = Script::new(Options { limit: 1, reuse: [true, false], ..quiet() });
    let [s, t] = script.twins();
    let [other, _] = script.twins();
    script.open(T, |statement, world| set(statement, world, T, t, Y));
    script.update(S, s, X);
    script.sync();
    script.end(T, true);
    script.update(S, other, X);
    script.update(S, other, Y);
    script.delete(S, s);
    script.insert_as(S, s, None);
    script.ends_well();
}

#[test]
fn rule2_a_compare_infers_nothing_while_the_log_is_unread() {
    let mut script = Script::new(Options { limit: 1, ..quiet() });
    let [_, t] = script.twins();
    let [_, other] = script.twins();
    for _ in 0..8 {
        script.update(T, other, X);
    }
    script.rename(T, t, t + 5);
    script.0.start(true);
    script.0.cycles(6);
    script.crash();
    script.ends_well();
}

#[test]
fn rule3_what_this_cycle_wrote_is_not_compared_with_older_rows() {
    let mut script = Script::new(quiet());
    let [s, t] = script.twins();
    script.update(S, s, X);
    // So many keys that came and went that the two sides' entries are decided in two batches.
    script.user(S, |statement, world| {
        for n in 0..BATCH as i64 {
            let (key, entity) = (5_000 + n, world.id() as i64);
            add(statement, world, key, entity);
            let before = statement.last().expect("just inserted");
            statement.delete(world, TABLE, key, &before);
        }
    });
    script.update(T, t, X);
    script.ends_well();
}

#[test]
fn rule3_a_key_this_cycle_changed_is_not_looked_up_in_older_rows() {
    let mut script = Script::new(Options { copy: true, ..quiet() });
    let [s, t] = script.twins();
    script.rename(T, t, t + 5_000);
    let process = script.start_until("apply.begun");
    script.update(S, s, X);
    // Busy under the key that the source's row, which wins, does not have.
    script.polls(process, 600);
    script.crash();
    script.ends_well();
}

#[test]
fn rule4_a_take_over_waits_for_a_write_before_it_reads_receipts() {
    let mut script = Script::new(quiet());
    script.insert(S);
    let old = script.start_until("apply.recorded");
    script.0.start(false);
    let new = script.0.started;
    script.polls(new, 300);
    script.polls(old, 300);
    script.polls(new, 300);
    script.ends_well();
}

#[test]
fn rule5_a_base_advances_only_for_what_was_written() {
    let mut script = Script::new(Options { conflict: ConflictPolicy::Merge, ..quiet() });
    let [s, t] = script.twins();
    script.update(S, s, X);
    script.update(T, t, Y);
    // The target has the source's field now, the source not yet the target's.
    script.start_until("apply.absorbed");
    script.crash();
    script.ends_well();
}

#[test]
fn rule5_the_base_is_what_the_database_made_of_it() {
    let mut script = Script::new(Options { rounding: Rounding::Silent, ..quiet() });
    let twins: Vec<[i64; 2]> = (0..4).map(|_| script.twins()).collect();
    for [_, t] in twins {
        script.update(T, t, X);
    }
    script.ends_well();
}

#[test]
fn rule6_entries_that_are_read_again_say_nothing_of_a_later_holder() {
    let mut script = Script::new(Options { reuse: [false, true], ..quiet() });
    let [_, t] = script.twins();
    script.delete(T, t);
    script.insert(S);
    // The new record has the key; then the same entries once more.
    script.start_until("apply.absorbed");
    let again = script.0.started;
    script.until(again, "finish.recorded");
    script.crash();
    script.ends_well();
}

#[test]
fn rule8_a_key_that_is_used_again_inherits_nothing() {
    let mut script = Script::new(Options { reuse: [true, false], deletes: Deletes::Keep, ..quiet() });
    let [s, _] = script.twins();
    script.delete(S, s);
    script.sync();
    script.insert_as(S, s, None);
    script.ends_well();
}

#[test]
fn c4_a_copied_key_that_is_used_again_inherits_nothing() {
    let mut script = Script::new(Options { copy: true, reuse: [true, false], deletes: Deletes::Keep, ..quiet() });
    let [s, _] = script.twins();
    let before = script.rows(T);
    script.delete(S, s);
    script.sync();
    script.insert_as(S, s, None);
    script.sync();
    assert_eq!(script.rows(T), before, "the survivor stays what it was");
    assert_eq!(script.reasons(), [2], "the new one is held");
    // A person makes room.
    script.delete(T, s);
    script.ends_well();
}

#[test]
fn c4_a_copied_key_comes_back_with_its_record() {
    let mut script = Script::new(Options { copy: true, reuse: [true, false], deletes: Deletes::Keep, ..quiet() });
    let [s, _] = script.twins();
    let row = script.0.world().databases[S].tables[TABLE].rows[&s].clone();
    script.delete(S, s);
    script.sync();
    script.user(S, |statement, world| statement.put_back(world, TABLE, s, row));
    script.sync();
    assert_eq!(script.reasons(), [0; 0], "nothing is held");
    script.update(S, s, X);
    script.ends_well();
}

#[test]
fn c4_a_copied_key_waits_until_the_delete_has_travelled() {
    let mut script = Script::new(Options { copy: true, reuse: [true, false], ..quiet() });
    let [s, _] = script.twins();
    script.delete(S, s);
    script.insert_as(S, s, None);
    let of = script.entity(S, s);
    script.sync();
    assert_eq!(script.key(T, of), Some(s), "without waiting for a person");
    script.ends_well();
}

#[test]
fn rule22_records_that_exchange_their_copied_keys() {
    let mut script = Script::new(Options { copy: true, ..quiet() });
    let [one, _] = script.twins();
    let [two, _] = script.twins();
    let of = script.entity(S, one);
    script.user(S, |statement, world| statement.swap(world, TABLE, one, two));
    script.sync();
    assert_eq!(script.key(T, of), Some(two));
    script.ends_well();
}

#[test]
fn c12_records_that_exchange_a_unique_value() {
    let mut script = Script::new(Options { swaps: true, ..quiet() });
    let [[one, _], [two, _]] = [script.twins(), script.twins()];
    let of = [one, two].map(|key| script.entity(S, key));
    script.user(S, |statement, world| statement.exchange(world, TABLE, [one, two], X));
    script.sync();
    let values = |at| of.map(|of| script.rows(at).into_iter().find(|row| row[ENTITY] == of).map(|row| row[X]));
    assert_eq!(values(S), values(T), "{:?}", script.reasons());
    script.ends_well();
}

/// The write is committed, and only its receipts know.
#[test]
fn rule10_receipts_of_exchanged_keys() {
    let mut script = Script::new(Options { copy: true, ..quiet() });
    let [one, _] = script.twins();
    let [two, _] = script.twins();
    script.user(S, |statement, world| statement.swap(world, TABLE, one, two));
    script.start_until("apply.committed");
    script.crash();
    script.ends_well();
}

#[test]
fn rule9_an_entry_is_not_void_because_a_newer_one_names_its_key() {
    let mut script = Script::new(Options { reuse: [true, false], ..quiet() });
    let [s, t] = script.twins();
    let of = script.entity(S, s);
    script.rename(S, s, s + 5);
    script.insert_as(S, s, None);
    script.sync();
    assert_eq!(script.key(T, of), Some(t), "the rename says whose twin it is");
    script.delete(S, s);
    script.insert_as(S, s, None);
    script.ends_well();
}

#[test]
fn rule10_a_write_nobody_heard_of_is_known_by_its_receipt() {
    let mut script = Script::new(quiet());
    script.insert(S);
    script.start_until("apply.committed");
    script.crash();
    script.ends_well();
}

#[test]
fn rule10_nothing_is_decided_while_a_receipt_is_not_absorbed() {
    let mut script = Script::new(quiet());
    script.insert(S);
    let process = script.start_until("apply.committed");
    script.trouble(2, Trouble::Aborted);
    script.polls(process, 600);
    script.ends_well();
}

#[test]
fn rule10_a_lost_answer_to_commit_is_no_refusal() {
    let mut script = Script::new(quiet());
    script.insert(S);
    let process = script.start_until("apply.recorded");
    script.trouble(T, Trouble::AnswerLost);
    script.polls(process, 600);
    script.ends_well();
}

/// Two records that refer to each other, and are deleted in the source; their keys.
fn ring_that_goes() -> (Script, [[i64; 2]; 2]) {
    let mut script = Script::new(Options { shape: Shape::Circle, ..quiet() });
    let keys = [script.twins(), script.twins()];
    for [one, other] in [[0, 1], [1, 0]].map(|pair| pair.map(|at: usize| keys[at][S])) {
        script.user(S, |statement, world| {
            let before = world.databases[S].tables[TABLE].rows[&one].clone();
            statement.refer(world, TABLE, one, &before, Some(other));
        });
    }
    script.sync();
    let referred: Vec<i64> = script.rows(T).iter().map(|row| row[PARENT]).collect();
    assert_eq!(referred, [keys[1][T], keys[0][T]], "a ring there too");
    script.user(S, |statement, world| {
        let mut rows = keys.map(|[key, _]| world.databases[S].tables[TABLE].rows[&key].clone());
        statement.refer(world, TABLE, keys[0][S], &rows[0], None);
        rows[0][PARENT] = Value::Null;
        for at in [1, 0] {
            statement.delete(world, TABLE, keys[at][S], &rows[at]);
        }
    });
    (script, keys)
}

#[test]
fn c15_a_ring_goes_whole_whenever_the_process_ends() {
    for step in ["apply.begun", "apply.written", "apply.recorded", "apply.committed", "apply.absorbed"] {
        let (mut script, _) = ring_that_goes();
        script.start_until(step);
        script.crash();
        script.0.calm();
        assert_eq!(script.rows(T), Vec::<Vec<i64>>::new(), "{step}");
        assert_eq!(script.reasons(), Vec::<i64>::new(), "nothing is left to be done");
        script.ends_well();
    }
}

#[test]
fn c15_a_ring_of_which_one_changes_meanwhile_is_decided_again() {
    // Whichever write it is, of one of them or of both.
    for nth in 1..=RING_WRITES {
        let (mut script, keys) = ring_that_goes();
        let process = script.start_until("apply.begun");
        (1..nth).for_each(|_| script.until(process, "apply.begun"));
        script.update(T, keys[0][T], X);
        script.polls(process, 600);
        script.ends_well();
    }
}

#[test]
fn rule11_a_loser_is_written_down_before_it_is_overwritten() {
    let mut script = Script::new(quiet());
    let [s, t] = script.twins();
    script.update(S, s, X);
    script.update(T, t, X);
    script.start_until("apply.committed");
    script.crash();
    script.ends_well();
}

#[test]
fn rule12_a_changed_survivor_is_kept_before_it_is_deleted() {
    let mut script = Script::new(quiet());
    let [s, t] = script.twins();
    script.update(T, t, X);
    script.delete(S, s);
    script.ends_well();
}

#[test]
fn rule13_a_match_that_appears_before_the_create() {
    let mut script = Script::new(Options { matching: true, ..quiet() });
    let s = script.insert(S);
    let of = script.entity(S, s);
    let process = script.start_until("apply.begun");
    let t = script.0.world().databases[T].new_key(TABLE);
    script.insert_as(T, t, Some(of));
    script.polls(process, 600);
    script.ends_well();
}

#[test]
fn rule13_several_matches_are_held_for_a_person() {
    let mut script = Script::new(Options { matching: true, ..quiet() });
    let s = script.insert(S);
    let of = script.entity(S, s);
    for _ in 0..2 {
        let t = script.0.world().databases[T].new_key(TABLE);
        script.insert_as(T, t, Some(of));
    }
    let before = [script.rows(S), script.rows(T)];
    script.sync();
    assert_eq!([script.rows(S), script.rows(T)], before, "nobody chose");
    assert_eq!(script.reasons(), [2, 2, 2], "all three are held");
}

#[test]
fn rule15_the_brake_holds_until_the_set_is_approved() {
    let mut script = Script::new(Options { brake: true, ..quiet() });
    let twins: Vec<[i64; 2]> = (0..5).map(|_| script.twins()).collect();
    for [s, _] in &twins[..3] {
        script.delete(S, *s);
    }
    script.sync();
    assert_eq!(script.rows(T).len(), 5, "three of five at once wait for a person");
    script.ends_well();
}

/// Five pairs; three are lost in the source, and their twins can't go without rows that a user has given them meanwhile.
fn approved_and_held() -> (Script, Vec<[i64; 2]>) {
    let on_delete = [OnDelete::Restrict, OnDelete::Cascade];
    let mut script = Script::new(Options { brake: true, shape: Shape::Family, on_delete, ..quiet() });
    let twins: Vec<[i64; 2]> = (0..5).map(|_| script.twins()).collect();
    for [s, t] in &twins[..3] {
        script.delete(S, *s);
        script.user(T, |statement, world| {
            let (key, of, number) = (world.databases[T].new_key(1), world.id() as i64, world.id() as i64);
            statement.add_under(world, 1, (key, Value::Int(i128::from(*t))), of, number);
        });
    }
    script.sync();
    assert_eq!(script.brakes(), [3], "three of five at once wait for a person");
    assert!(script.0.approve());
    script.later();
    assert_eq!((script.brakes(), script.rows(T).len()), (vec![], 5), "approved, and held because of the rows that would go too");
    (script, twins)
}

#[test]
fn rule15_what_was_approved_stays_so_while_a_cascade_holds_it() {
    let (mut script, twins) = approved_and_held();
    for _ in 0..5 {
        script.later();
        assert!(!script.0.approve(), "a person is asked again about what they approved");
    }
    for [_, t] in &twins[..3] {
        script.empty_family(*t);
    }
    script.later();
    assert_eq!((script.brakes(), script.rows(T).len()), (vec![], 2), "gone, without being asked for again");
    script.ends_well();
}

#[test]
fn rule15_what_was_approved_goes_though_the_brake_holds_others() {
    let (mut script, twins) = approved_and_held();
    for [s, _] in &twins[3..] {
        script.delete(S, *s);
    }
    script.insert(S);
    script.later();
    assert_eq!(script.brakes(), [2], "only what is new waits for a person");
    script.empty_family(twins[0][1]);
    script.later();
    let left: Vec<bool> = twins.iter().map(|[_, t]| script.has(T, *t)).collect();
    assert_eq!(left, [false, true, true, true, true], "nobody has approved that the last two go");
    script.ends_well();
}

#[test]
fn rule15_an_approval_ends_with_the_row_it_was_given_for() {
    let (mut script, twins) = approved_and_held();
    for [_, t] in &twins[..3] {
        script.update(T, *t, X);
        script.empty_family(*t);
    }
    for _ in 0..2 {
        script.later();
        assert_eq!((script.brakes(), script.rows(T).len()), (vec![3], 5), "nobody has approved that these rows go");
    }
    script.ends_well();
}

#[test]
fn rule15_an_approval_survives_a_crash_while_it_is_written_down() {
    let (mut script, twins) = approved_and_held();
    script.delete(S, twins[3][0]);
    script.delete(S, twins[4][0]);
    script.sync();
    assert_eq!(script.brakes(), [2]);
    assert!(script.0.approve());
    script.start_until("brake.approved");
    script.crash();
    script.later();
    assert!(!script.0.approve(), "a person is asked again about what they approved");
    assert_eq!(twins[3..].iter().filter(|[_, t]| script.has(T, *t)).count(), 0, "both may go");
    script.ends_well();
}

/// Five pairs; three of them are lost, and others are under their keys.
fn keys_used_again(script: &mut Script, lose: impl Fn(&mut Script, &[[i64; 2]])) -> Vec<Vec<i64>> {
    let twins: Vec<[i64; 2]> = (0..5).map(|_| script.twins()).collect();
    let before = script.rows(T);
    lose(script, &twins);
    for [s, _] in &twins[..3] {
        script.insert_as(S, *s, None);
    }
    before
}

#[test]
fn rule15_a_brake_is_not_lifted_because_the_keys_are_used_again() {
    let mut script = Script::new(Options { brake: true, reuse: [true, false], ..quiet() });
    let before = keys_used_again(&mut script, |script, twins| twins[..3].iter().for_each(|[s, _]| script.delete(S, *s)));
    for _ in 0..3 {
        script.sync();
        assert!(before.iter().all(|row| script.rows(T).contains(row)), "three of five at once wait for a person");
    }
    script.ends_well();
}

#[test]
fn a12_an_emptied_table_with_others_under_its_keys_is_under_the_brake() {
    let mut script = Script::new(Options { brake: true, reuse: [true, false], ..quiet() });
    let before = keys_used_again(&mut script, |script, _| script.user(S, |statement, world| statement.truncate(world, TABLE)));
    for _ in 0..3 {
        script.sync();
        assert!(before.iter().all(|row| script.rows(T).contains(row)), "five of five at once wait for a person");
    }
    script.ends_well();
}

#[test]
fn c3_a_kept_survivor_is_not_decided_with_the_next_holder_of_its_key() {
    let mut script = Script::new(Options { reuse: [true, false], deletes: Deletes::Keep, ..quiet() });
    let [s, t] = script.twins();
    script.delete(S, s);
    script.sync();
    script.0.world().options.deletes = Deletes::Delete;
    script.insert_as(S, s, None);
    script.trouble(T, Trouble::Aborted);
    script.sync();
    assert!(script.0.world().databases[T].tables[TABLE].rows.contains_key(&t), "it was kept, and nothing has been lost since");
}

#[test]
fn i7_what_somebody_has_locked_stops_only_itself() {
    let mut script = Script::new(Options { unique: true, matching: true, ..quiet() });
    let sources: Vec<i64> = (0..5).map(|_| script.insert(S)).collect();
    let of = script.entity(S, sources[3]);
    script.open(T, |statement, world| {
        let key = world.databases[T].new_key(TABLE);
        add(statement, world, key, of);
    });
    script.sync();
    assert_eq!(script.rows(T).len(), 4, "only one of them is in doubt");
    script.end(T, true);
    script.ends_well();
}

#[test]
fn rule2_a_lost_record_that_the_unread_log_puts_back_is_not_decided() {
    for matching in [true, false] {
        let mut script = Script::new(Options { limit: 1, matching, reuse: [true, false], ..quiet() });
        let [s, t] = script.twins();
        let of = script.entity(S, s);
        let row = script.0.world().databases[S].tables[TABLE].rows[&s].clone();
        script.delete(S, s);
        match matching {
            // With other values than before.
            true => script.insert_as(S, s, Some(of)),
            false => script.user(S, |statement, world| statement.put_back(world, TABLE, s, row)),
        }
        script.sync();
        assert_eq!(script.key(T, of), Some(t), "its twin is the one it was");
    }
}

#[test]
fn step7_a_row_that_changed_after_it_was_read_is_not_overwritten() {
    let mut script = Script::new(quiet());
    let [s, t] = script.twins();
    script.update(S, s, X);
    let process = script.start_until("apply.begun");
    script.update(T, t, X);
    script.polls(process, 600);
    script.ends_well();
}

#[test]
fn step7_a_key_given_out_again_proves_no_delete() {
    let mut script = Script::new(Options { reuse: [false, true], ..quiet() });
    let of = {
        let t = script.0.world().databases[T].new_key(TABLE) + 6;
        script.insert_as(T, t, None);
        script.sync();
        t
    };
    script.insert(S);
    let process = script.start_until("apply.begun");
    // The next key is the one this record has until now.
    script.rename(T, of, of - 1);
    script.polls(process, 600);
    script.ends_well();
}

#[test]
fn b1_what_a_trigger_does_in_our_transaction_is_no_echo() {
    let mut script = Script::new(Options { trigger: true, ..quiet() });
    script.twins();
    let [s, _] = script.twins();
    script.update(S, s, Y);
    script.ends_well();
}

#[test]
fn c4_an_emptied_table_is_filled_with_other_records() {
    let mut script = Script::new(Options { reuse: [true, true], ..quiet() });
    let [_, t] = script.twins();
    script.user(T, |statement, world| statement.truncate(world, TABLE));
    script.insert_as(T, t, None);
    script.ends_well();
}

#[test]
fn c4_a_new_record_is_given_a_key_of_an_emptied_table() {
    let mut script = Script::new(Options { reuse: [true, true], ..quiet() });
    let [_, t] = script.twins();
    script.user(T, |statement, world| statement.truncate(world, TABLE));
    script.insert_as(T, t + 1, None);
    script.rename(T, t + 1, t);
    script.ends_well();
}

#[test]
fn c4_what_was_inserted_before_a_table_was_emptied_says_nothing_of_who_has_its_key() {
    let mut script = Script::new(Options { limit: 2, deletes: Deletes::Keep, reuse: [true, true], ..quiet() });
    let s = script.insert(S);
    script.user(S, |statement, world| statement.truncate(world, TABLE));
    // This entry is read after the others, and by then its record has changed.
    script.insert_as(S, s, None);
    script.0.start(false);
    script.0.cycles(1);
    script.update(S, s, X);
    script.crash();
    script.sync();
    script.later();
    assert_eq!(script.rows(T).len(), 1, "{:?}", script.reasons());
    script.ends_well();
}

#[test]
fn a27_both_sides_are_emptied_one_after_the_other() {
    let mut script = Script::new(Options { brake: true, ..quiet() });
    for _ in 0..3 {
        script.twins();
    }
    script.user(S, |statement, world| statement.truncate(world, TABLE));
    script.sync();
    assert_eq!(script.rows(T).len(), 3, "the brake holds");
    script.user(T, |statement, world| statement.truncate(world, TABLE));
    script.ends_well();
}

#[test]
fn s0_2_what_a_blank_did_not_clear_is_kept_before_it_is_overwritten() {
    let mut script = Script::new(Options { blanks: Blanks::Keep, ..quiet() });
    let [s, t] = script.twins();
    script.update(T, t, X);
    script.user(S, |statement, world| {
        world.options.blank = 1.0;
        set(statement, world, S, s, X);
        world.options.blank = 0.0;
    });
    script.sync();
    assert_eq!(script.rows(S)[0][X], 0, "the source has none, the target its own");
    script.update(S, s, X);
    script.ends_well();
}

#[test]
fn c3_a_pair_that_lost_its_record_is_decided() {
    let mut script = Script::new(Options { reuse: [true, false], ..quiet() });
    let [s, t] = script.twins();
    script.open(T, |statement, world| set(statement, world, T, t, Y));
    script.delete(S, s);
    script.sync();
    // Its key belongs to another record before its delete could travel.
    script.insert_as(S, s, None);
    script.sync();
    script.end(T, true);
    script.ends_well();
}

#[test]
fn rule2_a_parents_key_the_unread_log_gave_to_another_record() {
    let mut script = Script::new(Options { shape: Shape::Family, limit: 1, reuse: [true, false], ..quiet() });
    let [s, t] = script.twins();
    let [other, _] = script.twins();
    script.update(S, other, X);
    script.update(S, other, Y);
    script.delete(S, s);
    script.insert_as(S, s, None);
    script.user(T, |statement, world| {
        let (key, of, number) = (world.databases[T].new_key(1), world.id() as i64, world.id() as i64);
        statement.add_under(world, 1, (key, Value::Int(i128::from(t))), of, number);
    });
    // The child is read before the log has said that its parent is gone.
    script.ends_well();
}

/// The source falls back to how it was before `act`: a standby takes over that has not got that yet.
fn fail_over(script: &mut Script, act: impl FnOnce(&mut Script)) {
    let before = script.0.world().databases[S].clone();
    act(script);
    script.crash();
    let mut world = script.0.world();
    world.databases[S] = before;
    world.restored = Some(Restored::of(&world));
}

fn is_refused(mut script: Script) {
    script.0.start(false);
    script.0.cycles(1);
    assert!(script.0.failed.is_empty(), "{:?}", script.0.failed);
    assert!(script.0.world().is_refused(&mut Vec::new()), "it goes on with a database that has lost something");
}

#[test]
fn rule17_a_write_that_is_lost_with_its_database_is_noticed() {
    let mut script = Script::new(Options { home: Home::Target, ..quiet() });
    script.twins();
    script.insert(T);
    fail_over(&mut script, |script| {
        script.start_until("apply.absorbed");
    });
    is_refused(script);
}

#[test]
fn rule17_a_change_that_is_lost_after_it_was_carried_is_noticed() {
    let mut script = Script::new(Options { home: Home::Target, ..quiet() });
    script.twins();
    fail_over(&mut script, |script| {
        script.insert(S);
        script.start_until("apply.committed");
    });
    is_refused(script);
}

#[test]
fn a_script_would_notice_a_doubled_record() {
    let mut script = Script::new(quiet());
    let [s, _] = script.twins();
    let of = script.entity(S, s);
    script.insert_as(S, s + 1, Some(of));
    script.sync();
    let world = script.0.world();
    assert!(world.verdict().iter().any(|wrong| wrong.starts_with("doubled")), "e{of}, field {ENTITY}");
}
