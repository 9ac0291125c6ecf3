# make demo   runs the examples against a stand-in for Mixpanel
# make test   runs the tests that every change has to pass; `make check` runs the slow ones
# `make help` lists all targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3
GO ?= go
JOBS ?= 2
BUILD := build
CARGO_OUT := $(or $(CARGO_TARGET_DIR),target)
# CC and CXX are not exported, because crates' build scripts run again when CC changes: a cargo called by hand or by pip would
# rebuild everything. Setting them for make or in the environment still sets them everywhere.

# The release library and mpflags-dev, which every binding's Makefile takes, and the folder it builds in.
LIBRARY := $(abspath $(CARGO_OUT))/release/libmpflags.so
DEV := $(abspath $(CARGO_OUT))/debug/mpflags-dev
WITH = MPFLAGS_LIBRARY=$(LIBRARY) MPFLAGS_DEV=$(DEV) BUILD=$(abspath $(BUILD))/$(1)
TOOLS = CC="$(CC)" CXX="$(CXX)" CARGO="$(CARGO)" PYTHON="$(PYTHON)" GO="$(GO)"
IN = @$(MAKE) --no-print-directory -C

# One target at a time, even with -j: each uses all processors, and what was built before it.
.NOTPARALLEL:

# More threads than processors, because the client's tests mostly wait for a server.
RUST_TEST_THREADS ?= 6

# One cargo call builds all Rust tests, with the features of the whole workspace: built separately, packages would select
# different features, and their dependencies would be built once for each. Parts are selected by the names of their tests.
TOGETHER := -j$(JOBS) --workspace --features mpflags/openfeature,mpflags/arrow
C_TESTS := $(patsubst bindings/c/tests/%.rs,--test %,$(wildcard bindings/c/tests/*.rs))
RUST_TESTS := $(patsubst tests/%.rs,--test %,$(wildcard tests/*.rs)) $(patsubst tests/%/main.rs,--test %,$(wildcard tests/*/main.rs)) \
	$(patsubst dev/tests/%.rs,--test %,$(wildcard dev/tests/*.rs))

.PHONY: help demo demo-c demo-python demo-go demo-cpp test test-rust test-c test-python test-go test-cpp check check-rust check-c
.PHONY: check-rust-versions check-python check-go check-page check-installed build dev bench lint lint-languages mutants header install uninstall dist native packages release reproducible third-party sanitizers
.PHONY: conformance differential tables tables-rows fuzz models tsan soak fleet deadlines golden fresh clean release-library lint-rust docs wheel

help:
	@echo "make demo          run the quickstarts of C, Python, Go and C++ against mpflags-dev, a stand-in for Mixpanel"
	@echo "make test          build and test everything; test-rust, test-c, test-cpp, test-python, test-go: one part"
	@echo "make check         run the slow tests: installed and static variants, panics, leaks, all recorded cases, a browser, repetitions"
	@echo "make lint          run formatters, linters and rustdoc, with warnings as errors"
	@echo "make docs          write the HTML reference of every language to build/docs, and check its links"
	@echo "make build         build the library and mpflags-dev"
	@echo "make install       install them and the C and C++ files in PREFIX (/usr/local) below DESTDIR; make uninstall removes them"
	@echo "make native        build the library for Linux on x86-64 and arm64, with glibc and musl, and run it; TARGET=aarch64-linux-musl: one"
	@echo "make dist          build the release tarball for TARGET (x86_64-linux-gnu)"
	@echo "make check-rust-versions  check the library with the oldest Rust that it supports; FOR_DEV=1: mpflags-dev"
	@echo "make release       build, from a clean checkout, everything that a release publishes; VERSION=0.1.0"
	@echo "make reproducible  build that twice, in different folders, and compare the files; TARGETS=x86_64-linux-gnu: only that target"
	@echo "make third-party   check advisories and licences of the crates in the library, and that THIRD-PARTY.md is up to date"
	@echo "make wheel         build the Python wheel for TARGET (x86_64-linux-gnu), and test it"
	@echo "make packages      make Go modules and deb, rpm and apk of what make native has built, and test them; TARGET as there"
	@echo "make header        regenerate include/mpflags.h"
	@echo "make conformance   run the vectors in every language, and print the results as a table"
	@echo "make tables        test tables of users with pyarrow, Polars, pandas, DuckDB and Spark, and print figures; LONG=1: more rows"
	@echo "make differential  compare random flags with Mixpanel's SDKs for Python and Node; LONG=1: many more"
	@echo "make tables-rows   compare a million rows of random tables with single evaluations"
	@echo "make fuzz          run each fuzz target for 30 seconds; LONG=1: ten million inputs; PLANTED=1 or first: plant bugs"
	@echo "make models        check the library's threads with a model checker; PLANTED=1, or PLANTED=first: plant bugs"
	@echo "make soak          run a program under load while the server fails, for 30 minutes; SECONDS=120: shorter; PLANTED=1: with leaks"
	@echo "make fleet         run 1,000 clients behind nginx and Varnish, and 32 gunicorn workers; CLIENTS=100 SECONDS=1 FRONT=nginx: a minute; PLANTED=1"
	@echo "make deadlines     measure how long each call takes when nothing responds; ONLY=python: one language; ALL=1: a line for each call; PLANTED=1"
	@echo "make sanitizers    run the C and C++ tests under AddressSanitizer, UndefinedBehaviorSanitizer and valgrind"
	@echo "make tsan          run the core's tests and a C program under ThreadSanitizer (builds everything again: 10 minutes)"
	@echo "make mutants       run mutation tests of the code that decides a variant"
	@echo "make bench         measure and compare with the goals; a slow result is not a failure; OLD=path of another libmpflags.so: beside it"
	@echo "make fresh         run make demo and make test in a minimal Debian with Rust, Go, Python and gcc; FRESH=demo: the demo only"
	@echo "make clean         remove everything built"

# Reports missing tools before anything is built.
need-%:
	@$(TOOLS) .ci/need $*

# Programs linked against it look for the SONAME when they run.
release-library: need-demo
	@echo "== building the library (takes minutes the first time)"
	$(CARGO) build -j$(JOBS) --release -p mpflags-c
	@ln -sf libmpflags.so $(CARGO_OUT)/release/libmpflags.so.0

# With a test, because only then does cargo select the features of the tests.
dev: need-demo
	@echo "== building mpflags-dev (takes minutes the first time)"
	$(CARGO) build $(TOGETHER) --bin mpflags-dev --test threads

build: release-library dev

demo: demo-c demo-python demo-go demo-cpp

demo-c: build
	@mkdir -p $(BUILD)
	@echo "== compiling bindings/c/examples/quickstart.c"
	$(CC) -std=c11 -Wall -Wextra -Iinclude -o $(BUILD)/quickstart bindings/c/examples/quickstart.c \
		-L$(CARGO_OUT)/release -lmpflags -Wl,-rpath,$(dir $(LIBRARY))
	@MPFLAGS_DEV=$(DEV) dev/demo $(BUILD)/quickstart {url} demo-token 8

# The demo skips languages whose tools are missing.
demo-python demo-go demo-cpp: demo-%: build
	@why="$$($(TOOLS) .ci/need --why $@)"; \
		if [ -n "$$why" ]; then echo "== $* is left out. Missing: $$why"; exit 0; fi; \
		$(MAKE) --no-print-directory -C bindings/$* demo $(call WITH,$*)

test: need-test
	@for part in test-rust test-c test-cpp test-python test-go; do \
		began=$$SECONDS; $(MAKE) --no-print-directory $$part; echo "== $$part: $$((SECONDS - began)) s"; done
	@echo "== all passed"

test-rust: need-test golden
	@echo "== the core and mpflags-dev (building them takes minutes the first time)"
	RUST_TEST_THREADS=$(RUST_TEST_THREADS) $(CARGO) test $(TOGETHER) --lib --bins $(RUST_TESTS)
	$(CARGO) test $(TOGETHER) --doc

# The C functions, the header, the examples, and various host programs, with the release library.
test-c: need-test build
	@echo "== the C library"
	MPFLAGS_LIBRARY=$(LIBRARY) $(CARGO) test $(TOGETHER) $(C_TESTS)
	$(IN) packaging test-abi test-programs $(call WITH,packaging)

test-python test-go test-cpp: test-%: need-test build
	@echo "== $*"
	$(IN) bindings/$* test $(call WITH,$*)

# The slow tests, and the suites of make test in other configurations.
check: need-check
	@for part in check-rust check-c check-installed check-python check-go check-page conformance differential; do \
		began=$$SECONDS; $(MAKE) --no-print-directory $$part; echo "== $$part: $$((SECONDS - began)) s"; done
	@echo "== all checked"

check-rust: need-check
	@echo "== 300,000 answers of the Python SDK"
	$(CARGO) test $(TOGETHER) --test engine -- --ignored

# The crate and the C library with the oldest compiler that they support; FOR_DEV=1: mpflags-dev with its own instead.
OLDEST = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' $(if $(FOR_DEV),dev/)Cargo.toml)
check-rust-versions: need-demo
	@echo "== Rust $(OLDEST)"
	@rustup toolchain install $(OLDEST) --profile minimal --no-self-update >/dev/null 2>&1 \
		|| { echo "rustup, https://rustup.rs, has to install Rust $(OLDEST)"; exit 1; }
	$(CARGO) +$(OLDEST) check -j$(JOBS) --locked $(if $(FOR_DEV),-p mpflags-dev,-p mpflags -p mpflags-c)

# A panic in every function, for which the release library is built again; then the C suites with the library of the dev
# profile, which checks arithmetic.
check-c: need-check
	@echo "== the C library: release build, panics, overflows"
	.ci/library
	$(CARGO) test $(TOGETHER) --test panic -- --ignored
	$(CARGO) test $(TOGETHER) $(C_TESTS)

check-installed: need-check build
	@echo "== installation, and programs that use it"
	$(IN) packaging test-install test-consumers $(call WITH,packaging)

check-python check-go: check-%: need-check build
	@echo "== $*: slow tests"
	$(IN) bindings/$* check $(call WITH,$*)

check-page: need-check dev
	@echo "== the page of mpflags-dev, in a browser"
	$(IN) dev test-page MPFLAGS_DEV=$(DEV) BUILD=$(abspath $(BUILD))

# Under sudo, or without cargo in the path, installs what is already built.
install:
	@if [ -z "$${SUDO_USER:-}" ] && command -v $(CARGO) >/dev/null; then \
		.ci/need install; $(MAKE) --no-print-directory build; \
	elif [ ! -f $(LIBRARY) ] || [ ! -x $(DEV) ]; then \
		echo "make install: nothing is built yet; run make build first, as a user with cargo in the path"; exit 1; \
	else echo "== installing what was built on $$(date -r $(LIBRARY) '+%Y-%m-%d at %H:%M')"; fi
	$(IN) packaging install $(call WITH,packaging)

uninstall:
	$(IN) packaging uninstall $(call WITH,packaging)

# Programs for arm64 run in qemu.
native: need-native dev
	$(IN) packaging native $(call WITH,packaging)

# VERSION: the one in Cargo.toml, which packaging/version prints and changes.
release: need-release
	@[ -n "$(VERSION)" ] || { echo "make release: which version? For example: make release VERSION=$$(packaging/version)"; exit 2; }
	packaging/release $(VERSION)

# TARGETS: one or some of those of packaging/native.
reproducible: need-release
	packaging/tests/reproducible $(or $(VERSION),$(shell packaging/version)) $(TARGETS)

third-party: need-dist
	packaging/third-party check

packages: need-packages dev
	$(IN) packaging packages $(call WITH,packaging)

dist: need-dist
	$(IN) packaging dist $(call WITH,packaging)

# With the library of `make native`, which it builds first.
wheel: need-dist dev
	$(IN) bindings/python wheel $(call WITH,python)

sanitizers: need-sanitizers build
	$(IN) packaging sanitizers $(call WITH,packaging)

# CARGO_TARGET_DIR is left alone: everything is built again, the standard library too.
tsan: need-tsan
	$(IN) packaging tsan JOBS=$(JOBS) BUILD=$(abspath $(BUILD))

conformance: need-conformance build
	@MPFLAGS_LIBRARY=$(LIBRARY) MPFLAGS_DEV=$(DEV) $(PYTHON) conformance/report.py --page

# LONG=1: 10,000,000 rows through Spark, and a million compared with single evaluations.
tables: need-tables build
	$(IN) bindings/python tables LONG=$(LONG) $(call WITH,python)

# LONG=1 evaluates more than a million times.
differential: need-differential release-library
	$(IN) conformance/differential $(if $(LONG),long,test) $(call WITH,differential)

# A million rows of random tables, each compared with a single evaluation.
tables-rows: need-test
	MPFLAGS_ROWS=1000000 $(CARGO) test -j$(JOBS) --release -p mpflags --features arrow --test tables

# SECONDS_EACH: how long each target runs. LONG=1: ten million inputs each instead; the smallest set that reaches the same code is kept in fuzz/corpus.
fuzz: need-fuzz
	@echo "== fuzz targets (building them takes minutes the first time)"
	@env -u CARGO_TARGET_DIR JOBS=$(JOBS) $(if $(PLANTED),$(PYTHON) fuzz/planted.py $(if $(findstring first,$(PLANTED)),--first),fuzz/run)

# With PLANTED=1, leaks of each kind have to be found.
PLANTED_LEAKS := memory thread descriptor lost doubled
SOAK_c := $(BUILD)/soak/soak {url}
SOAK_python := env MPFLAGS_LIBRARY=$(LIBRARY) PYTHONPATH=bindings/python/src $(PYTHON) -W ignore::DeprecationWarning soak/soak.py {url}
SOAK_go := env LD_LIBRARY_PATH=$(BUILD)/go/lib $(BUILD)/go/soak {url}
SOAK := $(SOAK_$(or $(ONLY),c))
soak: need-soak build
	@mkdir -p $(BUILD)/soak
	$(CC) -std=gnu11 -O1 -g -Wall -Wextra -Wpedantic -Werror -Iinclude -o $(BUILD)/soak/soak soak/soak.c \
		-L$(CARGO_OUT)/release -lmpflags -Wl,-rpath,$(dir $(LIBRARY)) -pthread
	@[ "$(ONLY)" != go ] || $(MAKE) --no-print-directory -C bindings/go soak $(call WITH,go)
	@for kind in $(if $(PLANTED),$(PLANTED_LEAKS),""); do \
		MPFLAGS_DEV=$(DEV) $(PYTHON) soak/run.py --seconds $(or $(SECONDS),$(if $(PLANTED),30,1800)) \
			$${kind:+--plant $$kind} $(SOAK); done

# SECONDS: the polling interval. With PLANTED=1, mistakes in the configuration of nginx have to be found.
PLANTED_MISTAKES := uncollapsed shared token-in-log token-in-key kept-refusals not-stale buffered unverified
# A thousand clients and their server, all on one machine, take optimised programs.
FLEET_BUILD := $(if $(PLANTED)$(CLIENTS),$(TOGETHER),-j$(JOBS) -p mpflags-dev --profile tool)
FLEET_OUT := $(abspath $(CARGO_OUT))/$(if $(PLANTED)$(CLIENTS),debug,tool)
FLEET := MPFLAGS_DEV=$(FLEET_OUT)/mpflags-dev MPFLAGS_FLEET=$(FLEET_OUT)/examples/fleet
GUNICORN := gunicorn==27.0.1
fleet: need-fleet $(if $(PLANTED),,release-library)
	$(CARGO) build $(FLEET_BUILD) --bin mpflags-dev --example fleet
ifneq ($(PLANTED),)
	@for mistake in $(PLANTED_MISTAKES); do \
		$(FLEET) $(PYTHON) fleet/run.py --clients $(or $(CLIENTS),50) --interval $(or $(SECONDS),2) --intervals 1 --front nginx --plant $$mistake; done
else
	$(FLEET) $(PYTHON) fleet/run.py $(if $(CLIENTS),--clients $(CLIENTS)) $(if $(SECONDS),--interval $(SECONDS)) $(if $(FRONT),--front $(FRONT))
	@mkdir -p $(BUILD)/fleet
	@[ -e $(BUILD)/fleet/$(GUNICORN) ] || { $(PYTHON) -m venv $(BUILD)/fleet/venv \
		&& $(BUILD)/fleet/venv/bin/python -m pip install --quiet --disable-pip-version-check $(GUNICORN) && touch $(BUILD)/fleet/$(GUNICORN); }
	@$(FLEET) MPFLAGS_LIBRARY=$(LIBRARY) $(BUILD)/fleet/venv/bin/python fleet/workers.py $(if $(CLIENTS),--repeat 1 --workers 8)
endif

# ALL=1 prints a line for each call. With PLANTED=1, a call that takes too long, one that is not measured and a server that responds
# have to be found.
PLANTED_DEADLINES := responds overrun unmeasured
DEADLINES := $(or $(ONLY),c cpp rust python go)
DEADLINES_c := $(BUILD)/deadlines/c
DEADLINES_cpp := $(BUILD)/deadlines/cpp
DEADLINES_rust := $(CARGO_OUT)/debug/examples/deadlines
DEADLINES_python := env MPFLAGS_LIBRARY=$(LIBRARY) PYTHONPATH=bindings/python/src $(BUILD)/python/venv/bin/python deadlines/deadlines.py
DEADLINES_go := env LD_LIBRARY_PATH=$(BUILD)/go/lib $(BUILD)/go/deadlines
deadlines: need-deadlines build $(DEADLINES:%=deadlines-%)
	@mkdir -p $(BUILD)/deadlines
	$(CC) -std=gnu11 -Wall -Wextra -Wpedantic -Werror -fPIC -shared -o $(BUILD)/deadlines/names.so deadlines/names.c
	@for kind in $(if $(PLANTED),$(PLANTED_DEADLINES),""); do \
		MPFLAGS_DEV=$(DEV) MPFLAGS_NAMES=$(abspath $(BUILD))/deadlines/names.so $(PYTHON) deadlines/run.py $(if $(ALL),--all) \
			$${kind:+--plant $$kind} $(foreach language,$(DEADLINES),"$(language)=$(DEADLINES_$(language))"); done

deadlines-c:
	@mkdir -p $(BUILD)/deadlines
	$(CC) -std=gnu11 -O1 -g -Wall -Wextra -Wpedantic -Werror -Iinclude -o $(BUILD)/deadlines/c deadlines/deadlines.c \
		-L$(CARGO_OUT)/release -lmpflags -Wl,-rpath,$(dir $(LIBRARY)) -pthread

deadlines-cpp:
	@mkdir -p $(BUILD)/deadlines
	$(CXX) -std=c++17 -O1 -g -Wall -Wextra -Wpedantic -Wshadow -Werror -Ibindings/cpp/include -Iinclude -o $(BUILD)/deadlines/cpp \
		deadlines/deadlines.cpp -L$(CARGO_OUT)/release -lmpflags -Wl,-rpath,$(dir $(LIBRARY)) -pthread

deadlines-rust:
	$(CARGO) build $(TOGETHER) --example deadlines

deadlines-python:
	$(IN) bindings/python venv speedups $(call WITH,python)

deadlines-go:
	$(IN) bindings/go deadlines $(call WITH,go)

# Mixpanel's Python package contains the golden vectors of semver_compare and datetime_compare. A virtual environment, because
# Debian's Python has no pip outside of one.
GOLDEN := $(BUILD)/golden/mixpanel/flags/test-data/semver_compare_tests.json
golden: $(GOLDEN)
$(GOLDEN): | need-mutants
	@echo "== downloading the golden vectors (mixpanel==5.4.1)"
	@mkdir -p $(BUILD)
	$(PYTHON) -m venv $(BUILD)/golden-venv
	$(BUILD)/golden-venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(BUILD)/golden mixpanel==5.4.1
	@test -f $@

lint: lint-rust lint-languages

lint-rust: need-lint
	packaging/version --check
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(TOGETHER) --all-targets -- -D warnings
	$(CARGO) clippy -j$(JOBS) -p mpflags -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc -j$(JOBS) --no-deps --document-private-items -p mpflags -p mpflags-dev --features mpflags/openfeature,mpflags/arrow

lint-languages: need-lint build
	@for language in python go cpp; do $(MAKE) --no-print-directory -C bindings/$$language lint $(subst /x,/$$language,$(call WITH,x)); done

docs: need-docs release-library
	@MPFLAGS_LIBRARY=$(LIBRARY) $(TOOLS) .ci/docs

header: need-header
	MPFLAGS_UPDATE=1 $(CARGO) test -j$(JOBS) -p mpflags-c --test header

bench: need-bench
	$(PYTHON) bench/run.py $(if $(OLD),--old $(OLD))
	$(PYTHON) bench/growth.py --no-build $(if $(OLD),--old $(OLD))

# MODEL_RUNS: how many schedules each model runs.
models: need-models
	JOBS=$(JOBS) $(PYTHON) .ci/models $(if $(PLANTED),--planted) $(if $(findstring first,$(PLANTED)),--first)

mutants: need-mutants golden
	@command -v cargo-mutants >/dev/null || $(CARGO) install -j$(JOBS) --locked cargo-mutants
	.ci/mutants

fresh: need-fresh
	.ci/fresh $(or $(FRESH),all)

clean:
	$(CARGO) clean
	rm -rf $(BUILD)
