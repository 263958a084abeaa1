"""Atomicity, consistency and isolation of the store layer: probes on real databases, and orders over HTTP."""
import concurrent.futures

from harness import check, row, until_answered
from support import probes

ITEM, PIECES = 4, 10  # of the shop's default items


def race_for_the_last(context, store):
    """Two buyers at once ask for the last piece; their answers."""
    server = context.serve(f"shop-{store}", settings={"process.store": store})
    server.confirm(item=ITEM, quantity=PIECES - 1)
    with concurrent.futures.ThreadPoolExecutor(2) as buyers:
        orders = [buyers.submit(until_answered, server.order, buyer=f"b{n}", item=ITEM, key=f"last-{n}") for n in range(2)]
        answers = [order.result() for order in orders]
    for answer in answers:
        body = answer.json()
        context.say(f"{store}: {answer.status} {body.get('status') or body['error']['code']}")
    server.terminate()
    return answers


@row("B14", "a failed second statement leaves nothing of the first")
def b14(context):
    probes(context, "anomalies", "*AFailedSecondStatementLeavesNothingOfTheFirst*")
    probes(context, "anomalies", "*AStatementAfterALostTransactionDoesNotRunAlone*",
           label="a deadlock that the unit hides: ")


@row("B16", "constraints hold in every committed state")
def b16(context):
    probes(context, "anomalies", "*ConstraintsHoldInEveryCommittedState*:*TheCheckRefuses*")


@row("B17", "two orders on the last unit: one wins, the other is told sold out")
def b17(context):
    probes(context, "anomalies", "*TwoOrdersOnTheLastUnit*")
    for store in ("sqlite", "mariadb"):
        answers = race_for_the_last(context, store)
        check(sorted(answer.status for answer in answers) == [201, 409], f"{[a.status for a in answers]}")
        refused = next(answer for answer in answers if answer.status == 409)
        check(refused.json()["error"]["code"] == "sold_out", refused.body)


@row("B19", "dirty read: not at our levels")
def b19(context):
    probes(context, "anomalies", "Levels.*")


@row("B20", "non-repeatable read: what each level does", same_as="B19")
def b20(context):
    probes(context, "anomalies", "Levels.*")


@row("B21", "phantom read: what each level does", same_as="B19")
def b21(context):
    probes(context, "anomalies", "Levels.*")


@row("B22", "READ UNCOMMITTED: never used, and refused at the start")
def b22(context):
    probes(context, "anomalies", "Level.*ReadUncommitted*:Level.IsReadCommittedByDefault*")
    server = context.serve("refused", start=False, settings={
        "shop.database": "mysql://root@localhost/shop?socket=/nowhere&isolation=read-uncommitted"})
    server.spawn()
    code = server.wait_dead()
    context.say(f"holdfast serve ends with {code}: {server.tail(1)}")
    check(code != 0 and "read-uncommitted" in server.log_text(), server.tail())


@row("B23", "READ COMMITTED: the default")
def b23(context):
    probes(context, "anomalies", "Level.IsReadCommittedByDefault*:Levels.ReadCommitted*")
    probes(context, "anomalies", "*/ReadCommitted")


@row("B24", "REPEATABLE READ: supported, its conflicts retried")
def b24(context):
    probes(context, "anomalies", "Level.IsWhatTheUrlSays:Levels.RepeatableRead*")
    probes(context, "anomalies", "*/RepeatableRead")


@row("B25", "SERIALIZABLE: supported, and what it costs")
def b25(context):
    probes(context, "anomalies", "Level.IsWhatTheUrlSays:Levels.Serializable*:Levels.Sqlite*")
    probes(context, "anomalies", "*/Serializable")
    context.say("what it costs:")
    probes(context, "anomalies", "*Throughput*")
