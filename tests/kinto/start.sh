#!/usr/bin/env bash
# Kinto, an app with an HTTP interface for its records, as a server to test with.
#   start.sh DIR PORT [KINTO_…=VALUE]…
#                       starts it in DIR on 127.0.0.1:PORT with these settings, waits until it answers, makes the account
#                       admin (password s3cr3t) with the bucket "crm" and its collection "contacts",
#                       and prints the process id
#   start.sh --get      only installs what it takes (a Python virtual environment in the cache)
# It keeps everything in memory: started again, it is empty again.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/twinrow
# The name changes with the versions wanted, so an old environment is never taken for a new one.
venv=$cache/kinto-$(cksum <"$here/requirements.txt" | cut -d ' ' -f 1)

get() {
    local python
    [ ! -e "$venv/ready" ] || return 0
    for python in python3 /usr/bin/python3; do
        "$python" -c 'import venv, ensurepip' 2>/dev/null && break
        python=''
    done
    if [ -z "$python" ]; then
        # shellcheck disable=SC2016
        bash -c '. "$0" && apt_install python3-venv' "$here/../servers/lib.sh" || return 1
        python=/usr/bin/python3
    fi
    echo "installing $(grep '^kinto==' "$here/requirements.txt") in $venv" >&2
    rm -rf "$venv"
    {
        "$python" -m venv "$venv" &&
            "$venv/bin/pip" -q install --disable-pip-version-check --no-input -r "$here/requirements.txt" &&
            # Compiled now rather than at the first start.
            "$venv/bin/kinto" version && touch "$venv/ready"
    } >"$cache/kinto.log" 2>&1 </dev/null || {
        echo "installing Kinto failed; the end of $cache/kinto.log:" >&2
        tail -n 5 "$cache/kinto.log" >&2
        return 1
    }
}
get_locked() {
    [ ! -e "$venv/ready" ] || return 0
    mkdir -p "$cache/locks"
    (flock 9 && get) 9>"$cache/locks/kinto"
}

get_locked || exit 1
[ "${1:-}" != --get ] || exit 0

dir=${1:?usage: start.sh DIR PORT} port=${2:?usage: start.sh DIR PORT}
mkdir -p "$dir" && cd "$dir" || exit 1
# PYTHON* of the caller's is not for this one.
env -i PATH="$PATH" HOME="$dir" LANG=C.UTF-8 PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 "${@:3}" setsid "$venv/bin/kinto" start --ini "$here/kinto.ini" --port "$port" \
    </dev/null >log 2>&1 9>&- &
pid=$!
fail() {
    echo "Kinto did not start: $1" >&2
    tail -n 10 log >&2
    kill "$pid" 2>/dev/null
    exit 1
}

base=http://127.0.0.1:$port/v1
put() { curl -sf --noproxy '*' -o /dev/null -X PUT "$base/$1" -H 'Content-Type: application/json' "${@:2}"; }
end=$((SECONDS + 60))
until curl -sf --noproxy '*' -o /dev/null "$base/"; do
    kill -0 "$pid" 2>/dev/null || fail "it ended"
    [ $SECONDS -lt $end ] || fail "no answer"
    sleep 0.05
done
put accounts/admin -d '{"data":{"password":"s3cr3t"}}' || fail "no account could be made"
put buckets/crm -u admin:s3cr3t || fail "no bucket could be made"
put buckets/crm/collections/contacts -u admin:s3cr3t || fail "no collection could be made"
echo "$pid"
