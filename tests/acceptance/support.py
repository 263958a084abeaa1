"""What several rows need beyond one server: the chain in separate processes, buyers under load, a signed AWS client, a
sink that records what it is sent, and counting what customers saw."""
import base64
import collections
import concurrent.futures
import contextlib
import datetime
import hashlib
import hmac
import json
import os
import re
import sqlite3
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import check, http, until_answered, wait_for

ACCOUNT = "AC" + "0" * 32
TOKEN = "holdfast-sandbox"
TOPIC = "ecommerce-orders"
# For rows that count attempts: what answers stands on this machine, and may stand still for a while.
PATIENT_ROUTER = {"router.request_timeout": "60s", "notifier.answer_within": "60s"}


def scaled(context, document, default):
    """How many: `default`, or the document's number with HF_ACCEPT_SCALE=1 (0.1: a tenth of it), never below default."""
    scale = float(os.environ.get("HF_ACCEPT_SCALE", "0"))
    count = max(default, int(document * scale))
    context.say(f"{count} of the document's {document} (HF_ACCEPT_SCALE=1 runs them all)")
    return count


# ── stores ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def rows_of(server, store, query, *parameters):
    """What a store holds, read beside the server (read-only). On MariaDB, name each column once."""
    if not (server.data / f"{store}.db").exists():
        for parameter in parameters:
            query = query.replace("?", "'" + str(parameter).replace("'", "''") + "'", 1)
        return [tuple(row.values()) for row in server.sql(store, query)]
    with contextlib.closing(sqlite3.connect(f"file:{server.data}/{store}.db?mode=ro", uri=True, timeout=10)) as database:
        return database.execute(query, parameters).fetchall()


def counts(server):
    """Rows per table of every store, for `nothing was stored`."""
    found = {}
    for store in ("shop", "router", "notifier", "phone"):
        for row in server.sql(store, "show tables"):
            table = next(iter(row.values()))
            found[f"{store}.{table}"] = rows_of(server, store, f"SELECT count(*) FROM {table}")[0][0]
    return found


def metric(server, name, **labels):
    """The sum of a metric's samples that carry these labels."""
    total = 0.0
    for line in http("GET", server.url("console", "/metrics")).body.decode().splitlines():
        found = re.match(r"([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)", line)
        if not found or found[1] != name:
            continue
        have = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
        if all(have.get(key) == value for key, value in labels.items()):
            total += float(found[3])
    return total


# ── stories ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def show(server, what, name):
    return json.loads(server.cli("--json", "show", what, name).stdout)


def story(server, order_id):
    """The order's timeline as [(where, what, detail)]."""
    return [(hop["where"], hop["what"], hop["detail"]) for hop in show(server, "order", order_id)["timeline"]]


def say_story(context, server, order_id):
    for line in server.cli("show", "order", order_id).stdout.splitlines():
        context.say(line)


def transactions(server, state=None):
    answer = server.admin(f"/admin/broker/transactions?topic={TOPIC}")["transactions"]
    return [t for t in answer if state is None or t["state"] == state]


def consumable(server):
    """Messages that consumers of the orders' topic can see."""
    return next(t["messages"] for t in server.admin("/admin/broker/topics")["topics"] if t["name"] == TOPIC)


def notifications_of(server, name):
    answer = http("GET", server.url("console", f"/admin/notifier/notifications/{name}"))
    return answer.json()["notifications"] if answer.status == 200 else []


def event_of(server, order_id):
    """The id of the event an order became, once the notifier knows of it."""
    found = wait_for(f"a notification of order {order_id}", lambda: notifications_of(server, order_id))
    return found[0]["event_id"].rsplit(".", 1)[0]


# ── what customers saw ───────────────────────────────────────────────────────────────────────────────────────────────
def customers(server):
    everybody, after = [], ""
    while after is not None:
        page = http("GET", server.url("phone", f"/control/customers?limit=1000&after={after.replace('+', '%2B')}")).json()
        everybody += page["customers"]
        after = page["next_after"]
    return everybody


def notices(server):
    """(order id, channel) → how often the customer saw it."""
    seen = collections.Counter()
    for customer in customers(server):
        for item in customer["received"]:
            order = re.search(r"Order (?:#|number )(\w+) confirmed", item["text"])
            check(order, f"a notice without an order: {item}")
            channel = ("voice" if item["kind"] == "call" else
                       "whatsapp" if customer["to"].startswith("whatsapp:") else "sms")
            seen[order[1], channel] += 1
    return seen


def confirmed_orders(server):
    """(order id, channel) of every confirmed order in the store."""
    return collections.Counter(
        (order_id, channel) for order_id, channels in
        rows_of(server, "shop", "SELECT order_id, channels FROM orders WHERE status='confirmed'")
        for channel in channels.split(","))


def check_told_exactly_once(context, server):
    """The customers' notices are exactly the committed orders, each once per channel."""
    expected, seen = confirmed_orders(server), notices(server)
    lost, extra = expected - seen, seen - expected
    context.say(f"committed: {len(expected)} order·channel pairs; seen by customers: {sum(seen.values())}; "
                f"missing {sum(lost.values())}, doubled or without order {sum(extra.values())}")
    check(not lost and not extra, f"missing {list(lost)[:5]}, too many {list(extra)[:5]}")


# ── load ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def plan_orders(rng, count, prefix="k", items=(1, 2, 3), channels=("sms", "whatsapp", "voice")):
    return [{"key": f"{prefix}-{n}", "buyer": f"b{n % 97}", "item": rng.choice(items), "quantity": rng.randint(1, 3),
             "channel": rng.choice(channels), "phone": f"+1555{n:07d}"} for n in range(count)]


class Buyers:
    """Places the plans from several threads; `done` counts while it runs."""

    def __init__(self, server, plans, workers=6, limit_s=90):
        self.done = 0
        self._pool = concurrent.futures.ThreadPoolExecutor(workers)
        self._futures = [self._pool.submit(self._place, server, plan, limit_s) for plan in plans]
        self.total = len(plans)

    def _place(self, server, plan, limit_s):
        try:
            return until_answered(server.order, limit_s, timeout=10, **plan)
        finally:
            self.done += 1

    def wait_for_share(self, share):
        wait_for(f"{share:.0%} of the orders are answered", lambda: self.done >= share * self.total, 120)

    def results(self):
        answers = [future.result() for future in self._futures]
        self._pool.shutdown()
        return answers


def check_answers(context, answers, allowed=(200, 201, 409)):
    found = collections.Counter(answer.status for answer in answers)
    context.say(f"answers to buyers: {dict(found)}")
    check(set(found) <= set(allowed), f"unexpected answers: {found}")


def unit_tests(context, module, test_filter, suite=None):
    """The unit tests that prove what only C++ can call. `suite`: of a module with several."""
    binary = context.binary.parent.parent / module / f"hf_{suite or module}_test"
    check(binary.exists(), f"{binary} is not built: ./dev build")
    result = subprocess.run([binary, f"--gtest_filter={test_filter}"], capture_output=True, text=True, timeout=120)
    lines = [line for line in result.stdout.splitlines() if line.startswith(("[       OK", "[  FAILED", "[  PASSED"))]
    for line in lines:
        context.say(line)
    check(result.returncode == 0, result.stdout[-3000:])
    check(any(line.startswith("[       OK") for line in lines), f"no test matches {test_filter}")


def probes(context, folder, test_filter, stand=None, label="", limit_s=240):
    """Tests of tests/<folder> or src/<folder> that print what they see: their evidence, indented, and their verdicts.
    `stand`: mariadb or oceanbase, the server they run on instead of SQLite."""
    build = context.binary.parents[2]
    binary = next((path for path in (build / "tests" / folder / f"hf_{folder}_test", build / "src" / folder / f"hf_{folder}_test")
                   if path.exists()), None)
    check(binary, f"hf_{folder}_test is not built: ./dev build")
    command = [binary, f"--gtest_filter={test_filter}"]
    if stand:
        command = [build / "tests" / "oceanbase" / "hf_stand", stand, *command]
    result = subprocess.run(command, capture_output=True, text=True, timeout=limit_s)
    lines = result.stdout.splitlines()
    for line in lines:
        if line.startswith(("  ", "mariadb ", "sqlite ", "stub: ", "[  FAILED", "[  PASSED")):
            context.say(f"{label}{line.strip()}")
    check(result.returncode == 0, f"exit {result.returncode}\n{result.stdout[-3000:]}{result.stderr[-1000:]}")
    passed = [line for line in lines if line.startswith("[       OK")]
    check(passed, f"no test matches {test_filter}")
    return passed


# ── the EventBridge face ─────────────────────────────────────────────────────────────────────────────────────────────
def sign(key, message):
    return hmac.new(key, message.encode(), hashlib.sha256).digest()


def aws(server, operation, body=None, key="holdfast", secret="holdfast", raw=None, at=None, signed=True):
    """One call of the AWS JSON API, signed with SigV4."""
    data = raw if raw is not None else json.dumps(body or {}).encode()
    url = server.url("router", "/")
    host = url.split("/")[2]
    now = (at or datetime.datetime.now(datetime.timezone.utc)).strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": "application/x-amz-json-1.1", "host": host, "x-amz-date": now,
               "x-amz-target": f"AWSEvents.{operation}"}
    names = ";".join(sorted(headers))
    canonical = "\n".join(["POST", "/", "", *(f"{n}:{headers[n]}" for n in sorted(headers)), "", names,
                           hashlib.sha256(data).hexdigest()])
    scope = f"{now[:8]}/us-east-1/events/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    derived = f"AWS4{secret}".encode()
    for part in (now[:8], "us-east-1", "events", "aws4_request"):
        derived = sign(derived, part)
    signature = hmac.new(derived, text.encode(), hashlib.sha256).hexdigest()
    if signed:
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, "
                                    f"Signature={signature}")
    return http("POST", url, data, headers)


def aws_ok(server, operation, body=None):
    answer = aws(server, operation, body)
    check(answer.status == 200, f"{operation}: {answer.status} {answer.body[:400]!r}")
    return answer.json() if answer.body else {}


def put_event(server, detail, source="ecommerce.orders", detail_type="order.confirmed"):
    answer = aws_ok(server, "PutEvents", {"Entries": [
        {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail, ensure_ascii=False)}]})
    check(answer["FailedEntryCount"] == 0, f"PutEvents: {answer}")
    return answer["Entries"][0]["EventId"]


PATTERN = '{"source":["ecommerce.orders"],"detail-type":["order.confirmed"]}'
TEMPLATE = '{"To":"<customer_phone>","From":"<twilio_number>","Body":"Order #<order_id> confirmed."}'
ROLE = "arn:aws:iam::000000000000:role/holdfast-notify"


def route_to(server, endpoint, name="r", user=ACCOUNT, password=TOKEN, method="POST", template=TEMPLATE,
             retries=5, path_values=(ACCOUNT,), pattern=PATTERN):
    """Connection, destination, rule and target of a name of their own: matching events go to `endpoint` as a form."""
    connection = aws_ok(server, "CreateConnection", {
        "Name": f"{name}-connection", "AuthorizationType": "BASIC", "AuthParameters": {
            "BasicAuthParameters": {"Username": user, "Password": password},
            "InvocationHttpParameters": {"HeaderParameters": [
                {"Key": "Content-Type", "Value": "application/x-www-form-urlencoded", "IsValueSecret": False}]}}})
    destination = aws_ok(server, "CreateApiDestination", {
        "Name": f"{name}-destination", "ConnectionArn": connection["ConnectionArn"], "HttpMethod": method,
        "InvocationEndpoint": endpoint, "InvocationRateLimitPerSecond": 1000})
    aws_ok(server, "PutRule", {"Name": f"{name}-rule", "EventPattern": pattern})
    target = {
        "Id": name, "Arn": destination["ApiDestinationArn"], "RoleArn": ROLE,
        "RetryPolicy": {"MaximumRetryAttempts": retries, "MaximumEventAgeInSeconds": 600},
        "HttpParameters": {"PathParameterValues": list(path_values)},
        "InputTransformer": {"InputPathsMap": {"customer_phone": "$.detail.customer_phone",
                                               "twilio_number": "$.detail.twilio_number",
                                               "order_id": "$.detail.order_id"},
                             "InputTemplate": template}}
    answer = aws_ok(server, "PutTargets", {"Rule": f"{name}-rule", "Targets": [target]})
    check(answer["FailedEntryCount"] == 0, f"PutTargets: {answer}")
    return connection, destination


def delivery_of(server, event_id, rule):
    """The delivery of an event by a rule, or None."""
    answer = http("GET", server.url("console", f"/admin/router/events/{event_id}"))
    if answer.status != 200:
        return None
    return next((d for d in answer.json()["deliveries"] if d["rule"] == rule), None)


def wait_delivery(server, event_id, rule, state="delivered", limit_s=20):
    def found():
        delivery = delivery_of(server, event_id, rule)
        return delivery if delivery and delivery["state"] == state else None
    return wait_for(f"delivery of {event_id} by {rule} is {state}", found, limit_s)


# ── the Twilio face ──────────────────────────────────────────────────────────────────────────────────────────────────
def twilio_signature(url, fields, token=TOKEN):
    text = url + "".join(name + value for name, value in sorted(fields.items()))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


class Sink:
    """An HTTP server that records each request and answers as it is told."""

    def __init__(self, status=201, body=b'{"sid":"SM00000000000000000000000000000000"}'):
        self.requests, self.status, self.body = [], status, body
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                sink.requests.append({"path": self.path, "headers": dict(self.headers), "body": data})
                payload = b"" if sink.status == 204 else sink.body
                self.send_response(sink.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
