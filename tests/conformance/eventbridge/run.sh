#!/usr/bin/env bash
# usage: tests/conformance/eventbridge/run.sh BUILD_DIR
# AWS's own Python client (boto3), unmodified but for its endpoint, against the router.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(cd "${1:?usage: run.sh BUILD_DIR}" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/hf-conformance.XXXXXX")
"$build/tests/conformance/eventbridge/hf_eventbridge_server" "$work" >"$work/out" 2>"$work/err" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 100); do
  [ -s "$work/out" ] && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
address=$(grep -oE 'http://[0-9.:]+' "$work/out" | head -n 1 || true)
[ -n "$address" ] || { cat "$work/err"; echo "FAIL the router did not start"; exit 1; }
"$here/run_eventbridge.sh" "$address"
