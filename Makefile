# make demo   the main job, against an embedded Mixpanel stand-in
# make test   everything that decides whether the project is right
# The rest is listed by `make help`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
CC ?= cc
CXX ?= c++
PYTHON ?= python3
JOBS ?= 2
BUILD := build
TARGET := $(or $(CARGO_TARGET_DIR),target)
export CC

.PHONY: help demo test bench lint docs mutants header clean need-rust need-cc need-cxx golden

help:
	@echo "make demo      runs the C quickstart against mpflags-dev, the embedded Mixpanel stand-in"
	@echo "make test      builds everything and runs every test"
	@echo "make lint      formatter, linter and documentation, warnings as errors"
	@echo "make bench     measures against the goals; nothing is gated on time"
	@echo "make mutants   mutation tests of bucket, evaluate and rules (about half an hour)"
	@echo "make header    regenerates include/mpflags.h"
	@echo "make clean     removes what was built"

need-rust:
	@command -v $(CARGO) >/dev/null || { echo "mpflags needs Rust 1.95 or newer: cargo was not found (https://rustup.rs)"; exit 1; }

need-cxx:
	@command -v $(CXX) >/dev/null || { echo "make test compiles the header as C++ too: $(CXX) was not found (on Debian: apt-get install g++)"; exit 1; }

need-cc:
	@command -v $(CC) >/dev/null || { echo "mpflags needs a C compiler: $(CC) was not found (on Debian: apt-get install gcc libc6-dev)"; exit 1; }

demo: need-rust need-cc
	@echo "== building the library and mpflags-dev"
	$(CARGO) build -j$(JOBS) --release -p mpflags-c -p mpflags-dev
	@ln -sf libmpflags.so $(TARGET)/release/libmpflags.so.0
	@mkdir -p $(BUILD)
	@echo "== compiling bindings/c/examples/quickstart.c"
	$(CC) -std=c11 -Wall -Wextra -Iinclude -o $(BUILD)/quickstart bindings/c/examples/quickstart.c \
		-L$(TARGET)/release -lmpflags -Wl,-rpath,$(abspath $(TARGET)/release)
	@bindings/c/examples/demo.sh $(TARGET)/release/mpflags-dev $(BUILD)/quickstart

test: need-rust need-cc need-cxx golden
	@echo "== the core"
	$(CARGO) test -j$(JOBS) -p mpflags
	@echo "== mpflags-dev"
	$(CARGO) test -j$(JOBS) -p mpflags-dev
	@echo "== the C library"
	$(CARGO) test -j$(JOBS) -p mpflags-c
	@echo "== the demo"
	@$(MAKE) --no-print-directory demo
	@echo "== all passed"

# The golden vectors of semver_compare and datetime_compare ship inside Mixpanel's Python package.
GOLDEN := $(BUILD)/golden/mixpanel/flags/test-data/semver_compare_tests.json
golden: $(GOLDEN)
$(GOLDEN):
	@command -v $(PYTHON) >/dev/null || { echo "make test reads Mixpanel's golden vectors from its Python package: $(PYTHON) was not found"; exit 1; }
	@echo "== fetching the golden vectors (mixpanel==5.4.1)"
	PIP_ROOT_USER_ACTION=ignore $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(BUILD)/golden mixpanel==5.4.1
	@test -f $@

lint: need-rust
	$(CARGO) fmt --all --check
	$(CARGO) clippy -j$(JOBS) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc -j$(JOBS) --no-deps --document-private-items -p mpflags -p mpflags-dev

header: need-rust need-cc
	MPFLAGS_UPDATE=1 $(CARGO) test -j$(JOBS) -p mpflags-c --test header

bench: need-rust need-cc
	$(PYTHON) bench/run.py

mutants: need-rust golden
	@command -v cargo-mutants >/dev/null || $(CARGO) install -j$(JOBS) --locked cargo-mutants
	tests/mutants.sh

clean:
	$(CARGO) clean
	rm -rf $(BUILD)
