"""What every acceptance row stands on: real processes, real HTTP, evidence, and nothing that hides a failure."""
import base64
import dataclasses
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


def wait_for(what, probe, limit_s=30.0):
    """Polls `probe` until it returns something true, and returns that. A bounded wait with a clear end, not a sleep."""
    end = time.monotonic() + limit_s
    last = None
    while time.monotonic() < end:
        last = probe()
        if last:
            return last
        time.sleep(0.02)
    raise Failure(f"{what}: not within {limit_s} s (last: {last!r})")


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


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


class Server:
    """One `holdfast serve` on free ports; restarted on the same ports."""

    def __init__(self, context, name, roles=None, config="", faults="", extra=()):
        self.context, self.name, self.roles, self.extra = context, name, roles, list(extra)
        self.data = context.folder / f"{name}-data"
        self.log = context.folder / f"{name}.log"
        self.config = context.folder / f"{name}.toml"
        self.config.write_text(config)
        self.ports: dict = {}
        self.process = None
        self.start(faults)

    ROLE_PORTS = ("broker", "shop", "router", "notifier", "phone", "console")

    def start(self, faults="", expect_ready=True):
        ready = self.context.folder / f"{self.name}.ready"
        ready.unlink(missing_ok=True)
        command = [str(self.context.binary), "serve", "--data", str(self.data), "--config", str(self.config),
                   "--ready-file", str(ready)]
        for role in self.ROLE_PORTS:
            command += ["--set", f"{role}.port={self.ports.get(role, 0)}"]
        if self.roles:
            command += ["--roles", ",".join(self.roles)]
        if faults:
            command += ["--fault", faults]
        command += self.extra
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if not expect_ready:
            return
        wait_for(f"{self.name} is ready", lambda: ready.exists() or self.process.poll() is not None)
        if not ready.exists():
            raise Failure(f"{self.name} exited with {self.process.returncode}: {self.tail()}")
        for line in ready.read_text().splitlines():
            role, address = line.split()
            self.ports[role] = int(address.rsplit(":", 1)[1])

    def tail(self, lines=12):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def log_text(self):
        return self.log.read_text(errors="replace")

    def url(self, role, path=""):
        return f"http://127.0.0.1:{self.ports[role]}{path}"

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, limit_s=15):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit_s)

    def wait_dead(self, limit_s=20):
        self.process.wait(limit_s)
        return self.process.returncode

    def restart(self, faults=""):
        if self.alive():
            self.kill()
        self.start(faults)

    # What the rows ask most.
    def admin(self, path):
        answer = http("GET", self.url("console", path))
        check(answer.status == 200, f"GET {path}: {answer.status} {answer.body[:300]!r}")
        return answer.json()

    def order(self, buyer="u1", item=1, quantity=1, channel="sms", phone="+15550100001", key=None, timeout=20.0):
        headers = {"Idempotency-Key": key} if key else {}
        body = {"buyer": buyer, "item": item, "quantity": quantity, "channel": channel, "phone": phone}
        return http("POST", self.url("shop", "/orders"), body, headers, timeout)

    def seen(self):
        """What the customers saw: every message and call, as the sandbox counts them."""
        return http("GET", self.url("phone", "/control/customers")).json()

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
        """Until reconciliation says that nothing is on its way any more; returns its report."""
        def settled():
            report = self.reconcile(expect=None)
            return report if report.get("open") == 0 and "findings" in report else None
        return wait_for("everything settles", settled, limit_s)


class Context:
    def __init__(self, row_id, binary, rng):
        self.id, self.binary, self.random = row_id, binary, rng
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"hf-{row_id}-"))
        self.servers = []

    def serve(self, name="server", **options):
        server = Server(self, name, **options)
        self.servers.append(server)
        return server

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
