"""What holds for the whole: no loss without an operator, roles apart, and the rows that wait for later parts."""
from harness import Todo, check, row, wait_for
from support import (Buyers, check_answers, check_told_exactly_once, notices, plan_orders, put_event, scaled)

IMPATIENT = {"broker.first_check": "500ms", "broker.check_interval": "500ms", "router.retry_first": "100ms",
             "router.retry_max": "500ms", "broker.client_expiry": "2s"}


@row("A3", "the official RocketMQ clients against our broker")
def a3(context):
    raise Todo("the classic remoting client; the official gRPC clients are judged by ./dev conformance")


@row("A14", "every process killed once under load, no operator: all delivered, nothing open")
def a14(context):
    count = scaled(context, 5000, 240)
    cluster = context.cluster(settings=IMPATIENT)
    buyers = Buyers(cluster, plan_orders(context.random, count), workers=6)
    victims = list(cluster.parts)
    context.random.shuffle(victims)
    for n, victim in enumerate(victims):
        buyers.wait_for_share((n + 0.3 + 0.4 * context.random.random()) / len(victims))
        cluster[victim].restart()
        context.say(f"kill -9 {victim} after {buyers.done} answers, started again")
    check_answers(context, buyers.results())
    report = cluster.settle(90)
    context.say(f"reconciliation: open {report['open']}, findings {len(report['findings'])}")
    check_told_exactly_once(context, cluster)


@row("A40", "each of the four roles stopped alone: the others keep accepting, the backlog drains after its return")
def a40(context):
    cluster = context.cluster(settings=IMPATIENT)
    orders = [cluster.confirm(key="before", phone="+15550100000")]

    def told(count):
        return wait_for(f"{count} notices", lambda: sum(notices(cluster).values()) == count, 30)

    told(1)
    wait_for("the router has heard of it", lambda: backlog(cluster)["delivered"] == 1)
    cluster["notifier"].kill()
    orders += [cluster.confirm(key=f"n{n}", phone=f"+1555010001{n}") for n in range(5)]
    waiting = wait_for("the router's backlog", lambda: backlog(cluster)["pending"] == 5 and backlog(cluster))
    context.say(f"provider execution stopped: 5 orders accepted, router {waiting}")
    cluster["notifier"].start()
    told(6)

    cluster["router"].kill()
    orders += [cluster.confirm(key=f"r{n}", phone=f"+1555010002{n}") for n in range(5)]
    group = next(g for g in cluster.admin("/admin/broker/groups")["groups"] if g["group"] == "router")
    context.say(f"bus routing stopped: 5 orders accepted, the broker's backlog for it {group['backlog']}")
    check(group["backlog"] == 5, "the messages wait at the broker")
    cluster["router"].start()
    told(11)

    cluster["broker"].kill()
    refused = cluster.order(key="b0", phone="+15550100030")
    direct = put_event(cluster, {"order_id": "direct", "customer_phone": "+15550100039", "channel": ["sms"]})
    context.say(f"broker delivery stopped: the shop answers {refused.status} {refused.json()['error']['code']}; "
                f"the bus takes events: {direct}")
    check(refused.status == 503, "an order without its message would not be atomic: it is refused, to be repeated")
    told(12)
    cluster["broker"].start()
    orders.append(cluster.confirm(key="b0", phone="+15550100030"))
    told(13)

    cluster["shop"].kill()
    put_event(cluster, {"order_id": "direct2", "customer_phone": "+15550100049", "channel": ["sms"]})
    told(14)
    context.say("database state (the shop) stopped: bus and provider go on")
    cluster["shop"].start()
    orders.append(cluster.confirm(key="s0", phone="+15550100040"))
    told(15)
    seen = notices(cluster)
    check(all(seen[order, "sms"] == 1 for order in orders) and len(orders) == 13, f"each order once: {seen}")
    context.say(f"{len(orders)} orders and 2 direct events: each told once")


def backlog(cluster):
    return cluster["router"].admin("/admin/router")
