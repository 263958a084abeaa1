#!/usr/bin/env bash
# usage: run_eventbridge.sh ADDRESS [DESTINATION_BASE]
# Judges a running router (http://127.0.0.1:4010) with AWS's own Python client. DESTINATION_BASE: where API destinations point,
# default ADDRESS/sink (hf_eventbridge_server answers there). Environment: HF_AWS_KEY_ID, HF_AWS_SECRET (holdfast, holdfast).
# Exit: 0 all rows pass, 1 some fail, 77 the client cannot be installed here (no Python or no package index).
set -euo pipefail
cd "$(dirname "$0")"
address=${1:?usage: run_eventbridge.sh ADDRESS [DESTINATION_BASE]}
venv=${HF_CONFORMANCE_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/holdfast/boto3}
if ! "$venv/bin/python" -c 'import boto3' 2>/dev/null; then
  python3 -m venv "$venv" && "$venv/bin/pip" install --quiet 'boto3>=1.35' || { echo "SKIP eventbridge: boto3 is not available"; exit 77; }
fi
exec "$venv/bin/python" judge.py "$address" "${2:-$address/sink}"
