"""What is true of the two-phase commit shop whatever dies, read from its stores beside its processes; and what breaks it:
buyers, a watch that looks while things die, and a plan of kills."""
import collections
import dataclasses
import json
import re
import signal
import sqlite3
import subprocess
import threading
import time

from harness import BROKEN, Failure, check, until_answered, wait_for
from support import notices, rows_of

# Waits that a test can sit out; none of them decides anything (checks 24, 38).
QUICK = {"outbox.lease": "2s", "coordinator.retry_first": "20ms", "coordinator.retry_max": "300ms", "coordinator.prepare_timeout": "5s",
         "coordinator.notify_timeout": "1s", "coordinator.active_max": "3s", "two_phase.ask_after": "300ms",
         "two_phase.ask_max": "1s", "two_phase.active_max": "3s", "shop.ask_every": "200ms",
         "shop.answer_within": "5s", "router.retry_first": "100ms", "router.retry_max": "500ms",
         "broker.client_expiry": "2s", "phone.step": "20ms", "phone.ring": "20ms", "notifier.retry_min": "50ms"}
# An order that is placed once and must be answered as it deserves: nothing is given up because a machine stood still.
PATIENT = {**QUICK, "shop.answer_within": "60s", "coordinator.prepare_timeout": "10s", "coordinator.notify_timeout": "10s",
           "coordinator.active_max": "60s", "two_phase.active_max": "60s"}
ITEMS, CARDS = 8, 16
PLENTY = {"inventory.stock": json.dumps([f"{n};1000000;{7 + n}" for n in range(1, ITEMS)] + [f"{ITEMS};25;9"]),
          "payment.accounts": json.dumps([f"card{n};100000000" for n in range(1, CARDS)] + [f"card{CARDS};400"])}


# ── processes ────────────────────────────────────────────────────────────────────────────────────────────────────────
def victims_of(cluster):
    return [*cluster.parts, *(f"mariadb-{name}" for name in cluster.databases)]


def part(cluster, name):
    """A process of the cluster by its role, or a MariaDB server as "mariadb-payment"."""
    return cluster.databases[name.removeprefix("mariadb-")] if name.startswith("mariadb-") else cluster[name]


# ── the stores ───────────────────────────────────────────────────────────────────────────────────────────────────────
MONEY = """SELECT p.cardno, p.amount, o.amount, COALESCE((SELECT SUM(m.amount) FROM payment_movements m
             WHERE m.cardno = p.cardno), 0) FROM Payments p JOIN payment_openings o ON o.cardno = p.cardno"""
STOCK = """SELECT s.itemId, s.amount, o.amount, COALESCE((SELECT SUM(m.amount) FROM stock_movements m
             WHERE m.itemId = s.itemId), 0) FROM Stock s JOIN stock_openings o ON o.itemId = s.itemId"""


def socket_of(chain, store):
    """Of the MariaDB server that keeps a store; None: it is an SQLite file."""
    if server := getattr(chain, "server_of", {}).get(store):
        return chain.databases[server].socket
    where = chain.data / "mariadb" / store / "url"  # written by `--store mariadb`
    return where.read_text().split("socket=")[1].split("&")[0] if where.exists() else None


class Away(Failure):
    """The store's server is down, or goes down while it is asked."""


def mariadb(socket, statement, schema="mysql"):
    """By MariaDB's own client: a judge that shares no code with what it judges."""
    done = subprocess.run(["mariadb", "--no-defaults", "--user=root", f"--socket={socket}", "-N", "-B", "-e", statement,
                           schema], capture_output=True, text=True, timeout=60)
    if re.search(r"ERROR (20\d\d|1053)\b", done.stderr):
        raise Away(done.stderr)
    check(done.returncode == 0, f"mariadb: {done.stderr}")

    def value(text):
        return None if text == "NULL" else int(text) if re.fullmatch(r"-?\d+", text) else text
    return [tuple(value(field) for field in line.split("\t")) for line in done.stdout.splitlines()]


def read(chain, store, query):
    socket = socket_of(chain, store)
    return mariadb(socket, query, store) if socket else rows_of(chain, store, query)


def check_sums(chain):
    """balance + held + paid and amount + reserved + sold are what was there at the beginning, now as at any moment."""
    for store, query in (("payment", MONEY), ("inventory", STOCK)):
        wrong = [row for row in read(chain, store, query) if row[1] < 0 or row[1] + row[3] != row[2]]
        check(not wrong, f"{store}: left, at first, held or gone: {wrong}")


def orders(chain, state):
    """gtrid → (order id, channels, card, item, quantity, total) of the orders in `state`."""
    found = read(chain, "shop", "SELECT gtrid, order_id, channels, card_no, item_id, qty, total FROM two_phase_orders "
                                   f"WHERE state = '{state}'")
    return {row[0]: row[1:] for row in found}


def effects(chain):
    """(gtrid → (card, amount) paid, gtrid → (item, quantity) sold)."""
    paid = read(chain, "payment", "SELECT gtrid, cardno, amount FROM payment_movements WHERE state = 'paid'")
    sold = read(chain, "inventory", "SELECT gtrid, itemId, amount FROM stock_movements WHERE state = 'sold'")
    return {row[0]: row[1:] for row in paid}, {row[0]: row[1:] for row in sold}


def check_confirmed_is_committed(chain):
    """Who reads `confirmed` finds both effects: the order is read first, so whatever comes later only adds."""
    confirmed = orders(chain, "confirmed")
    paid, sold = effects(chain)
    half = {gtrid: [what for what, effect in (("paid", paid), ("sold", sold)) if gtrid not in effect]
            for gtrid in confirmed if gtrid not in paid or gtrid not in sold}
    check(not half, f"confirmed without both effects, missing: {dict(list(half.items())[:5])}")
    return len(confirmed)


def prepared_at(chain, store):
    """Branches of a service that voted and have no decision, by its own rows and by the server's XA RECOVER."""
    found = [gtrid for (gtrid,) in read(chain, store, "SELECT gtrid FROM branches WHERE state = 'prepared'")]
    if socket := socket_of(chain, store):
        found += [str(row[3]) for row in mariadb(socket, "XA RECOVER")]
    return found


def what_is_open(chain):
    """Everything that has not come to its end."""
    found = [f"order {row[0]} is processing" for row in orders(chain, "processing").values()]
    for store, table, state in (("payment", "payment_movements", "held"), ("inventory", "stock_movements", "reserved")):
        found += [f"{store}: {gtrid} is prepared" for gtrid in prepared_at(chain, store)]
        found += [f"{store}: {gtrid} has something {state}" for (gtrid,) in
                  read(chain, store, f"SELECT gtrid FROM {table} WHERE state = '{state}'")]
    found += [f"coordinator: {gtrid} has not ended" for (gtrid,) in
              read(chain, "coordinator", "SELECT gtrid FROM coordinator_tx WHERE ended_at_us = 0")]
    found += [f"coordinator: {tx['gtrid']} is {tx['state']}" for tx in coordinator_admin(chain, "open")]
    found += [f"outbox: {name} is {state}" for name, state in
              read(chain, "shop", "SELECT id, state FROM outbox WHERE state <> 'done'")]
    return found


def unfinished(chain):
    """What is open, and who has not been told; a store or a process that is away counts."""
    try:
        return what_is_open(chain) or [f"{pair} was not told" for pair in told_wanted(chain) - notices(chain)]
    except (*BROKEN, Failure, sqlite3.Error, subprocess.TimeoutExpired) as away:
        return [str(away)]


def settle(context, chain, limit_s=60):
    """Until nothing is open and everybody was told; then the whole proof."""
    last = []

    def settled():
        last[:] = unfinished(chain)
        return not last
    began = time.monotonic()
    try:
        wait_for("everything settles", settled, limit_s, every_s=0.2)
    except Failure:
        raise Failure(f"not settled within {limit_s} s, {len(last)} open: {last[:8]}") from None
    context.say(f"settled {time.monotonic() - began:.1f} s after the last answer")
    check_end(context, chain)


def told_wanted(chain):
    return collections.Counter((str(order[0]), channel) for order in orders(chain, "confirmed").values()
                               for channel in order[1].split(","))


def check_end(context, chain):
    check_sums(chain)
    confirmed, (paid, sold) = orders(chain, "confirmed"), effects(chain)
    for what, effect in (("paid", paid), ("sold", sold)):
        check(confirmed.keys() == effect.keys(),
              f"confirmed and not {what}: {sorted(confirmed.keys() - effect.keys())[:5]}; "
              f"{what} and not confirmed: {sorted(effect.keys() - confirmed.keys())[:5]}")
    wrong = [gtrid for gtrid, (_, _, card, item, quantity, total) in confirmed.items()
             if paid[gtrid] != (card, total) or sold[gtrid] != (item, quantity)]
    check(not wrong, f"effects that are not the order's: {wrong[:5]}")
    decided = {gtrid for (gtrid,) in read(chain, "coordinator", "SELECT gtrid FROM coordinator_tx WHERE decision = 'commit'")}
    check(decided == confirmed.keys(), f"decided otherwise than confirmed: {sorted(decided ^ confirmed.keys())[:5]}")
    heuristic = [row for store, table in (("payment", "branch_heuristics"), ("inventory", "branch_heuristics"),
                                          ("coordinator", "coordinator_heuristic"))
                 for row in read(chain, store, f"SELECT * FROM {table}")]
    check(not heuristic, f"heuristic ends: {heuristic[:3]}")
    seen, wanted = notices(chain), told_wanted(chain)
    check(seen == wanted, f"missing {list(wanted - seen)[:5]}, too many {list(seen - wanted)[:5]}")
    context.say(f"{len(confirmed)} orders confirmed = {len(paid)} paid = {len(sold)} sold = {len(decided)} decisions to "
                f"commit; {sum(seen.values())} notices; sums as at first; nothing prepared, open or heuristic")


def coordinator_admin(chain, state):
    server = chain["coordinator"] if hasattr(chain, "parts") else chain
    return server.admin(f"/admin/coordinator/transactions?state={state}")["transactions"]


# ── buyers ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def plan(rng, n, prefix="k"):
    """One order in six wants more than there is, sooner or later: refused ones belong to the load."""
    return {"key": f"{prefix}-{n}", "card": f"card{rng.randint(1, CARDS)}", "item": rng.randint(1, ITEMS),
            "qty": rng.randint(1, 3), "channel": rng.choice(("sms", "whatsapp", "voice")), "phone": f"+1555{n:07d}"}


class Shoppers:
    """Buyers in threads, each of whom repeats an order with its key until there is an answer. They come until stop()."""

    def __init__(self, chain, rng, workers=4, prefix="k", count=None, patience_s=120, make=plan,
                 place=None):
        self.chain, self.patience_s, self.count, self._prefix = chain, patience_s, count, prefix
        self.answers, self.failures, self._rng, self._n = {}, [], rng, 0
        self._make, self._place_once = make, place or chain.place
        self._plans = []
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def _next(self):
        with self._lock:
            if self._stop.is_set() or self._n == self.count:
                return None
            self._n += 1
            self._plans.append(self._make(self._rng, self._n, self._prefix))
            return self._plans[-1]

    def _run(self):
        while (order := self._next()) is not None:
            try:
                answer = self._place(order)
                self.answers[order["key"]] = answer
            except Exception as problem:  # told by results(); a thread has nobody else to tell
                self.failures.append(f"{order['key']}: {type(problem).__name__}: {problem}")

    def _place(self, order):
        return until_answered(self._place_once, self.patience_s, timeout=10, **order)

    def wait_for_answers(self, count, limit_s=120):
        wait_for(f"{count} answers", lambda: len(self.answers) >= count or self.failures, limit_s)

    def stop(self):
        """Nobody new comes; returns when everybody was answered."""
        self._stop.set()
        return self.results()

    def results(self):
        for thread in self._threads:
            thread.join(self.patience_s + 30)
        check(not self.failures, f"{len(self.failures)} buyers: {self.failures[:3]}")
        return self.answers

    def check(self, context):
        """Whoever was told `placed` has a confirmed order (D18 of the answer), whoever was refused has none."""
        found = collections.Counter(answer.status for answer in self.answers.values())
        context.say(f"answers to buyers: {dict(found)}")
        check(set(found) <= {200, 409}, f"unexpected answers: {found}; "
              f"{[a.body[:200] for a in self.answers.values() if a.status not in (200, 409)][:3]}")
        confirmed = {str(order[0]) for order in orders(self.chain, "confirmed").values()}
        placed = {a.headers.get("x-holdfast-order-id") for a in self.answers.values() if a.status == 200}
        check(None not in placed and len(placed) == found[200], "an answer without an order, or an order answered twice")
        check(placed == confirmed, f"placed and not confirmed: {sorted(placed - confirmed)[:5]}; "
              f"confirmed and never answered: {sorted(confirmed - placed)[:5]}")

    def check_repetitions(self):
        """The same key has the same answer, for ever."""
        for order in self._plans:
            first, again = self.answers[order["key"]], self._place(order)
            check((first.status, first.body) == (again.status, again.body)
                  and first.headers.get("x-holdfast-order-id") == again.headers.get("x-holdfast-order-id"),
                  f"{order['key']} was answered {first} and is now answered {again}")


# ── looking while things die ─────────────────────────────────────────────────────────────────────────────────────────
class Watch:
    """Looks at the sums and at what `confirmed` promises, again and again, until the block ends. Stores that are down
    right now are looked at later."""

    def __init__(self, chain, every_s=0.25):
        self._chain, self._every_s, self._stop = chain, every_s, threading.Event()
        self.looked, self.wrong = 0, []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stop.set()
        self._thread.join(60)
        if kind is None:
            check(not self.wrong, f"seen while it ran, {len(self.wrong)} times in {self.looked + len(self.wrong)} looks: "
                  f"first {self.wrong[:2]}, last {self.wrong[-1:]}")

    def _run(self):
        while not self._stop.wait(self._every_s):
            try:
                check_sums(self._chain)
                check_confirmed_is_committed(self._chain)
                self.looked += 1
            except (Away, sqlite3.Error, subprocess.TimeoutExpired):
                pass
            except Failure as found:
                self.wrong.append(f"look {self.looked + len(self.wrong)}: {found}")


@dataclasses.dataclass
class Blow:
    after: float     # seconds since the one before
    victims: list    # die at the same moment
    down: float      # seconds until they are started again
    stopped: bool    # not killed: SIGSTOP, and on again: answers come too late, messages in another order


def kill_plan(rng, victims, minutes):
    """The same number gives the same plan. Each victim has its turn in every round; now and then two go at once, and now
    and then all."""
    blows, length, left = [], 0.0, []
    while length < minutes * 60:
        if not left:
            left = list(victims)
            rng.shuffle(left)
        together = {left.pop()}
        if rng.random() < 0.25:
            together.add(rng.choice(victims))
        if rng.random() < 0.04:
            together = set(victims)
        blow = Blow(rng.uniform(0.3, 2.0), sorted(together), rng.uniform(0.0, 2.5) if rng.random() < 0.5 else 0.0,
                    stopped=rng.random() < 0.2)
        blows.append(blow)
        length += blow.after + blow.down
    return blows


def carry_out(context, chain, blows):
    died, stood = collections.Counter(), collections.Counter()
    for blow in blows:
        time.sleep(blow.after)
        for who in blow.victims:
            victim = part(chain, who)
            check(victim.alive(), f"{who} was dead before it was killed: {victim.tail()}")
            if blow.stopped:
                victim.process.send_signal(signal.SIGSTOP)
            else:
                victim.process.send_signal(signal.SIGKILL)
        time.sleep(blow.down)
        for who in sorted(blow.victims, key=lambda name: not name.startswith("mariadb-")):  # a service needs its store
            if blow.stopped:
                part(chain, who).process.send_signal(signal.SIGCONT)
            else:
                part(chain, who).process.wait()
                part(chain, who).start()
            (stood if blow.stopped else died)[who] += 1
    context.say("kill -9: " + ", ".join(f"{who} {died[who]}×" for who in sorted(died)))
    context.say("stood still: " + ", ".join(f"{who} {stood[who]}×" for who in sorted(stood)))


def random_kills(context, store, minutes, **settings):
    """Every process and every server of the shop, killed and stopped at random under load, and the proof."""
    cluster = context.cluster(shop="2pc", store=store, settings={**QUICK, **PLENTY, **settings})
    blows = kill_plan(context.random, victims_of(cluster), context.minutes or minutes)
    context.say(f"{len(blows)} blows in {sum(blow.after + blow.down for blow in blows):.0f} s")
    with Watch(cluster) as watch:
        shoppers = Shoppers(cluster, context.random)
        carry_out(context, cluster, blows)
        shoppers.stop()
    settle(context, cluster)
    shoppers.check(context)
    check(watch.looked > 0, "nobody looked while it ran")
    context.say(f"sums and confirmed orders looked at {watch.looked} times while things died: as promised")
