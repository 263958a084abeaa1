"""The example's three services under two-phase commit: its ports, tables, bodies and texts, each arrow of its diagram, and what
it does not promise. What dies is elsewhere (two_phase_crashes.py)."""
import concurrent.futures
import json
import pathlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import check, http, row, until_answered, wait_for
from support import notices
from two_phase import PATIENT, mariadb, settle, socket_of

STOCK = [(1, 100, 20), (2, 150, 25), (3, 200, 18), (4, 10, 60)]
ACCOUNTS = [("card1", 1000), ("card2", 2000), ("card3", 5000)]


def serve(context, **options):
    settings = {**PATIENT, **options.pop("settings", {})}
    return context.serve(shop="2pc", settings=settings, **options)


def stock(server):
    return [tuple(r.values()) for r in server.sql("inventory", "select * from Stock order by itemId")]


def accounts(server):
    return [tuple(r.values()) for r in server.sql("payment", "select * from Payments order by cardno")]


def xid(answer):
    return answer.headers["x-b7a-xid"]


def placed(answer):
    check((answer.status, answer.body) == (200, b"Order placed successfully!"), f"{answer.status} {answer.body!r}")
    return answer


def unchanged(server):
    check(stock(server) == STOCK and accounts(server) == ACCOUNTS, f"{stock(server)} {accounts(server)}")


def nothing_open(server):
    wait_for("nothing is open", lambda: "no transactions" in server.cli("tx", "list", "--open", expect=None).stdout)


def refused(server, text, **order):
    answer = server.place(**order)
    check(400 <= answer.status < 500 and answer.body.decode() == text, f"{order}: {answer.status} {answer.body!r}")
    return answer


def steps(server, transaction):
    """[(where, what, detail, µs)] of the timeline of `holdfast show tx`."""
    shown = json.loads(server.cli("--json", "show", "tx", transaction, "--http").stdout)
    return [(hop["where"], hop["what"], hop["detail"], hop["at_us"]) for hop in shown["timeline"]]


def finished(server, answer):
    wait_for("the transaction is finished", lambda: any(what == "end" for _, what, _, _ in steps(server, xid(answer))))
    return steps(server, xid(answer))


def position(story, where, what):
    """Of the first step whose name begins so."""
    found = [at for at, step in enumerate(story) if step[0] == where and step[1].startswith(what)]
    check(found, f"no \"{what}\" at {where} in {story}")
    return found[0]


def in_order(story, *wanted):
    at = [position(story, *one) for one in wanted]
    check(at == sorted(at), f"the order is wrong: {list(zip(wanted, at))}")


def an_order(context, **options):
    server = serve(context, **options)
    answer = placed(server.place(qty=2))
    return server, answer, finished(server, answer)


@row("D1", "a simple shop with three services")
def d1(context):
    cluster = context.cluster(shop="2pc", settings=PATIENT)
    pids = {role: cluster[role].process.pid for role in ("shop", "payment", "inventory")}
    context.say(f"three processes, and a coordinator: {pids}")
    check(len(set(pids.values())) == 3, f"{pids}")
    placed(cluster.place(qty=2))
    settle(context, cluster)


@row("D2", "order service: POST /placeOrder on 9650")
def d2(context):
    server = serve(context)
    explained = server.run_to_end("config", "explain").stdout
    for port in ("9650", "9651", "9652"):
        check(f"port = {port}" in explained, f"{port} is no default port")
    answer = placed(http("POST", server.url("shop", "/placeOrder"), '{"cardNo":"card1","itemId":1,"qty":2}', timeout=90))
    context.say(f"{answer.status} {answer.body.decode()}, x-b7a-xid: {xid(answer)}")


@row("D3", "payment service: /payment/pay, only inside a transaction")
def d3(context):
    server = serve(context)
    answer = http("POST", server.url("payment", "/payment/pay"), {"cardNo": "card1", "amount": 40})
    context.say(f"outside: {answer.status} {answer.body.decode()}")
    check(answer.status == 403 and b"only inside a transaction" in answer.body, f"{answer.status} {answer.body!r}")
    unchanged(server)


@row("D4", "inventory service: /inventory/getTotalPrice and /inventory/updateStock")
def d4(context):
    server = serve(context)
    order = {"cardNo": "card1", "itemId": 2, "qty": 3}
    price = http("POST", server.url("inventory", "/inventory/getTotalPrice"), order)
    check((price.status, price.body) == (200, b"75"), f"{price.status} {price.body!r}")
    update = http("POST", server.url("inventory", "/inventory/updateStock"), order)
    check(update.status == 403, f"{update.status} {update.body!r}")
    context.say(f"getTotalPrice: {price.body.decode()}; updateStock outside a transaction: {update.status}")
    unchanged(server)


@row("D5", "the inventory is updated: item 1 from 100 to 98")
def d5(context):
    server, _, _ = an_order(context)
    context.say(str(stock(server)))
    check(stock(server)[0] == (1, 98, 20) and stock(server)[1:] == STOCK[1:], f"{stock(server)}")


@row("D6", "the payment is made: card1 from 1000 to 960")
def d6(context):
    server, _, _ = an_order(context)
    context.say(str(accounts(server)))
    check(accounts(server) == [("card1", 960), *ACCOUNTS[1:]], f"{accounts(server)}")


@row("D7", "one confirmation after the commit, none after a rollback")
def d7(context):
    server = serve(context)
    answer = placed(server.place(phone="+15550100009"))
    refused(server, "Payment failed! Card not found!", card="cardX")
    settle(context, server)
    context.say(f"told: {dict(notices(server))}")
    check(dict(notices(server)) == {(answer.headers["x-holdfast-order-id"], "sms"): 1}, f"{notices(server)}")


@row("D8", "placing an order initiates a transaction")
def d8(context):
    server, answer, story = an_order(context)
    for line in server.cli("show", "tx", xid(answer)).stdout.splitlines():
        context.say(line)
    in_order(story, ("shop", "begin"), ("shop", "inventory.getTotalPrice"), ("shop", "payment.pay"))


@row("D9", "payment and inventory are called inside it: x-b7a-xid, x-b7a-register-at")
def d9(context):
    server, answer, story = an_order(context)
    headers = [detail for where, what, detail, _ in story if where == "" and what == ""]
    mine = [h for h in headers if h == f"x-b7a-xid: {xid(answer)}"]
    where = [h for h in headers if h.startswith("x-b7a-register-at: http://") and xid(answer) in h]
    context.say(f"{len(mine)} calls carry x-b7a-xid, {len(where)} x-b7a-register-at")
    check(len(mine) == 3 and len(where) == 3, f"{headers}")


@row("D10", "payment verification: no card, no money")
def d10(context):
    server = serve(context)
    for order, text in (({"card": "cardX"}, "Payment failed! Card not found!"),
                        ({"item": 1, "qty": 60}, "Payment failed! Insufficient balance!")):
        answer = refused(server, text, **order)
        context.say(f"{order}: {answer.status} {text}")
    unchanged(server)
    nothing_open(server)


@row("D11", "inventory update, simultaneously (W9)")
def d11(context):
    server, answer, story = an_order(context, settings={"shop.calls": "parallel"})
    at = {what: us for where, what, _, us in story if where == "shop"}
    for call, other in (("payment.pay", "inventory.updateStock"), ("inventory.updateStock", "payment.pay")):
        check(at[call] <= at[f"{other} answered"], f"{call} began after {other} had ended: {at}")
    for line in server.cli("show", "tx", xid(answer), "--trace").stdout.splitlines()[-10:]:
        context.say(line)


@row("D12", "commit if all succeed, else roll back")
def d12(context):
    server = serve(context)
    placed(server.place(qty=2))
    refused(server, "Payment failed! Insufficient balance!", qty=50)
    refused(server, "Insufficient stock!", card="card3", item=4, qty=11)
    settle(context, server)
    check(stock(server)[0][1] == 98 and accounts(server)[0][1] == 960, f"{stock(server)} {accounts(server)}")


@row("D14", "two separate MySQL instances; one may be down")
def d14(context):
    server = serve(context, store="mariadb", settings={"two_phase.call_timeout": "1s", "shop.call_timeout": "1s",
                                                       "shop.answer_within": "5s"})
    folders = {name: server.data / "mariadb" / name for name in ("payment", "inventory")}
    context.say(f"two servers: {({name: server.mariadb_pid(name) for name in folders})}")
    check(server.mariadb_pid("payment") != server.mariadb_pid("inventory"), "one process")
    check(all(pathlib.Path(f).is_dir() for f in folders.values()), f"{folders}")
    server.kill_mariadb("payment")
    check(http("POST", server.url("inventory", "/inventory/getTotalPrice"),
               {"cardNo": "card1", "itemId": 1, "qty": 2}).body == b"40", "inventory needs payment's server")
    check(until_answered(server.place, qty=2, key="k1").status == 200, "payment's server is back")
    settle(context, server)
    check(stock(server)[0][1] == 98 and accounts(server)[0][1] == 960, f"{stock(server)} {accounts(server)}")


@row("D15", "no docker: local servers, or none")
def d15(context):
    server = serve(context, store="sqlite")
    placed(server.place())
    files = sorted(p.name for p in server.data.glob("*.db"))
    context.say(f"--store sqlite: {files}")
    check({"payment.db", "inventory.db"} <= set(files), f"{files}")


def columns(server, store, table):
    return [(c["Field"].lower(), c["Type"].lower().split("(11)")[0], c["Null"], c["Key"]) for c in
            server.sql(store, f"describe {table}")]


@row("D16", "table Stock(itemId INT PRIMARY KEY, amount INT, unitPrice INT)")
def d16(context):
    for store in ("sqlite", "mariadb"):
        found = columns(context.serve(store, shop="2pc", store=store), "inventory", "Stock")
        context.say(f"{store}: {found}")
        check([(f, t, k) for f, t, _, k in found] ==
              [("itemid", "int", "PRI"), ("amount", "int", ""), ("unitprice", "int", "")], f"{found}")


@row("D17", "table Payments(cardno VARCHAR(16) NOT NULL PRIMARY KEY, amount INT NOT NULL)")
def d17(context):
    for store in ("sqlite", "mariadb"):
        found = columns(context.serve(store, shop="2pc", store=store), "payment", "Payments")
        context.say(f"{store}: {found}")
        check(found == [("cardno", "varchar(16)", "NO", "PRI"), ("amount", "int", "NO", "")], f"{found}")


@row("D18", "the example's stock")
def d18(context):
    server = serve(context)
    context.say(str(stock(server)))
    check(stock(server) == STOCK, f"{stock(server)}")


@row("D19", "the example's accounts")
def d19(context):
    server = serve(context)
    context.say(str(accounts(server)))
    check(accounts(server) == ACCOUNTS, f"{accounts(server)}")


@row("D20", "a configuration file names each service's database")
def d20(context):
    config = ('[payment]\ndatabase = "mysql://pay:secret@db1:3306/paymentdb"\n'
              '[inventory]\ndatabase = "mysql://stock:secret@db2:3307/inventorydb"\n')
    server = serve(context, config=config, start=False)
    explained = server.explain()
    for part in ("pay", "db1:3306/paymentdb", "stock", "db2:3307/inventorydb"):
        check(part in explained, f"{part} is not in {explained}")
    context.say("host, user, password, port, database of each: one URL in its section")


@row("D21", "one command starts all three")
def d21(context):
    server = serve(context)
    context.say(" ".join(server.command()[:2] + ["…", "--shop", "2pc"]))
    placed(server.place())


@row("D22", "placeOrder with OrderRequest {cardNo, itemId, qty}")
def d22(context):
    server = serve(context)
    url = server.url("shop", "/placeOrder")
    for body in ('{"cardNo":"card1","itemId":1}', '{"cardNo":"card1","qty":1}', '{"itemId":1,"qty":1}',
                 '{"cardNo":1,"itemId":1,"qty":1}', '{"cardNo":"card1","itemId":"1","qty":1}',
                 '{"cardNo":"card1","itemId":1,"qty":""}', '{"cardNo":"card1","itemId":1,"qty":1.5}', "[]", "{", ""):
        answer = http("POST", url, body)
        context.say(f"{body or 'nothing'}: {answer.status} {answer.body.decode()}")
        check(answer.status == 400, f"{body}: {answer.status}")
    for qty in (0, -1):
        refused(server, "Invalid Order Request!", qty=qty)
    unchanged(server)
    check("no transactions" in server.cli("tx", "list", "--finished", expect=None).stdout, "a transaction was begun")
    placed(server.place())


@row("D23", "unit price × quantity for each item")
def d23(context):
    server = serve(context)
    spent = 0
    for item, _, price in STOCK:
        placed(server.place(card="card3", item=item, qty=item))
        spent += price * item
    settle(context, server)
    context.say(f"card3: 5000 - {spent} = {accounts(server)[2][1]}")
    check(accounts(server)[2] == ("card3", 5000 - spent), f"{accounts(server)}")


@row("D24", "200 orders at once for the ten pieces of item 4")
def d24(context):
    server = serve(context)
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda _: server.place(card="card3", item=4), range(200)))
    sold = [a for a in answers if a.status == 200]
    context.say(f"{len(sold)} sold, {sum(a.status == 409 for a in answers)} refused, "
                f"{sum(a.status not in (200, 409) for a in answers)} other")
    check(len(sold) == 10 and all(a.status in (200, 409) for a in answers), f"{ {a.status for a in answers} }")
    settle(context, server)
    check(stock(server)[3] == (4, 0, 60) and accounts(server)[2][1] == 5000 - 600, f"{stock(server)}")


@row("D25", "diagram: Begin Transaction")
def d25(context):
    _, _, story = an_order(context)
    in_order(story, ("shop", "begin"), ("coordinator", "begin"), ("shop", "payment.pay"))


def registration(context, name):
    _, _, story = an_order(context)
    step = story[position(story, "coordinator", f"register {name}")]
    context.say(f"{step[1]}: {step[2]}")
    check(step[2].startswith("durable http://"), f"{step}")
    in_order(story, ("coordinator", "begin"), ("coordinator", f"register {name}"), ("coordinator", f"prepare {name}"))


@row("D26", "diagram: register the payment participant")
def d26(context):
    registration(context, "payment:")


@row("D27", "diagram: register the inventory participant")
def d27(context):
    registration(context, "inventory:")


def calls_and_answers(context, *calls):
    _, _, story = an_order(context)
    for call in calls:
        in_order(story, ("shop", "begin"), ("shop", call), ("shop", f"{call} answered"), ("coordinator", "commit asked"))
        step = story[position(story, "shop", f"{call} answered")]
        context.say(f"{step[1]}: {step[2]}")
        check(step[2].startswith("200"), f"{story}")


@row("D28", "diagram: Make Payment, Do Payment")
def d28(context):
    calls_and_answers(context, "payment.pay")


@row("D29", "diagram: Update Inventory")
def d29(context):
    calls_and_answers(context, "inventory.updateStock")


@row("D30", "diagram: Payment response, Inventory response")
def d30(context):
    calls_and_answers(context, "payment.pay", "inventory.updateStock")


@row("D32", "both vote prepared")
def d32(context):
    _, _, story = an_order(context)
    for name in ("payment", "inventory"):
        step = story[position(story, "coordinator", f"vote {name}:")]
        context.say(f"{step[1]}: {step[2]}")
        check(step[2] == "prepared", f"{step}")


@row("D35", "the confirmation is sent after both commits, exactly once")
def d35(context):
    server = serve(context, faults="shop.tx_confirmed=crash:1")
    try:
        server.place(qty=2, key="k1")
    except OSError:
        pass
    server.wait_dead()
    server.start()
    settle(context, server)
    context.say(f"killed right after the order was confirmed: {dict(notices(server))}")
    check(list(notices(server).values()) == [1], f"{notices(server)}")
    _, _, story = an_order(context, name="plain")
    in_order(story, ("coordinator", "acknowledged payment:"), ("shop", "completion"))
    in_order(story, ("coordinator", "acknowledged inventory:"), ("shop", "completion"))


@row("D36", "the client is answered when the decision is durable")
def d36(context):
    server = serve(context, faults="shop.tx_decided=crash:1")
    try:
        server.place(qty=2, key="k1")
    except OSError:
        pass
    server.wait_dead()
    server.start()
    settle(context, server)
    answer = server.place(qty=2, key="k1")
    context.say(f"died before the answer; the same key later: {answer.status} {answer.body.decode()}")
    placed(answer)
    check(stock(server)[0][1] == 98, f"{stock(server)}")


@row("D37", "either says no: both are undone")
def d37(context):
    server = serve(context, settings={"inventory.stock": '["1;100;20", "2;5;1"]'})
    first = [("card1", 1000), *ACCOUNTS[1:]]
    refused(server, "Payment failed! Insufficient balance!", item=1, qty=60)
    context.say("payment says no: the stock stays")
    # The stock is enough when it is asked, and is not when it is taken: one of the two must lose.
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: server.place(card=f"card{1 + n % 2}", item=2, qty=5), range(8)))
    context.say(f"inventory says no: {sorted((a.status, a.body.decode()) for a in answers)}")
    check(sum(a.status == 200 for a in answers) == 1, f"{[a.status for a in answers]}")
    settle(context, server)
    check(sum(amount for _, amount in accounts(server)) == sum(amount for _, amount in first) - 5, f"{accounts(server)}")
    check(stock(server) == [(1, 100, 20), (2, 0, 1)], f"{stock(server)}")


@row("D38", "transaction rolled back: 4xx with the reason, or 5xx")
def d38(context):
    server = serve(context, settings={"shop.tries": "1"})
    check(refused(server, "Item not found!", item=9).status == 409, "a business refusal")
    server.restart(faults="participant.before_prepare=error:2")
    answer = server.place()
    context.say(f"technical: {answer.status} {answer.body.decode()}, Retry-After {answer.headers.get('retry-after')}")
    check(answer.status == 503 and "retry-after" in answer.headers, f"{answer.status}")
    settle(context, server)
    unchanged(server)


@row("D39", "end of the transaction: nothing is left open")
def d39(context):
    server, _, _ = an_order(context)
    refused(server, "Payment failed! Card not found!", card="cardX")
    settle(context, server)
    nothing_open(server)
    context.say(server.cli("tx", "list", "--open", expect=None).stdout.strip())


class BallerinaService:
    """A participant as ballerinai/transaction speaks: registers, votes prepared, is notified. Knows nothing of Holdfast."""

    def __init__(self):
        self.heard = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.heard.append((self.path.rsplit("/", 1)[1], body))
                word = "prepared" if self.path.endswith("/prepare") else {"commit": "committed"}.get(body["message"], "aborted")
                said = json.dumps({"message": word}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_):
                pass
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def join(self, begun):
        url = f"http://127.0.0.1:{self.server.server_port}/balcoordinator/participant/2pc/block-1"
        body = {"transactionId": begun["gtrid"], "participantId": "f7c1:block-1",
                "participantProtocols": [{"name": "durable", "url": url}]}
        return http("POST", begun["register_at"], body)

    def close(self):
        self.server.shutdown()


@row("D40", "the /balcoordinator face: a scripted Ballerina participant joins")
def d40(context):
    server = serve(context)
    service = BallerinaService()
    begun = http("POST", server.url("coordinator", "/2pc/v1/tx"), {}).json()
    answer = service.join(begun)
    check(answer.status == 200 and answer.json()["transactionId"] == begun["gtrid"], f"{answer.status} {answer.body!r}")
    check(answer.json()["coordinatorProtocols"][0]["name"] == "durable", f"{answer.body!r}")
    check(service.join(begun).status == 200, "a repeated registration is accepted")
    headers = {"x-b7a-xid": begun["gtrid"], "x-b7a-register-at": begun["register_at"]}
    paid = http("POST", server.url("payment", "/payment/pay"), {"cardNo": "card1", "amount": 40}, headers)
    check(paid.status == 200, f"{paid.status} {paid.body!r}")
    outcome = http("POST", server.url("coordinator", f"/2pc/v1/tx/{begun['gtrid']}/commit"), {}).json()
    check(outcome["outcome"] == "committed", f"{outcome}")
    wait_for("it is notified", lambda: len(service.heard) >= 2)
    for what, body in service.heard:
        context.say(f"{what}: {body}")
    check([what for what, _ in service.heard] == ["prepare", "notify"], f"{service.heard}")
    check(service.heard[1][1] == {"transactionId": begun["gtrid"], "message": "commit"}, f"{service.heard}")
    wait_for("payment, too", lambda: accounts(server)[0] == ("card1", 960))
    a_coordinator_that_dies(context, server, service)
    service.close()


def a_coordinator_that_dies(context, server, service):
    """Such a participant never asks; the original's would commit by a timer. So it is told, by whoever comes back."""
    begun = http("POST", server.url("coordinator", "/2pc/v1/tx"), {}).json()
    check(service.join(begun).status == 200, "registered")
    server.kill()
    server.start()
    # The order before it may be told once more: that all had acknowledged is written in passing.
    def heard():
        return [(what, body["message"]) for what, body in list(service.heard) if body["transactionId"] == begun["gtrid"]]
    wait_for("it is told", heard)
    context.say(f"killed after its registration: {heard()}")
    check(set(heard()) == {("notify", "abort")}, f"{service.heard}")


@row("D41", "MySQL: XA participants on MariaDB")
def d41(context):
    server = serve(context, store="mariadb")
    price = http("POST", server.url("inventory", "/inventory/getTotalPrice"), {"cardNo": "card1", "itemId": 1, "qty": 2})
    context.say(f"branches are kept by {price.headers['x-holdfast-keeps']}")
    check(price.headers["x-holdfast-keeps"] == "xa", f"{price.headers}")
    placed(server.place(qty=2))
    refused(server, "Payment failed! Card not found!", card="cardX")
    settle(context, server)
    check(stock(server)[0][1] == 98 and accounts(server)[0][1] == 960, f"{stock(server)} {accounts(server)}")
    a_branch_nobody_ends(context, server)


def a_branch_nobody_ends(context, server):
    """Of a coordinator that is gone for good: no table shows it, XA RECOVER tells no age. Found, and settled by a person."""
    gtrid = "hf1.gone.1.0190a1b2c3d47e5f8123456789abcdef"
    mariadb(socket_of(server, "inventory"), f"XA START '{gtrid}','inventory'; UPDATE Stock SET amount = 1 WHERE itemId = 3; "
                                            f"XA END '{gtrid}','inventory'; XA PREPARE '{gtrid}','inventory'", "inventory")
    found = server.reconcile(expect=1)["findings"]
    context.say(f"reconcile: {found}")
    check([(one["class"], one["id"]) for one in found] == [("branch_left_prepared", gtrid)], f"{found}")
    server.cli("tx", "resolve", gtrid, "--participant", "inventory", "--abort", "--reason", "its coordinator is gone")
    check([one["class"] for one in server.reconcile(expect=1)["findings"]] == ["heuristic"], "an operator's word is on record")
    check(stock(server)[2][1] == 200, f"{stock(server)}")
