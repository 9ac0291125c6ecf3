#!/usr/bin/env bash
# Mutation tests of what decides a variant: every change to bucket, evaluate or rules must fail a test. Mutants that
# change nothing are listed, with the reason, in tests/mutants.toml's comments.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo mutants --config tests/mutants.toml -p mpflags -j1 --output build --colors=never "$@" -- --lib --test conformance --test oracle
