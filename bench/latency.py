"""From commit to commit, one row at a time, while nothing else happens."""

import os
import signal
import subprocess
import time

from lab import OWN_KEY, PROGRAM, TABLE, Run, configure, inserts, percentile, plain, psql

ROWS = 1000


def measure(a, b, scratch, given):
    source, target = a.database("bench_latency"), b.database("bench_latency")
    psql(source, TABLE.format(name="accounts", key="id bigserial primary key"))
    psql(target, TABLE.format(name="accts", key=OWN_KEY))
    config = configure(scratch / "latency.yaml", plain(source), plain(target))
    psql(source, inserts(1, ROWS))
    Run(config)
    child = subprocess.Popen([PROGRAM, "--config", str(config), "run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    writer = subprocess.Popen(["psql", "-X", "-q", source], stdin=subprocess.PIPE, text=True)
    try:
        time.sleep(2)
        print(f"\nCommit to commit, milliseconds, by the servers' own commit times ({given.commits} single-row commits)")
        done = 0
        for name, pause in (("20 a second", 0.05), ("2 a second", 0.5)):
            count = given.commits if pause < 0.1 else given.commits // 5
            first, done = done + 1, done + count
            for n in range(first, done + 1):
                writer.stdin.write(f"update accounts set note = 'latency', balance = {n} where id = {n};\n")
                writer.stdin.flush()
                time.sleep(pause)
            told(source, target, first, done, name)
    finally:
        writer.stdin.close()
        writer.wait()
        child.send_signal(signal.SIGTERM)
        child.wait()


def told(source, target, first, last, name):
    end = time.time() + 30
    while psql(target, f"select count(*) from accts where note = 'latency' and balance between {first} and {last}") != str(last - first + 1):
        if time.time() > end:
            raise SystemExit("latency: not all changes arrived")
        time.sleep(0.1)
    at = "select {key}, extract(epoch from pg_xact_commit_timestamp(xmin)) from {table} where note = 'latency' order by 1"
    read = lambda url, sql: {int(float(k)): float(v) for k, v in (line.split("|") for line in psql(url, sql).splitlines())}
    sent = read(source, at.format(key="balance", table="accounts"))
    came = read(target, at.format(key="balance", table="accts"))
    waits = [1000 * (came[n] - sent[n]) for n in range(first, last + 1)]
    shares = "  ".join(f"p{share * 100:g} {percentile(waits, share):.1f}" for share in (0.5, 0.95, 0.99))
    print(f"{name:12}  {shares}  max {max(waits):.1f}", flush=True)
