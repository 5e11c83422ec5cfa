//! From seeds to verdicts.

use twinrow::model::Deletes;

use crate::options::{Home, Options};
use crate::run::run;
use crate::world::Chance;

/// So many tests share the seeds that are asked for.
const TESTS: u64 = 38;

/// How many seeds a test runs: `TWINROW_SEEDS` in all, spread evenly; else `count`.
fn count(count: u64, tests: u64) -> u64 {
    std::env::var("TWINROW_SEEDS").ok().and_then(|seeds| seeds.parse::<u64>().ok()).map_or(count, |seeds| seeds.div_ceil(tests))
}

/// Runs many seeds, or the one that `TWINROW_SEED` names; tells the first failing runs.
pub fn seeds(test: &str, default: u64, make: impl Fn(&mut Chance) -> Options) {
    let one = std::env::var("TWINROW_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let list: Vec<u64> = one.map_or_else(|| (0..count(default, TESTS)).collect(), |seed| vec![seed]);
    let (mut failed, mut ran) = (Vec::new(), 0);
    for seed in &list {
        ran += 1;
        let options = make(&mut Chance::new(seed ^ 0xabcd));
        let outcome = run(*seed, options.clone(), false);
        if !outcome.wrong.is_empty() {
            failed.push((*seed, options, outcome.wrong));
            if std::env::var_os("TWINROW_STOP").is_some() {
                break;
            }
        }
    }
    if let Some((seed, options, _)) = failed.first() {
        let told = run(*seed, options.clone(), true);
        let from = told.trace.len().saturating_sub(trace_length());
        println!("{}", told.trace[from..].join("\n"));
    }
    for (seed, options, wrong) in failed.iter().take(10) {
        println!("seed {seed} {options:?}\n  {}", wrong.join("\n  "));
    }
    let numbers: Vec<String> = failed.iter().map(|(seed, ..)| seed.to_string()).collect();
    assert!(
        failed.is_empty(),
        "{} of {} seeds failed: {}\nagain: TWINROW_SEED={} cargo test --test simulation {test}",
        failed.len(),
        ran,
        numbers.join(" "),
        numbers.first().map_or("", String::as_str)
    );
}

fn trace_length() -> usize {
    std::env::var("TWINROW_TRACE").ok().and_then(|lines| lines.parse().ok()).unwrap_or(150)
}

/// The variety every test has: where the state lives, how keys are given out, how much is read at a time.
pub fn any(chance: &mut Chance) -> Options {
    Options {
        home: *chance.pick(&[Home::Source, Home::Target, Home::Third]),
        fault: *chance.pick(&[0.001, 0.001, 0.01]),
        limit: *chance.pick(&[3, 8, 20_000]),
        room: *chance.pick(&[2, 3, usize::MAX]),
        scan: if chance.one_in(0.3) { 0.15 } else { 0.0 },
        ..Options::default()
    }
}

/// As [`any`], with deletes that do not travel.
pub fn keeping(chance: &mut Chance) -> Options {
    Options { deletes: *chance.pick(&[Deletes::Keep, Deletes::Recreate]), ..any(chance) }
}
