#!/usr/bin/env bash
# The official Twilio client for Node.js against phone and notifier.
# usage: run_twilio.sh PHONE_URL [NOTIFIER_URL]      e.g. run_twilio.sh http://127.0.0.1:4030 http://127.0.0.1:4020
# Prints one PASS or FAIL line per check and "N passed, N failed"; exit 0 if none failed, 1 if some did, 2 if it could not run.
# TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN: the account; default: the sandbox's.
set -euo pipefail
[ $# -ge 1 ] || { sed -n 3p "$0" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=${HF_NODE_DIR:-$here/../../../build/node}/twilio
mkdir -p "$work"
cp "$here"/package.json "$here"/conformance.mjs "$work"/
if [ ! -d "$work/node_modules/twilio" ]; then
  (cd "$work" && npm install --no-audit --no-fund --silent) || { echo "npm could not install the client" >&2; exit 2; }
fi
exec node "$work/conformance.mjs" "$@"
