#!/usr/bin/env python3
"""Bad input at every face: refused in the shape of its protocol, and nothing stored. Each scenario counts the rows of all
stores and the broker's messages before and after."""
import contextlib
import datetime
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "acceptance"))
from harness import Todo, basic, check, form, http, wait_for  # noqa: E402
from scenarios import Scenarios  # noqa: E402
from support import ACCOUNT, ROLE, TOKEN, TOPIC, aws, counts, rows_of  # noqa: E402

scenarios = Scenarios()
FORM = "application/x-www-form-urlencoded"
ORDER = {"buyer": "b", "item": 1, "quantity": 1, "channel": "sms", "phone": "+15550100001"}
MESSAGE = {"To": "+15550100001", "From": "+15005550006", "Body": "hello"}


@contextlib.contextmanager
def nothing_stored(context):
    """A server with one order in it; afterwards all its stores hold what they held, and it still works."""
    server = context.serve(settings={"phone.step": "5ms", "phone.ring": "5ms"})
    server.confirm(key="good")
    server.settle()
    stored = "SELECT count(*) FROM phone_step WHERE callback='due'"
    wait_for("the callbacks are through", lambda: rows_of(server, "phone", stored)[0][0] == 0)
    before = everything(server)
    yield server
    after = everything(server)
    changed = {key: (before.get(key), after.get(key)) for key in before.keys() | after.keys()
               if before.get(key) != after.get(key)}
    check(not changed, f"something was stored: {changed}")
    context.say(f"{len(before)} counts of all stores are as before")
    server.confirm(key="still", phone="+15550100002")
    server.settle()


def everything(server):
    found = counts(server)
    counters = server.admin("/admin/broker/counters")
    found.update({f"broker.{name}": counters[name] for name in ("sent", "half_pending", "committed", "rolled_back")})
    for topic in server.admin("/admin/broker/topics")["topics"]:
        found[f"topic.{topic['name']}"] = topic["messages"]
    return found


@scenarios.scenario("shop", "the order service's HTTP face")
def shop(context):
    with nothing_stored(context) as server:
        url = server.url("shop", "/orders")

        def refused(what, body, status, code, headers=None, method="POST", path="/orders"):
            answer = http(method, server.url("shop", path), body, headers)
            shown = answer.json()["error"]["code"] if answer.body.startswith(b"{") else answer.body[:60].decode()
            context.say(f"{what}: {answer.status} {shown}")
            check(answer.status == status and shown == code, f"{what}: {answer.status} {answer.body[:300]!r}")

        def order(**change):
            return {key: value for key, value in {**ORDER, **change}.items() if value is not None}

        refused("no JSON", "{", 400, "invalid_json")
        refused("no object", "[1]", 400, "invalid_json")
        refused("nothing", "", 400, "invalid_json")
        refused("not UTF-8", b'{"buyer":"\xff"}', 400, "invalid_json")
        refused("deep nesting", "[" * 100_000, 400, "invalid_json")
        for field in ORDER:
            refused(f"no {field}", order(**{field: None}), 400, "missing_field")
        refused("unknown field", order(colour="red"), 400, "unknown_field")
        for field, value in (("item", "1"), ("item", 1.5), ("quantity", "1"), ("quantity", True), ("buyer", 7),
                             ("phone", 15550100001), ("channel", 1), ("channel", [1])):
            refused(f"{field} is {value!r}", order(**{field: value}), 400, "wrong_type")
        for field, value in (("quantity", -1), ("quantity", 0), ("quantity", 1_000_001), ("quantity", 2**63),
                             ("buyer", ""), ("buyer", "x" * 65), ("buyer", "a\u0000b"), ("phone", "5550100001"),
                             ("phone", "+1"), ("phone", "+1555010000x"), ("phone", "+" + "1" * 17), ("channel", "fax"),
                             ("channel", []), ("channel", ["sms", "sms"])):
            answer = http("POST", url, order(**{field: value}))
            context.say(f"{field} is {str(value)[:24]!r}: {answer.status} {answer.json()['error']['code']}")
            check(answer.status in (400, 422) and answer.json()["error"]["field"] == field, f"{answer}")
        refused("unknown item", order(item=99), 404, "unknown_item")
        refused("key too long", ORDER, 400, "invalid_key", {"Idempotency-Key": "k" * 256})
        refused("key of another order", order(buyer="other"), 422, "idempotency_key_reused", {"Idempotency-Key": "good"})
        refused("wrong method", None, 405, "method_not_allowed", method="DELETE")
        refused("wrong path", ORDER, 404, "not_found", path="/nowhere")
        large = http("POST", url, b'{"buyer":"' + b"x" * (2 << 20) + b'"}')
        context.say(f"2 MiB: {large.status}")
        check(large.status == 413, f"oversized: {large.status}")


@scenarios.scenario("router", "the EventBridge face")
def router(context):
    with nothing_stored(context) as server:
        def refused(what, answer, kind, status=400):
            shown = answer.json()
            context.say(f"{what}: {answer.status} {shown['__type']}: {shown['message'][:80]}")
            check(answer.status == status and shown["__type"] == kind, f"{what}: {answer.status} {shown}")
            check("x-amzn-requestid" in answer.headers, "no request id")

        now = datetime.datetime.now(datetime.timezone.utc)
        entry = {"Source": "ecommerce.orders", "DetailType": "order.confirmed", "Detail": "{}"}
        refused("unsigned", aws(server, "PutEvents", {"Entries": [entry]}, signed=False),
                "MissingAuthenticationTokenException")
        refused("wrong secret", aws(server, "PutEvents", {"Entries": [entry]}, secret="x"), "InvalidSignatureException")
        refused("unknown key", aws(server, "PutEvents", {"Entries": [entry]}, key="x"), "UnrecognizedClientException")
        for minutes in (-20, 20):
            refused(f"signed {minutes} minutes away", aws(server, "PutEvents", {"Entries": [entry]},
                    at=now + datetime.timedelta(minutes=minutes)), "InvalidSignatureException")
        refused("unknown operation", aws(server, "PutNonsense"), "UnknownOperationException")
        refused("not built", aws(server, "CreateArchive"), "UnknownOperationException")
        refused("no JSON", aws(server, "PutEvents", raw=b"{"), "SerializationException")
        refused("no object", aws(server, "PutEvents", raw=b"[]"), "SerializationException")
        refused("wrong type", aws(server, "PutEvents", {"Entries": "x"}), "SerializationException")
        refused("no entries", aws(server, "PutEvents", {"Entries": []}), "ValidationException")
        refused("11 entries", aws(server, "PutEvents", {"Entries": [entry] * 11}), "ValidationException")
        refused("no name", aws(server, "PutRule", {"EventPattern": "{}"}), "ValidationException")
        for pattern in ("{", "[]", '{"source":"x"}', '{"source":[{"nonsense":1}]}', '{"source":[{"wildcard":"*"}]}'):
            refused(f"pattern {pattern}", aws(server, "PutRule", {"Name": "bad", "EventPattern": pattern}),
                    "InvalidEventPatternException")
        refused("schedule", aws(server, "PutRule", {"Name": "bad", "ScheduleExpression": "rate(1 minute)"}),
                "ValidationException")
        refused("unknown rule", aws(server, "PutTargets", {"Rule": "none", "Targets": [
            {"Id": "1", "RoleArn": ROLE, "Arn": "arn:aws:events:us-east-1:000000000000:api-destination/x/y"}]}), "ResourceNotFoundException")
        refused("unknown connection", aws(server, "CreateApiDestination", {
            "Name": "bad", "ConnectionArn": "arn:aws:events:us-east-1:000000000000:connection/none/"
            "00000000-0000-0000-0000-000000000000", "HttpMethod": "POST", "InvocationEndpoint": "https://localhost/x"}),
                "ResourceNotFoundException")
        for what, change in (("no source", {"Source": None}), ("detail is no JSON", {"Detail": "{"}),
                             ("detail is a list", {"Detail": "[1]"}), ("source of the service", {"Source": "aws.ec2"}),
                             ("no detail type", {"DetailType": None})):
            answer = aws(server, "PutEvents", {"Entries": [
                {key: value for key, value in {**entry, **change}.items() if value is not None}]})
            verdict = answer.json()["Entries"][0]
            context.say(f"{what}: {verdict.get('ErrorCode')}")
            check(answer.status == 200 and answer.json()["FailedEntryCount"] == 1 and "ErrorCode" in verdict, f"{answer}")
        large = aws(server, "PutEvents", {"Entries": [{**entry, "Detail": json.dumps({"x": "y" * (1 << 20)})}]})
        context.say(f"an event of 1 MiB: {large.status}")
        check(large.status in (400, 413), f"oversized: {large.status}")


@scenarios.scenario("twilio", "the Twilio faces of notifier and phone, and the callback hook")
def twilio(context):
    with nothing_stored(context) as server:
        for role in ("notifier", "phone"):
            base = f"/2010-04-01/Accounts/{ACCOUNT}"

            def refused(what, status, code, fields=None, path=f"{base}/Messages.json", method="POST", raw=None, kind=FORM,
                        authorization=basic(ACCOUNT, TOKEN)):
                headers = {"Content-Type": kind, "X-Holdfast-Event-Id": f"bad-{what.replace(' ', '-')}"}
                if authorization:
                    headers["Authorization"] = authorization
                body = raw if raw is not None else form(fields) if fields is not None else None
                answer = http(method, server.url(role, path), body, headers)
                shown = answer.json()
                context.say(f"{role}: {what}: {answer.status} {shown['code']} {shown['message'][:70]}")
                check((answer.status, shown["code"]) == (status, code) and shown["status"] == status, f"{what}: {answer}")

            refused("nobody", 401, 20003, MESSAGE, authorization=None)
            refused("wrong token", 401, 20003, MESSAGE, authorization=basic(ACCOUNT, "wrong"))
            refused("other account", 404, 20404, MESSAGE, path="/2010-04-01/Accounts/AC" + "f" * 32 + "/Messages.json")
            refused("wrong path", 404, 20404, MESSAGE, path=f"{base}/Faxes.json")
            refused("wrong method", 405, 20004, method="PUT", raw=b"")
            refused("JSON", 400, 21604, raw=json.dumps(MESSAGE), kind="application/json")
            refused("no To", 400, 21604, {**MESSAGE, "To": ""})
            refused("bad To", 400, 21211, {**MESSAGE, "To": "12345"})
            refused("no Body", 400, 21602, {**MESSAGE, "Body": ""})
            refused("long Body", 400, 21617, {**MESSAGE, "Body": "x" * 1601})
            answer = http("POST", server.url(role, f"{base}/Messages.json"), b"To=%zz&Body=%",
                          {"Content-Type": FORM, "Authorization": basic(ACCOUNT, TOKEN)})
            context.say(f"{role}: broken form: {answer.status} {answer.json()['code']}")
            check(answer.status == 400, f"broken form: {answer}")
            refused("call without To", 400, 21201, {"From": "+15005550006", "Url": "http://127.0.0.1/x"}, path=f"{base}/Calls.json")
        forged = http("POST", server.url("notifier", "/hooks/twilio/message?n=x&a=1"),
                      form({"MessageSid": "SM" + "0" * 32, "MessageStatus": "failed"}),
                      {"Content-Type": FORM, "X-Twilio-Signature": "Zm9yZ2Vk"})
        context.say(f"forged callback: {forged.status}")
        check(forged.status == 403, f"forged: {forged}")
        fault = http("POST", server.url("phone", "/control/faults"), {"mode": "nonsense"})
        check(fault.status == 400, f"unknown fault mode: {fault}")


SERVICE = "apache.rocketmq.v2.MessagingService"


def grpc(server, method, payload, content_type="application/grpc", metadata=()):
    """One call as bytes, by curl: (HTTP status, grpc-status or None, grpc-message, body)."""
    command = ["curl", "-s", "--http2-prior-knowledge", "-X", "POST", "-v", "--data-binary", "@-",
               "-H", f"content-type: {content_type}", "-H", "te: trailers", "--max-time", "20",
               *(part for name, value in metadata for part in ("-H", f"{name}: {value}")),
               server.url("broker", f"/{SERVICE}/{method}")]

    def heard():
        # curl 7.88 drops an answer that came, whole, before its request was out (RST_STREAM with NO_ERROR): on a busy
        # machine many times in a row.
        done = subprocess.run(command, input=payload, capture_output=True, timeout=30)
        return done if b"< HTTP/2 " in done.stderr or not server.alive() else None
    done = wait_for(f"an answer to {method} that curl hears", heard, 60)
    head = done.stderr.decode(errors="replace")
    status = re.search(r"< HTTP/2 (\d+)", head)
    check(status, f"no HTTP answer: curl says {head[-1500:]}; {server.tail()}")
    code = re.search(r"< grpc-status: (\d+)", head)
    text = re.search(r"< grpc-message: (.*)", head)
    return (int(status[1]), int(code[1]) if code else None, text[1].strip() if text else "", done.stdout)


def frame(message, flag=0, length=None):
    return bytes([flag]) + (len(message) if length is None else length).to_bytes(4, "big") + message


def field(number, data):
    """A length-delimited protobuf field."""
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def rocketmq_code(body):
    """`status.code` of an answer whose field 1 is its Status."""
    message = body[5:]
    check(message and message[0] == 0x0A, f"no status in {body[:40]!r}")
    _, at = varint(message, 1)
    check(message[at] == 0x08, f"no code in {body[:40]!r}")
    return varint(message, at + 1)[0]


@scenarios.scenario("grpc", "the RocketMQ gRPC face: malformed frames and messages, and well-formed nonsense")
def grpc_face(context):
    if not shutil.which("curl") or b"nghttp2" not in subprocess.run(["curl", "-V"], capture_output=True).stdout:
        raise Todo("this needs curl with HTTP/2")
    client = (("x-mq-client-id", "bad-input"), ("x-mq-protocol", "v2"), ("x-mq-language", "PYTHON"),
              ("x-mq-client-version", "5.0.0"))
    with nothing_stored(context) as server:
        for what, method, payload, expected in (
                ("unknown method", "Nonsense", frame(b""), (12,)),
                ("garbage", "SendMessage", frame(b"\xff\xff\xff\xff\xff\xff"), (3, 13)),
                ("cut message", "SendMessage", frame(b"abc", length=100), (13,)),
                ("no message", "SendMessage", b"", (13,)),
                ("two messages", "SendMessage", frame(b"") * 2, (13,)),
                ("unknown flag", "SendMessage", frame(b"", flag=7), (13,)),
                ("compressed without saying how", "SendMessage", frame(b"x", flag=1), (12, 13)),
                ("a length of 4 GiB", "SendMessage", frame(b"x", length=0xFFFFFFFF), (8,))):
            status, code, text, _ = grpc(server, method, payload, metadata=client)
            context.say(f"{what}: grpc-status {code} {text[:70]}")
            check(status == 200 and code in expected, f"{what}: HTTP {status}, grpc-status {code}, wanted {expected}")
        status, code, _, _ = grpc(server, "SendMessage", b"{}", content_type="application/json")
        context.say(f"JSON: HTTP {status}")
        check(status == 415, f"JSON: HTTP {status}")
        topic = field(1, field(2, TOPIC.encode()))
        nonsense = (
            ("no messages", "SendMessage", b""),
            ("a message without topic", "SendMessage", field(1, b"")),
            ("a message without id", "SendMessage", field(1, topic + field(4, b"x"))),
            ("an illegal topic", "SendMessage", field(1, field(1, field(2, b"no/such topic")) + field(4, b"x"))),
            ("an unknown transaction", "EndTransaction", field(1, field(2, TOPIC.encode())) + field(2, b"m") +
             field(3, b"t") + bytes([0x20, 1])),
            ("a route of nothing", "QueryRoute", b""))
        for what, method, message in nonsense:
            status, code, text, body = grpc(server, method, frame(message), metadata=client)
            answer = rocketmq_code(body) if code == 0 and len(body) > 5 else None
            context.say(f"{what}: grpc-status {code}, RocketMQ code {answer} {text[:60]}")
            check(code in (0, 3) and (answer is None or answer >= 40000), f"{what} was accepted: {code} {body[:60]!r}")
        with socket.create_connection(("127.0.0.1", server.ports["broker"]), timeout=10) as raw:
            raw.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64)
            raw.settimeout(10)
            with contextlib.suppress(ConnectionError):
                while raw.recv(4096):
                    pass
        context.say("malformed HTTP/2 frames: the connection is closed")


if __name__ == "__main__":
    sys.exit(scenarios.main())
