"""A million rows through a process that may not have more memory than its limit."""

from lab import OWN_KEY, TABLE, Run, configure, inserts, plain, psql, updates


def measure(a, b, scratch, given):
    rows, step = given.drain, 10_000
    source, target = a.database("bench_memory"), b.database("bench_memory")
    psql(source, TABLE.format(name="accounts", key="id bigserial primary key"))
    psql(target, TABLE.format(name="accts", key=OWN_KEY))
    config = configure(scratch / "memory.yaml", plain(source), plain(target))
    Run(config)
    print(f"\n{rows:,} rows waiting, under a limit on address space of {given.limit} MB")
    for kind in ("insert", "update"):
        for low in range(1, rows + 1, step):
            psql(source, inserts(low, low + step - 1) if kind == "insert" else updates(low, low + step - 1, "million"))
        run = Run(config, given.limit)
        count = psql(target, "select count(*) from accts" + (" where note like 'million%'" if kind == "update" else ""))
        if count != str(rows):
            raise SystemExit(f"memory: {count} of {rows} rows arrived")
        print(f"{kind:6}  {rows / run.seconds:9,.0f} rows/s  peak resident memory {run.memory:.1f} MB  CPU {run.cpu:.1f} s", flush=True)
