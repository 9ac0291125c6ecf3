#!/usr/bin/env bash
# Mutation tests of what decides a variant: every change to bucket, evaluate or rules must fail a test. Mutants that
# change nothing are listed, with the reason, in tests/mutants.toml.
#
# Three rounds, each over what the one before let live: the vectors first, because they build and run fastest and kill
# most; then the engine's own tests, the oracle table and explanations; then clients against mpflags-dev, with which
# everything takes twice as long to build. Arguments go to cargo mutants, `-F REGEX` for one. With `--iterate` as the
# first, what an earlier run caught is not run again.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/build/mutants
tree=$out/tree
if [ "${1:-}" = --iterate ]; then shift; else rm -rf "$out"/*.*; fi
more=("$@")

# A copy, in which cargo mutants works in place: one target folder serves all mutants, rounds and runs. Times are not
# kept, or cargo could take for built what a run that was ended left there.
mkdir -p "$tree" "$out/no-roots"
find "$tree" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
git ls-files -z -- Cargo.toml Cargo.lock README.md include src dev tests benches examples |
    xargs -0 cp --parents --target-directory "$tree"
export CARGO_TARGET_DIR=$tree/target
# Nobody debugs a mutant.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
# The copy has neither folder.
export MPFLAGS_GOLDEN=${MPFLAGS_GOLDEN:-$PWD/build/golden/mixpanel/flags/test-data}
export MPFLAGS_SHARED_DATA=${MPFLAGS_SHARED_DATA:-$PWD/../shared/data}
cargo fetch --locked --quiet
export CARGO_NET_OFFLINE=true
# A client reads the system's root certificates, which takes longer than an evaluation of all its vectors.
: >"$out/no-roots.pem"
export SSL_CERT_DIR=$out/no-roots SSL_CERT_FILE=$out/no-roots.pem
# A mutant without a budget ends at this size instead of taking the machine's memory.
ulimit -v 4194304

# round NAME ARGUMENTS: cargo mutants, which exits with 2 or 3 where mutants live or run for ever. `-C` is for building and
# running alike; what stands behind `--` is not, and every test would be built.
round() {
    local name=$1 status=0
    shift
    echo "== $name"
    cargo mutants --dir "$tree" --in-place --config tests/mutants.toml -p mpflags --output "$out" --colors=never --iterate \
        "${more[@]}" "$@" || status=$?
    case $status in 0 | 2 | 3) ;; *) exit "$status" ;; esac
    for outcome in caught unviable; do cat "$out/mutants.out/$outcome.txt" >>"$out/$name.$outcome"; done
    for outcome in missed timeout; do cp "$out/mutants.out/$outcome.txt" "$out/$name.$outcome"; done
}

# The first two rounds need no mpflags-dev, which is built anew with each change of the core.
sed -i '/^members = /s/=.*/= ["."]/; /^mpflags-dev = /d' "$tree/Cargo.toml"
sed -i 's/^mod outage_tests;/mod outage_tests {}/' "$tree/src/lib.rs"
round vectors -C=--test=engine -- -- conformance::
round engine -C=--lib -C=--test=engine -- -- --include-ignored
cp Cargo.toml Cargo.lock "$tree"
sed -i '/^members = /s/=.*/= [".", "dev"]/' "$tree/Cargo.toml"
# Only the tests that see what is left: a test that fails on a busy machine kills every mutant.
round client -C=--test=client -- -- warm_start cannot_be_checked_locally

count() { sort -u "$@" | wc -l; }
# A mutant that runs for ever is as good as caught. Those are of the last round that ran it.
echo "caught $(count "$out"/*.caught), unviable $(count "$out"/*.unviable), endless $(count "$out"/client.timeout)," \
    "missed $(count "$out"/client.missed)"
[ ! -s "$out/client.missed" ]
