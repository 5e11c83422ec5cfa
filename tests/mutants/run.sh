#!/bin/sh
# Breaks one rule at a time in a copy of the tree, and expects the simulation to notice.
#
#   tests/mutants/run.sh            all patches
#   tests/mutants/run.sh NAME...    some of them
#
# Compiled crates are shared with the tree's own target directory.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
unset TWINROW_SEED || :

if [ $# -eq 0 ]; then
  for patch in "$root"/tests/mutants/*.patch; do
    set -- "$@" "$(basename "$patch" .patch)"
  done
fi

caught=0
missed=0
printf '%-36s %-7s %s\n' mutant result 'caught by'
for name in "$@"; do
  patch=$root/tests/mutants/$name.patch
  test=$(sed -n '1s/.*caught by: *//p' "$patch")
  rm -rf "$copy/tree"
  mkdir "$copy/tree"
  (cd "$root" && tar cf - Cargo.toml Cargo.lock src sql migrations tests) | (cd "$copy/tree" && tar xf -)
  # The compiler goes by time, and the file the last patch changed is old again.
  find "$copy/tree/src" -type f -exec touch {} +
  if ! (cd "$copy/tree" && patch -s -p1 <"$patch"); then
    result=stale
  elif ! (cd "$copy/tree" && cargo test -q --test simulation --no-run) >"$copy/log" 2>&1; then
    result=broken
    grep -m 3 '^error' "$copy/log" || :
  elif (cd "$copy/tree" && cargo test -q --test simulation "$test" -- --exact) >"$copy/log" 2>&1; then
    result=missed
  else
    result=caught
  fi
  if [ "$result" = caught ]; then caught=$((caught + 1)); else missed=$((missed + 1)); fi
  seeds=$(sed -n 's/^\([0-9]* of [0-9]* seeds failed: [0-9 ]*\).*/\1/p' "$copy/log" | cut -c1-60 | head -1)
  printf '%-36s %-7s %s  %s\n' "$name" "$result" "$test" "$seeds"
done
echo "$caught caught, $missed missed"
[ "$missed" -eq 0 ]
