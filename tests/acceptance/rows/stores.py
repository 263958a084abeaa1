"""The store layer on other databases than SQLite."""
import harness
from harness import row
from support import probes

# Left out: what SQLite alone promises about an answer lost after COMMIT (here it is found out), and, on OceanBase, that
# trailing spaces tell keys apart (docs/protocols/oceanbase.md).
SUITES = {
    "sql": "On/Substrate.*/mysql-*TextsAreComparedByteByByte*",
    "shop": "StoreTest.*:StoresTest.*",
    "participant": "Marker*:BarrierTable.*:InboxTest.*-*ItFailsAtEachStep*",
}


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
