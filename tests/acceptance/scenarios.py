"""Runs scenarios that are not rows: the same real processes, evidence and verdicts, chosen by name.

usage: <script> --binary PATH [--random N] [--minutes M] [--list] [PREFIX …]     scenarios whose name starts with a prefix; all without
"""
import argparse
import pathlib
import random

from accept import run_row
from harness import Row


class Scenarios:
    def __init__(self):
        self._rows = []

    def add(self, name, title, run):
        self._rows.append(Row(name, title, run))

    def scenario(self, name, title):
        def register(function):
            self.add(name, title, function)
            return function
        return register

    def main(self, before=None):
        """`before(binary)` may add scenarios. The exit code: 0 if all that were asked for passed."""
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--binary", required=True, type=pathlib.Path)
        parser.add_argument("--random", type=int, default=0, help="the number everything random is made from")
        parser.add_argument("--minutes", type=float, default=0, help="how long random kills go on; 0: as long as in ctest")
        parser.add_argument("--list", action="store_true")
        parser.add_argument("prefixes", nargs="*")
        args = parser.parse_args()
        if before:
            before(args.binary.resolve())
        rows = [row for row in self._rows if not args.prefixes or row.id.startswith(tuple(args.prefixes))]
        if args.list:
            for row in rows:
                print(f"{row.id:44} {row.title}")
            return 0
        seed = args.random or random.SystemRandom().randrange(1, 1 << 31)
        print(f"random {seed} (repeat with --random {seed})", flush=True)
        verdicts = [run_row(row, args.binary.resolve(), seed, args.minutes) for row in rows]
        failed = verdicts.count("FAIL")
        print(f"{verdicts.count('PASS')} passed, {failed} failed, {verdicts.count('TODO')} skipped")
        return 1 if failed or not verdicts.count("PASS") else 0
