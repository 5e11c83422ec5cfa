#!/usr/bin/env bash
# down.sh DIR: ends the servers that up.sh started in DIR, and removes DIR.
set -u
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

run=$(cd "${1:?usage: down.sh DIR}" 2>/dev/null && pwd -P) || exit 0
[ -d "$run/tls" ] || { say "$run is no directory of up.sh" && exit 2; }
# Their data is thrown away: no need to let them finish in order.
for ctl in "$run"/*/ctl; do [ ! -x "$ctl" ] || "$ctl" kill & done
wait
for data in "$run"/*/data; do
    # In a root directory, the data is not in here.
    if [ -L "$data" ]; then rm -rf "$(dirname "$(readlink "$data")")"; fi
done
rm -rf "$run"
