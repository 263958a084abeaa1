#!/usr/bin/env python3
"""kill -9 at random moments under load, and the end by SIGTERM: nothing lost, nothing doubled, everybody answered."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "acceptance"))
from harness import check, wait_for  # noqa: E402
from scenarios import Scenarios  # noqa: E402
from support import (Buyers, check_answers, check_told_exactly_once, plan_orders, rows_of, scaled)  # noqa: E402

QUICK = {"broker.first_check": "500ms", "broker.check_interval": "500ms", "router.retry_first": "100ms"}
scenarios = Scenarios()


@scenarios.scenario("whole", "the one process with all roles, killed at random moments")
def whole(context):
    server = context.serve(settings=QUICK)
    buyers = Buyers(server, plan_orders(context.random, scaled(context, 5000, 300)), workers=6)
    moments = sorted(context.random.random() * 0.95 for _ in range(6))
    for moment in moments:
        buyers.wait_for_share(moment)
        server.restart()
    check_answers(context, buyers.results())
    context.say("kill -9 under load when this share of the orders was answered: " + ", ".join(f"{m:.0%}" for m in moments))
    server.settle(90)
    check_told_exactly_once(context, server)
    item = rows_of(server, "shop", "SELECT id FROM items WHERE avail + sold <> initial OR avail < 0")
    check(not item, f"stock does not add up: {item}")


@scenarios.scenario("start", "killed again and again while it starts")
def start(context):
    server = context.serve(settings=QUICK)
    buyers = Buyers(server, plan_orders(context.random, 60), workers=4)
    buyers.wait_for_share(0.5)
    for _ in range(6):
        server.kill()
        server.spawn()
        until = time.monotonic() + context.random.random() * 0.15
        wait_for("a moment of the start", lambda: time.monotonic() > until, every_s=0.002)
    server.restart()
    check_answers(context, buyers.results())
    server.settle()
    check_told_exactly_once(context, server)


@scenarios.scenario("sigterm", "SIGTERM under load: the orders under way are answered, exit 0, the rest goes on later")
def sigterm(context):
    server = context.serve(settings=QUICK)
    buyers = Buyers(server, plan_orders(context.random, 120), workers=6)
    buyers.wait_for_share(0.3)
    code = server.terminate()
    context.say(f"exit {code} after SIGTERM with {buyers.done} orders answered")
    check(code == 0, server.tail())
    server.start()
    check_answers(context, buyers.results())
    server.settle()
    check_told_exactly_once(context, server)


if __name__ == "__main__":
    sys.exit(scenarios.main())
