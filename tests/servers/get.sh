#!/usr/bin/env bash
# get.sh [NAME...]: gets what up.sh would have to get first for these servers (without names: those
# of every run) - packages, root directories, templates - so that it happens beside something else.
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck disable=SC2034 # why() reads it
run=''
[ $# -gt 0 ] || eval "set -- $every_run"
for name; do
    spec "$name" || exit 2
    [ -n "${!var:-}" ] || { obtain "$name" && { [ "$kind" = kinto ] || template; }; } &
done
wait
