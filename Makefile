# Two commands do all the set-up: `make build` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
export MARKETING_HOME := $(CURDIR)
export DBT_PROFILES_DIR := $(CURDIR)
export INPUT

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## ?/  make \1\t/' | expand -t 22

.PHONY: build
build: setup ## environment, then build, test and publish every table (INPUT=file.csv: your own data)
	@$(BIN)/marketing build $(if $(INPUT),--input "$$INPUT") $(ARGS)

.PHONY: setup
setup: .venv/build.stamp ## environment, Delta jars and profiles.yml only
	@$(BIN)/marketing setup

.PHONY: test
test: .venv/dev.stamp ## lint, parse, build twice, pytest
	@$(BIN)/marketing setup
	@$(MAKE) --no-print-directory lint
	@$(BIN)/dbt parse --quiet --no-partial-parse --warn-error
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: lint
lint: .venv/dev.stamp ## SQL and Python style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint models macros tests analyses

.PHONY: format
format: .venv/dev.stamp ## repair what the linters can repair
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format -q .
	@$(BIN)/sqlfluff fix -q models macros tests analyses

.PHONY: docs
docs: setup ## the lineage site: one page, target/static_index.html
	@$(BIN)/dbt docs generate --static --quiet
	@echo "open target/static_index.html"

.PHONY: notebook
notebook: .venv/dev.stamp ## run the notebook top to bottom
	@$(BIN)/python -m pytest tests/python/test_notebook.py

.PHONY: benchmark
benchmark: .venv/dev.stamp ## dbt build against a hand-written PySpark script, side by side
	@$(BIN)/marketing setup
	@$(BIN)/python -m benchmarks.build_ratio $(ARGS)

.PHONY: cluster
cluster: .venv/dev.stamp ## the whole build on a master and two workers, compared with a local build
	@$(BIN)/marketing setup
	@$(BIN)/python -m benchmarks.cluster

.PHONY: faults
faults: .venv/dev.stamp ## kill, fill the disk, break tables: what users see and what mends it (half an hour)
	@$(BIN)/marketing setup
	@$(BIN)/python -m pytest tests/faults $(ARGS)

.PHONY: doctor
doctor: .venv/build.stamp ## look for what is broken and say what mends it (ARGS=--repair: mend tables)
	@$(BIN)/marketing doctor $(ARGS)

.PHONY: pictures
pictures: .venv/dev.stamp docs ## pictures of the README and the model cards, from the published tables (needs Chromium)
	@$(BIN)/python -m marketing_ai.pictures
	@$(BIN)/python -m marketing_ai.ml.pictures > /dev/null

.PHONY: evaluate
evaluate: .venv/dev.stamp ## forecast and segments against their goals, in one table
	@$(BIN)/marketing setup
	@$(BIN)/python -m evaluation.forecasting $(ARGS)

.PHONY: evaluate-assistant
evaluate-assistant: .venv/build.stamp ## questions to the assistant against hand-written SQL, on the published demo
	@$(BIN)/python -m evaluation.assistant $(ARGS)

.PHONY: small-model
small-model: .venv/dev.stamp .venv/models.stamp ## a real small language model on loopback reads and words (200 MB more)
	@$(BIN)/python -m benchmarks.small_model

.PHONY: faults-assistant
faults-assistant: .venv/build.stamp ## seeded faults that the assistant's evaluation must catch (20 minutes)
	@$(BIN)/python -m evaluation.assistant.faults $(ARGS)

.PHONY: setup-serve
setup-serve: .venv/serve.stamp ## the packages of the HTTP and MCP servers

.PHONY: serve
serve: setup-serve ## answer questions over HTTP on 127.0.0.1 (docs/api.md)
	@$(BIN)/marketing serve $(ARGS)

.PHONY: mcp
mcp: setup-serve ## answer agents over MCP on 127.0.0.1, with keys (docs/agents.md)
	@$(BIN)/marketing mcp --http $(ARGS)

.PHONY: load-test
load-test: .venv/dev.stamp ## the HTTP API with 50 clients at once on 100 k KPI rows
	@$(BIN)/python -m benchmarks.api_load $(ARGS)

.PHONY: lock
lock: ## pin the requirements anew (needs uv)
	@cd requirements && for set in dev serve build models; do \
	    uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	        --no-header --no-emit-index-url -q --override overrides.txt $$( [ $$set = dev ] || echo "-c dev.txt" ) \
	        $$set.in -o $$set.txt || exit 1; \
	done

.PHONY: clean
clean: ## remove what builds made (lake, logs, target); the environment and the cache stay
	@rm -rf lake logs target .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The environment: one folder, exact versions by hash, from whatever registry pip is set up for.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1 || echo not there)."; \
	    echo "Install it, or name one: make build PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { \
	    echo "Python's venv module is missing (Debian: apt install python3-venv)."; rm -rf .venv; exit 1; }

.venv/%.stamp: requirements/%.txt pyproject.toml | .venv/bin/python
	@echo "installing requirements/$*.txt (about a minute, once) …"
	@mkdir -p logs
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $< > logs/pip.log 2>&1 \
	    && $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . >> logs/pip.log 2>&1 \
	    || { tail -n 20 logs/pip.log; echo "the environment could not be made; the whole log is logs/pip.log"; exit 1; }
	@touch $@
