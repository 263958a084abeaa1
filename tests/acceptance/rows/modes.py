"""What a consistency mode costs: printed side by side, never asserted (times differ between machines)."""
import json
import subprocess

from harness import check, row


@row("B32", "XA is the bottleneck: two-phase commit by XA beside the transactional message, same machine, same run")
def side_by_side(context):
    bench = context.binary.parent.parent.parent / "tests" / "bench" / "hf_bench"
    check(bench.exists(), f"{bench} is not built: ./dev build")
    report = context.folder / "modes.json"
    result = subprocess.run([bench, "modes", "--rounds", "1", "--seconds", "0.5", "--json", report, "--binary",
                             context.binary], capture_output=True, text=True, timeout=900)
    check(result.returncode == 0, result.stderr[-2000:])
    for line in result.stdout.splitlines()[:3]:
        context.say(line)
    figures = {figure["name"]: figure for figure in json.loads(report.read_text())["figures"]}
    ways = {"transactional message": "message, mariadb", "two-phase commit by XA": "2pc, mariadb XA",
            "two-phase commit by reservations": "2pc, mariadb reservations"}
    lines = ("orders, 32 clients", "answered, 32 clients, p50", "answered, 32 clients, p99", "answered, one at a time, p50",
             "durable steps per order, one at a time")
    for way, label in ways.items():
        values = [figures[f"{label}: {line}"] for line in lines]
        check(all(value["median"] > 0 for value in values), f"{way}: nothing was measured")
        context.say(f"{way}: " + "; ".join(f"{line} {value['median']:.1f} {value['unit']}".strip()
                                           for line, value in zip(lines, values)))
