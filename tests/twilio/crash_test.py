#!/usr/bin/env python3
"""Kills the process that holds notifier and phone at every one of their fault points, and when it pleases.

usage: crash_test.py HF_TWILIO_SERVE      exit 0: every event was seen exactly once; 1: it was not

For each fault point: start with the point armed to crash, notify until the process dies, start again without it, repeat the
same requests as the router does, let callbacks and look-ups settle, count what the customers saw.
"""
import base64
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "acceptance"))
from ports import reserve_port  # noqa: E402

ACCOUNT, TOKEN = "AC00000000000000000000000000000000", "holdfast-sandbox"
AUTHORIZATION = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
POINTS = ["notifier.before_row", "notifier.after_row", "notifier.after_call", "notifier.after_record",
          "notifier.before_callback_record", "phone.after_create"]
EVENTS = 12


class Server:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.phone, self.notifier = reserve_port(), reserve_port()
        self.process = None

    def start(self, faults=""):
        arguments = [self.binary, self.folder, str(self.phone), str(self.notifier)] + ([faults] if faults else [])
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout.readline() == "ready\n", "the server did not start"

    def alive(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, "the server did not stop in order"


def ask(port, path, form=None, event_id=None):
    """(status, JSON); status 0 if there was no answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    request.add_header("Authorization", AUTHORIZATION)
    if form is not None:
        request.data = urllib.parse.urlencode(form).encode()
        request.add_header("X-Holdfast-Event-Id", event_id)
    try:
        with urllib.request.urlopen(request, timeout=6) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, None
    except (OSError, ValueError):
        return 0, None


def notify(server, number):
    to = f"+1555000{1000 + number}"
    text = f"Order #{number} confirmed."
    kind, form = ("Calls", {"To": to, "Twiml": f"<Response><Say>{text}</Say></Response>"}) if number % 3 == 0 else \
        ("Messages", {"To": ("whatsapp:" if number % 3 == 1 else "") + to, "Body": text})
    return ask(server.notifier, f"/2010-04-01/Accounts/{ACCOUNT}/{kind}.json", form, f"event-{number}")[0]


def settle(server, what):
    """Repeats every event until it has its final answer; then looks at the customers and the ledger."""
    deadline = time.monotonic() + 60
    for number in range(EVENTS):
        while (status := notify(server, number)) != 201:
            assert status in (0, 429, 503), f"{what}: event {number} was answered {status}"
            assert time.monotonic() < deadline, f"{what}: event {number} never settled"
            time.sleep(0.2)
    while True:  # the last callbacks
        summary = ask(server.notifier, "/admin/notifier/summary")[1]
        totals = ask(server.phone, "/control/totals")[1]
        if totals["notifications"] == EVENTS and summary["created"] == EVENTS:
            break
        assert time.monotonic() < deadline, f"{what}: {summary} {totals}"
        time.sleep(0.2)
    assert totals["duplicates"] == 0, f"{what}: {totals}"


def at_a_point(binary, point):
    with tempfile.TemporaryDirectory() as folder:
        server = Server(binary, folder)
        server.start(f"{point}=crash:5")
        number = 0
        while server.alive() and number < 10 * EVENTS:
            notify(server, number % EVENTS)
            number += 1
        server.process.wait(10)
        assert server.process.returncode == -signal.SIGKILL, f"{point} was never reached"
        server.start()
        settle(server, point)
        server.stop()


def at_any_time(binary, seed):
    pick = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(binary, folder)
        for _ in range(4):
            server.start()
            end = time.monotonic() + pick.uniform(0.01, 0.25)
            while time.monotonic() < end:
                notify(server, pick.randrange(EVENTS))
            server.kill()
        server.start()
        settle(server, f"seed {seed}")
        server.stop()


def main():
    binary = os.path.abspath(sys.argv[1])
    for point in POINTS:
        at_a_point(binary, point)
        print(f"PASS crash at {point}", flush=True)
    for seed in range(3):
        at_any_time(binary, seed)
        print(f"PASS crashes at any time, seed {seed}", flush=True)


if __name__ == "__main__":
    main()
