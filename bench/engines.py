"""The drain between other engines: no peer copies between them, so rates stand alone."""

from lab import Run, configure, median
from sides import MariaDb, Postgres, Sqlite


def measure(a, b, scratch, given, maria):
    print(f"\n{given.rows:,} rows between engines, own keys, median of {given.rounds} rounds")
    make = {
        "postgres": lambda name, server: Postgres(server, name),
        "mariadb": lambda name, _: MariaDb(maria, name),
        "sqlite": lambda name, _: Sqlite(scratch, name),
    }
    pairs = [("postgres", "mariadb"), ("mariadb", "postgres"), ("postgres", "sqlite"), ("sqlite", "postgres"),
             ("mariadb", "sqlite"), ("sqlite", "mariadb"), ("mariadb", "mariadb"), ("sqlite", "sqlite")]
    for one, other in pairs:
        source, target = make[one]("bench_source", a), make[other]("bench_target", b)
        source.table("accounts", "id {}")
        target.table("accts", "acct_no {}")
        target("insert into accts (acct_no, name, email, balance, updated_at) values (5000000, '', '', 0, '2026-01-01 00:00:00')")
        target("delete from accts")
        config = configure(scratch / "engines.yaml", source.url, target.url, more="state: b\n")
        Run(config)
        told = []
        for kind in ("insert", "update"):
            runs = []
            for round_ in range(given.rounds):
                getattr(source, kind)(given.rows, round_)
                runs.append(Run(config))
                arrived = target("select count(*) from accts" + (f" where note like 'round {round_}%'" if kind == "update" else ""))
                if arrived != [str(given.rows * (round_ + 1) if kind == "insert" else given.rows)]:
                    raise SystemExit(f"{one} to {other}: {arrived} rows arrived")
            rate = median(given.rows / run.seconds for run in runs)
            told.append(f"{kind} {rate:8,.0f} rows/s  CPU {median(run.cpu for run in runs):5.2f} s  {max(run.memory for run in runs):4.0f} MB")
        print(f"{one:>8} to {other:8}  {'   '.join(told)}", flush=True)
