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
GO ?= go
JOBS ?= 2
BUILD := build
TARGET := $(or $(CARGO_TARGET_DIR),target)
export CC

# What each binding's own Makefile takes: the library and the stand-in server as they ship, and where to build.
RELEASE := $(abspath $(TARGET))/release
WITH = MPFLAGS_LIBRARY=$(RELEASE)/libmpflags.so MPFLAGS_DEV=$(RELEASE)/mpflags-dev BUILD=$(abspath $(BUILD))/$(1)

.PHONY: help demo demo-c demo-python demo-go demo-cpp test test-rust test-c test-install test-python test-go test-cpp release bench lint mutants header
.PHONY: install uninstall dist sanitizers conformance differential clean need-rust need-cc need-cxx need-python need-go golden

help:
	@echo "make demo          runs the quickstarts of C, Python, Go and C++ against mpflags-dev, the embedded Mixpanel stand-in"
	@echo "make test          builds everything and runs every test; test-rust, test-c, test-python, test-go, test-cpp: a part"
	@echo "make install       installs the C and C++ files under PREFIX (/usr/local), below DESTDIR; uninstall takes them away"
	@echo "make conformance   runs the vectors in every language and prints one table"
	@echo "make lint          formatters, linters and documentation, warnings as errors"
	@echo "make bench         measures against the goals; nothing is gated on time"
	@echo "make differential  random flags against Mixpanel's SDKs for Python and Node; the long run is LONG=1"
	@echo "make dist          the release tarball, for glibc 2.17"
	@echo "make mutants       mutation tests of bucket, evaluate and rules"
	@echo "make header        regenerates include/mpflags.h"
	@echo "make clean         removes what was built"

need-rust:
	@command -v $(CARGO) >/dev/null || { echo "mpflags needs Rust 1.95 or newer: cargo was not found (https://rustup.rs)"; exit 1; }

need-cxx:
	@command -v $(CXX) >/dev/null || { echo "make test compiles the header as C++ too: $(CXX) was not found (on Debian: apt-get install g++)"; exit 1; }

need-cc:
	@command -v $(CC) >/dev/null || { echo "mpflags needs a C compiler: $(CC) was not found (on Debian: apt-get install gcc libc6-dev)"; exit 1; }

need-python:
	@command -v $(PYTHON) >/dev/null || { echo "make test needs Python 3.10 or newer: $(PYTHON) was not found (on Debian: apt-get install python3 python3-venv)"; exit 1; }

need-go:
	@command -v $(GO) >/dev/null || { echo "make test needs Go 1.25 or newer: $(GO) was not found (https://go.dev/dl)"; exit 1; }

# The library and the stand-in server as they ship. A program that is linked here is loaded by the SONAME.
release: need-rust need-cc
	@echo "== building the library and mpflags-dev"
	@# One after the other: together they would share features, and the library would be a larger one than it ships.
	$(CARGO) build -j$(JOBS) --release -p mpflags-c
	$(CARGO) build -j$(JOBS) --release -p mpflags-dev
	@ln -sf libmpflags.so $(TARGET)/release/libmpflags.so.0

demo: demo-c demo-python demo-go demo-cpp

demo-c: release
	@mkdir -p $(BUILD)
	@echo "== compiling bindings/c/examples/quickstart.c"
	$(CC) -std=c11 -Wall -Wextra -Iinclude -o $(BUILD)/quickstart bindings/c/examples/quickstart.c \
		-L$(TARGET)/release -lmpflags -Wl,-rpath,$(RELEASE)
	@bindings/c/examples/demo.sh $(TARGET)/release/mpflags-dev $(BUILD)/quickstart

# A language without its toolchain is left out of the demo.
demo-python: release
	@command -v $(PYTHON) >/dev/null || { echo "== Python is left out: $(PYTHON) was not found"; exit 0; }; \
		$(MAKE) --no-print-directory -C bindings/python demo $(call WITH,python)

demo-go: release
	@command -v $(GO) >/dev/null || { echo "== Go is left out: $(GO) was not found"; exit 0; }; \
		$(MAKE) --no-print-directory -C bindings/go demo $(call WITH,go)

demo-cpp: release
	@command -v $(CXX) >/dev/null || { echo "== C++ is left out: $(CXX) was not found"; exit 0; }; \
		$(MAKE) --no-print-directory -C bindings/cpp demo $(call WITH,cpp)

test: test-rust test-c test-install test-cpp test-python test-go demo
	@echo "== all passed"

test-rust: need-rust need-cc golden
	@echo "== the core"
	$(CARGO) test -j$(JOBS) -p mpflags --features openfeature
	@echo "== mpflags-dev"
	$(CARGO) test -j$(JOBS) -p mpflags-dev

test-c: need-rust need-cc need-cxx
	@echo "== the C library"
	$(CARGO) test -j$(JOBS) -p mpflags-c

test-python: need-python release
	@echo "== Python"
	@$(MAKE) --no-print-directory -C bindings/python test $(call WITH,python)

test-go: need-go release
	@echo "== Go"
	@$(MAKE) --no-print-directory -C bindings/go test $(call WITH,go)

test-cpp: need-cxx release
	@echo "== C++"
	@$(MAKE) --no-print-directory -C bindings/cpp test $(call WITH,cpp)

# What C and C++ programs have: an installed prefix, examples, hosts of every kind.
test-install: need-cc need-cxx release
	@echo "== installed like a C library"
	@$(MAKE) --no-print-directory -C packaging test-abi test-consumers test-programs $(call WITH,packaging)

install: release
	@$(MAKE) --no-print-directory -C packaging install $(call WITH,packaging)

uninstall dist: need-rust
	@$(MAKE) --no-print-directory -C packaging $@ $(call WITH,packaging)

sanitizers: need-cc need-cxx release
	@$(MAKE) --no-print-directory -C packaging sanitizers $(call WITH,packaging)

conformance: need-python need-go need-cxx release
	@$(PYTHON) tests/conformance.py --page

# LONG=1: a million evaluations and more.
differential: need-python release
	@$(MAKE) --no-print-directory -C tests/differential $(if $(LONG),long,test) $(call WITH,differential)

# The golden vectors of semver_compare and datetime_compare ship inside Mixpanel's Python package.
GOLDEN := $(BUILD)/golden/mixpanel/flags/test-data/semver_compare_tests.json
golden: $(GOLDEN)
$(GOLDEN):
	@command -v $(PYTHON) >/dev/null || { echo "make test reads Mixpanel's golden vectors from its Python package: $(PYTHON) was not found"; exit 1; }
	@echo "== fetching the golden vectors (mixpanel==5.4.1)"
	PIP_ROOT_USER_ACTION=ignore $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(BUILD)/golden mixpanel==5.4.1
	@test -f $@

lint: need-rust lint-languages
	$(CARGO) fmt --all --check
	$(CARGO) clippy -j$(JOBS) --workspace --all-targets -- -D warnings
	$(CARGO) clippy -j$(JOBS) -p mpflags --features openfeature --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc -j$(JOBS) --no-deps --document-private-items -p mpflags -p mpflags-dev --features mpflags/openfeature

lint-languages: release
	@for language in python go cpp; do $(MAKE) --no-print-directory -C bindings/$$language lint $(subst /x,/$$language,$(call WITH,x)); done

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
