"""The store layer on other databases than SQLite."""
import contextlib
import subprocess

import harness
from harness import check, row, wait_for
from support import notices, probes

# Left out: what SQLite alone promises about an answer lost after COMMIT (here it is found out), and, on OceanBase, that
# trailing spaces tell keys apart (docs/protocols/oceanbase.md).
SUITES = {
    "sql": "On/Substrate.*/mysql-*TextsAreComparedByteByByte*",
    "shop": "StoreTest.*:StoresTest.*",
    "participant": "Marker*:BarrierTable.*:InboxTest.*-*ItFailsAtEachStep*",
}


@contextlib.contextmanager
def oceanbase(context):
    """A stub in front of a MariaDB; yields the URL of a database by its name. At the end it says what it saw."""
    stand = context.binary.parents[2] / "tests" / "oceanbase" / "hf_stand"
    process = subprocess.Popen([stand, "oceanbase", "/bin/sh", "-c", "echo $HF_TEST_DATABASE; cat"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        template = next(line for line in process.stdout if line.startswith("mysql://")).strip()
        yield template.replace("{}", "%s")
    finally:
        said, _ = process.communicate(timeout=60)
    for line in said.splitlines():
        context.say(line)
    check(process.returncode == 0, "the stub saw what OceanBase would not have let pass")


def whole_chain(context):
    """Orders, deliveries, the ledger and the phone's messages, all on the stub."""
    with oceanbase(context) as url:
        config = "".join(f"[{store}]\ndatabase = \"{url.replace('%s', store, 1)}\"\n"
                         for store in ("shop", "router", "notifier", "phone"))
        server = context.serve("on-oceanbase", store="sqlite", config=config)
        orders = [server.confirm(buyer=f"b{n}", key=f"k{n}", phone=f"+1555010000{n}") for n in range(5)]
        wait_for("every buyer is told", lambda: sum(notices(server).values()) == len(orders))
        server.settle()
        check(all(notices(server)[order, "sms"] == 1 for order in orders), f"{notices(server)}")
        server.terminate()
    context.say(f"{len(orders)} orders through the whole chain, its four stores on the stub: each told once, reconciled")


@row("A4", "the store layer against the OceanBase protocol stub and MariaDB")
def a4(context):
    for stand in ("oceanbase",) if harness.STORE == "oceanbase-stub" else ("mariadb", "oceanbase"):
        for module, test_filter in SUITES.items():
            passed = probes(context, module, test_filter, stand=stand, label=f"{stand}, {module}: ")
            context.say(f"{stand}, {module}: {len(passed)} tests of its stores passed")
    context.say("login, session variables, and what OceanBase's MySQL mode lacks:")
    for line in probes(context, "oceanbase", "StubTest.*:StubDialect.*:StoreOnStub.*"):
        context.say(line)
    context.say("every row of the error table, in a statement and as the answer to COMMIT:")
    probes(context, "oceanbase", "ErrorTable.*")
    whole_chain(context)
