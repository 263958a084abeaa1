#!/usr/bin/env bash
# usage: tests/conformance/run.sh BUILD_DIR [arguments of a suite]
# Our protocols against other people's programs. Each suite is tests/conformance/<suite>/run.sh: it prints PASS and FAIL
# lines and fails if anything did. With arguments, for instance the address of a broker that runs elsewhere, name one:
#   SUITE=rocketmq tests/conformance/run.sh build/dev 127.0.0.1:8081
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
build=$(cd "$1" && pwd); shift
failed=()
for script in "$here"/${SUITE:-*}/run.sh; do
  suite=$(basename "$(dirname "$script")")
  printf '== conformance: %s\n' "$suite"
  "$script" "$build" "$@" || failed+=("$suite")
done
[ ${#failed[@]} = 0 ] && { echo "conformance: all suites passed"; exit 0; }
echo "conformance: failed: ${failed[*]}"
exit 1
