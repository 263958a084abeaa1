#!/usr/bin/env python3
"""The shop on local message tables, every role a process, and the MariaDB server of its stores, killed at random moments
under load: no order without message, no message without order, stock lower once an order, each confirmed one told once."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "acceptance"))
from rows.local_message_table import QUICK, audit, wait_all_done  # noqa: E402
from scenarios import Scenarios  # noqa: E402
from support import check_answers  # noqa: E402
from two_phase import Shoppers, carry_out, kill_plan, victims_of  # noqa: E402

scenarios = Scenarios()
SETTINGS = {**QUICK, "broker.client_expiry": "2s", "phone.step": "20ms", "phone.ring": "20ms", "notifier.retry_min": "50ms",
            "shop.items": '["1;Espresso machine;49900;1000000", "2;Grinder;19900;1000000", "3;Kettle;7900;40"]'}


def order(rng, n, prefix):
    return {"key": f"{prefix}-{n}", "buyer": f"b{n % 97}", "item": rng.randint(1, 3), "quantity": rng.randint(1, 3),
            "channel": rng.choice(("sms", "whatsapp", "voice")), "phone": f"+1555{n:07d}"}


def random_kills(context, store, minutes):
    cluster = context.cluster(shop="outbox", store=store, settings=SETTINGS)
    blows = kill_plan(context.random, victims_of(cluster), context.minutes or minutes)
    context.say(f"{len(blows)} blows in {sum(blow.after + blow.down for blow in blows):.0f} s")
    shoppers = Shoppers(cluster, context.random, make=order, place=cluster.order)
    carry_out(context, cluster, blows)
    shoppers.wait_for_answers(51)
    answers = shoppers.stop()
    check_answers(context, answers.values())
    wait_all_done(cluster)
    audit(context, cluster)


@scenarios.scenario("sqlite", "a store of its own for each service: every process")
def sqlite(context):
    random_kills(context, "sqlite", 0.25)


@scenarios.scenario("mariadb", "the stores on MariaDB: every process and the server")
def mariadb(context):
    random_kills(context, "mariadb", 0.25)


if __name__ == "__main__":
    sys.exit(scenarios.main())
