"""The event router: its API, what it matches, what it sends, and who may send."""
import json
from urllib.parse import parse_qs

from harness import basic, check, http, row, wait_for
from support import (ACCOUNT, PATIENT_ROUTER, PATTERN, ROLE, TOKEN, Sink, aws, aws_ok, delivery_of, event_of,
                     metric, notices, put_event, route_to, show, wait_delivery)

DETAIL = {"order_id": "1001", "customer_phone": "+15550100001", "twilio_number": "+15005550006"}


def told(server, order_id, channel="sms"):
    return wait_for(f"order {order_id} is told", lambda: notices(server)[order_id, channel])


@row("A5", "PutEvents, PutRule, PutTargets, CreateApiDestination, CreateConnection over the AWS JSON API, signed")
def a5(context):
    server = context.serve(settings=PATIENT_ROUTER)
    with Sink() as sink:
        connection, destination = route_to(server, sink.url + "/2010-04-01/Accounts/{AccountSid}/Messages.json")
        context.say(f"CreateConnection: {connection['ConnectionArn']} {connection['ConnectionState']}")
        context.say(f"CreateApiDestination: {destination['ApiDestinationArn']} {destination['ApiDestinationState']}")
        names = [rule["Name"] for rule in aws_ok(server, "ListRules")["Rules"]]
        context.say(f"ListRules: {names}")
        check("r-rule" in names and "order-confirmed-sms" in names, "the rules are listed")
        event = put_event(server, DETAIL)
        delivery = wait_delivery(server, event, "r-rule")
        attempt = delivery["attemptList"][0]
        context.say(f"PutEvents: {event} → {attempt['request']} → {attempt['status']}")
        check(len(sink.requests) == 1, f"{len(sink.requests)} requests")
    for what, answer in (("unsigned", aws(server, "ListRules", signed=False)),
                         ("wrong secret", aws(server, "ListRules", secret="wrong")),
                         ("unknown key", aws(server, "ListRules", key="nobody"))):
        context.say(f"{what}: {answer.status} {answer.json()['__type']}")
        check(answer.status == 400 and "__type" in answer.json(), f"{what} was not refused: {answer}")
    for operation, body in (("DescribeRule", {"Name": "r-rule"}), ("ListTargetsByRule", {"Rule": "r-rule"}),
                            ("DescribeConnection", {"Name": "r-connection"}),
                            ("DescribeApiDestination", {"Name": "r-destination"}),
                            ("RemoveTargets", {"Rule": "r-rule", "Ids": ["r"]}), ("DeleteRule", {"Name": "r-rule"}),
                            ("DeleteApiDestination", {"Name": "r-destination"}),
                            ("DeleteConnection", {"Name": "r-connection"})):
        aws_ok(server, operation, body)
        context.say(f"{operation}: 200")


@row("A13", "the trace of an event: matched rule, destination, HTTP status")
def a13(context):
    server = context.serve(settings=PATIENT_ROUTER)
    order_id = server.confirm()
    event = event_of(server, order_id)
    wait_delivery(server, event, "order-confirmed-sms")
    for line in server.cli("show", "event", event).stdout.splitlines():
        context.say(line)
    facts = show(server, "event", event)["facts"]
    check(facts["rules"] == ["order-confirmed-sms"], f"rules: {facts['rules']}")
    delivery = facts["deliveries"][0]
    check("api-destination/twilio-messages/" in delivery["targetArn"], f"destination: {delivery['targetArn']}")
    check(delivery["attemptList"][0]["status"] == 201 and delivery["state"] == "delivered", f"outcome: {delivery}")


@row("A38", "the bus routes the committed event through the destination to the REST endpoint, and only a committed one")
def a38(context):
    server = context.serve()
    order_id = server.confirm()
    check(server.order(quantity=999_999).status == 409, "the second order is refused")
    told(server, order_id)
    server.settle()
    counts = server.admin("/admin/router")
    context.say(f"events at the router: {counts}")
    check(counts["events"] == 1 and counts["delivered"] == 1, "one event, of the committed order")
    delivery = show(server, "event", event_of(server, order_id))["facts"]["deliveries"][0]
    context.say(f"{delivery['attemptList'][0]['request']} → {delivery['attemptList'][0]['status']}")
    check(delivery["attemptList"][0]["request"].startswith("POST " + server.url("notifier")), "to the REST endpoint")


@row("A28", "the role document is stored and evaluated when a target is invoked")
def a28(context):
    server = context.serve(settings={"router.retry_first": "200ms", "router.retry_max": "200ms"})
    rules = server.admin("/admin/router/rules")
    role = next(r for r in rules["roles"] if r["arn"] == ROLE)
    context.say(f"stored: {json.dumps(role)}")
    check(role["statements"][0]["Action"] == ["events:InvokeApiDestination"], "the right is in the document")
    messages = next(d["arn"] for d in rules["apiDestinations"] if d["name"] == "twilio-messages")
    grant(server, [{"Action": ["events:InvokeApiDestination"], "Resource": [messages]}])
    order_id = server.confirm(channel=["sms", "voice"])
    told(server, order_id)
    event = event_of(server, order_id)
    def denied():
        delivery = delivery_of(server, event, "order-confirmed-voice")
        return delivery if delivery and delivery.get("errorCode") == "NO_PERMISSIONS" else None
    delivery = wait_for("the call is denied", denied)
    context.say(f"narrowed to {messages}: sms delivered; voice {delivery['errorCode']}: {delivery['error']}")
    check(notices(server)[order_id, "voice"] == 0, "nobody was called")
    grant(server, [{"Action": ["events:*"], "Resource": ["*"]}])
    told(server, order_id, "voice")
    server.settle()
    context.say("granted again: the call went out by its next retry")


def grant(server, statements):
    answer = http("PUT", server.url("console", "/admin/router/roles/holdfast-notify"), {"statements": statements})
    check(answer.status == 200, f"granting: {answer.status} {answer.body!r}")


@row("A30", "the document's event pattern, exactly: matching events routed, others not")
def a30(context):
    server = context.serve(settings=PATIENT_ROUTER)
    with Sink() as sink:
        route_to(server, sink.url + "/messages", path_values=(), pattern=PATTERN)
        stored = aws_ok(server, "DescribeRule", {"Name": "r-rule"})["EventPattern"]
        context.say(f"stored: {stored}")
        check(json.loads(stored) == json.loads(PATTERN), "the pattern is kept")
        event = put_event(server, DETAIL)
        others = [put_event(server, DETAIL, source="ecommerce.returns"),
                  put_event(server, DETAIL, detail_type="order.cancelled")]
        wait_delivery(server, event, "r-rule")
        for other in others:
            answer = http("GET", server.url("console", f"/admin/router/events/{other}"))
            rules = answer.json()["rules"] if answer.status == 200 else []
            context.say(f"other source or type {other}: rules {rules}")
            check(not rules, "it should not match")
        check(len(sink.requests) == 1, f"{len(sink.requests)} requests")
    for source, expected in (("ecommerce.orders", True), ("ecommerce.order", False)):
        event = {"version": "0", "id": "1", "source": source, "detail-type": "order.confirmed", "resources": [],
                 "account": "000000000000", "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "detail": {}}
        result = aws_ok(server, "TestEventPattern", {"EventPattern": PATTERN, "Event": json.dumps(event)})["Result"]
        context.say(f"TestEventPattern {source}: {result}")
        check(result is expected, "the same matcher decides")


@row("A31", "the rule's target is the API destination, with its role")
def a31(context):
    server = context.serve()
    for rule in ("order-confirmed-sms", "order-confirmed-whatsapp", "order-confirmed-voice"):
        for target in aws_ok(server, "ListTargetsByRule", {"Rule": rule})["Targets"]:
            context.say(f"{rule}: {target['Arn']} as {target['RoleArn']}")
            check(":api-destination/twilio-" in target["Arn"] and target["RoleArn"] == ROLE, f"target: {target}")


@row("A32", "the document's input template as a form; quotes, newlines, & and emoji survive")
def a32(context):
    server = context.serve()
    values = {"plain": ("1001", b"To=%2B15550100001&From=%2B15005550006&Body=Order%20%231001%20confirmed."),
              "awkward": ('7"8\n9&=%+ü😀\\', None)}
    with Sink() as sink:
        route_to(server, sink.url + "/messages", path_values=())
        for name, (order_id, expected) in values.items():
            event = put_event(server, {**DETAIL, "order_id": order_id})
            wait_delivery(server, event, "r-rule")
            request = sink.requests[-1]
            context.say(f"{name}: {request['headers']['Content-Type']}: {request['body'].decode()}")
            check(request["headers"]["Content-Type"] == "application/x-www-form-urlencoded", "not a form")
            if expected:
                check(request["body"] == expected, f"not as the document says: {request['body']}")
            fields = parse_qs(request["body"].decode(), strict_parsing=True)
            check(fields == {"To": ["+15550100001"], "From": ["+15005550006"],
                             "Body": [f"Order #{order_id} confirmed."]}, f"read back: {fields}")
    raw = http("POST", server.url("phone", f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"),
               {"To": "+15550100001", "From": "+15005550006", "Body": "JSON"}, {"Authorization": basic(ACCOUNT, TOKEN)})
    context.say(f"raw JSON to the provider (W6): {raw.status} {raw.body.decode()}")
    check(raw.status == 400, "JSON should have been refused")


@row("A41", "missing events:InvokeApiDestination: kept, dead letter with reason, alarm; granted and replayed: delivered")
def a41(context):
    server = context.serve(settings={**PATIENT_ROUTER, "router.retry_first": "100ms", "router.retry_max": "100ms"})
    with Sink() as sink:
        route_to(server, sink.url + "/messages", path_values=(), retries=2)
        grant(server, [{"Action": ["events:PutEvents"], "Resource": ["*"]}])
        event = put_event(server, DETAIL)
        dead = wait_delivery(server, event, "r-rule", "dead")
        context.say(f"without the right: {dead['attempts']} attempts, then dead: {dead['errorCode']}, {dead['error']}")
        check(dead["errorCode"] == "NO_PERMISSIONS" and dead["attempts"] == 3, f"{dead}")
        check(dead["exhaustedRetryCondition"] == "MaximumRetryAttempts" and not sink.requests, "nothing was sent")
        listed = server.cli("dlq", "list").stdout
        for line in listed.splitlines():
            context.say(line)
        check(dead["id"] in listed and "NO_PERMISSIONS" in listed, "`dlq list` shows it with the reason")
        wait_for("the alarm", lambda: metric(server, "holdfast_router_dead_letters_total", code="NO_PERMISSIONS") == 1
                 and "router.dead_letter" in server.log_text())
        context.say("alarm: holdfast_router_dead_letters_total{code=NO_PERMISSIONS} 1, an error in the log")
        grant(server, [{"Action": ["events:InvokeApiDestination"], "Resource": ["*"]}])
        server.cli("dlq", "redrive", dead["id"])
        wait_delivery(server, event, "r-rule")
        context.say(f"granted and redriven: {sink.requests[0]['body'].decode()}")
        check(len(sink.requests) == 1, "delivered once")
