#!/usr/bin/env bash
# usage: tests/conformance/grpc/run.sh BUILD_DIR
# gRPC C++ as client of our server and as server of our client.
set -euo pipefail
build=$(cd "${1:?usage: run.sh BUILD_DIR}" && pwd)
"$build/tests/conformance/grpc/hf_grpc_judge_test" --gtest_brief=1 | grep -vE '^Running main'
