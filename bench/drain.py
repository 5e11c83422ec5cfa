"""A backlog between two PostgreSQL servers: Twinrow beside logical replication, and Bucardo where it is installed."""

import glob
import os
import pathlib
import shutil
import subprocess
import time

from lab import COLUMNS, OWN_KEY, TABLE, Run, configure, inserts, median, plain, psql, updates

STEP = 1000


class Peer:
    """One way to carry rows from `accounts` on A to a table on B."""

    def __init__(self, a, b, scratch):
        self.servers, self.scratch = (a, b), pathlib.Path(scratch)
        self.a, self.b = (server.database(f"bench_{self.name}") for server in (a, b))
        psql(self.a, TABLE.format(name="accounts", key="id bigserial primary key"))
        self.prepare()

    def digest(self, url, table):
        # Compared without the key: the two sides number their own rows.
        return psql(url, f"set timezone = 'UTC'; select count(*), md5(coalesce(string_agg(md5(({COLUMNS})::text), '' order by email), '')) from {table}")

    def equal(self):
        return self.digest(self.a, "accounts") == self.digest(self.b, self.target)

    def wait(self, marker):
        while psql(self.b, f"select 1 from {self.target} where {marker}") != "1":
            time.sleep(0.005)

    def close(self):
        pass


class Native(Peer):
    name, target = "native", "accounts"

    def prepare(self):
        psql(self.b, TABLE.format(name="accounts", key="id bigserial primary key"))
        psql(self.a, "create publication p for table accounts")
        # The slot first: A and B may be one server to a waiting CREATE SUBSCRIPTION.
        psql(self.a, "select pg_create_logical_replication_slot('bench', 'pgoutput')")
        psql(self.b, f"create subscription s connection '{plain(self.a)}' publication p with (create_slot = false, slot_name = 'bench', copy_data = false, enabled = false)")

    def drain(self, marker):
        start = time.perf_counter()
        psql(self.b, "alter subscription s enable")
        self.wait(marker)
        took = time.perf_counter() - start
        psql(self.b, "alter subscription s disable")
        return took, None

    def close(self):
        psql(self.b, "alter subscription s set (slot_name = none); drop subscription s")
        psql(self.a, "select pg_drop_replication_slot('bench')")


class Own(Peer):
    name, target, keys = "own", "accts", ""

    def prepare(self):
        psql(self.b, TABLE.format(name=self.target, key=OWN_KEY))
        self.config = configure(self.scratch / f"{self.name}.yaml", plain(self.a), plain(self.b), self.target, self.keys)
        Run(self.config)

    def drain(self, _marker):
        run = Run(self.config)
        return run.seconds, run


class Copy(Own):
    name, target, keys = "copy", "accounts_copy", "    keys: copy\n"


class Bucardo(Peer):
    """Bucardo 5, both ways as Twinrow is; paused by its own trigger that kicks the sync."""

    name, target = "bucardo", "accounts"

    def command(self, *words, check=True):
        host, port = self.servers[0].url.split("@")[1].split("/")[0].split(":")
        where = [f"--dbhost={host}", f"--dbport={port}", "--dbuser=bucardo", "--dbname=bucardo", "--dbpass=secret"]
        # As the first user who may not read /etc/bucardorc it would die of it.
        # (Its installer calls psql, which takes no password from --dbpass.)
        done = subprocess.run(["bucardo", "--no-bucardorc", *where, *words], text=True, capture_output=True, cwd=self.work,
                              env={**os.environ, "PGPASSWORD": "secret"})
        if check and done.returncode:
            raise SystemExit(f"bucardo {words[0]}: {done.stdout}{done.stderr}")

    def prepare(self):
        psql(self.b, TABLE.format(name="accounts", key="id bigserial primary key"))
        self.work = self.scratch / "bucardo"
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        admin = self.servers[0].url
        psql(admin, "drop database if exists bucardo with (force)")
        psql(admin, "do $$ begin create role bucardo superuser login password 'secret'; exception when duplicate_object then null; end $$")
        psql(admin, "create database bucardo owner bucardo")
        self.control = f"{admin.rsplit('/', 1)[0]}/bucardo"
        self.command("install", "--batch", f"--piddir={self.work}")
        psql(self.control, f"update bucardo.bucardo_config set setting = '{self.work}' where name = 'piddir';"
                           f"update bucardo.bucardo_config set setting = '{self.work}/reason' where name = 'reason_file'")
        for side, url in (("a", self.a), ("b", self.b)):
            host, port = url.split("@")[1].split("/")[0].split(":")
            self.command("add", "db", side, f"dbname=bench_{self.name}", f"host={host}", f"port={port}", "user=postgres", "pass=secret")
        self.command("add", "table", "public.accounts", "db=a", "relgroup=rg")
        self.command("add", "sync", "s1", "relgroup=rg", "dbs=a:source,b:source", "autokick=1", "conflict_strategy=bucardo_latest")
        self.command("start", f"--log-destination={self.work}")
        time.sleep(3)
        psql(self.a, "alter table accounts disable trigger bucardo_kick_s1")

    def drain(self, marker):
        start = time.perf_counter()
        psql(self.a, "alter table accounts enable trigger bucardo_kick_s1; notify bucardo_kick_sync_s1")
        psql(self.control, "notify bucardo, 'kick_sync_s1'")
        self.wait(marker)
        took = time.perf_counter() - start
        psql(self.a, "alter table accounts disable trigger bucardo_kick_s1")
        return took, None

    def close(self):
        self.command("stop", "bench", check=False)
        for file in glob.glob(f"{self.work}/bucardo*.pid"):
            try:
                os.kill(int(pathlib.Path(file).read_text().split()[0]), 15)
            except (OSError, ValueError, IndexError):
                pass


def load(url, kind, rows, round_):
    for low in range(round_ * rows + 1, round_ * rows + rows + 1, STEP):
        psql(url, inserts(low, low + STEP - 1) if kind == "insert" else updates(low, low + STEP - 1, f"round {round_}"))


def measure(a, b, scratch, given):
    kinds = [Native, Copy, Own]
    if given.bucardo or shutil.which("bucardo"):
        kinds.insert(1, Bucardo)
    else:
        print("!!! Bucardo is NOT measured: it is not installed (apt-get install bucardo postgresql-plperl-15)\n")
    peers = [kind(a, b, scratch) for kind in kinds]
    taken, runs = {}, {}
    try:
        for round_ in range(given.rounds):
            for kind in ("insert", "update"):
                # Each peer is first and last equally often.
                for peer in peers if round_ % 2 == 0 else peers[::-1]:
                    load(peer.a, kind, given.rows, round_)
                    last = (round_ + 1) * given.rows
                    marker = f"id = {last}" + (f" and note = rpad('round {round_}', 110, 'y')" if kind == "update" else "")
                    psql(a.url, "checkpoint"), psql(b.url, "checkpoint")
                    before = a.cpu(), b.cpu()
                    took, run = peer.drain(marker)
                    cpu = [server.cpu() - then for server, then in zip((a, b), before)]
                    for _ in range(50):
                        if peer.equal():
                            break
                        time.sleep(0.2)
                    else:
                        raise SystemExit(f"{peer.name}: the two sides differ")
                    taken.setdefault((peer.name, kind), []).append((took, *cpu, run.cpu if run else 0))
                    if run:
                        runs.setdefault((peer.name, kind), []).append(run)
                    print(f"round {round_ + 1}  {kind:6}  {peer.name:7}  {given.rows / took:9,.0f} rows/s", flush=True)
    finally:
        for peer in peers:
            peer.close()
    report(taken, runs, given)


def report(taken, runs, given):
    print(f"\n{given.rows:,} rows, median of {given.rounds} rounds; the ratio is to logical replication in the same round")
    print(f"{'':6}  {'':7}  {'rows/s':>9}  {'ratio':>5}  CPU s: {'twinrow':>7} {'A':>6} {'B':>6}  peak MB")
    for (name, kind), values in taken.items():
        ratio = median(n[0] / v[0] for n, v in zip(taken["native", kind], values))
        rate = median(given.rows / v[0] for v in values)
        a, b, own = (median(v[i] for v in values) for i in (1, 2, 3))
        memory = f"{max(run.memory for run in runs[name, kind]):7.0f}" if (name, kind) in runs else f"{'-':>7}"
        print(f"{kind:6}  {name:7}  {rate:9,.0f}  {ratio:5.2f}         {own:7.2f} {a:6.2f} {b:6.2f}  {memory}")
    print("\nWhere the time goes, seconds per drain (median)")
    names = list(runs)
    print(" " * 18 + "".join(f"{kind + ' ' + name:>14}" for name, kind in names))
    for phase in next(iter(runs.values()))[0].phases:
        print(f"{phase:18}" + "".join(f"{median(run.phases[phase] for run in runs[name]):14.2f}" for name in names))
