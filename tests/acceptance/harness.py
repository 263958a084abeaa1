"""What every acceptance row stands on: real processes, real HTTP, evidence, and nothing that hides a failure."""
import base64
import dataclasses
from http.client import HTTPException
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import typing
import urllib.error
import urllib.parse
import urllib.request

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
    last = None
    while time.monotonic() < end:
        last = probe()
        if last:
            return last
        time.sleep(every_s)
    raise Failure(f"{what}: not within {limit_s} s (last: {str(last)[:1500]})")


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


BROKEN = (OSError, HTTPException)  # no whole answer: it may or may not have happened
ASK_AGAIN = (202, 503)  # not decided, or not now: repeat with the same key


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


def form(fields):
    return urllib.parse.urlencode(fields)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


ROLES = ("broker", "shop", "router", "notifier", "phone", "console")


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

    def confirm(self, **order):
        """Places an order that must be confirmed; its id."""
        answer = self.order(**order)
        check(answer.status == 201, f"the order was not confirmed: {answer.status} {answer.body[:300]!r}")
        return answer.json()["order_id"]

    def confirm_again(self, **order):
        """Repeats an order with its key until it is answered: it was confirmed, now or before; its id."""
        def answered():
            answer = self.order(**order)
            return answer if answer.status not in ASK_AGAIN else None
        answer = wait_for(f"an answer to {order.get('key')}", answered, every_s=0.1)
        check(answer.status in (200, 201), f"the order was not confirmed: {answer.status} {answer.body[:300]!r}")
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

    def __init__(self, context, name, roles=None, config="", settings=None, data=None, environment=None):
        self.context, self.name, self.roles = context, name, list(roles or ROLES)
        self.settings, self.environment = dict(settings or {}), dict(environment or {})
        self.data = data or context.folder / f"{name}-data"
        self.log = context.folder / f"{name}.log"
        self.config = context.folder / f"{name}.toml"
        self.config.write_text(config)
        self.ports: dict = {}
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
                   "--ready-file", str(self.ready), "--roles", ",".join(self.roles)]
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
        wait_for(f"{self.name} is ready", lambda: self.ready.exists() or not self.alive())
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
        wait_for(f"{self.name} is ready or dead", lambda: self.ready.exists() or not self.alive())
        if self.ready.exists():
            self.note_ports()
        return self.ready.exists()

    def tail(self, lines=12):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, limit_s=15):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit_s)

    def wait_dead(self, limit_s=20):
        wait_for(f"{self.name} dies", lambda: not self.alive(), limit_s)
        return self.process.returncode

    def restart(self, faults=""):
        if self.alive():
            self.kill()
        self.start(faults)


class Cluster(Chain):
    """The chain in five processes, each with its own stores in one data folder: any of them can be killed alone."""

    PARTS = ("broker", "phone", "notifier", "router", "shop")

    def __init__(self, context, name="cluster", settings=None):
        self.context = context
        self.data = context.folder / f"{name}-data"
        self.parts: dict = {}
        everywhere = dict(settings or {})
        for role in self.PARTS:
            wanted = dict(everywhere)
            if role in ("router", "shop"):
                wanted["process.messages"] = f"rocketmq://127.0.0.1:{self.parts['broker'].ports['broker']}"
            if role == "notifier":
                wanted["notifier.provider_url"] = self.parts["phone"].url("phone")
            if role == "router":
                wanted["router.notifier_url"] = self.parts["notifier"].url("notifier")
            self.parts[role] = context.serve(f"{name}-{role}", roles=[role, "console"], settings=wanted, data=self.data)
        self.config = self.parts["broker"].config

    @property
    def ports(self):
        """Where each role is; `console` is the broker's, which reconciliation asks."""
        return {**{role: part.ports[role] for role, part in self.parts.items()},
                "console": self.parts["broker"].ports["console"]}

    def __getitem__(self, role):
        return self.parts[role]


class Context:
    def __init__(self, row_id, binary, rng):
        self.id, self.binary, self.random = row_id, binary, rng
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"hf-{row_id}-"))
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
