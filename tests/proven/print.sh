#!/usr/bin/env bash
# ./test --proven [-v]: the table of what is proven: a row for each statement of tests/proven/wanted.txt, a column
# for each engine or pair of databases, in a cell the number of tests that prove it there; `-` is an empty cell,
# `n/a` one that can't apply (why: with -v, which prints the names of the tests too). Exits 1 if a cell is empty or
# a test that wanted.txt names is not there.
#
# It reads the names of tests. A test that was skipped in a run proved nothing in it: ./test says which.
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
names=0
[ "${1:-}" != -v ] || names=1

list=$(mktemp) && trap 'rm -f "$list"' EXIT
cargo test --no-fail-fast -- --list --format terse >"$list" 2>&1 || {
    grep -E '^error' "$list" >&2
    echo "the tests can't be listed" >&2
    exit 2
}
scene=tests/scenarios/scene.rs
awk -v names=$names -v list="$list" -v scene=$scene -f tests/proven/table.awk "$list" $scene tests/proven/wanted.txt
proven=$?

# Counts that tests print: kills at each step of the cycle, blocks of the documentation that are not run.
for test in 'scenarios every_step_is_killed_often_enough' 'docs blocks_that_are_not_run_are_counted'; do
    printf '\n%s\n' "${test#* }"
    # shellcheck disable=SC2086
    cargo test -q --test $test -- --nocapture --format terse 2>/dev/null | grep -Ev '^$|^running|^test result|^\.$' || proven=1
done
exit $proven
