# What a machine needs is set up by the first command that needs it: system packages, .venv, build. Stamps keep a
# second run quick. The work itself is in scripts/; docs/building.md explains.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

ARGS ?=
PYTEST_ARGS ?=
CTEST_ARGS ?=
BENCH_ARGS ?=
export PYTHON WERROR MDP_QUEUE JOBS MDP_SYSTEM

BIN := .venv/bin
# Folders are listed too: a file added or removed changes its folder's time.
tree = $(shell find $(wildcard $(1)) \( -type d -o -name '*.[ch]pp' -o -name '*.h' -o -name '*.def' -o -name '*.cmake' \
  -o -name '*.in' -o -name CMakeLists.txt \) -not -name __pycache__ 2>/dev/null)
CORE_SOURCES := CMakeLists.txt pyproject.toml $(call tree,cpp bindings cmake)
# (not the folder bench itself: that is the name of a target)
TEST_SOURCES := tests/CMakeLists.txt $(call tree,tests/cpp tests/support) $(wildcard bench/CMakeLists.txt bench/*.[ch]pp)
CXX_FILES = find cpp bindings bench tests examples \( -name '*.[ch]pp' -o -name '*.[ch]' \) -not -path '*/data/*' 2>/dev/null

##@ Everyday
.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {print substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo 'Options: ARGS="..." (run, peers)  CTEST_ARGS, PYTEST_ARGS (test)  BENCH_ARGS (bench)  PYTHON=  JOBS=  WERROR=ON|OFF'

.PHONY: run
run: build/release/.python ## Run the demonstration: embedded exchange, provider, live books; ARGS="--duration 20"
	@exec $(BIN)/mdp demo $(ARGS)

.PHONY: test
test: build build/.languages ## Run all tests: C++ by ctest, then pytest
	@status=0; \
	ctest=$$(PATH="$$PWD/$(BIN):$$PATH" command -v ctest); \
	"$$ctest" --test-dir build/release --parallel "$$(nproc)" --output-on-failure --no-tests=error -LE stress $(CTEST_ARGS) || status=1; \
	$(BIN)/python -m pytest $(PYTEST_ARGS) || status=1; \
	exit $$status

.PHONY: stress
stress: build ## Run the long tests: thousands of kills, mutated segments under the address sanitizer, pytest -m stress
	@scripts/stress

.PHONY: peers
peers: .venv/.dev build/release/.python ## Hold the embedded exchange against ccxt, cryptofeed and nautilus_trader; ARGS="--seconds 20 ccxt"
	@scripts/peers $(ARGS)

.PHONY: build
build: .venv/.dev build/release/.python build/release/.tests ## Set up and build: .venv, the extension, the C++ tests
	@:

.PHONY: venv
venv: .venv/.dev ## Set up .venv and the system packages alone
	@:

.PHONY: bench
bench: .venv/.run ## Build and run the benchmarks; BENCH_ARGS="--benchmark_filter=..."
	@scripts/preset bench
	@scripts/bench $(BENCH_ARGS)

.PHONY: clean
clean: ## Remove what was built; .venv stays (remove it by hand for a fresh start)
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache python/mdp/_core.pyi

##@ Checks
.PHONY: lint
lint: .venv/.dev build/release/.python ## Check format, style, types, spelling and the rules of the tree
	@scripts/lint

.PHONY: format
format: .venv/.dev ## Format C++ and Python in place
	@$(CXX_FILES) | xargs -r $(BIN)/clang-format -i
	@$(BIN)/ruff check --quiet --fix-only . || true
	@$(BIN)/ruff format --quiet .

.PHONY: tidy
tidy: build/release/.tests ## Check names and more with clang-tidy, where it is installed
	@find cpp bindings -name '*.cpp' | xargs -r -P "$$(scripts/jobs)" -n 1 $${CLANG_TIDY:-clang-tidy} -p build/release --quiet

.PHONY: sanitize asan-ubsan tsan
sanitize: asan-ubsan tsan ## Run the C++ tests under both sanitizer presets
asan-ubsan: .venv/.run ## Run the C++ tests under the address and undefined-behaviour sanitizers
	@scripts/preset asan-ubsan test $(CTEST_ARGS)
tsan: build/release/.python ## Run the C++ tests under the thread sanitizer, and drive the extension from many threads
	@scripts/preset tsan test $(CTEST_ARGS)

.PHONY: fuzz
fuzz: .venv/.dev build/release/.python ## Fuzz WebSocket bytes, parsers, REST bodies, numbers, levels, segments and configuration; SECONDS=60 for each
	@scripts/fuzz $(or $(SECONDS),60)

.PHONY: test-windows
test-windows: .venv/.run ## Cross-compile the shared memory for Windows and run its tests under Wine (sets up both)
	@scripts/setup windows
	@scripts/test-windows

##@ Upkeep
.PHONY: lock
lock: .venv/.dev ## Rewrite the pinned versions in requirements/; UPGRADE=1 takes the newest
	@scripts/lock

.PHONY: audit
audit: .venv/.dev ## Check the locked packages: their hashes, and known vulnerabilities where pip-audit can ask
	@scripts/audit

# --- stamps ---
build/.system: scripts/setup
	@scripts/setup system
	@mkdir -p build && touch $@

build/.languages: scripts/setup build/.system
	@scripts/setup languages
	@touch $@

.venv/.run: requirements/run.txt requirements/tools.txt build/.system
	@scripts/setup venv run
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.run
	@scripts/setup venv dev
	@touch $@

build/release/.python: .venv/.run scripts/build $(CORE_SOURCES)
	@scripts/build python
	@touch $@

build/release/.tests: build/release/.python $(TEST_SOURCES)
	@scripts/build tests
	@touch $@
