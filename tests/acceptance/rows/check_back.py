"""Transactions that nobody decided: what check-back finds, what it refuses to guess, and its schedule."""
import sqlite3
import subprocess

from harness import BROKEN, Failure, check, row, wait_for
from support import (check_told_exactly_once, confirmed_orders, metric, notices, rows_of, say_story, show, story,
                     transactions, unit_tests)

QUICK = {"broker.first_check": "300ms", "broker.check_interval": "300ms"}


def order_that_dies(context, server, **order):
    """An order during which the armed fault ends the process."""
    try:
        answer = server.order(**order)
        check(False, f"the process should have died, it answered {answer.status}")
    except BROKEN as lost:
        context.say(f"the process died; the buyer sees: {lost}")
    server.wait_dead()


def decided(server, state):
    return wait_for(f"a transaction is {state}", lambda: transactions(server, state))[0]


@row("A24", "crash between database commit and confirm: check-back reads the store, the message is delivered")
def a24(context):
    server = context.serve(faults="shop.after_commit=crash:1", settings=QUICK)
    order_that_dies(context, server, key="k1")
    check(len(confirmed_orders(server)) == 1, "the order is in the store")
    server.start()
    order_id = wait_for("the notice", lambda: list(notices(server)))[0][0]
    server.settle()
    say_story(context, server, order_id)
    check(("broker", "committed", "by check") in story(server, order_id), "check-back decided")
    check_told_exactly_once(context, server)
    check(server.confirm(key="k1") == order_id, "the buyer's repetition gets the same order")
    check_told_exactly_once(context, server)


@row("A25", "check-back answers COMMIT if the order exists (the confirm was lost on its way)")
def a25(context):
    server = context.serve(faults="mq.end_transaction=drop:3", settings=QUICK)
    order_id = server.confirm()
    one = decided(server, "committed")
    context.say(f"transaction {one['transaction_id']}: {one['state']} by {one['decided_by']}, {one['checks']} checks")
    check(one["key"] == order_id and one["decided_by"] == "check", f"decided otherwise: {one}")
    check(metric(server, "holdfast_mq_checks_total", outcome="commit") == 1, "one check, answered COMMIT")
    wait_for("the notice", lambda: notices(server))
    server.settle()
    check_told_exactly_once(context, server)


def late_marker(context, server, tx_id):
    """Why the first statement of a local transaction that was overtaken fails; it must."""
    insert = f"INSERT INTO tx_marker (tx_id, state, at_us) VALUES ('{tx_id}', 'committed', 1)"
    if (server.data / "mariadb").exists():
        late = subprocess.run(["mariadb", f"--socket={server.data}/mariadb/all/mariadb.sock", "--user=root", "shop", "-e",
                               f"BEGIN; {insert}; ROLLBACK"], capture_output=True, text=True)
        check("Duplicate entry" in late.stderr, f"the late transaction went through: {late.stdout}{late.stderr}")
        return late.stderr.strip()
    copy = context.folder / "late.db"  # beside the one writer
    with sqlite3.connect(f"file:{server.data}/shop.db?mode=ro", uri=True) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    with sqlite3.connect(copy) as late:
        try:
            late.execute(insert)
        except sqlite3.IntegrityError as fenced:
            return fenced
    raise Failure("the late transaction went through")


@row("A26", "crash before the commit: tombstone, ROLLBACK, discarded; a later commit of that transaction fails")
def a26(context):
    server = context.serve(faults="shop.before_commit=crash:1", settings=QUICK)
    order_that_dies(context, server, key="k1")
    server.start()
    one = decided(server, "rolled_back")
    context.say(f"transaction {one['transaction_id']}: {one['state']} by {one['decided_by']}")
    check(one["decided_by"] == "check", f"decided otherwise: {one}")
    markers = rows_of(server, "shop", "SELECT tx_id, state FROM tx_marker")
    context.say(f"select … from tx_marker: {markers}")
    check(markers == [(one["key"], "rolled_back")], "the tombstone is there")
    refused = server.cli("tx", "commit", one["transaction_id"], expect=2)
    context.say(f"tx commit: {refused.stderr.strip()}")
    # A local transaction that wakes up now fails on its first statement.
    context.say(f"the late local transaction: {late_marker(context, server, one['key'])}")
    check(not confirmed_orders(server) and not notices(server), "nothing was ordered, nobody was told")
    again = server.confirm(key="k1")
    check(again != one["key"], "the buyer's repetition is a new attempt")
    server.settle()
    check_told_exactly_once(context, server)


@row("A42", "nobody answers check-back: parked and reported after 15 s (profile window-15s), never dropped")
def a42(context):
    profile = {"broker.check_profile": "window-15s", "broker.groups": '["router"]'}
    server = context.serve(faults="shop.after_commit=crash:1", settings=profile)
    order_that_dies(context, server, key="k1")
    alone = context.serve("alone", roles=["broker", "console"], settings=profile, data=server.data)
    context.say("only the broker comes back: there is no producer with a checker to ask")
    one = wait_for("the half message is parked", lambda: transactions(alone, "parked"), 60, every_s=0.2)[0]
    history = show(alone, "tx", one["transaction_id"])["facts"]["messages"][0]["events"]
    context.say(f"{one['transaction_id']}: {[(e['what'], e['detail']) for e in history]}")
    for line in alone.cli("tx", "list", "--state", "parked").stdout.splitlines():
        context.say(line)
    check("broker.half.parked" in alone.log_text(), "it is reported in the log")
    wait_for("and as a metric", lambda: metric(alone, "holdfast_broker_half_messages", state="parked") == 1)
    context.say("metric holdfast_broker_half_messages{state=parked}: 1")
    alone.terminate()
    server.start()
    check(not notices(server), "nothing was decided by a timer")
    server.cli("tx", "recheck", one["transaction_id"])
    wait_for("the notice", lambda: notices(server))
    server.settle()
    context.say("with a checker, and asked again: delivered")
    check_told_exactly_once(context, server)
    context.say("a transactional producer without a checker warns at start:")
    unit_tests(context, "mq", "TransactionTest.WithoutAChecker*")


@row("A43", "the default schedule: 15 checks, the first at 6 s, then every 30 s (the clock 60 times as fast)")
def a43(context):
    plain = context.serve("plain", start=False)
    explained = plain.explain()
    for key, value in (("first_check", '"6s"'), ("check_interval", '"30s"'), ("max_checks", "15")):
        line = next(line for line in explained.splitlines() if line.lstrip("# ").startswith(f"{key} ="))
        context.say(f"default: {line.strip()}")
        check(value in line, f"{key} is not {value}")
    speed = 60
    server = context.serve(faults="mq.end_transaction=drop:100000", settings={
        "broker.first_check": f"{6000 // speed}ms", "broker.check_interval": f"{30_000 // speed}ms"})
    for n in range(3):
        server.confirm(phone=f"+1555010000{n}")
    context.say("every answer of the producer is lost on its way, so that the broker goes on asking")
    parked = wait_for("they are parked", lambda: len(transactions(server, "parked")) == 3 and transactions(server, "parked"), 60,
                      every_s=0.2)
    first, spacing = [], []
    for one in parked:
        events = show(server, "tx", one["transaction_id"])["facts"]["messages"][0]["events"]
        stored = next(e["at_us"] for e in events if e["what"] == "half_stored")
        ages = [(e["at_us"] - stored) / 1e6 * speed for e in events if e["what"] == "checked"]
        context.say(f"checks at (seconds of the unscaled clock): {[round(age) for age in ages]}")
        check(len(ages) == 15 and one["checks"] == 15, f"{len(ages)} checks")
        first.append(ages[0])
        spacing.append(sorted(b - a for a, b in zip(ages, ages[1:])))
    # Never early; late only when the machine was busy with other things: the best of three tells what the code needs.
    check(all(age >= 5.9 for age in first) and min(first) < 36, f"the first at {first}")
    check(all(gaps[0] >= 29 for gaps in spacing) and min(gaps[len(gaps) // 2] for gaps in spacing) < 36, f"spacing: {spacing}")
    server.restart()
    for one in parked:
        server.cli("tx", "recheck", one["transaction_id"])
    wait_for("the notices", lambda: len(notices(server)) == 3)
    server.settle()
