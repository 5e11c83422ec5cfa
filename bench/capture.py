"""What the application pays for the change log: CPU of the same statements with and without it."""

import subprocess

from lab import PROGRAM, configure, median
from sides import MariaDb, Postgres, Sqlite


def measure(a, scratch, given, maria):
    print(f"\nCost of capture: CPU of the application's statements against the same without triggers, median of {given.rounds} pairs")
    make = {
        "postgres": lambda name: Postgres(a, name),
        "mariadb": lambda name: MariaDb(maria, name),
        "sqlite": lambda name: Sqlite(scratch, name),
    }
    for engine, side in make.items():
        sides = {"without": side("bench_without"), "with": side("bench_with")}
        for one in sides.values():
            one.table("accounts", "id {}")
        other = Sqlite(scratch, "bench_other")
        other.table("accts", "acct_no {}")
        config = configure(scratch / "capture.yaml", sides["with"].url, other.url)
        subprocess.run([PROGRAM, "--config", str(config), "install"], check=True, stdout=subprocess.DEVNULL)
        ratios = {}
        for round_ in range(given.rounds):
            for kind in ("insert", "update", "singles"):
                used = {}
                for name in list(sides) if round_ % 2 == 0 else list(sides)[::-1]:
                    before = sides[name].cpu()
                    if kind == "singles":
                        sides[name].singles(given.singles)
                    else:
                        getattr(sides[name], kind)(given.rows, round_)
                    used[name] = sides[name].cpu() - before
                ratios.setdefault(kind, []).append(used["with"] / used["without"])
        told = "  ".join(f"{kind} {median(values):.2f}" for kind, values in ratios.items())
        print(f"{engine:8}  {told}", flush=True)
