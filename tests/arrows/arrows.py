#!/usr/bin/env python3
"""Compares every #include below src/ with the arrows that hf_module() declared, and every foreign header with its home.

usage: arrows.py SOURCE_DIR ARROWS_FILE      exit 0: the house stands; 1: lines that break a rule
"""
import pathlib
import re
import sys

COMPONENTS = {"broker", "coordinator", "router", "notifier", "phone", "shop", "reconcile", "console"}
# Which folders (or files) may see a foreign header: docs/decisions/0001-stack.md.
HOMES = {
    r"boost/beast": ["net/"],
    r"nghttp2/": ["net/"],
    r"openssl/": ["net/"],
    r"boost/asio/ssl": ["net/"],
    r"sqlite3\.h": ["sql/sqlite/"],
    r"mysql": ["sql/mysql/"],
    r"spdlog/": ["base/log.cc"],
    r"prometheus/": ["base/metrics.cc"],
    r"toml\+\+": ["app/"],
    r"CLI/": ["app/", "console/"],
    r"simdjson": ["router/", "wire/eventbridge/"],
}
# Too heavy for headers (docs/decisions/0001-stack.md).
NOT_IN_HEADERS = [r"boost/asio\.hpp", r"boost/json\.hpp", r"boost/beast"]


def main(source: pathlib.Path, arrows_file: pathlib.Path) -> int:
    arrows = {}
    for line in arrows_file.read_text().splitlines():
        name, _, deps = line.partition(":")
        arrows[name] = set(filter(None, re.split(r"[;\s]+", deps)))
    problems = []
    for name, deps in arrows.items():
        for sibling in sorted(deps & COMPONENTS) if name in COMPONENTS else []:
            problems.append(f"CMake: {name} depends on its sibling {sibling}")
    fault_names = set(re.findall(r'\{"([a-z0-9_.]+)"', (source / "sys/fault_points.cc").read_text()))
    files = sorted(p for p in source.rglob("*") if p.suffix in {".h", ".cc"})
    for path in files:
        inside = path.relative_to(source).as_posix()
        folder = inside.split("/")[0]
        allowed = arrows.get(folder, set()) | {folder}
        text = path.read_text()
        for number, line in enumerate(text.splitlines(), 1):
            quoted = re.match(r'\s*#include "([^"]+)"', line)
            if quoted and "/" in quoted[1] and (source / quoted[1].split("/")[0]).is_dir():
                target = quoted[1].split("/")[0]
                if target not in allowed and not (inside.endswith("_test.cc") and folder == "app"):
                    problems.append(f"src/{inside}:{number}: {folder} may not include {target} (declared: {sorted(allowed)})")
            any_include = re.match(r'\s*#include [<"]([^>"]+)[>"]', line)
            if not any_include:
                continue
            for pattern, homes in HOMES.items():
                if re.match(pattern, any_include[1]) and not any(inside.startswith(home) for home in homes):
                    problems.append(f"src/{inside}:{number}: {any_include[1]} lives in {homes} only")
            if path.suffix == ".h" and any(re.match(p, any_include[1]) for p in NOT_IN_HEADERS):
                problems.append(f"src/{inside}:{number}: {any_include[1]} is too heavy for a header")
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))
        for used in re.findall(r'(?:reach|reach_blocking|drops)\("([a-z0-9_.]+)"\)', code):
            if used not in fault_names:
                problems.append(f"src/{inside}: fault point {used} is not listed in sys/fault_points.cc")
    for problem in problems:
        print(problem)
    print(f"arrows: {len(files)} files, {len(arrows)} modules, {len(problems)} problems")
    return 1 if problems or not files else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
