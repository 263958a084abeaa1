#!/usr/bin/env bash
# usage: tests/conformance/twilio/run.sh BUILD_DIR
# Starts phone and notifier, and lets the official Twilio client judge them (run_twilio.sh).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -ge 1 ] || { sed -n '2,3s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
holdfast=$(cd "$1" && pwd)/src/app/holdfast
[ -x "$holdfast" ] || { echo "FAIL $holdfast is not built"; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/hf-conformance.XXXXXX")
"$holdfast" serve --roles phone,notifier --data "$work/data" --set phone.port=0 --set notifier.port=0 \
  --ready-file "$work/ready" >"$work/server.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 300); do
  [ -s "$work/ready" ] && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
[ -s "$work/ready" ] || { cat "$work/server.log"; echo "FAIL phone and notifier did not become ready"; exit 1; }
address() { sed -n "s/^$1 //p" "$work/ready"; }
"$here/run_twilio.sh" "http://$(address phone)" "http://$(address notifier)" || { tail -n 20 "$work/server.log" >&2; exit 1; }
