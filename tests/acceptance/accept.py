#!/usr/bin/env python3
"""The acceptance rows, run against the real binary.

usage: accept.py --binary build/dev/src/app/holdfast [--random N] [--store S] [--list] [--lint] [ID … | all]

Each row prints its evidence and ends with `PASS <ID>`, `FAIL <ID>`, or `TODO <ID>` for what is not built. The last line
counts. Exit 0: every row that was asked for and is built passed (a named row that is not built fails); 1: one did not.
Rows live in rows/*.py: a function per row, `@row("A24", "crash between commit and confirm")`.
"""
import argparse
import importlib
import pathlib
import random
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import harness  # noqa: E402
from harness import REGISTRY, Context, Todo  # noqa: E402


def load_rows():
    for path in sorted((pathlib.Path(__file__).parent / "rows").glob("*.py")):
        importlib.import_module(f"rows.{path.stem}")


def order_of(row_id):
    return row_id[0], int(row_id[1:])


def run_row(row, binary, seed, minutes=0):
    print(f"--- {row.id}: {row.title}", flush=True)
    started = time.monotonic()
    verdict = "FAIL"
    context = Context(row.id, binary, random.Random(f"{seed}/{row.id}"), minutes)
    try:
        row.run(context)
        verdict = "PASS"
    except Todo as reason:
        print(f"    left out: {reason}")
        verdict = "TODO"
    except Exception as problem:  # a row must never take the others with it
        traceback.print_exc(file=sys.stdout)
        print(f"    {type(problem).__name__}: {problem}")
        verdict = "FAIL"
    finally:
        context.close(keep=verdict == "FAIL")
    print(f"{verdict} {row.id} ({time.monotonic() - started:.1f} s)", flush=True)
    return verdict


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, type=pathlib.Path)
    parser.add_argument("--random", type=int, default=0, help="the number everything random is made from; 0: a fresh one")
    parser.add_argument("--store", help="where the stores are, unless a row says so itself: sqlite, mariadb, mariadb-all; "
                        "oceanbase-stub: for A4")
    parser.add_argument("--list", action="store_true", help="print the rows and stop")
    parser.add_argument("--lint", action="store_true", help="check that rows which point elsewhere point to rows that exist")
    parser.add_argument("ids", nargs="*")
    args = parser.parse_args()
    harness.STORE = args.store or harness.STORE
    load_rows()
    if args.list:
        for row in sorted(REGISTRY.values(), key=lambda r: order_of(r.id)):
            print(f"{row.id:5} {row.title}")
        return 0
    if args.lint:
        wrong = [f"{row.id} points to {row.same_as}, which does not exist" for row in REGISTRY.values()
                 if row.same_as and row.same_as not in REGISTRY]
        print("\n".join(wrong) or f"{len(REGISTRY)} rows, all pointers lead somewhere")
        return 1 if wrong else 0
    named = [i for i in args.ids if i != "all"]
    unknown = [i for i in named if i not in REGISTRY]
    if unknown:
        print(f"no such rows: {', '.join(unknown)}")
        return 1
    rows = [REGISTRY[i] for i in named] or sorted(REGISTRY.values(), key=lambda r: order_of(r.id))
    seed = args.random or random.SystemRandom().randrange(1, 1 << 31)
    print(f"random {seed} (repeat with --random {seed})", flush=True)
    verdicts = [run_row(row, args.binary.resolve(), seed) for row in rows]
    failed = verdicts.count("FAIL") + (verdicts.count("TODO") if named else 0)
    print(f"accept: {verdicts.count('PASS')} passed, {failed} failed, {verdicts.count('TODO')} not built")
    print(f"{verdicts.count('PASS')} passed, {failed} failed, {verdicts.count('TODO')} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
