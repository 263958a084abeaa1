#!/usr/bin/env python3
"""The two-phase commit shop, every role a process and every store's MariaDB server too, killed at random moments under load:
each order is in both stores or in none, sums stay, customers hear of what is confirmed and of nothing else."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "acceptance"))
from scenarios import Scenarios  # noqa: E402
from two_phase import random_kills  # noqa: E402

scenarios = Scenarios()


@scenarios.scenario("sqlite", "reservation branches on SQLite: every process")
def sqlite(context):
    random_kills(context, "sqlite", 0.3)


@scenarios.scenario("mariadb", "XA branches on MariaDB: every process and both servers")
def mariadb(context):
    random_kills(context, "mariadb", 0.4)


@scenarios.scenario("reservation", "reservation branches on MariaDB: every process and both servers")
def reservation(context):
    random_kills(context, "mariadb", 0.25, **{"two_phase.xa": "false"})


if __name__ == "__main__":
    sys.exit(scenarios.main())
