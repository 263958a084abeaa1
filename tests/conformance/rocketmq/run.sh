#!/usr/bin/env bash
# usage: tests/conformance/rocketmq/run.sh BUILD_DIR [ADDRESS]
# The RocketMQ 5 clients for Node.js and Java, and gRPC C++, against the broker at ADDRESS; without one, against a fresh
# `holdfast serve --roles broker`. Needs Node.js ≥ 18 with npm, a JDK ≥ 17, Maven. JUDGES="grpc node java" chooses.
# Against Apache RocketMQ, whose topics are made beforehand: NORMAL_TOPIC=… TRANSACTION_TOPIC=… ADVERTISED=1.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
build=$(cd "$1" && pwd)
address=${2:-}
judges=${JUDGES:-grpc node java}
work=$(mktemp -d "${TMPDIR:-/tmp}/hf-conformance.XXXXXX")
server=
cleanup() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT
die() { echo "FAIL $*"; exit 1; }

start_broker() {
  local holdfast=$build/src/app/holdfast
  [ -x "$holdfast" ] || die "$holdfast is not built"
  "$holdfast" serve --roles broker --data "$work/data" --set broker.port=0 --ready-file "$work/ready" >"$work/broker.log" 2>&1 &
  server=$!
  for _ in $(seq 300); do
    address=$(sed -n 's/^broker //p' "$work/ready" 2>/dev/null || true)
    [ -n "$address" ] && return 0
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  cat "$work/broker.log"
  die "the broker did not become ready"
}

# Fetched and built once; again only when its description changes.
build_node() {
  [ "$here/node/node_modules/.package-lock.json" -nt "$here/node/package-lock.json" ] && return 0
  (cd "$here/node" && npm ci --ignore-scripts --no-audit --no-fund) >"$work/npm.log" 2>&1 || { cat "$work/npm.log"; return 1; }
  touch "$here/node/node_modules/.package-lock.json"
}
build_java() {
  local jar=$here/java/target/conformance.jar
  [ "$jar" -nt "$here/java/pom.xml" ] && [ "$jar" -nt "$here/java/src/main/java/Main.java" ] && return 0
  (cd "$here/java" && rm -rf target && mvn -B -q package) >"$work/mvn.log" 2>&1 || { cat "$work/mvn.log"; return 1; }
}
judge_grpc() { timeout 600 "$build/tests/conformance/rocketmq/grpc/hf_rocketmq_judge" "$address"; }
judge_node() { build_node && HOME=$work timeout 600 node "$here/node/main.js" "$address"; }
judge_java() { build_java && timeout 600 java "-Drocketmq.log.root=$work/java" -jar "$here/java/target/conformance.jar" "$address"; }

[ -n "$address" ] || start_broker
echo "broker at $address"
declare -A pids
for judge in $judges; do # they mostly wait, so they run side by side
  "judge_$judge" >"$work/$judge.out" 2>"$work/$judge.err" &
  pids[$judge]=$!
done
passed=0 failed=0
for judge in $judges; do
  wait "${pids[$judge]}" && rc=0 || rc=$?
  grep -E '^(PASS|FAIL) ' "$work/$judge.out" || true
  sum=$(tail -n 1 "$work/$judge.out")
  if [[ $sum =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
    passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
  fi
  if [ "$rc" != 0 ]; then
    [[ ! $sum =~ passed ]] && { echo "FAIL $judge: ended with $rc before its sum"; failed=$((failed + 1)); }
    tail -n 20 "$work/$judge.out" "$work/$judge.err" >&2
  fi
done
if [ -n "$server" ] && ! kill -0 "$server" 2>/dev/null; then
  echo "FAIL the broker ended meanwhile"; failed=$((failed + 1)); tail -n 20 "$work/broker.log" >&2
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
