# shellcheck shell=bash
# What up.sh, down.sh, get.sh and the ctl scripts share: which servers there are, where their
# programs come from, and how one is started. Sourced, never run.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
cache=$(mkdir -p "${XDG_CACHE_HOME:-$HOME/.cache}/twinrow" && cd "${XDG_CACHE_HOME:-$HOME/.cache}/twinrow" && pwd -P)

# The servers of every run, and the further ones of `./test --matrix`.
# shellcheck disable=SC2034
every_run="postgres15 postgres18 mariadb mysql kinto"
# shellcheck disable=SC2034
matrix_only="postgres13 postgres17 mariadb118"

# Raise this when root_packages() or unpack() changes. (A root directory in use is not touched.)
root_rev=1
# Raise this when the way a template (see template()) is made changes.
template_rev=1

say() { printf '%s\n' "$*" >&2; }

# why NAME TEXT: remember why a server cannot be had, for the summary of ./test.
why() {
    local name=$1
    shift
    if [ -n "${run:-}" ] && [ -d "$run/$name" ]; then printf '%s\n' "$*" >"$run/$name/reason"; fi
    say "$name: $*"
    return 1
}

is_root() { [ "$(id -u)" = 0 ]; }
os() { (ID='' VERSION_CODENAME='' && . /etc/os-release 2>/dev/null && eval "printf %s \"\$$1\""); }
is_debian() { [ "$(os ID)" = debian ] && command -v apt-get >/dev/null; }

# spec NAME sets kind, var (the variable a test reads) and, for what comes from Debian, want (the
# version), suite (the release that has it) and package.
spec() {
    kind='' var='' want='' suite='' package=''
    case $1 in
    postgres13) kind=postgres want=13 suite=bullseye ;;
    postgres15) kind=postgres want=15 suite=bookworm ;;
    postgres17) kind=postgres want=17 suite=trixie ;;
    postgres18) kind=postgres want=18 suite=sid ;;
    # Any MariaDB or MySQL that is installed will do where the name has no version in it.
    mariadb) kind=mariadb want='' suite=bookworm package=mariadb-server-core ;;
    mariadb118) kind=mariadb want=11.8 suite=trixie package=mariadb-server-core ;;
    mysql) kind=mysql want='' suite=sid package=mysql-server-core ;;
    kinto) kind=kinto ;;
    *) say "no such server: $1" && return 1 ;;
    esac
    if [ "$kind" = postgres ]; then package=postgresql-$want; fi
    var=TWINROW_TEST_$(printf %s "$1" | tr '[:lower:]' '[:upper:]')
}

# The packages of a release's root directory. One root serves all servers of that release, so that
# the base system is there once.
root_packages() {
    case $1 in
    bullseye) echo postgresql-13 ;;
    bookworm) echo postgresql-15,mariadb-server-core ;;
    trixie) echo postgresql-17,mariadb-server-core ;;
    sid) echo mysql-server-core,postgresql-18 ;;
    esac
}

# locked NAME COMMAND...: one run at a time, across all clones of this user. The lock is a file
# descriptor, so it ends with its holders however these end.
locked() {
    local name=$1
    shift
    mkdir -p "$cache/locks"
    (
        if ! flock -w 1 9; then
            say "waiting for $name, which is being got ready already"
            flock 9
        fi
        "$@"
    ) 9>"$cache/locks/$name"
}

# ---------------------------------------------------------------------------------------------
# Programs: what is installed, else Debian packages

# installed: sets bin (a directory, or a program) for the server spec() described.
installed() {
    local d v
    bin=''
    case $kind in
    postgres)
        for d in "/usr/lib/postgresql/$want/bin" "/usr/pgsql-$want/bin" \
            "$(dirname "$(command -v postgres || echo /none/none)")"; do
            [ -x "$d/postgres" ] && [ -x "$d/initdb" ] || continue
            v=$("$d/postgres" --version 2>/dev/null)
            case $v in
            "postgres (PostgreSQL) $want."*) v=${v#*) } bin=$d version=${v%% *} && return 0 ;;
            esac
        done
        ;;
    mariadb | mysql)
        for d in mariadbd mysqld /usr/sbin/mariadbd /usr/sbin/mysqld; do
            d=$(command -v "$d") || continue
            v=$("$d" --no-defaults --version 2>/dev/null) || continue
            v=${v#*Ver }
            case $kind:$v in
            mariadb:"$want"*MariaDB*) ;;
            mariadb:*) continue ;;
            mysql:*MariaDB*) continue ;;
            mysql:[89].* | mysql:[1-9][0-9].*) ;;
            *) continue ;;
            esac
            bin=$d version=${v%% *} && return 0
        done
        ;;
    esac
    return 1
}

# apt_install PACKAGE...: installs what is missing, saying so; never lets a package start a service
# or create a cluster.
apt_install() { locked apt _apt_install "$@"; }
_apt_install() {
    local p log=$cache/apt.log
    local -a missing=()
    for p; do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$p")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    is_debian && is_root || return 1
    say "installing with apt-get: ${missing[*]}"
    # In a session of its own: whatever ends this run, dpkg is not interrupted halfway.
    # (Package lists are fetched only if the ones there are too old to install from, or missing.)
    # shellcheck disable=SC2016
    setsid --wait bash -c '
        # postgresql-NN creates and starts a cluster unless told not to. The file that tells it is
        # there for this installation only: what is installed later is not our affair.
        conf=/etc/postgresql-common/createcluster.d/twinrow.conf
        mkdir -p "${conf%/*}" && echo "create_main_cluster = false" >"$conf"
        trap "rm -f $conf" EXIT
        export DEBIAN_FRONTEND=noninteractive
        apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends)
        "${apt[@]}" install "$@" || { "${apt[@]}" update && "${apt[@]}" install "$@"; }
    ' apt "${missing[@]}" >"$log" 2>&1 </dev/null 9>&- && return 0
    say "apt-get could not install ${missing[*]}; the end of $log:"
    tail -n 5 "$log" >&2
    return 1
}

# The Debian mirror this machine itself uses, and how it reaches it.
# shellcheck disable=SC2016
mirror() {
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 == "Debian" && $2 ~ /^(https?|file):/ && $2 !~ /security/ { print $2; exit }' | grep . && return
    # Before the first `apt-get update` the origin is not known yet.
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 ~ /^(https?|file):.*\/debian\/?$/ { print $1; exit }' | grep .
}

# root SUITE: sets base to a root directory with the servers of that Debian release.
root() {
    base=$cache/root-$1-$root_rev
    [ ! -d "$base" ] || return 0
    is_root || { say "a root directory of Debian $1 takes root to build" && return 1; }
    is_debian || { say "a root directory of Debian $1 is only built on Debian" && return 1; }
    apt_install debootstrap debian-archive-keyring ca-certificates || return 1
    locked "root-$1" _root "$1"
}
_root() {
    local suite=$1 log=$base.log start=$SECONDS from
    [ ! -d "$base" ] || return 0 # another run built it meanwhile
    from=$(mirror) || { say "no Debian mirror in this machine's apt sources" && return 1; }
    say "building a root directory of Debian $suite in $base ($(root_packages "$suite")): about 1 minute"
    unpack "$suite" "$base.build" "$from" >"$log" 2>&1 </dev/null && mv "$base.build" "$base" || {
        say "that failed; the end of $log:"
        tail -n 5 "$log" >&2
        return 1
    }
    say "built the root directory of Debian $suite in $((SECONDS - start)) s"
}
# The packages are unpacked, not installed: installation would set up databases nobody wants, takes
# mounts, which not every container may make, and in unstable may well fail.
unpack() {
    local suite=$1 dir=$2 from=$3 d
    rm -rf "$dir" "$dir.deb" # of a run that was killed
    eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
    [ -z "${http_proxy:-}" ] || export http_proxy
    [ -z "${https_proxy:-}" ] || export https_proxy
    debootstrap --download-only --variant=minbase --include="$(root_packages "$suite")" \
        "$suite" "$dir.deb" "$from" || return 1
    mkdir -p "$dir"/{dev,etc,proc,srv/twinrow,tmp,usr/{bin,sbin,lib,lib64}} || return 1
    for d in bin sbin lib lib64; do ln -s "usr/$d" "$dir/$d" || return 1; done
    for d in "$dir.deb"/var/cache/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$d" | tar -x -C "$dir" --keep-directory-symlink \
            --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' || return 1
    done
    # What installation would have made, as far as the servers need it.
    [ -e "$dir/bin/sh" ] || ln -s dash "$dir/bin/sh"
    printf '%s:x:%s:%s::/:/bin/sh\n' root 0 0 postgres 65432 65432 mysql 65306 65306 >"$dir/etc/passwd"
    printf '%s:x:%s:\n' root 0 postgres 65432 mysql 65306 >"$dir/etc/group"
    echo '127.0.0.1 localhost' >"$dir/etc/hosts"
    install -d -m 700 -o 65306 -g 65306 "$dir/var/lib/mysql-files" # where LOAD DATA may read
    mknod -m 666 "$dir/dev/null" c 1 3 && mknod -m 666 "$dir/dev/urandom" c 1 9 && chmod 1777 "$dir/tmp" || return 1
    rm -rf "$dir.deb"
}

# obtain NAME: sets bin, version and base (empty, or the root directory to run it in).
obtain() {
    local name=$1
    spec "$name" || return 1
    base=''
    [ "$(uname -s)" = Linux ] || { why "$name" "private servers are started on Linux only (see docker-compose.yml)" || return 1; }
    if [ "$kind" = kinto ]; then
        "$repo/tests/kinto/start.sh" --get || { why "$name" "Kinto could not be installed (Python 3 with venv, and pip)" || return 1; }
        return 0
    fi
    if installed; then return 0; fi
    is_debian && is_root || { why "$name" "no $kind${want:+ $want} is installed, and $var is not set" || return 1; }
    # On that very release its package is installed like any other; else it comes in a root
    # directory. (MySQL never: Debian's package would start a service.)
    if [ "$(os VERSION_CODENAME)" = "$suite" ] && [ "$kind" != mysql ]; then
        apt_install "$package" && installed && return 0
    fi
    root "$suite" || { why "$name" "$package could not be had from Debian $suite" || return 1; }
    case $kind in
    postgres) bin=/usr/lib/postgresql/$want/bin version=$(chroot "$base" "$bin/postgres" --version) version=${version#*) } ;;
    mariadb) bin=/usr/sbin/mariadbd version=$(chroot "$base" $bin --no-defaults --version) version=${version#*Ver } ;;
    mysql) bin=/usr/sbin/mysqld version=$(chroot "$base" $bin --no-defaults --version) version=${version#*Ver } ;;
    esac
    version=${version%% *}
}

# ---------------------------------------------------------------------------------------------
# Running a program of a server as the user it should be

# user_of: the unprivileged user a server runs as; nothing if we are unprivileged ourselves.
user_of() {
    local u
    is_root || return 0
    case $kind in postgres) u=postgres ;; *) u=mysql ;; esac
    [ -n "$base" ] || id "$u" >/dev/null 2>&1 || u=nobody
    echo "$u"
}
# ids: that user's numbers, UID:GID.
ids() {
    local u
    u=$(user_of)
    if [ -n "$base" ]; then
        awk -F: -v u="$u" '$1 == u { print $3 ":" $4 }' "$base/etc/passwd"
    else
        echo "$(id -u "$u"):$(id -g "$u")"
    fi
}
# give DIR: to that user.
give() { [ -z "$(user_of)" ] || chown -R "$(ids)" "$1"; }

# as_server COMMAND...: sets run_as, the whole command line. The environment is empty, so that no
# PGPORT or MYSQL_HOME of the caller changes anything.
as_server() {
    local ids
    run_as=(env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8)
    [ -z "$base" ] || run_as+=(chroot)
    # PostgreSQL refuses to start as root; mysqld gives it up itself, as --user says.
    if [ "$kind" = postgres ] && is_root; then
        ids=$(ids)
        if [ -n "$base" ]; then
            run_as+=(--userspec="$ids" --groups="${ids#*:}")
        else
            run_as+=(setpriv --reuid="${ids%:*}" --regid="${ids#*:}" --clear-groups)
        fi
    fi
    [ -z "$base" ] || run_as+=("$base")
    run_as+=("$@")
}


# template: a fresh data directory of this version, made once and copied from then on. Sets tmpl.
template() {
    tmpl=$cache/templates/$kind-$version-$template_rev
    [ -z "$base" ] || tmpl=$tmpl-${base##*/}
    [ -d "$tmpl" ] || locked "template-${tmpl##*/}" _template
}
_template() {
    local work inside u rc sql
    [ ! -d "$tmpl" ] || return 0
    mkdir -p "$cache/templates"
    # Where the server's user can reach it: not below somebody's home directory.
    if [ -n "$base" ]; then
        work=$(mktemp -d "$base/srv/twinrow/template.XXXXXX") inside=${work#"$base"}
    else
        work=$(mktemp -d "${TMPDIR:-/tmp}/twinrow-template.XXXXXX") inside=$work
    fi
    chmod 755 "$work"
    mkdir "$work/data"
    u=$(user_of)
    case $kind in
    postgres)
        echo secret >"$work/password"
        give "$work"
        # (Its own fsync is for a power cut during initdb; a template half made is thrown away.)
        as_server "$bin/initdb" -D "$inside/data" -U postgres --pwfile="$inside/password" --auth=scram-sha-256 \
            --encoding=UTF8 --locale=C.UTF-8 --no-sync
        (cd "$work" && "${run_as[@]}") >"$work/log" 2>&1 </dev/null
        rc=$?
        ;;
    mysql)
        # One account, so that it does not matter which name 127.0.0.1 resolves to.
        echo "RENAME USER root@localhost TO root@'%'; ALTER USER root@'%' IDENTIFIED BY 'secret';" >"$work/init.sql"
        give "$work"
        # A small redo log is quicker to copy; the server grows it again when it starts.
        as_server "$bin" --no-defaults ${u:+--user=$u} --initialize-insecure --datadir="$inside/data" \
            --innodb-redo-log-capacity=8M --init-file="$inside/init.sql"
        (cd "$work" && "${run_as[@]}") >"$work/log" 2>&1 </dev/null
        rc=$?
        # Two servers must not have one identity.
        rm -f "$work/data/auto.cnf" "$work/data"/*.pem
        ;;
    mariadb)
        give "$work"
        # What mariadb-install-db does; that itself needs programs of more packages than the server.
        as_server "$bin" --no-defaults ${u:+--user=$u} --datadir="$inside/data" --bootstrap --log-warnings=0 \
            --enforce-storage-engine= --max-allowed-packet=8M --net-buffer-length=16K
        {
            sql=$base/usr/share/mariadb # since MariaDB 11
            [ -e "$sql/maria_add_gis_sp_bootstrap.sql" ] || sql=$base/usr/share/mysql
            printf '%s\n' "CREATE DATABASE mysql;" "USE mysql;" "SET @auth_root_socket = NULL;"
            cat "$sql"/m*_system_tables.sql "$sql"/m*_performance_tables.sql "$sql"/m*_system_tables_data.sql \
                "$sql/maria_add_gis_sp_bootstrap.sql" "$sql"/m*_sys_schema.sql
            cat <<'SQL'
DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys';
FLUSH PRIVILEGES;
CREATE USER root@'%' IDENTIFIED BY 'secret';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
SQL
        } | (cd "$work" && "${run_as[@]}") >"$work/log" 2>&1
        rc=$?
        ;;
    esac
    if [ "${rc:-1}" = 0 ]; then
        rm -rf "$tmpl.new" && cp -a "$work/data" "$tmpl.new" && mv "$tmpl.new" "$tmpl"
        rc=$?
    else
        say "a new $kind data directory could not be made:"
        tail -n 10 "$work/log" >&2
    fi
    rm -rf "$work"
    return $rc
}

# ---------------------------------------------------------------------------------------------
# Ports

# A port is ours while the directory it was given to exists. They are below the range from which
# the system takes the ports of outgoing connections: between a test's `ctl kill` and `ctl start`
# nothing else must get it.
ports() { locked ports _ports "$@"; } # ports DIR N: prints N free ones
_ports() {
    local p taken=' ' d n=$2 file=$cache/ports
    touch "$file"
    while read -r p d; do [ ! -d "$d" ] || { taken="$taken$p " && echo "$p $d"; }; done <"$file" >"$file.new"
    mv "$file.new" "$file"
    while [ "$n" -gt 0 ]; do
        p=$((20000 + RANDOM % 12000))
        case $taken in *" $p "*) continue ;; esac
        if (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null; then continue; fi
        taken="$taken$p " n=$((n - 1))
        echo "$p $1" >>"$file"
        echo "$p"
    done
}
