#!/usr/bin/env bash
# ctl.sh DIR COMMAND, run as DIR/ctl COMMAND: controls one server that up.sh made.
#   start     starts it and waits until it accepts connections (nothing to do if it does)
#   stop      ends it in order
#   kill      SIGKILL to all its processes, as a crash would; waits until they are gone
#   restart   stop, then start
#   pid       prints its process id; fails if it is not running
#   tls NAME  from now on its certificate is NAME (server, wronghost or expired). PostgreSQL takes
#             it up at once; in MySQL run ALTER INSTANCE RELOAD TLS then, in MariaDB FLUSH SSL.
#             (MySQL refuses to load an expired one; it shows one that expired since: tls.sh DIR SECONDS.)
set -u
dir=$1
cmd=${2:-}

kind='' run_as=() # of conf
if [ "$cmd" = kill-all ]; then # up.sh, of a directory that has no conf any more
    data=$dir/data inside=$dir/data
else
    # shellcheck source=/dev/null
    . "$dir/conf" || exit 1
fi
log=$dir/log

pid() {
    local p at
    p=$(cat "$dir/pid" 2>/dev/null) && [ -n "$p" ] && at=$(readlink "/proc/$p/cwd" 2>/dev/null) || return 1
    # Until it has gone there itself, a server in a root directory is known by its command line.
    [ "$at" = "$data" ] || grep -qzF -- "$inside" "/proc/$p/cmdline" 2>/dev/null || return 1
    echo "$p"
}

# The server's processes are those that have its data directory as their working directory. (Process
# groups would not do: each process of PostgreSQL is in a group of its own. And threads, because the
# first one of a killed process may be gone while others still hold its files and its port.)
processes() {
    local p t
    pid
    find /proc/[0-9]*/task -mindepth 2 -maxdepth 2 -name cwd -lname "$data" 2>/dev/null | while IFS=/ read -r _ _ p _ t _; do
        case $(readlink "/proc/$p/task/$t/exe" 2>/dev/null) in
        *postgres* | *mysqld* | *mariadbd* | *python*) echo "$p" ;;
        esac
    done
}
gone() { [ -z "$(processes)" ]; }
killed() {
    # shellcheck disable=SC2046
    kill -9 $(processes) 2>/dev/null
    gone
}

await() { # await SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

start() {
    local before p
    if pid >/dev/null; then return 0; fi
    await 30 gone || { echo "$dir: processes of the server before are still there" >&2 && return 1; }
    if [ "$kind" = kinto ]; then
        # (It comes back when Kinto answers.)
        p=$("${run_as[@]}" 2>>"$log") && echo "$p" >"$dir/pid" && return 0
        tail -n 10 "$log" >&2
        return 1
    fi
    # A killed process keeps its number until its parent takes notice, which in a container may be
    # never; and a server whose lock files name a process that exists does not start.
    rm -f "$data/postmaster.pid" "$data/server.pid" "$data/server.sock" "$data/server.sock.lock"
    touch "$log"
    before=$(wc -c <"$log")
    # A session of its own: an interrupt typed at the terminal is not for the server.
    (cd "$data" && exec setsid "${run_as[@]}" </dev/null >>"$log" 2>&1 3>&- 9>&-) &
    p=$!
    echo $p >"$dir/pid"
    ready() {
        kill -0 "$p" 2>/dev/null || return 0 # it ended: no need to wait on
        tail -c "+$((before + 1))" "$log" | grep -q 'ready to accept connections\|ready for connections'
    }
    await 120 ready && kill -0 "$p" 2>/dev/null && return 0
    echo "$dir: the server did not start; the end of its log:" >&2
    tail -n 10 "$log" >&2
    return 1
}
stop() {
    local p
    if p=$(pid); then
        # For PostgreSQL, an interrupt is a fast shutdown; a termination waits for the clients.
        if [ "$kind" = postgres ]; then kill -INT "$p"; else kill -TERM "$p"; fi
        await 60 gone && return 0
        echo "$dir: did not stop; killing it" >&2
    fi
    await 30 killed
}

case $cmd in
start) start ;;
stop) stop ;;
kill | kill-all) await 30 killed ;;
restart) stop && start ;;
pid) pid ;;
tls)
    name=${3:?which certificate}
    # The owner and mode of what is there stay.
    cat "$data/$name.pem" >"$data/active.pem" && cat "$data/$name.key" >"$data/active.key" || exit 1
    if [ "$kind" = postgres ] && p=$(pid); then kill -HUP "$p"; fi
    ;;
*)
    echo "usage: ctl start|stop|kill|restart|pid|tls NAME" >&2
    exit 2
    ;;
esac
