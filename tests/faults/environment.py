#!/usr/bin/env python3
"""A bad environment: each gets a clear message and exit 2 (or 503 while it lasts), loses nothing, and is over when it is
repaired. Mounting needs root; where that is not allowed the scenario says so and counts as skipped.
"""
import hashlib
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "acceptance"))
from harness import BROKEN, Todo, check, http, wait_for  # noqa: E402
from ports import reserve_port  # noqa: E402
from scenarios import Scenarios  # noqa: E402
from support import Buyers, check_answers, check_told_exactly_once, plan_orders, transactions  # noqa: E402

scenarios = Scenarios()
QUICK = {"broker.first_check": "400ms", "broker.check_interval": "400ms", "router.retry_first": "100ms"}


def refused(context, server, *wanted):
    """`serve` must end by itself with exit 2 and one line that says why; twice, so that a supervisor may try again."""
    for _ in range(2):
        before = len(server.log_text())
        server.spawn()
        code = server.wait_dead()
        said = [line for line in server.log_text()[before:].splitlines() if line.startswith("holdfast: ")]
        check(code == 2, f"exit {code}: {server.tail()}")
        check(len(said) == 1 and all(re.search(text, said[0]) for text in wanted), f"it said {said}, wanted {wanted}")
    context.say(f"exit 2: {said[0]}")


class Tmpfs:
    """A small disk of its own; unmounted at the end whatever happens."""

    def __init__(self, context, size):
        self.path = context.folder / "disk"
        self.path.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "holdfast-test", self.path],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            raise Todo(f"no right to mount here: {mounted.stderr.strip()}")

    def remount(self, options):
        subprocess.run(["mount", "-o", f"remount,{options}", self.path], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=True)


@scenarios.scenario("port_taken", "a port that somebody else has")
def port_taken(context):
    with socket.socket() as other:
        port = reserve_port()
        other.bind(("127.0.0.1", port))
        other.listen()
        server = context.serve(start=False)
        server.ports["shop"] = port
        refused(context, server, "shop", str(port))
    server.start()
    server.confirm()
    server.settle()


@scenarios.scenario("unknown_key", "a configuration key that does not exist, a wrong type, a wrong value")
def unknown_key(context):
    for text, wanted in (("[shop]\nprot = 9650\n", ("prot", r"\.toml")), ("[shopp]\nport = 1\n", ("shopp",)),
                         ('[shop]\nport = "x"\n', ("port",)), ("[shop]\nport = 70000\n", ("port",)),
                         ('[broker]\nfirst_check = "soon"\n', ("first_check",)), ("[shop\n", (r"\.toml:1",)),
                         ('[shop]\nhost = "0.0.0.0"\n', ("beyond loopback",)),
                         ('[twilio]\nauth_token = "in the clear"\n', ("auth_token", "env:"))):
        server = context.serve(start=False, config=text)
        said = server.run_to_end("config", "check", "--config", str(server.config))
        check(said.returncode == 2 and said.stderr.startswith("holdfast: "), f"{text!r}: {said}")
        check(all(re.search(one, said.stderr) for one in wanted), f"{text!r}: {said.stderr}")
        context.say(f"{text.strip()!r}: {said.stderr.strip()}")
        refused(context, server, *wanted)
        check(not server.data.exists(), "nothing was made")


@scenarios.scenario("second_process", "a second process on the same data folder")
def second_process(context):
    first = context.serve("first")
    order = first.confirm(key="1")
    second = context.serve("second", data=first.data, start=False)
    refused(context, second, "another process|in use|locked|already")
    for role in ("shop", "router", "notifier", "phone"):
        alone = context.serve(f"second-{role}", roles=[role, "console"], data=first.data, start=False,
                              settings={"process.messages": f"rocketmq://127.0.0.1:{first.ports['broker']}"}
                              if role in ("shop", "router") else {})
        refused(context, alone, "another process|in use|locked|already")
    check(first.confirm(key="2") != order, "the first goes on")
    first.settle()
    check_told_exactly_once(context, first)


@scenarios.scenario("corrupt_segment", "a byte of the message log changed between records that were durable")
def corrupt_segment(context):
    server = context.serve(settings=QUICK)
    orders = [server.confirm(key=f"k{n}", phone=f"+1555010{n:04d}") for n in range(20)]
    server.settle()
    server.kill()
    segments = sorted((server.data / "broker").rglob("*.seg"))
    segment = next(s for s in segments if orders[5].encode() in s.read_bytes())
    intact = segment.read_bytes()
    at = intact.index(orders[5].encode())
    with open(segment, "r+b") as file:
        file.seek(at)
        file.write(bytes([intact[at] ^ 0x40]))
    damaged = hashlib.sha256(segment.read_bytes()).hexdigest()
    context.say(f"{segment.name}: one bit at byte {at} flipped, {len(orders) - 6} orders behind it")
    refused(context, server, "broker", r"corrupt|damage|CRC|crc")
    check(hashlib.sha256(segment.read_bytes()).hexdigest() == damaged, "a refused start must not change the log")
    segment.write_bytes(intact)
    server.start()
    server.confirm(key="after", phone="+15550109999")
    server.settle()
    context.say("repaired (the byte restored): it starts, and nothing is missing")
    check_told_exactly_once(context, server)


@scenarios.scenario("read_only", "a data folder that cannot be written")
def read_only(context):
    with Tmpfs(context, "96m") as disk:
        server = context.serve(settings={**QUICK, "broker.segment_bytes": 8 << 20}, data=disk.path / "data")
        server.confirm(key="1")
        server.settle()
        server.terminate()
        disk.remount("ro")
        refused(context, server, "[Rr]ead-only|denied")
        disk.remount("rw")
        server.start()
        server.confirm(key="2", phone="+15550100002")
        server.settle()
        check_told_exactly_once(context, server)


@scenarios.scenario("full_disk", "a disk that fills up under load")
def full_disk(context):
    with Tmpfs(context, "64m") as disk:
        server = context.serve(settings={**QUICK, "broker.segment_bytes": 8 << 20}, data=disk.path / "data")
        server.confirm(key="first")
        filler = disk.path / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as full:
                context.say(f"the disk is full: {full}")
        answers = []
        for plan in plan_orders(context.random, 400, prefix="full"):
            try:
                answers.append(server.order(**plan).status)
            except BROKEN:
                pass
            if not server.alive() or answers[-3:] == [503] * 3:
                break
        context.say(f"orders while it is full: {[(s, answers.count(s)) for s in sorted(set(answers))]}")
        check(set(answers) <= {201, 202, 409, 503}, f"answers: {set(answers)}")
        if server.alive():
            context.say("it stays up and refuses what it cannot keep")
        else:
            said = [line for line in server.log_text().splitlines() if line.startswith("holdfast: ")]
            check(server.process.returncode == 2 and said, f"exit {server.process.returncode}: {server.tail()}")
            context.say(f"it ends, exit 2: {said[-1]}")
            refused(context, server, "[Nn]o space|full|exhausted")
        filler.unlink()
        if not server.alive():
            server.start()
        answers = Buyers(server, plan_orders(context.random, 20, prefix="after"), workers=2).results()
        check_answers(context, answers)
        server.settle()
        context.say("after there was room again:")
        check_told_exactly_once(context, server)


class SettableClock:
    """The wall clock of a server started with this environment, to be set while it runs."""

    def __init__(self, context):
        self._offset = context.folder / "clock-offset"
        self.set(0)
        shim = context.folder / "clock_shim.so"
        compiler = next((c for c in ("clang-19", "clang", "cc") if shutil.which(c)), None)
        if not compiler:
            raise Todo("no C compiler for the clock's shim")
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", shim, pathlib.Path(__file__).parent / "clock_shim.c"],
                       check=True)
        self.environment = {"LD_PRELOAD": str(shim), "HF_CLOCK_OFFSET": str(self._offset)}

    def set(self, offset_s):
        with open(self._offset, "r+b" if self._offset.exists() else "wb") as file:
            file.write(offset_s.to_bytes(8, "little", signed=True))


@scenarios.scenario("clock_set_back", "the wall clock set back by an hour, under load and before a restart")
def clock_set_back(context):
    clock = SettableClock(context)
    server = context.serve(settings=QUICK, environment=clock.environment)
    server.confirm(key="before")
    shown = [t["stored_at"] for t in transactions(server)]
    http("POST", server.url("phone", "/control/faults"), {"mode": "429", "count": 10})  # deliveries wait for their retry
    buyers = Buyers(server, plan_orders(context.random, 60), workers=4)
    buyers.wait_for_share(0.5)
    clock.set(-3600)
    check_answers(context, buyers.results())
    later = server.confirm(key="after", phone="+15550109999")
    shown += [t["stored_at"] for t in transactions(server) if t["key"] == later]
    context.say(f"stored before {shown[0]}, after {shown[-1]}")
    check(shown[-1] < shown[0], "the clock was not set")
    server.settle()
    context.say("set back while it ran:")
    check_told_exactly_once(context, server)
    http("POST", server.url("phone", "/control/faults"), {"mode": "429", "count": 10})
    buyers = Buyers(server, plan_orders(context.random, 40, prefix="again"), workers=4)
    buyers.wait_for_share(0.7)
    server.kill()
    clock.set(-7200)
    server.start()
    check_answers(context, buyers.results())
    server.settle()
    context.say("killed, set back by another hour, started:")
    check_told_exactly_once(context, server)


@scenarios.scenario("stopped_and_woken", "a process that stands still for a while (SIGSTOP) and wakes up")
def stopped_and_woken(context):
    server = context.serve(settings=QUICK)
    buyers = Buyers(server, plan_orders(context.random, 60), workers=4)
    buyers.wait_for_share(0.3)
    server.process.send_signal(signal.SIGSTOP)
    until = time.monotonic() + 2
    wait_for("two seconds of standing still", lambda: time.monotonic() > until)
    server.process.send_signal(signal.SIGCONT)
    check_answers(context, buyers.results())
    server.settle()
    check_told_exactly_once(context, server)


if __name__ == "__main__":
    sys.exit(scenarios.main())
