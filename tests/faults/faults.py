#!/usr/bin/env python3
"""Every fault point of the product, one by one: the process dies there (or an error, or a loss happens there), comes back,
the buyers repeat with their keys, everything settles, and what customers saw is exactly what was committed.

The table below must name every point of `holdfast config faults`; one that is not reached is a failure of its scenario.
"""
import dataclasses
import pathlib
import subprocess
import sys
import typing

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "acceptance"))
from harness import check, wait_for  # noqa: E402
from scenarios import Scenarios  # noqa: E402
from support import Buyers, check_answers, check_told_exactly_once, plan_orders  # noqa: E402
import two_phase  # noqa: E402
from rows import local_message_table as local_table  # noqa: E402

ORDERS = 12
QUICK = {"broker.first_check": "400ms", "broker.check_interval": "400ms", "router.retry_first": "100ms",
         "router.retry_max": "500ms", "notifier.retry_min": "50ms", "notifier.looks": '["100ms", "300ms", "600ms"]',
         "phone.step": "20ms", "phone.ring": "20ms"}


@dataclasses.dataclass
class Point:
    crash: typing.Sequence[int] = (1, 5)  # die when it is reached for the n-th time
    error: int = 3                        # how often an error happens there; 0: an error is the crash case again
    drop: int = 0                         # how often what passes there is lost; 0: nothing passes
    settings: dict = dataclasses.field(default_factory=dict)
    mode: str = "message"                 # the shop's
    roles: typing.Sequence[str] = ()      # not in mode "message": in whose process; one after the other


# The log and the database are reached by the start itself before any order comes: both there and under load.
POINTS = {
    "log.before_fill": Point(crash=(1, 2), error=1),
    "log.before_write": Point(crash=(1, 9), error=1),
    "log.before_sync": Point(crash=(1, 9), error=1),
    "log.after_sync": Point(crash=(1, 9), error=1),
    "mq.before_ack": Point(),
    "mq.before_end_transaction": Point(),
    "mq.end_transaction": Point(crash=(), error=0, drop=3),
    "net.http_before_send": Point(),
    "net.http_after_answer": Point(),
    "sql.before_statement": Point(crash=(1, 20, 75, 90), error=1),
    "sql.before_commit": Point(crash=(1, 12, 30)),
    "sql.after_commit": Point(crash=(1, 12, 30)),
    "shop.before_half": Point(),
    "shop.after_half": Point(),
    "shop.before_begin": Point(),
    "shop.before_commit": Point(),
    "shop.after_commit": Point(),
    "shop.before_end_tx": Point(),
    "shop.after_end_tx": Point(),
    "shop.before_answer": Point(),
    "broker.before_half_append": Point(),
    # An error here would claim `not stored` of what is stored, which no code path says; half_ack is the honest loss.
    "broker.after_half_durable": Point(error=0),
    "broker.half_ack": Point(crash=(), error=0, drop=3),
    "broker.end_tx": Point(crash=(), error=0, drop=3),
    "broker.after_decision_durable": Point(),
    "broker.before_ack_append": Point(),
    "broker.after_ack_durable": Point(),
    "notifier.before_row": Point(),
    "notifier.after_row": Point(),
    "notifier.after_call": Point(),
    "notifier.after_record": Point(),
    "notifier.before_callback_record": Point(),
    "phone.after_create": Point(),
    "router.before_store": Point(),
    "router.after_store": Point(),
    "router.before_call": Point(),
    "router.after_call": Point(),
    "router.after_record": Point(),
}
NOT_HERE = {"sys.test": "nowhere in the product; sys/fault_points_test.cc"}


def coordinators(crash=(1, 4), **more):
    return Point(crash=crash, mode="2pc", roles=("coordinator",), **more)


def participants(crash=(1, 4), **more):
    return Point(crash=crash, mode="2pc", roles=("payment", "inventory"), **more)


def orders_by_two_phase_commit():
    return Point(crash=(1, 4), mode="2pc", roles=("shop",))


# Every position in which coordinator, participants and order service can die (checks 16-26 of two-phase commit).
POINTS |= {
    "coordinator.before_prepare": coordinators(),
    "coordinator.after_first_prepare": coordinators(),
    "coordinator.after_prepares": coordinators(),
    "coordinator.before_decision": coordinators(),
    "coordinator.after_decision": coordinators(),
    "coordinator.after_first_notify": coordinators(),
    "coordinator.after_last_notify": coordinators(),
    "coordinator.prepare_request": coordinators(crash=(), error=0, drop=3),
    "coordinator.prepare_reply": coordinators(crash=(), error=0, drop=3),
    "coordinator.notify_request": coordinators(crash=(), error=0, drop=3),
    "coordinator.notify_ack": coordinators(crash=(), error=0, drop=3),
    "participant.before_prepare": participants(),
    "participant.after_prepare": participants(),
    "participant.before_end": participants(),
    "participant.after_end": participants(),
    "participant.prepare_reply": participants(crash=(), error=0, drop=3),
    "participant.notify_reply": participants(crash=(), error=0, drop=3),
    "shop.tx_begun": orders_by_two_phase_commit(),
    "shop.tx_stored": orders_by_two_phase_commit(),
    "shop.tx_worked": orders_by_two_phase_commit(),
    "shop.tx_decided": orders_by_two_phase_commit(),
    "shop.tx_completion": orders_by_two_phase_commit(),
    "shop.tx_confirmed": orders_by_two_phase_commit(),
}
# The local message table, in both services that keep one.
POINTS |= {
    "outbox.between": Point(crash=(1, 4), mode="outbox", roles=("shop",)),
    "outbox.after_claim": Point(crash=(1, 2), mode="outbox", roles=("shop", "inventory")),
    "outbox.after_publish": Point(crash=(1, 2), mode="outbox", roles=("shop", "inventory")),
    "outbox.after_record": Point(crash=(1, 2), mode="outbox", roles=("shop", "inventory")),
    "inbox.between": Point(crash=(1, 4), mode="outbox", roles=("inventory", "shop")),
}
# On MariaDB, where each scenario starts two servers: killed once at each place, and each answer lost once.
ON_MARIADB = ("coordinator.after_first_prepare", "coordinator.after_prepares", "coordinator.after_decision",
              "coordinator.after_first_notify", "participant.before_prepare", "participant.after_prepare",
              "participant.before_end", "participant.after_end", "participant.prepare_reply", "participant.notify_reply")
# Points that are everywhere, in the processes of two-phase commit: any request or answer lost, any commit in doubt.
EVERYWHERE = {
    "net.http_before_send": Point(crash=(3, 8), error=5, mode="2pc", roles=("shop", "coordinator", "payment")),
    "net.http_after_answer": Point(crash=(3, 8), error=5, mode="2pc", roles=("shop", "coordinator", "payment")),
    "sql.before_commit": Point(crash=(9, 9, 9, 9), error=2, mode="2pc", roles=("shop", "coordinator", "payment", "inventory")),
    "sql.after_commit": Point(crash=(9, 9, 9, 9), error=2, mode="2pc", roles=("shop", "coordinator", "payment", "inventory")),
}


def survive(context, fault, settings, must_die):
    """Orders while `fault` is armed; then a start without it, and the proof."""
    server = context.serve(settings={**QUICK, **settings}, start=False)
    plans = plan_orders(context.random, ORDERS)
    plans[0]["channel"] = ["sms", "voice", "whatsapp"]
    started = server.start_or_die(fault)
    buyers = Buyers(server, plans, workers=4) if started else None
    if must_die:
        died_with = server.wait_dead()
        check(died_with == -9, f"exit code {died_with}: it did not die at the fault point: {server.tail()}")
        context.say(f"killed at {fault}" + ("" if started else ", while it started"))
    elif started:
        wait_for("the orders are answered, or the process gives up", lambda: buyers.done == ORDERS or not server.alive(), 40)
    if not server.alive():
        if not must_die:
            check(server.process.returncode == 2, f"exit code {server.process.returncode}: {server.tail()}")
            said = [line for line in server.log_text().splitlines() if line.startswith("holdfast: ")]
            check(said, f"it ended without a word: {server.tail()}")
            context.say(f"it refuses to go on, exit 2: {said[-1]}")
        server.start()
    buyers = buyers or Buyers(server, plans, workers=4)
    answers = buyers.results()
    check_answers(context, answers)
    server.settle()
    check_told_exactly_once(context, server)
    ids = [server.order(**plan).json().get("order_id") for plan in plans]
    check(ids == [answer.json().get("order_id") for answer in answers], "a repetition got another order")
    server.reconcile()
    check_told_exactly_once(context, server)


def strike(context, cluster, role, fault, must_die, **load):
    """Orders while `fault` is armed in one process of the cluster, which is started without it once it has died."""
    victim = cluster[role]
    victim.kill()
    victim.start_or_die(fault)
    shoppers = two_phase.Shoppers(cluster, context.random, workers=3, count=ORDERS, **load)
    if must_die:
        died_with = victim.wait_dead()
        check(died_with == -9, f"exit code {died_with}: it did not die at the fault point: {victim.tail()}")
        context.say(f"{role} killed at {fault}")
    else:
        wait_for("the orders are answered, or the process gives up",
                 lambda: len(shoppers.answers) == ORDERS or shoppers.failures or not victim.alive(), 60)
    if not victim.alive():
        if not must_die:
            check(victim.process.returncode == 2, f"exit code {victim.process.returncode}: {victim.tail()}")
            context.say(f"{role} refuses to go on, exit 2: {victim.tail(1)}")
        victim.start()
    shoppers.results()
    return shoppers


def survive_local_table(context, role, fault, point, must_die):
    """The same for orders on local message tables."""
    cluster = context.cluster(shop="outbox", store="sqlite", settings={**QUICK, **local_table.QUICK, **point.settings})
    plans = plan_orders(context.random, ORDERS + 1)
    shoppers = strike(context, cluster, role, fault, must_die, make=lambda _, n, __: plans[n], place=cluster.order)
    check_answers(context, shoppers.answers.values())
    local_table.wait_all_done(cluster)
    local_table.audit(context, cluster)
    for plan in plans[1:]:
        first, again = shoppers.answers[plan["key"]].json(), cluster.order(**plan).json()
        check(first["order_id"] == again["order_id"], f"a repetition got another order: {first}, {again}")
    local_table.audit(context, cluster)


def survive_two_phase(context, role, fault, point, store, must_die):
    """The same for orders by two-phase commit: a process for each role, the fault in one of them."""
    cluster = context.cluster(shop="2pc", store=store, settings={**two_phase.QUICK, **two_phase.PLENTY, **point.settings})
    shoppers = strike(context, cluster, role, fault, must_die)
    two_phase.settle(context, cluster)
    shoppers.check(context)
    shoppers.check_repetitions()
    two_phase.check_end(context, cluster)


def variants(name, point):
    """(fault, role, must it die) of each scenario of a point."""
    for n, times in enumerate(point.crash):
        yield f"{name}=crash:{times}", point.roles[n % len(point.roles)], True
    for action, times in (("error", point.error), ("drop", point.drop)):
        for role in point.roles if times else ():
            yield f"{name}={action}:{times}", role, False


def add_two_phase(scenarios, name, point, store="sqlite"):
    mode = "xa" if store == "mariadb" else "2pc"
    for fault, role, must_die in variants(name, point):
        scenarios.add(f"{mode}.{fault}@{role}", f"{role} {'killed' if must_die else 'goes on'}",
                      lambda context, f=fault, r=role, d=must_die: survive_two_phase(context, r, f, point, store, d))


def add_local_table(scenarios, name, point):
    for fault, role, must_die in variants(name, point):
        scenarios.add(f"outbox.{fault}@{role}", f"{role} {'killed' if must_die else 'goes on'}",
                      lambda context, f=fault, r=role, d=must_die: survive_local_table(context, r, f, point, d))


def add_message(scenarios, name, point):
    for n in point.crash:
        scenarios.add(f"{name}=crash:{n}", f"killed when {name} is reached for the {n}. time",
                      lambda context, f=f"{name}=crash:{n}": survive(context, f, point.settings, must_die=True))
    for action, times, what in (("error", point.error, "fails"), ("drop", point.drop, "loses what passes")):
        if times:
            scenarios.add(f"{name}={action}:{times}", f"{name} {what} {times} times",
                          lambda context, f=f"{name}={action}:{times}": survive(context, f, point.settings, must_die=False))


def add_all(scenarios, binary):
    declared = subprocess.run([binary, "config", "faults"], capture_output=True, text=True, check=True).stdout
    declared = {line.split()[0] for line in declared.splitlines()}
    unknown = declared ^ (POINTS.keys() | NOT_HERE.keys())
    check(not unknown, f"the table and `holdfast config faults` differ: {sorted(unknown)}")
    for name, point in POINTS.items():
        {"message": add_message, "2pc": add_two_phase, "outbox": add_local_table}[point.mode](scenarios, name, point)
    for name, point in EVERYWHERE.items():
        add_two_phase(scenarios, name, point)
    for name in ON_MARIADB:
        point = POINTS[name]
        on_mariadb = dataclasses.replace(point, crash=[1] * len(point.roles) if point.crash else (), error=0, drop=point.drop and 1)
        add_two_phase(scenarios, name, on_mariadb, store="mariadb")


if __name__ == "__main__":
    all_scenarios = Scenarios()
    sys.exit(all_scenarios.main(before=lambda binary: add_all(all_scenarios, binary)))
