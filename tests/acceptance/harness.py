"""What every acceptance row stands on: real processes, real HTTP, evidence, and nothing that hides a failure."""
import base64
import dataclasses
from http.client import HTTPException
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import typing
import urllib.error
import urllib.parse
import urllib.request

from ports import reserve_port

REGISTRY: dict = {}


class Todo(Exception):
    """The row is not built yet; the text says what is missing."""


class Failure(AssertionError):
    pass


@dataclasses.dataclass
class Row:
    id: str
    title: str
    run: typing.Callable
    same_as: str = ""


def row(row_id, title, same_as=""):
    """Registers a row. `same_as`: the row that shows the same thing; then the function is only its pointer."""
    def register(function):
        assert row_id not in REGISTRY, f"{row_id} is there twice"
        REGISTRY[row_id] = Row(row_id, title, function, same_as)
        return function
    return register


def check(condition, text):
    if not condition:
        raise Failure(text)


def wait_for(what, probe, limit_s=30.0, every_s=0.02):
    """Polls `probe` until it returns something true, and returns that. A bounded wait with a clear end, not a sleep."""
    end = time.monotonic() + limit_s
    while True:
        last_look = time.monotonic() >= end  # however long we stood still ourselves, there is a look after the end
        found = probe()
        if found:
            return found
        if last_look:
            raise Failure(f"{what}: not within {limit_s} s (last: {str(found)[:1500]})")
        time.sleep(every_s)


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


BROKEN = (OSError, HTTPException)  # no whole answer: it may or may not have happened
ASK_AGAIN = (202, 503)  # not decided, or not now: repeat with the same key
READY_WITHIN_S = 120  # a first start on MariaDB installs servers, which the product itself gives a minute each


def http(method, url, body=None, headers=None, timeout=20.0):
    """Any status is an answer; a broken connection raises OSError."""
    data = body
    headers = dict(headers or {})
    if isinstance(body, (dict, list)):
        data = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    elif isinstance(body, str):
        data = body.encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as response:
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, response.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


def until_answered(place, limit_s=90, **order):
    """As a buyer does: a broken connection, 503 and `not decided yet` are repeated with the same key; the answer."""
    last = None

    def answered():
        nonlocal last
        try:
            last = place(**order)
        except BROKEN as broken:
            last = broken
            return None
        return last if last.status not in ASK_AGAIN else None
    try:
        return wait_for(f"an answer to order {order.get('key')}", answered, limit_s, every_s=0.05)
    except Failure:
        raise Failure(f"order {order.get('key')} had no answer within {limit_s} s (last: {last})") from None


def form(fields):
    return urllib.parse.urlencode(fields)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


DELIVERY = ("router", "notifier", "phone", "console")
ROLES_OF = {
    "message": ("broker", "shop", *DELIVERY),
    "outbox": ("broker", "shop", "inventory", *DELIVERY),
    "2pc": ("broker", "coordinator", "shop", "payment", "inventory", *DELIVERY),
}
ROLES = ROLES_OF["message"]
# Where the stores are, unless a row says so itself: sqlite, mariadb, mariadb-all.
STORE = os.environ.get("HF_ACCEPT_STORE", "sqlite")


class Chain:
    """What the rows ask of a running Holdfast, be it one process (Server) or several (Cluster)."""

    def url(self, role, path=""):
        return f"http://127.0.0.1:{self.ports[role]}{path}"

    def admin(self, path):
        answer = http("GET", self.url("console", path))
        check(answer.status == 200, f"GET {path}: {answer.status} {answer.body[:300]!r}")
        return answer.json()

    def order(self, buyer="u1", item=1, quantity=1, channel="sms", phone="+15550100001", key=None, timeout=20.0):
        headers = {"Idempotency-Key": key} if key else {}
        body = {"buyer": buyer, "item": item, "quantity": quantity, "channel": channel, "phone": phone}
        return http("POST", self.url("shop", "/orders"), body, headers, timeout)

    def place(self, card="card1", item=1, qty=1, key=None, timeout=90.0, **more):
        """POST /placeOrder of the shop by two-phase commit."""
        headers = {"Idempotency-Key": key} if key else {}
        return http("POST", self.url("shop", "/placeOrder"), {"cardNo": card, "itemId": item, "qty": qty, **more}, headers,
                    timeout)

    def sql(self, store, statement):
        """What a store holds, whatever database it is, read beside the server: rows as dicts."""
        result = self.cli("--json", "sql", "--data", str(self.data), "--config", str(self.config), store, statement,
                          expect=None)
        check(result.returncode in (0, 1), f"{statement}: {result.stderr}")
        return json.loads(result.stdout)

    def confirm(self, **order):
        """Places an order until it is answered: it was confirmed, now or before; its id."""
        order.setdefault("key", f"confirm-{self.context.random.getrandbits(64):016x}")
        answer = until_answered(self.order, **order)
        check(answer.status == 201, f"the order was not confirmed: {answer.status} {answer.body[:300]!r}")
        return answer.json()["order_id"]

    def cli(self, *arguments, expect=0):
        result = subprocess.run([str(self.context.binary), "--admin", self.url("console"), *arguments],
                                capture_output=True, text=True, timeout=60)
        check(expect is None or result.returncode == expect,
              f"holdfast {' '.join(arguments)}: exit {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def reconcile(self, expect=0, grace="0s"):
        result = self.cli("reconcile", "--data", str(self.data), "--config", str(self.config), "--grace", grace, "--json",
                          expect=None)
        check(expect is None or result.returncode == expect,
              f"reconcile: exit {result.returncode}\n{result.stdout[:4000]}{result.stderr}")
        return json.loads(result.stdout) if result.stdout.strip() else {}

    def settle(self, limit_s=60):
        """Until reconciliation finds nothing and nothing is on its way any more; returns its report."""
        last = {}

        def settled():
            last.clear()
            last.update(self.reconcile(expect=None))
            return last.get("clean") and last.get("open") == 0
        try:
            wait_for("everything settles", settled, limit_s, every_s=0.2)
        except Failure:
            raise Failure(f"not settled within {limit_s} s: open {last.get('open')} {last.get('open_examples')}, "
                          f"findings {last.get('findings')}") from None
        return last


class Server(Chain):
    """One `holdfast serve` on free ports; restarted on the same ports."""

    def __init__(self, context, name, roles=None, config="", settings=None, data=None, environment=None, shop="message",
                 store=None):
        self.context, self.name, self.roles = context, name, list(roles or ROLES_OF[shop])
        self.shop, self.store = shop, store or STORE
        self.settings, self.environment = dict(settings or {}), dict(environment or {})
        self.data = data or context.folder / f"{name}-data"
        self.log = context.folder / f"{name}.log"
        self.config = context.folder / f"{name}.toml"
        self.config.write_text(config)
        self.ports = {role: reserve_port() for role in self.roles}
        self.process = None

    def run_to_end(self, *arguments, limit_s=20):
        """A command of the binary beside any server: its exit code, standard output and error."""
        return subprocess.run([str(self.context.binary), *arguments], capture_output=True, text=True, timeout=limit_s,
                              env={**os.environ, **self.environment})

    def explain(self):
        """The effective configuration as TOML."""
        return self.run_to_end("config", "explain", "--config", str(self.config)).stdout

    def command(self, faults=""):
        command = [str(self.context.binary), "serve", "--data", str(self.data), "--config", str(self.config),
                   "--ready-file", str(self.ready), "--roles", ",".join(self.roles), "--shop", self.shop,
                   "--store", self.store]
        for role in self.roles:
            command += ["--set", f"{role}.port={self.ports.get(role, 0)}"]
        for key, value in self.settings.items():
            command += ["--set", f"{key}={value}"]
        return command + (["--fault", faults] if faults else [])

    @property
    def ready(self):
        return self.context.folder / f"{self.name}.ready"

    def spawn(self, faults=""):
        """Starts the process and does not wait for it."""
        self.ready.unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(faults), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env={**os.environ, **self.environment})

    def start(self, faults=""):
        self.spawn(faults)
        wait_for(f"{self.name} is ready", lambda: self.ready.exists() or not self.alive(), READY_WITHIN_S)
        if not self.ready.exists():
            raise Failure(f"{self.name} exited with {self.process.returncode}: {self.tail()}")
        self.note_ports()

    def note_ports(self):
        for line in self.ready.read_text().splitlines():
            role, address = line.split()
            self.ports[role] = int(address.rsplit(":", 1)[1])

    def start_or_die(self, faults):
        """Starts; true if it came up, false if it died on the way (fault points at start)."""
        self.spawn(faults)
        wait_for(f"{self.name} is ready or dead", lambda: self.ready.exists() or not self.alive(), READY_WITHIN_S)
        if self.ready.exists():
            self.note_ports()
        return self.ready.exists()

    def tail(self, lines=12):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def mariadb_pid(self, name):
        """Of a MariaDB server that this process started: "all", "payment", "inventory"."""
        return int((self.data / "mariadb" / name / "pid").read_text())

    def kill_mariadb(self, name):
        """kill -9; the process starts it again."""
        os.kill(self.mariadb_pid(name), signal.SIGKILL)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, limit_s=90):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit_s)

    def wait_dead(self, limit_s=90):
        wait_for(f"{self.name} dies", lambda: not self.alive(), limit_s)
        return self.process.returncode

    def restart(self, faults=""):
        if self.alive():
            self.kill()
        self.start(faults)


class MariaDb:
    """A MariaDB server for processes that share it; dies with the context."""

    OPTIONS = ("--no-defaults", "--skip-networking", "--skip-name-resolve", "--character-set-server=utf8mb4",
               "--collation-server=utf8mb4_nopad_bin", "--innodb-log-file-size=64M", "--innodb-buffer-pool-size=64M",
               "--log-bin=binlog", "--sync-binlog=1", "--server-id=1", "--binlog-format=ROW",
               "--innodb-flush-log-at-trx-commit=1")

    def __init__(self, context, name="mariadb"):
        self.folder, self.name = context.folder / name, name
        self.folder.mkdir()
        self.socket, self.process = self.folder / "sock", None
        # A server that starts removes what looks like a temporary table in its tmpdir, be it another server's.
        (self.folder / "tmp").mkdir()
        self.places = [f"--datadir={self.folder}/data", f"--tmpdir={self.folder}/tmp",
                       *(["--user=root"] if os.geteuid() == 0 else [])]
        installed = subprocess.run(["mariadb-install-db", "--no-defaults", *self.places,
                                    "--auth-root-authentication-method=normal", "--skip-test-db",
                                    "--innodb-log-file-size=64M", "--debug-no-sync", "--innodb-flush-method=nosync"],
                                   capture_output=True, text=True)
        check(installed.returncode == 0, f"mariadb-install-db: {installed.stdout}{installed.stderr}")
        context.servers.append(self)
        self.start()

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/mariadbd", *self.OPTIONS, *self.places, f"--socket={self.socket}"],
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(f"{self.name} is ready", lambda: self.answers() or not self.alive(), READY_WITHIN_S)
        check(self.alive(), f"{self.name} ended: {self.tail()}")

    def answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
                return bool(probe.recv(1))  # the server speaks first
            except OSError:
                return False

    def url(self, database):
        return f"mysql://root@localhost/{database}?socket={self.socket}&create=1&connect_timeout_ms=30000"

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def tail(self, lines=12):
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-lines:])


class Cluster(Chain):
    """The chain in separate processes, one role each, over one data folder: any of them can be killed alone.
    On MariaDB, one server holds all stores; in 2pc, payment and inventory have one of their own each. `store` may say
    which store is on which server: {"shop": "a", "inventory": "b"}; the others are SQLite files."""

    # Who must be known before whom.
    PARTS = {
        "message": ("broker", "phone", "notifier", "router", "shop"),
        "outbox": ("broker", "phone", "notifier", "router", "inventory", "shop"),
        "2pc": ("broker", "phone", "notifier", "router", "coordinator", "payment", "inventory", "shop"),
    }

    def __init__(self, context, name="cluster", settings=None, shop="message", store=None):
        self.context, self.shop = context, shop
        self.data = context.folder / f"{name}-data"
        self.parts: dict = {}
        self.databases: dict = {}   # MariaDB servers
        self.server_of: dict = {}   # store → its server's name
        databases = self.place_stores(name, store or STORE)
        for role in self.PARTS[shop]:
            self.parts[role] = context.serve(f"{name}-{role}", roles=[role, "console"], data=self.data, shop=shop,
                                             settings={**(settings or {}), **self.addresses_for(role)},
                                             config=databases, store="sqlite")
        self.config = self.parts["broker"].config

    def place_stores(self, name, store):
        """Starts the databases; which store is where, as TOML."""
        if store == "sqlite":
            return ""
        on = {"payment": "payment", "inventory": "inventory"} if self.shop == "2pc" else {}
        if isinstance(store, dict):
            on = store
        elif self.shop != "2pc" or store == "mariadb-all":
            stores = [role for role in self.PARTS[self.shop] if role != "broker"]
            on = {role: on.get(role, "all") for role in stores}
        for server in sorted(set(on.values())):
            self.databases[server] = MariaDb(self.context, f"{name}-{server}-db")
        self.server_of = on
        return "".join(f'[{role}]\ndatabase = "{self.databases[server].url(role)}"\n' for role, server in on.items())

    def addresses_for(self, role):
        """What this part must be told of the others, which run already."""
        known = {other: part.url(other) for other, part in self.parts.items()}
        told = {"notifier": {"notifier.provider_url": known.get("phone")},
                "router": {"router.notifier_url": known.get("notifier")},
                "shop": {"two_phase.coordinator_url": known.get("coordinator"), "two_phase.payment_url": known.get("payment"),
                         "two_phase.inventory_url": known.get("inventory")},
                "payment": {"two_phase.coordinator_url": known.get("coordinator")},
                "inventory": {"two_phase.coordinator_url": known.get("coordinator")}}.get(role, {})
        if role in ("router", "shop", "inventory"):
            told["process.messages"] = f"rocketmq://127.0.0.1:{self.parts['broker'].ports['broker']}"
        return {key: value for key, value in told.items() if value}

    @property
    def ports(self):
        """Where each role is; `console` is the broker's, which reconciliation asks."""
        return {**{role: part.ports[role] for role, part in self.parts.items()},
                "console": self.parts["broker"].ports["console"]}

    def __getitem__(self, role):
        return self.parts[role]


class Context:
    def __init__(self, row_id, binary, rng, minutes=0):
        self.id, self.binary, self.random, self.minutes = row_id, binary, rng, minutes
        # MariaDB takes a tmpdir with a ':' for two.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"hf-{re.sub('[^A-Za-z0-9._-]', '-', row_id)}-"))
        self.servers = []

    def serve(self, name="server", **options):
        """A running server; `start=False` leaves it to the row to start it."""
        start, faults = options.pop("start", True), options.pop("faults", "")
        server = Server(self, name, **options)
        self.servers.append(server)
        if start:
            server.start(faults)
        return server

    def cluster(self, **options):
        return Cluster(self, **options)

    def say(self, text):
        print(f"    {text}", flush=True)

    def close(self, keep=False):
        for server in self.servers:
            if server.alive():
                server.kill()
        if keep and os.environ.get("HF_KEEP"):
            print(f"    kept: {self.folder}")
        else:
            if keep:
                for server in self.servers:
                    print(f"    --- last lines of {server.name}:\n{server.tail(20)}")
            shutil.rmtree(self.folder, ignore_errors=True)
