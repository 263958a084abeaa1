"""Orders through the whole chain to each kind of phone."""
import json
import re

from harness import check, http, row, wait_for
from support import check_told_exactly_once, customers, notices, say_story


def received(server, to):
    """What one number received, once something arrived."""
    def there():
        return [item for one in customers(server) if one["to"] == to for item in one["received"]]
    return wait_for(f"something reaches {to}", there)


@row("A1", "an order over HTTP ends as a confirmed order and one notification")
def a1(context):
    server = context.serve()
    placed = server.cli("order", "--user", "u1", "--item", "1", "--qty", "1", "--phone", "+15550100001")
    context.say(placed.stdout.strip())
    order_id = re.search(r"order (\w+) is confirmed", placed.stdout)[1]
    received(server, "+15550100001")
    report = server.settle()
    say_story(context, server, order_id)
    check(http("GET", server.url("shop", f"/orders/{order_id}")).json()["status"] == "confirmed", "the order's status")
    check(notices(server) == {(order_id, "sms"): 1}, f"notices: {notices(server)}")
    check(report["confirmed"] == 1, f"reconciliation: {report}")


def one_order(context, channel, to):
    server = context.serve()
    order_id = server.confirm(channel=channel, phone="+15550100002")
    items = received(server, to)
    check(len(items) == 1, f"{len(items)} notifications instead of one: {items}")
    item = items[0]
    context.say(f"{item['kind']} {item['sid']} from {item['from']} to {to}: {item['text']}")
    check(order_id in item["text"], "the text names the order")
    server.settle()
    check(notices(server) == {(order_id, channel): 1}, f"notices: {notices(server)}")
    return server, order_id, item


@row("A7", "an order with a phone number gives one SMS record with To, From and Body")
def a7(context):
    _, order_id, item = one_order(context, "sms", "+15550100002")
    check(item["kind"] == "message" and re.fullmatch(r"SM[0-9a-f]{32}", item["sid"]), f"not an SMS: {item}")
    check(item["from"].startswith("+") and item["text"] == f"Order #{order_id} confirmed.", f"not as asked: {item}")


@row("A8", "voice channel: one call with what it says")
def a8(context):
    _, order_id, item = one_order(context, "voice", "+15550100002")
    check(item["kind"] == "call" and re.fullmatch(r"CA[0-9a-f]{32}", item["sid"]), f"not a call: {item}")
    check(item["text"] == f"Order number {order_id} confirmed.", f"it says: {item['text']}")


@row("A9", "WhatsApp channel: addresses with whatsapp:")
def a9(context):
    _, order_id, item = one_order(context, "whatsapp", "whatsapp:+15550100002")
    check(item["kind"] == "message" and item["from"].startswith("whatsapp:"), f"not a WhatsApp message: {item}")
    check(item["text"] == f"Order #{order_id} confirmed.", f"it says: {item['text']}")


@row("A39", "one order with three channels gives three records, each once")
def a39(context):
    server = context.serve()
    placed = server.cli("--json", "order", "--user", "u1", "--item", "1", "--channel", "sms,voice,whatsapp", "--phone",
                        "+15550100003")
    order_id = json.loads(placed.stdout)["order_id"]
    wait_for("three notifications", lambda: len(notices(server)) == 3)
    server.settle()
    context.say(f"seen: {dict(notices(server))}")
    check(notices(server) == {(order_id, channel): 1 for channel in ("sms", "voice", "whatsapp")}, "each channel once")


@row("A48", "three orders, one sold out, one that meets a crash: two notices with the right texts")
def a48(context):
    server = context.serve(settings={"broker.first_check": "300ms", "broker.check_interval": "300ms"})
    ok = server.confirm(buyer="ok", phone="+15550100011")
    refused = server.order(buyer="late", item=4, quantity=1000, phone="+15550100012")
    check(refused.status == 409 and refused.json()["error"]["code"] == "sold_out", f"{refused.status} {refused.body}")
    server.restart(faults="shop.after_commit=crash:1")
    try:
        server.order(buyer="unlucky", phone="+15550100013", key="crash-1")
        check(False, "the process should have died before it answered")
    except OSError as lost:
        context.say(f"the third buyer's connection broke: {lost}")
    server.wait_dead()
    server.start()
    crashed = server.confirm(buyer="unlucky", phone="+15550100013", key="crash-1")
    wait_for("two notices", lambda: len(notices(server)) == 2)
    server.settle()
    for one in customers(server):
        context.say(f"{one['to']}: {[item['text'] for item in one['received']]}")
    check(notices(server) == {(ok, "sms"): 1, (crashed, "sms"): 1}, f"notices: {notices(server)}")
    check_told_exactly_once(context, server)
    context.say(f"the refused order {refused.json()['order_id']} has no notice; the crashed one's story:")
    say_story(context, server, crashed)
