"""The provider's face: what it accepts and answers, what we keep of it, and that nobody is told twice."""
import re
import urllib.parse

from harness import basic, check, form, http, row, wait_for
from support import (ACCOUNT, PATIENT_ROUTER, TOKEN, Sink, aws_ok, check_told_exactly_once, customers, event_of, metric,
                     notices, notifications_of, put_event, route_to, rows_of, show, twilio_signature, wait_delivery)

DETAIL = {"order_id": "1001", "customer_phone": "+15550100001", "twilio_number": "+15005550006"}
MESSAGE = {"To": "+15550100001", "From": "+15005550006", "Body": "hello"}
CALL = {"To": "+15550100001", "From": "+15005550006", "Twiml": "<Response><Say>hello</Say></Response>"}


def twilio(server, method, path, fields=None, role="phone", user=ACCOUNT, password=TOKEN, auth=True, headers=None):
    wanted = {"Authorization": basic(user, password)} if auth else {}
    if fields is not None:
        wanted["Content-Type"] = "application/x-www-form-urlencoded"
    url = server.url(role, f"/2010-04-01/Accounts/{ACCOUNT}/{path}")
    return http(method, url, form(fields) if fields is not None else None, {**wanted, **(headers or {})})


def told(server, order_id, channel="sms"):
    return wait_for(f"order {order_id} is told", lambda: notices(server)[order_id, channel])


@row("A6", "the provider sink speaks Messages and Calls: fields, status codes, callbacks")
def a6(context):
    server = context.serve(settings={"phone.step": "5ms", "phone.ring": "5ms"})
    with Sink(status=204) as sink:
        for kind, fields, prefix, last in (("Messages", MESSAGE, "SM", "delivered"), ("Calls", CALL, "CA", "completed")):
            created = twilio(server, "POST", f"{kind}.json", {**fields, "StatusCallback": f"{sink.url}/{kind}"})
            body = created.json()
            context.say(f"{kind}: {created.status} {body['sid']} {body['status']} {body['uri']}")
            check(created.status == 201 and re.fullmatch(prefix + "[0-9a-f]{32}", body["sid"]), f"created: {created}")
            check(body["to"] == fields["To"] and body["from"] == fields["From"], f"fields: {body}")
            def finished():
                fetched = twilio(server, "GET", f"{kind}/{body['sid']}.json").json()
                return fetched if fetched["status"] == last else None
            context.say(f"fetched: {wait_for('its final status', finished)['status']}")
            listed = twilio(server, "GET", f"{kind}.json?To=%2B15550100001").json()
            check([one["sid"] for one in listed[kind.lower()]] == [body["sid"]], f"listed: {listed}")
            def reported():
                statuses = [urllib.parse.parse_qs(r["body"].decode()) for r in sink.requests if r["path"] == f"/{kind}"]
                names = [(s.get("MessageStatus") or s.get("CallStatus"))[0] for s in statuses]
                return names if last in names else None
            context.say(f"status callbacks: {wait_for('its callbacks', reported)}")
        for request in sink.requests:
            fields = dict(urllib.parse.parse_qsl(request["body"].decode(), keep_blank_values=True))
            check(request["headers"]["X-Twilio-Signature"] == twilio_signature(sink.url + request["path"], fields),
                  f"a callback's signature is wrong: {request}")
    for what, fields, code in (("no To", {"From": "+15005550006", "Body": "x"}, 21604),
                               ("bad To", {**MESSAGE, "To": "12"}, 21211),
                               ("no Body", {**MESSAGE, "Body": ""}, 21602)):
        refused = twilio(server, "POST", "Messages.json", fields)
        context.say(f"{what}: {refused.status} {refused.json()['code']} {refused.json()['message']}")
        check(refused.status == 400 and refused.json()["code"] == code, f"{what}: {refused}")
    missing = twilio(server, "GET", "Messages/SM" + "0" * 32 + ".json")
    check(missing.status == 404 and missing.json()["code"] == 20404, f"unknown SID: {missing}")


@row("A27", "endpoint …/2010-04-01/Accounts/{AccountSid}/Messages.json, substituted, host on loopback")
def a27(context):
    server = context.serve()
    destinations = server.admin("/admin/router/rules")["apiDestinations"]
    endpoint = next(d["endpoint"] for d in destinations if d["name"] == "twilio-messages")
    context.say(f"destination: {endpoint}")
    check(endpoint.endswith("/2010-04-01/Accounts/{AccountSid}/Messages.json"), "the document's path")
    order_id = server.confirm()
    told(server, order_id)
    event_id = event_of(server, order_id)

    def recorded():  # after the provider's answer, so after the customer was told
        return show(server, "event", event_id)["facts"]["deliveries"][0]["attemptList"]
    request = wait_for("the record of the attempt", recorded)[0]["request"]
    context.say(f"sent: {request}")
    check(request == f"POST {server.url('notifier')}/2010-04-01/Accounts/{ACCOUNT}/Messages.json", "the path sent")


@row("A29", "Basic Auth with AccountSid:AuthToken; the secret in no log and no answer")
def a29(context):
    secret = "s3cr3t-" + format(context.random.getrandbits(64), "016x")
    server = context.serve(settings={"twilio.auth_token": "env:HF_TEST_TOKEN", "process.log_level": "debug"},
                           environment={"HF_TEST_TOKEN": secret})
    with Sink() as sink:
        route_to(server, sink.url + "/messages", path_values=(), password=secret)
        wait_delivery(server, put_event(server, DETAIL), "r-rule")
        sent = sink.requests[0]["headers"]["Authorization"]
        check(sent == basic(ACCOUNT, secret), f"Authorization: {sent}")
        context.say("the sink saw Authorization: Basic base64(AccountSid:AuthToken)")
    order_id = server.confirm()
    told(server, order_id)
    server.settle()
    context.say("the whole chain works with a token of its own")
    described = str(aws_ok(server, "DescribeConnection", {"Name": "r-connection"}))
    told_by = {"the log": server.log_text(), "DescribeConnection": described, "config explain": server.explain(),
               "/metrics": http("GET", server.url("console", "/metrics")).body.decode(),
               "/admin/router/rules": str(server.admin("/admin/router/rules")),
               "show order": server.cli("--json", "show", "order", order_id).stdout}
    encoded = basic(ACCOUNT, secret).split()[1]
    for where, text in told_by.items():
        check(secret not in text and encoded not in text, f"the secret is in {where}")
        context.say(f"not in {where} ({len(text)} characters)")


@row("A33", "201 Created with a JSON message is success; so are 200 and 204")
def a33(context):
    server = context.serve(settings=PATIENT_ROUTER)
    created = twilio(server, "POST", "Messages.json", MESSAGE)
    context.say(f"the sink: {created.status} {created.headers['content-type']} {created.json()['sid']}")
    check(created.status == 201 and created.headers["content-type"].startswith("application/json"), f"{created}")
    with Sink() as sink:
        route_to(server, sink.url + "/messages", path_values=())
        for status in (200, 201, 204):
            sink.status = status
            delivery = wait_delivery(server, put_event(server, DETAIL), "r-rule")
            context.say(f"{status}: {delivery['state']} after {delivery['attempts']} attempt")
            check(delivery["attempts"] == 1, "once is enough")
        check(len(sink.requests) == 3, f"{len(sink.requests)} requests")


@row("A34", "MessageSid is kept with the order id and found by both")
def a34(context):
    server = context.serve()
    order_id = server.confirm()
    told(server, order_id)
    server.settle()
    sid = notifications_of(server, order_id)[0]["sid"]
    context.say(f"order {order_id} ↔ {sid}")
    check(re.fullmatch("SM[0-9a-f]{32}", sid), "SM and 32 hexadecimal digits")
    check(notifications_of(server, sid)[0]["order_id"] == order_id, "found by the SID")
    for line in server.cli("show", "notification", sid).stdout.splitlines():
        context.say(line)
    check(twilio(server, "GET", f"Messages/{sid}.json").json()["sid"] == sid, "the provider knows it by the same SID")


@row("A35", "dashboard: the status history per SID, as a command and as a page")
def a35(context):
    server = context.serve(settings={"phone.step": "5ms"})
    order_id = server.confirm()
    told(server, order_id)
    sid = wait_for("the SID", lambda: notifications_of(server, order_id)[0]["sid"])
    def statuses():
        found = [event["status"] for event in notifications_of(server, sid)[0]["history"] if event["status"]]
        return found if {"sent", "delivered"} <= set(found) else None  # callbacks overtake each other
    context.say(f"history: {wait_for('delivered', statuses)}")
    shown = server.cli("show", "notification", sid).stdout
    page = http("GET", server.url("console", f"/notifications?sid={sid}"))
    context.say(f"page: {page.status} {page.headers['content-type']}, {len(page.body)} bytes")
    check(page.status == 200 and page.headers["content-type"].startswith("text/html"), f"page: {page}")
    for status in ("sent", "delivered"):
        check(status in shown and status in page.body.decode(), f"'{status}' is missing")
    check(sid in page.body.decode(), "the page names the SID")


@row("A44", "Basic Auth omitted or wrong: 401 with the provider's JSON; no endless retry, dead letter, alarm")
def a44(context):
    server = context.serve(settings=PATIENT_ROUTER)
    for what, answer in (("omitted", twilio(server, "POST", "Messages.json", MESSAGE, auth=False)),
                         ("wrong token", twilio(server, "POST", "Messages.json", MESSAGE, password="wrong"))):
        context.say(f"{what}: {answer.status} {answer.body.decode()}")
        check(answer.status == 401 and answer.json()["code"] == 20003, f"{what}: {answer}")
    route_to(server, server.url("phone", "/2010-04-01/Accounts/{AccountSid}/Messages.json"), password="wrong")
    dead = wait_delivery(server, put_event(server, DETAIL), "r-rule", "dead")
    context.say(f"through the bus: {dead['attempts']} attempt, {dead['state']}: {dead['errorCode']} {dead['error']}")
    check(dead["attempts"] == 1 and "401" in dead["error"], "401 is a configuration error, not repeated")
    wait_for("the alarm", lambda: metric(server, "holdfast_router_dead_letters_total") == 1)
    context.say("alarm: holdfast_router_dead_letters_total 1")
    check(dead["id"] in server.cli("dlq", "list").stdout, "no dead letter")
    check(not customers(server), "nobody was told")


@row("A45", "the code 401 is shown with the event")
def a45(context):
    server = context.serve()
    route_to(server, server.url("phone", "/2010-04-01/Accounts/{AccountSid}/Messages.json"), password="wrong")
    event = put_event(server, DETAIL)
    wait_delivery(server, event, "r-rule", "dead")
    shown = server.cli("show", "event", event).stdout
    for line in shown.splitlines():
        context.say(line)
    check("answer 401" in shown, "the code is not shown")


@row("A46", "duplicates: the bus redelivers five times, the process dies between call and mark; one message")
def a46(context):
    server = context.serve(faults="router.after_call=error:5",
                           settings={**PATIENT_ROUTER, "router.retry_first": "50ms", "router.retry_max": "50ms"})
    order_id = server.confirm()
    told(server, order_id)
    event = event_of(server, order_id)
    delivery = wait_delivery(server, event, "order-confirmed-sms")
    context.say(f"five answers lost on their way: {delivery['attempts']} attempts, notices {dict(notices(server))}")
    check(delivery["attempts"] == 6 and notices(server) == {(order_id, "sms"): 1}, "one message")
    server.settle()
    server.restart(faults="notifier.after_call=crash:1")
    second = server.confirm(phone="+15550100002", key="second")
    server.wait_dead()
    context.say(f"killed between the provider's answer and its record; the provider has {phone_rows(server)} notices")
    server.start()
    told(server, second)
    server.settle()
    history = [e["what"] for e in notifications_of(server, second)[0]["history"]]
    context.say(f"the ledger's history: {history}")
    check_told_exactly_once(context, server)
    duplicates = metric(server, "holdfast_notifier_duplicates_total")
    context.say(f"holdfast_notifier_duplicates_total: {duplicates:.0f}. The window that remains is the provider's: a call "
                "whose outcome is lost and which its list does not show (src/notifier/README.md)")
    check(duplicates == 0, "a duplicate was counted")


def phone_rows(server):
    return rows_of(server, "phone", "SELECT count(*) FROM phone_resource")[0][0]


@row("A47", "StatusCallback: signature checked, out of order, twice; the final status stays")
def a47(context):
    server = context.serve(settings={"phone.step": "60s"})  # the phone itself stays silent: the row plays the provider
    order_id = server.confirm()
    told(server, order_id)
    note = wait_for("the SID", lambda: [n for n in notifications_of(server, order_id) if n["sid"]])[0]
    target = server.url("notifier", f"/hooks/twilio/message?n={note['id']}&a=1")

    def report(status, signed=True, **more):
        fields = {"MessageSid": note["sid"], "SmsSid": note["sid"], "MessageStatus": status, "SmsStatus": status,
                  "AccountSid": ACCOUNT, "To": "+15550100001", "From": "+15005550006", **more}
        signature = twilio_signature(target, fields) if signed else "Zm9yZ2Vk"
        answer = http("POST", target, form(fields), {"Content-Type": "application/x-www-form-urlencoded",
                                                     "X-Twilio-Signature": signature})
        now = notifications_of(server, note["sid"])[0]["status"]
        context.say(f"{'' if signed else 'forged '}{status}: HTTP {answer.status}, status now {now}")
        return answer.status, now

    check(report("delivered", signed=False)[0] == 403, "a forged callback was accepted")
    for status, expected in (("sent", "sent"), ("queued", "sent"), ("delivered", "delivered"),
                             ("delivered", "delivered"), ("sent", "delivered"), ("sending", "delivered")):
        check(report(status) == (204, expected), f"after {status} the status should be {expected}")
    history = [e["status"] for e in notifications_of(server, note["sid"])[0]["history"] if e["status"]]
    context.say(f"history: {history}")
    for final, code in (("undelivered", 30003), ("failed", 30008)):
        server.terminate()
        server.settings["phone.step"] = "5ms"
        server.start()
        http("POST", server.url("phone", "/control/faults"), {"mode": final, "code": code})
        order = server.confirm(key=final, phone="+15550100009")
        def ended():
            found = notifications_of(server, order)
            return found[0] if found and found[0]["status"] == final else None
        one = wait_for(f"status {final}", ended)
        context.say(f"by the phone's own callbacks: {one['status']} {one['error_code']}")
        check(one["error_code"] == code, f"code {one['error_code']}")
