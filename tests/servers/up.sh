#!/usr/bin/env bash
# up.sh [--new] DIR [NAME...]: starts private servers in the directory DIR, which must be new or
# empty, and writes DIR/env, to be sourced: the TWINROW_TEST_* variables. Without names: those of
# every run (see lib.sh). A server whose variable is set already is used as it is, unless --new is
# given: then it is a further one. For each other one there is DIR/NAME/ctl (see ctl.sh), or, if it
# cannot be had, DIR/NAME/reason. Without a ctl, a test can neither crash that server nor expect it to
# have a certificate of ca.pem. down.sh DIR ends them all.
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

new=''
if [ "${1:-}" = --new ]; then new=1 && shift; fi
[ $# -ge 1 ] || { say "usage: up.sh [--new] DIR [NAME...]" && exit 2; }
mkdir -p "$1" && run=$(cd "$1" && pwd -P) || exit 1
shift
[ $# -gt 0 ] || eval "set -- $every_run"
[ -z "$(ls -A "$run")" ] || { say "$run is not empty" && exit 2; }
chmod 711 "$run" # the servers' users must get through
began=$SECONDS

todo=''
for name; do
    spec "$name" || exit 2
    if [ -z "$new" ] && [ -n "${!var:-}" ]; then say "$name: given by $var"; else todo="$todo $name"; fi
done

# openssl, curl and Python for the certificates and Kinto, once for all.
needs=''
[ -z "$todo" ] || command -v openssl >/dev/null || needs="$needs openssl"
case $todo in *kinto*) command -v curl >/dev/null || needs="$needs curl ca-certificates" ;; esac
# shellcheck disable=SC2086
[ -z "$needs" ] || apt_install $needs || say "missing:$needs"

trap 'trap "" INT TERM; kill $(jobs -p) 2>/dev/null; wait; "$here/down.sh" "$run"; exit 143' INT TERM
"$here/tls.sh" "$run/tls" || exit 1

# What a killed run left in a root directory, its own directory being gone.
for owner in "$cache"/root-*/srv/twinrow/*/owner; do
    [ -f "$owner" ] || continue
    [ -d "$(cat "$owner")" ] && continue
    "$here/ctl.sh" "${owner%/owner}" kill-all
    rm -rf "${owner%/owner}"
done
find "$cache"/root-*/srv/twinrow "${TMPDIR:-/tmp}" -maxdepth 1 \( -name 'template.*' -o -name 'twinrow-template.*' \) \
    -mmin +60 -exec rm -rf {} + 2>/dev/null

start_one() {
    local name=$1 port=$2 dir=$run/$1 data inside u began=$SECONDS
    obtain "$name" || return 1
    if [ "$kind" = kinto ]; then
        mkdir "$dir/data"
        data=$dir/data inside=$data version=$(sed -n 's/^kinto==//p' "$repo/tests/kinto/requirements.txt")
    else
        template || why "$name" "a new data directory could not be made" || return 1
        if [ -n "$base" ]; then
            # The server sees nothing outside its root directory, so its files are in there.
            data=$(mktemp -d "$base/srv/twinrow/$name.XXXXXX")
            echo "$run" >"$data/owner"
            chmod 711 "$data"
            ln -s "$data/data" "$dir/data"
            data=$data/data inside=${data#"$base"}
        else
            data=$dir/data inside=$data
        fi
        cp -a --reflink=auto "$tmpl" "$data" || return 1
        # In the data directory, a server finds them by names without a path.
        cp "$run"/tls/{ca,server,wronghost,expired}.pem "$run"/tls/{server,wronghost,expired}.key "$data/"
        cp "$run/tls/server.pem" "$data/active.pem"
        cp "$run/tls/server.key" "$data/active.key"
        give "$data"
        chmod 600 "$data"/*.key
    fi
    u=''
    [ "$kind" = kinto ] || u=$(user_of)
    case $kind in
    postgres)
        url=postgres://postgres:secret@127.0.0.1:$port/postgres
        {
            echo "port = $port"
            cat <<'CONF'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
ssl = on
ssl_cert_file = 'active.pem'
ssl_key_file = 'active.key'
ssl_ca_file = 'ca.pem'
max_connections = 300
max_prepared_transactions = 10
wal_level = logical
shared_buffers = 128MB
# Tests count statements on the server.
shared_preload_libraries = 'pg_stat_statements'
max_wal_size = 256MB
# Shared memory in the data directory: a root directory has no /dev/shm.
dynamic_shared_memory_type = mmap
log_line_prefix = '%m [%p] %d '
CONF
        } >>"$data/postgresql.conf"
        as_server "$bin/postgres" -D "$inside"
        ;;
    mysql | mariadb)
        url=mysql://root:secret@127.0.0.1:$port/mysql
        set -- --no-defaults ${u:+--user=$u} --datadir="$inside" --secure-file-priv= --bind-address=127.0.0.1 --port="$port" \
            --socket=server.sock --pid-file=server.pid --max-connections=300 --innodb-buffer-pool-size=128M \
            --ssl-ca=ca.pem --ssl-cert=active.pem --ssl-key=active.key
        if [ "$kind" = mysql ]; then
            set -- "$@" --mysqlx=OFF
        else
            # The character set is that of Debian's own configuration.
            set -- "$@" --log-bin=binlog --binlog-format=ROW --server-id=1 \
                --character-set-server=utf8mb4 --collation-server=utf8mb4_general_ci
        fi
        as_server "$bin" "$@"
        ;;
    kinto)
        url=http://admin:s3cr3t@127.0.0.1:$port
        run_as=("$repo/tests/kinto/start.sh" "$data" "$port")
        ;;
    esac
    {
        declare -p kind data inside port run_as
    } >"$dir/conf"
    printf '#!/bin/sh\nexec "%s/ctl.sh" "%s" "$@"\n' "$here" "$dir" >"$dir/ctl"
    chmod +x "$dir/ctl"
    "$dir/ctl" start || why "$name" "the server did not start (see its log)" || return 1
    printf '%s\n' "$url" >"$dir/url"
    say "$name: $version, port $port, $((SECONDS - began)) s"
}

# shellcheck disable=SC2086
set -- $todo
ports=$(ports "$run" $#) || exit 1
for name; do
    mkdir -p "$run/$name"
    port=${ports%%$'\n'*} ports=${ports#*$'\n'}
    start_one "$name" "$port" &
done
wait

{
    for name in $todo; do
        spec "$name"
        [ ! -f "$run/$name/url" ] || printf "export %s='%s'\n" "$var" "$(cat "$run/$name/url")"
    done
    printf "export TWINROW_TEST_SERVERS='%s'\n" "$run"
    printf "export TWINROW_TEST_TLS='%s'\n" "$run/tls"
} >"$run/env.new"
mv "$run/env.new" "$run/env"
say "servers up after $((SECONDS - began)) s"
