#!/usr/bin/env python3
"""Every fault point of the product, one by one: the process dies there (or an error, or a loss happens there), comes back,
the buyers repeat with their keys, everything settles, and what customers saw is exactly what was committed.

The table below must name every point of `holdfast config faults`; one that is not reached is a failure of its scenario.
"""
import dataclasses
import pathlib
import sys
import typing

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "acceptance"))
from harness import check, wait_for  # noqa: E402
from scenarios import Scenarios  # noqa: E402
from support import Buyers, check_answers, check_told_exactly_once, plan_orders  # noqa: E402

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
NOT_HERE = {
    "sys.test": "nowhere in the product; sys/fault_points_test.cc",
    "outbox.between": "shop/local_table: tests/sim/local_table_test.cc, tests/acceptance/rows/local_message_table.py",
    "outbox.after_claim": "participant/outbox_test.cc, tests/sim/local_table_test.cc",
    "outbox.after_publish": "participant/outbox_test.cc, tests/sim/local_table_test.cc",
    "outbox.after_record": "participant/outbox_test.cc, tests/sim/local_table_test.cc",
    "inbox.between": "participant/inbox_test.cc, tests/sim/local_table_test.cc",
    "shop.tx_begun": "shop/two_phase: tests/two_phase/orders_test.cc",
    "shop.tx_stored": "shop/two_phase: tests/two_phase/orders_test.cc",
    "shop.tx_worked": "shop/two_phase: tests/two_phase/orders_test.cc",
    "shop.tx_decided": "shop/two_phase: tests/two_phase/orders_test.cc",
    "shop.tx_completion": "shop/two_phase: tests/two_phase/orders_test.cc",
    "shop.tx_confirmed": "shop/two_phase: tests/two_phase/orders_test.cc",
    "coordinator.before_prepare": "coordinator/faults_test.cc",
    "coordinator.after_first_prepare": "coordinator/faults_test.cc",
    "coordinator.after_prepares": "coordinator/faults_test.cc",
    "coordinator.before_decision": "coordinator/faults_test.cc",
    "coordinator.after_decision": "coordinator/faults_test.cc",
    "coordinator.after_first_notify": "coordinator/faults_test.cc",
    "coordinator.after_last_notify": "coordinator/faults_test.cc",
    "coordinator.prepare_request": "coordinator/faults_test.cc",
    "coordinator.prepare_reply": "coordinator/faults_test.cc",
    "coordinator.notify_request": "coordinator/faults_test.cc",
    "coordinator.notify_ack": "coordinator/faults_test.cc",
    "participant.before_prepare": "participant/participant_kill_test.cc",
    "participant.after_prepare": "participant/participant_kill_test.cc",
    "participant.before_end": "participant/participant_kill_test.cc",
    "participant.after_end": "participant/participant_kill_test.cc",
    "participant.prepare_reply": "participant/two_phase_test.cc",
    "participant.notify_reply": "participant/two_phase_test.cc",
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



def add_all(scenarios, binary):
    import subprocess
    declared = subprocess.run([binary, "config", "faults"], capture_output=True, text=True, check=True).stdout
    declared = {line.split()[0] for line in declared.splitlines()}
    unknown = declared ^ (POINTS.keys() | NOT_HERE.keys())
    check(not unknown, f"the table and `holdfast config faults` differ: {sorted(unknown)}")
    for name, point in POINTS.items():
        for n in point.crash:
            scenarios.add(f"{name}=crash:{n}", f"killed when {name} is reached for the {n}. time",
                          lambda context, f=f"{name}=crash:{n}", p=point: survive(context, f, p.settings, must_die=True))
        if point.error:
            scenarios.add(f"{name}=error:{point.error}", f"{name} fails {point.error} times",
                          lambda context, f=f"{name}=error:{point.error}", p=point:
                          survive(context, f, p.settings, must_die=False))
        if point.drop:
            scenarios.add(f"{name}=drop:{point.drop}", f"what passes {name} is lost {point.drop} times",
                          lambda context, f=f"{name}=drop:{point.drop}", p=point:
                          survive(context, f, p.settings, must_die=False))


if __name__ == "__main__":
    all_scenarios = Scenarios()
    sys.exit(all_scenarios.main(before=lambda binary: add_all(all_scenarios, binary)))
