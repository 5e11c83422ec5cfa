#!/usr/bin/env bash
# Breaks one rule at a time in a private copy of the tree, and expects named tests to notice.
#
#   tests/mutants/run.sh            all patches of this directory
#   tests/mutants/run.sh NAME...    some of them
#
# The head of a patch, above its diff:
#   breaks: the rule, in words
#   test: BINARY NAME    a test that goes red, in tests/BINARY or, as `unit`, beside the code; if there
#                        are several, the first one that does is enough
#   server: NAME         a server the tests need, as tests/servers/up.sh knows it
#
# A patch is caught if one of its tests passes without it and fails with it; what does not compile,
# names no test or skips it catches nothing. A simulation stops at its first failing seed.
# The copy and what is compiled for it stay in the cache, so that the next run compiles the crate only.
set -u -o pipefail
at=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../servers/lib.sh
. "$at/../servers/lib.sh"

least=20 # fewer patches prove too little
copy=$cache/mutants/tree
export CARGO_TARGET_DIR=$cache/mutants/target CARGO_TERM_COLOR=never TWINROW_STOP=1 TWINROW_TRACE=0
unset TWINROW_SEED TWINROW_SEEDS
command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

whole=''
if [ $# = 0 ]; then
    whole=1
    for patch in "$at"/*.patch; do set -- "$@" "$(basename "$patch" .patch)"; done
fi
mkdir -p "$copy"
exec 9>"$cache/mutants/lock"
flock -n 9 || say "another run breaks its copy; waiting for it"
flock 9
run=$(mktemp -d "${TMPDIR:-/tmp}/twinrow-mutants.XXXXXX") || exit 1
chmod 711 "$run" # the servers run as users of their own
trap '[ ! -d "$run/servers/tls" ] || "$here/down.sh" "$run/servers"; rm -rf "$run"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
export TWINROW_TEST_SKIPS=$run/skips

# head_of PATCH WORD: what follows WORD in the head of a patch, a line each.
head_of() { sed -n "/^diff /q; s/^$2: *//p" "$at/$1.patch"; }

# The tree as it is now: it may be edited meanwhile.
(cd "$repo" && git ls-files -z --cached --others --exclude-standard) | sort -z | while IFS= read -r -d '' file; do
    if [ -f "$repo/$file" ]; then printf '%s\0' "$file"; fi
done >"$run/files" || exit 1
mkdir "$run/tree" && (cd "$repo" && tar -cf - --null -T "$run/files") | tar -xf - -C "$run/tree" || exit 1

at=$run/tree/tests/mutants

# The copy is as the tree was. Only what differs is touched, for the compiler goes by time.
restore() {
    (cd "$copy" && find . -type f -printf '%P\0' | sort -z | comm -z -13 "$run/files" - | xargs -0r rm -f)
    while IFS= read -r -d '' file; do
        cmp -s "$run/tree/$file" "$copy/$file" && continue
        mkdir -p "$(dirname "$copy/$file")" && cp "$run/tree/$file" "$copy/$file" || return 1
    done <"$run/files"
}

# try BINARY NAME...: runs these tests of the copy. Sets result: green, red, or in words what is wrong.
try() {
    local binary="--test $1" count log=$run/log
    [ "$1" != unit ] || binary=--lib
    shift
    : >"$TWINROW_TEST_SKIPS"
    # shellcheck disable=SC2086
    if ! (cd "$copy" && nice cargo test $binary --no-run) >"$log" 2>&1; then
        result="does not compile: $(grep -m 1 '^error' "$log")"
        return
    fi
    # shellcheck disable=SC2086
    (cd "$copy" && timeout -k 5 600 nice cargo test $binary -- --exact "$@") >"$log" 2>&1
    [ $? != 124 ] || { result='does not end' && return; }
    count=$(sed -n 's/^running \([0-9]*\) tests*$/\1/p' "$log")
    if [ "${count:-0}" != $# ]; then
        result="no such test: $*"
    elif [ -s "$TWINROW_TEST_SKIPS" ]; then
        result="skipped: $(head -n 1 "$TWINROW_TEST_SKIPS")"
    elif grep -q '^test result: FAILED' "$log"; then
        result=red
    elif grep -q '^test result: ok' "$log"; then
        result=green
    else
        result='ended without a result'
    fi
}

# What the tests need, and that they pass.
restore || exit 1
servers=$(for name; do head_of "$name" server; done | sort -u)
if [ -n "$servers" ]; then
    # shellcheck disable=SC2086
    "$here/up.sh" "$run/servers" $servers || exit 1
    # shellcheck source=/dev/null
    . "$run/servers/env"
fi
for name; do head_of "$name" test; done | sort -u >"$run/tests"
for binary in $(cut -d ' ' -f 1 "$run/tests" | uniq); do
    mapfile -t tests < <(sed -n "s/^$binary //p" "$run/tests")
    try "$binary" "${tests[@]}"
    if [ "$result" != green ]; then
        say "$binary, with nothing broken: $result"
        grep -E '^(error|test .* FAILED|warning: unused)' "$run/log" >&2
        exit 1
    fi
    echo "green with nothing broken: ${#tests[@]} of $binary"
done

caught=0 missed=0
for name; do
    began=$SECONDS
    verdict=missed by=''
    restore || exit 1
    if ! (cd "$copy" && patch -s -p1 --no-backup-if-mismatch) <"$at/$name.patch" >"$run/log" 2>&1; then
        by='the patch does not apply'
    fi
    while read -r binary test && [ -z "$by" ]; do
        try "$binary" "$test"
        [ "$result" = red ] || { [ "$result" = green ] || by=$result; continue; }
        seeds=$(sed -n 's/^1 of \([0-9]*\) seeds failed.*/\1/p' "$run/log")
        verdict=caught by="$binary $test${seeds:+, after $seeds seeds}"
    done < <(head_of "$name" test)
    [ $verdict = missed ] && missed=$((missed + 1)) || caught=$((caught + 1))
    printf '%-7s %-36s %s (%s s)\n' $verdict "$name" "${by:-nothing was red: $(head_of "$name" test | paste -sd ';')}" $((SECONDS - began))
done
restore
[ -z "$whole" ] || [ $# -ge $least ] || { say "$# patches are fewer than $least" && missed=$((missed + 1)); }
echo "$caught caught, $missed missed"
[ $missed = 0 ]
