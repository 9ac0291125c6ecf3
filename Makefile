# make demo   the main job, against an embedded Mixpanel stand-in
# make test   what a change has to pass, in minutes; `make check` has the slow proofs
# The rest is listed by `make help`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3
GO ?= go
JOBS ?= 2
BUILD := build
TARGET := $(or $(CARGO_TARGET_DIR),target)
# CC and CXX are not exported: build scripts of crates run again when CC changes, and cargo called by hand or by pip would build
# everything anew. Who sets them, for make or in the environment, sets them for all.

# The library as it ships, and the one mpflags-dev. What each binding's own Makefile takes, and where it builds.
LIBRARY := $(abspath $(TARGET))/release/libmpflags.so
DEV := $(abspath $(TARGET))/debug/mpflags-dev
WITH = MPFLAGS_LIBRARY=$(LIBRARY) MPFLAGS_DEV=$(DEV) BUILD=$(abspath $(BUILD))/$(1)
TOOLS = CC="$(CC)" CXX="$(CXX)" CARGO="$(CARGO)" PYTHON="$(PYTHON)" GO="$(GO)"
IN = @$(MAKE) --no-print-directory -C

# One target after the other, whatever -j says: each needs both processors, and what is built before it.
.NOTPARALLEL:

# Tests of the client wait for a server more than they compute: more threads than processors.
RUST_TEST_THREADS ?= 6

# All of Rust's tests are built by one call, with the features of all: apart, each package would bring other features, and
# everything below it would be built once for each. So a part is chosen by the names of its tests.
TOGETHER := -j$(JOBS) --workspace --features mpflags/openfeature
C_TESTS := $(patsubst bindings/c/tests/%.rs,--test %,$(wildcard bindings/c/tests/*.rs))
RUST_TESTS := $(patsubst tests/%.rs,--test %,$(wildcard tests/*.rs)) $(patsubst tests/%/main.rs,--test %,$(wildcard tests/*/main.rs)) \
	$(patsubst dev/tests/%.rs,--test %,$(wildcard dev/tests/*.rs))

.PHONY: help demo demo-c demo-python demo-go demo-cpp test test-rust test-c test-python test-go test-cpp check check-rust check-c
.PHONY: check-python check-go check-installed release dev bench lint lint-languages mutants header install uninstall dist sanitizers
.PHONY: conformance differential golden fresh clean release-library lint-rust

help:
	@echo "make demo          runs the quickstarts of C, Python, Go and C++ against mpflags-dev, the embedded Mixpanel stand-in"
	@echo "make test          builds everything and tests it; test-rust, test-c, test-python, test-go, test-cpp: a part"
	@echo "make check         the slow proofs: installed and static variants, panics, leaks, every recorded case, repetitions"
	@echo "make release       builds the library and mpflags-dev"
	@echo "make install       installs them, and the C and C++ files, under PREFIX (/usr/local), below DESTDIR; uninstall takes them away"
	@echo "make conformance   runs the vectors in every language and prints one table"
	@echo "make lint          formatters, linters and documentation, warnings as errors"
	@echo "make sanitizers    the C and C++ tests under AddressSanitizer, UndefinedBehaviorSanitizer and valgrind"
	@echo "make bench         measures against the goals; nothing is gated on time"
	@echo "make differential  random flags against Mixpanel's SDKs for Python and Node; the long run is LONG=1"
	@echo "make dist          the release tarball, for glibc 2.17"
	@echo "make mutants       mutation tests of bucket, evaluate and rules"
	@echo "make header        regenerates include/mpflags.h"
	@echo "make fresh         make demo and make test in a Debian that has Rust, Go, Python and a C compiler; FRESH=demo: the demo alone"
	@echo "make clean         removes what was built"

# What is missing is said before anything is built.
need-%:
	@$(TOOLS) .ci/need $*

# A program that is linked here is loaded by the SONAME.
release-library: need-demo
	@echo "== building the library (the first time some minutes)"
	$(CARGO) build -j$(JOBS) --release -p mpflags-c
	@ln -sf libmpflags.so $(TARGET)/release/libmpflags.so.0

# With a test, since the tests' features are those of the whole workspace only where there is one.
dev: need-demo
	@echo "== building mpflags-dev (the first time some minutes)"
	$(CARGO) build $(TOGETHER) --bin mpflags-dev --test threads

release: release-library dev

demo: demo-c demo-python demo-go demo-cpp

demo-c: release
	@mkdir -p $(BUILD)
	@echo "== compiling bindings/c/examples/quickstart.c"
	$(CC) -std=c11 -Wall -Wextra -Iinclude -o $(BUILD)/quickstart bindings/c/examples/quickstart.c \
		-L$(TARGET)/release -lmpflags -Wl,-rpath,$(dir $(LIBRARY))
	@MPFLAGS_DEV=$(DEV) dev/demo $(BUILD)/quickstart {url} demo-token 8

# A language without its tools is left out of the demo.
demo-python demo-go demo-cpp: demo-%: release
	@why="$$($(TOOLS) .ci/need --why $@)"; \
		if [ -n "$$why" ]; then echo "== $* is left out. Missing: $$why"; exit 0; fi; \
		$(MAKE) --no-print-directory -C bindings/$* demo $(call WITH,$*)

test: need-test
	@for part in test-rust test-c test-cpp test-python test-go; do \
		began=$$SECONDS; $(MAKE) --no-print-directory $$part; echo "== $$part: $$((SECONDS - began)) s"; done
	@echo "== all passed"

test-rust: need-test golden
	@echo "== the core and mpflags-dev (building them takes some minutes the first time)"
	RUST_TEST_THREADS=$(RUST_TEST_THREADS) $(CARGO) test $(TOGETHER) --lib --bins $(RUST_TESTS)
	$(CARGO) test $(TOGETHER) --doc

# The C functions, the header, the examples, and hosts of every kind, with the library as it ships.
test-c: need-test release
	@echo "== the C library"
	MPFLAGS_LIBRARY=$(LIBRARY) $(CARGO) test $(TOGETHER) $(C_TESTS)
	$(IN) packaging test-abi test-programs $(call WITH,packaging)

test-python test-go test-cpp: test-%: need-test release
	@echo "== $*"
	$(IN) bindings/$* test $(call WITH,$*)

# The slow proofs, and the same suites in second configurations.
check: need-check
	@for part in check-rust check-c check-installed check-python check-go conformance differential; do \
		began=$$SECONDS; $(MAKE) --no-print-directory $$part; echo "== $$part: $$((SECONDS - began)) s"; done
	@echo "== all checked"

check-rust: need-check
	@echo "== 300,000 answers of the Python SDK"
	$(CARGO) test $(TOGETHER) --test engine -- --ignored

# A panic in every function of the library as it ships, for which it is built again; then the C suites with the library of the
# dev profile, which checks arithmetic.
check-c: need-check
	@echo "== the C library: what ships, panics, overflows"
	.ci/library
	$(CARGO) test $(TOGETHER) --test panic -- --ignored
	$(CARGO) test $(TOGETHER) $(C_TESTS)

check-installed: need-check release
	@echo "== installed like a C library"
	$(IN) packaging test-install test-consumers $(call WITH,packaging)

check-python check-go: check-%: need-check release
	@echo "== $*: the slow proofs"
	$(IN) bindings/$* check $(call WITH,$*)

# Under sudo, or where cargo is not in the path, what is built is installed.
install:
	@if [ -z "$${SUDO_USER:-}" ] && command -v $(CARGO) >/dev/null; then \
		.ci/need install; $(MAKE) --no-print-directory release; \
	elif [ ! -f $(LIBRARY) ] || [ ! -x $(DEV) ]; then \
		echo "make install: nothing is built yet. Run make release first, as the user who has cargo in the path."; exit 1; \
	else echo "== installing what was built on $$(date -r $(LIBRARY) '+%Y-%m-%d at %H:%M')"; fi
	$(IN) packaging install $(call WITH,packaging)

uninstall:
	$(IN) packaging uninstall $(call WITH,packaging)

dist: need-dist
	$(IN) packaging dist $(call WITH,packaging)

sanitizers: need-sanitizers release
	$(IN) packaging sanitizers $(call WITH,packaging)

conformance: need-conformance release
	@MPFLAGS_LIBRARY=$(LIBRARY) MPFLAGS_DEV=$(DEV) $(PYTHON) conformance/report.py --page

# LONG=1: a million evaluations and more.
differential: need-differential release-library
	$(IN) conformance/differential $(if $(LONG),long,test) $(call WITH,differential)

# The golden vectors of semver_compare and datetime_compare ship inside Mixpanel's Python package. With a virtual environment,
# since Debian's Python has no pip outside of one.
GOLDEN := $(BUILD)/golden/mixpanel/flags/test-data/semver_compare_tests.json
golden: $(GOLDEN)
$(GOLDEN): | need-mutants
	@echo "== fetching the golden vectors (mixpanel==5.4.1, some seconds)"
	@mkdir -p $(BUILD)
	$(PYTHON) -m venv $(BUILD)/golden-venv
	$(BUILD)/golden-venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(BUILD)/golden mixpanel==5.4.1
	@test -f $@

lint: lint-rust lint-languages

lint-rust: need-lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(TOGETHER) --all-targets -- -D warnings
	$(CARGO) clippy -j$(JOBS) -p mpflags -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc -j$(JOBS) --no-deps --document-private-items -p mpflags -p mpflags-dev --features mpflags/openfeature

lint-languages: need-lint release
	@for language in python go cpp; do $(MAKE) --no-print-directory -C bindings/$$language lint $(subst /x,/$$language,$(call WITH,x)); done

header: need-header
	MPFLAGS_UPDATE=1 $(CARGO) test -j$(JOBS) -p mpflags-c --test header

bench: need-bench
	$(PYTHON) bench/run.py

mutants: need-mutants golden
	@command -v cargo-mutants >/dev/null || $(CARGO) install -j$(JOBS) --locked cargo-mutants
	.ci/mutants

fresh: need-fresh
	.ci/fresh $(or $(FRESH),all)

clean:
	$(CARGO) clean
	rm -rf $(BUILD)
