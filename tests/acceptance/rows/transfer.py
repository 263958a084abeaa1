"""Transfers between two banks (examples/transfer): the same parts, another trade."""
import collections
import concurrent.futures
import contextlib
import re
import signal
import sqlite3
import subprocess

import harness
from harness import MariaDb, check, http, row, until_answered, wait_for
from ports import reserve_port
from support import customers, scaled

ACCOUNTS, OPENING = 8, 20_000
QUICK = {"coordinator.retry_first": "20ms", "coordinator.retry_max": "300ms", "coordinator.prepare_timeout": "5s",
         "coordinator.notify_timeout": "1s", "coordinator.active_max": "3s", "broker.client_expiry": "2s",
         "router.retry_first": "100ms", "router.retry_max": "500ms", "phone.step": "20ms", "notifier.retry_min": "50ms"}


class Program:
    """One of the two example programs; restarted on the same port."""

    def __init__(self, context, binary, name, options):
        self.name, self.binary, self.options = name, binary, [f"--name={name}", *options]
        self.folder = context.folder / name
        self.folder.mkdir()
        self.ready, self.log, self.port, self.process = self.folder / "ready", self.folder / "log", reserve_port(), None
        context.servers.append(self)
        self.start()

    def start(self):
        self.ready.unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(self.binary), *self.options, f"--port={self.port}", f"--data={self.folder}",
                                             f"--ready-file={self.ready}"], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        wait_for(f"{self.name} is ready", lambda: self.ready.exists() or not self.alive(), harness.READY_WITHIN_S)
        check(self.alive(), f"{self.name} ended: {self.tail()}")

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}{path}"

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def tail(self, lines=12):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Banks:
    """Coordinator, the way of a notice to the customer, two banks, the desk: five processes."""

    def __init__(self, context):
        programs = context.binary.parents[2] / "examples" / "transfer"
        rules = harness.__file__.replace("tests/acceptance/harness.py", "examples/transfer/rules.json")
        notices = {"broker.topics": '["bank-transfers"]', "router.rules_file": rules,
                   "router.topics": '["bank-transfers;bank.transfers;transfer.committed"]'}
        self.chain = context.serve("chain", roles=["broker", *harness.DELIVERY], shop="2pc", store="sqlite",
                                   settings={**QUICK, **notices})
        self.coordinator = context.serve("coordinator", roles=["coordinator", "console"], shop="2pc", store="sqlite",
                                         settings=QUICK)
        link = [f"--coordinator={self.coordinator.url('coordinator')}", "--ask-after-ms=300"]
        stores = {name: [] for name in "ab"}
        self.databases = []
        if harness.STORE.startswith("mariadb"):
            self.databases = [MariaDb(context, f"bank-{name}-db") for name in "ab"]
            stores = {name: [f"--database={server.url('bank')}"] for name, server in zip("ab", self.databases)}
        openings = {name: [f"--account={name}-{n}={OPENING}" for n in range(ACCOUNTS)] for name in "ab"}
        self.banks = {name: Program(context, programs / "transfer-accounts", name, link + stores[name] + openings[name])
                      for name in "ab"}
        self.desk = Program(context, programs / "transfer-desk", "desk",
                            [*link, f"--messages=rocketmq://127.0.0.1:{self.chain.ports['broker']}",
                             *(f"--bank={name}={bank.url()}" for name, bank in self.banks.items())])

    @property
    def victims(self):
        return [self.chain, self.coordinator, self.desk, *self.banks.values(), *self.databases]

    def accounts(self):
        found = {}
        for bank in self.banks.values():
            for account in http("GET", bank.url("/accounts")).json()["accounts"]:
                found[account["id"]] = account["balance_minor"], account["held_minor"]
        return found

    def transfers(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.desk.folder}/desk.db?mode=ro", uri=True, timeout=10)) as desk:
            return {found[0]: found[1:] for found in
                    desk.execute("SELECT id, state, payer, payee, amount_minor FROM transfers")}

    def reasons(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.desk.folder}/desk.db?mode=ro", uri=True, timeout=10)) as desk:
            return dict(desk.execute("SELECT reason, count(*) FROM transfers WHERE state = 'refused' GROUP BY reason"))

    def notices(self):
        seen = collections.Counter()
        for customer in customers(self.chain):
            for item in customer["received"]:
                seen[re.match(r"Transfer (\w+): ", item["text"])[1]] += 1
        return seen


def ask(banks, key, body):
    """Until it is answered for good: 201 or 200, or refused."""
    def place(key):
        return http("POST", banks.desk.url("/transfers"), body, {"Idempotency-Key": key})
    return until_answered(place, 120, key=key)


def order(banks, plan):
    return ask(banks, plan["key"], {name: value for name, value in plan.items() if name != "key"})


def plan_transfers(rng, count):
    accounts = [f"{bank}-{n}" for bank in "ab" for n in range(ACCOUNTS)]
    plans = []
    for n in range(count):
        payer, payee = rng.sample(accounts, 2)
        payee = rng.choice([payee] * 12 + ["a-99", "c-1"])  # no such account, no such bank
        plans.append({"key": f"t{n}", "from": payer, "to": payee, "amount_minor": rng.choice([100, 700, 30_000]),
                      "phone": f"+1555{n:07d}"})
    return plans


def check_refusals(context, banks):
    cases = {"x": 400, "{}": 400, '{"from":"a-1","to":"a-1","amount_minor":5,"phone":"+15550100001"}': 400,
             '{"from":"a-1","to":"b-1","amount_minor":-5,"phone":"+15550100001"}': 400,
             '{"from":"a-1","to":"b-1","amount_minor":999999,"phone":"+15550100001"}': 409}
    for n, (body, status) in enumerate(cases.items()):
        answer = ask(banks, f"bad{n}", body)
        check(answer.status == status, f"{body}: {answer.status} {answer.body!r}")
    outside = http("POST", banks.banks["a"].url("/debit"), {"account": "a-1", "amount_minor": 1})
    check(outside.status == 403, f"a debit outside a transaction: {outside.status}")
    context.say(f"{len(cases)} bad transfers refused; a debit outside a transaction: 403")


def check_books(context, banks, answers):
    transfers, accounts = banks.transfers(), banks.accounts()
    expected = collections.Counter({account: OPENING for account in accounts})
    for state, payer, payee, amount in transfers.values():
        if state == "committed":
            expected[payer] -= amount
            expected[payee] += amount
    check(all(held == 0 for _, held in accounts.values()), f"something is still held: {accounts}")
    total, was = sum(balance for balance, _ in accounts.values()), 2 * ACCOUNTS * OPENING
    check(total == was, f"the sum was {was} and is {total}")
    check({a: b for a, (b, _) in accounts.items()} == dict(expected), f"balances {accounts}, by the transfers {expected}")
    wrong = {key: answer.status for key, answer in answers.items()
             if (answer.status in (200, 201)) != (transfers[key][0] == "committed")}
    check(not wrong, f"answered otherwise than it ended: {wrong}")
    states = collections.Counter(state for state, *_ in transfers.values())
    context.say(f"{dict(states)}; the sum of all accounts is {total}, as at the beginning; each balance is what the committed "
                f"transfers make it")
    return {key for key, (state, *_) in transfers.items() if state == "committed"}


@row("A2", "financial system: debit, credit, notice through the same parts; random kills; sums equal, one notice each")
def a2(context):
    banks = Banks(context)
    check_refusals(context, banks)
    count = scaled(context, 1000, 120)
    plans = plan_transfers(context.random, count)
    kills = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        orders = {plan["key"]: pool.submit(order, banks, plan) for plan in plans}
        for share in range(1, 11):
            wait_for(f"{share * 9} % are answered", lambda: sum(o.done() for o in orders.values()) >= share * 0.09 * count, 180)
            victim = context.random.choice(banks.victims) if share > len(banks.victims) else banks.victims[share - 1]
            victim.kill()
            victim.start()
            kills[victim.name] += 1
        answers = {key: future.result() for key, future in orders.items()}
    context.say(f"{len(answers)} transfers answered; killed meanwhile: {dict(kills)}")

    wait_for("no transfer is under way", lambda: all(t[0] != "processing" for t in banks.transfers().values()), 60)
    wait_for("nothing is held", lambda: all(held == 0 for _, held in banks.accounts().values()), 60)
    committed = check_books(context, banks, answers)
    context.say(f"refused: {banks.reasons()}")
    check(committed, "no transfer was committed")
    wait_for("every payer is told", lambda: committed <= banks.notices().keys(), 60)
    seen = banks.notices()
    check(seen == collections.Counter(committed), f"told otherwise than once: {seen - collections.Counter(committed)}")
    context.say(f"{len(seen)} notices for {len(committed)} committed transfers, one each")
