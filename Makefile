# Everything that is done often. "make" alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
DATA_DIR ?= $(CURDIR)/.moorage
LISTEN ?= 127.0.0.1:6443
PORT ?= 8080
CHAOS_SECONDS ?= 600
# Tests wait for containers and timers more than they compute: more processes than cores.
TEST_PROCESSES ?= 3

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo; echo "Settings: DATA_DIR=$(DATA_DIR) LISTEN=$(LISTEN) PORT=$(PORT) (of the sample application)"

.PHONY: venv
venv: .venv/.installed ## Make the virtual environment with the locked versions

.venv/.installed: requirements.lock pyproject.toml scripts/make-venv
	@scripts/make-venv "$(PYTHON)" .venv
	@touch $@

.PHONY: engine
engine: venv ## Make sure that a Docker Engine answers (installs Debian's where that is possible)
	@scripts/ensure-packages git:git busybox:busybox-static
	@scripts/ensure-engine $(BIN)/python

.PHONY: up
up: engine ## Start the platform and deploy a sample application by git push
	@$(BIN)/moorage status --data-dir "$(DATA_DIR)" >/dev/null 2>&1 \
	  || { $(BIN)/moorage down --keep-pods --data-dir "$(DATA_DIR)" >/dev/null 2>&1 || true; \
	       $(BIN)/moorage up --detach --data-dir "$(DATA_DIR)" --listen "$(LISTEN)"; }
	@$(BIN)/python scripts/deploy_sample.py --data-dir "$(DATA_DIR)" --port "$(PORT)"

.PHONY: down
down: ## Stop everything; the data stays
	@if [ -x $(BIN)/moorage ]; then $(BIN)/moorage down --data-dir "$(DATA_DIR)"; else echo "nothing is installed here"; fi

.PHONY: clean
clean: down ## Stop everything and remove data, virtual environment and caches
	@if [ -x $(BIN)/moorage ]; then $(BIN)/moorage remove --yes --data-dir "$(DATA_DIR)"; fi
	@rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: tools
tools: venv ## Fetch kubectl, helm and an OpenID provider for the tests into .tools
	@$(BIN)/python scripts/fetch_tools.py .tools
	@$(BIN)/python scripts/fetch_provider.py .tools

.PHONY: test
test: check engine tools ## Run every test against the real parts, and a minute of chaos
	@failed=0; \
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile tests/unit tests/integration tests/conformance tests/attacks $(PYTEST) || failed=1; \
	$(BIN)/python -m pytest tests/chaos $(PYTEST) || failed=1; \
	exit $$failed

.PHONY: check
check: venv ## Run ruff, mypy and import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: chaos
chaos: engine tools ## Kill processes at random for CHAOS_SECONDS and check what was promised
	@CHAOS_SECONDS=$(CHAOS_SECONDS) $(BIN)/python -m pytest tests/chaos --timeout 0 $(PYTEST)

.PHONY: bench
bench: engine ## Measure, and print a table
	@scripts/ensure-packages wrk:wrk
	@$(BIN)/python -m tests.bench $(BENCH)

.PHONY: lock
lock: venv ## Pin every dependency anew, by hash
	@scripts/make-lock "$(PYTHON)"
