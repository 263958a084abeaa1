#!/usr/bin/env python3
"""The two-phase commit shop, every role a process and every store's MariaDB server too, killed at random moments under load:
each order is in both stores or in none, sums stay, customers hear of what is confirmed and of nothing else."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "acceptance"))
from harness import check  # noqa: E402
from scenarios import Scenarios  # noqa: E402
from two_phase import PLENTY, QUICK, Shoppers, Watch, carry_out, kill_plan, settle, victims_of  # noqa: E402

scenarios = Scenarios()


def random_kills(context, store, minutes, **settings):
    cluster = context.cluster(shop="2pc", store=store, settings={**QUICK, **PLENTY, **settings})
    blows = kill_plan(context.random, victims_of(cluster), context.minutes or minutes)
    context.say(f"{len(blows)} blows in {sum(blow.after + blow.down for blow in blows):.0f} s")
    with Watch(cluster) as watch:
        shoppers = Shoppers(cluster, context.random)
        carry_out(context, cluster, blows)
        shoppers.stop()
    settle(context, cluster)
    shoppers.check(context)
    check(watch.looked > 0, "nobody looked while it ran")
    context.say(f"sums and confirmed orders looked at {watch.looked} times while things died: as promised")


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
