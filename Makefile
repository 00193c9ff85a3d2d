# Everything a checkout can do. Needs Python 3.11+ with venv, make and git; the rest is installed
# into .venv at the versions that constraints.txt names.

PYTHON ?= python3

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

export RUNTIME__DLTHUB_TELEMETRY := false
export DO_NOT_TRACK := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

VENV := .venv

.PHONY: help
help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(VENV)/.runtime  ## sync generated data from a local API and report on it: no key, no account
	@$(VENV)/bin/stored-completions demo

.PHONY: test
test: $(VENV)/.dev  ## run the whole test suite
	@$(VENV)/bin/python -m pytest

.PHONY: soak
soak: $(VENV)/.dev  ## kill, stop and double syncs at random moments; SOAK='--kills 200 --seed 1', --help says more
	@PYTHONPATH=tests $(VENV)/bin/python -m soak $(SOAK)

# An environment of its own again: coverage.py is no part of the development install.
COVERAGE := .engines/coverage

$(COVERAGE)/.ready: pyproject.toml constraints.txt
	@$(require-python)
	@"$(PYTHON)" -m venv --clear $(COVERAGE)
	@PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	    $(COVERAGE)/bin/python -m pip install --quiet --editable '.[dev]' coverage
	@touch $@

.PHONY: coverage
coverage: export COVERAGE_FILE := build/coverage
coverage: $(COVERAGE)/.ready  ## say which branches no test takes; COVER='tests/test_walk.py' runs a part
	@mkdir -p build
	$(COVERAGE)/bin/python -m coverage run --branch --source=pipelines/stored_completions \
	    -m pytest -n 0 -o filterwarnings=default $(COVER)
	$(COVERAGE)/bin/python -m coverage report --skip-covered --show-missing --sort=cover

.PHONY: bench
bench: $(VENV)/.dev  ## measure a sync beside raw DuckDB SQL and dlt's rest_api; BENCH='--help' says how
	@$(VENV)/bin/python -m bench.run $(BENCH)

.PHONY: bench-wait
bench-wait: $(VENV)/.dev  ## measure a first sync against a slow server, by one chain and several; BENCH='--help' says how
	@$(VENV)/bin/python -m bench.waiting $(BENCH)

.PHONY: bench-sql
bench-sql: $(VENV)/.dev  ## measure questions to the views on a large warehouse; BENCH='--help' says how
	@$(VENV)/bin/python -m bench.analysts $(BENCH)

.PHONY: reference
reference: $(VENV)/.dev  ## renew sql/README.md and dbt's sources: every table and view, with answers on the demo account
	@$(VENV)/bin/python -m reference

.PHONY: prices
prices: $(VENV)/.dev  ## renew the price set that comes with the package, after genai-prices or what is made of it changed
	@$(VENV)/bin/python -m reference.prices

.PHONY: blank
blank: $(VENV)/.dev  ## renew the empty warehouse that comes with the package, after tables or views changed
	@$(VENV)/bin/python -m reference.blank

.PHONY: lint
lint: $(VENV)/.dev  ## check style, formatting and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

.PHONY: check
check: lint test  ## lint, then test

.PHONY: build
build: $(VENV)/.dev  ## make the wheel and the sdist in dist/
	@rm -rf dist
	@$(VENV)/bin/python -m hatchling build

.PHONY: constraints
constraints:  ## renew constraints.txt: the newest versions that pyproject.toml allows
	@$(require-python)
	@rm -rf build/constraints
	@"$(PYTHON)" -m venv build/constraints
	@build/constraints/bin/python -m pip install --quiet --editable '.[dev]' editables
	@{ sed '/^[^#]/,$$d' constraints.txt; \
	    build/constraints/bin/python -m pip list --format=freeze --exclude pip --exclude stored-completions \
	        | LC_ALL=C sort --ignore-case; } > build/constraints.txt
	@mv build/constraints.txt constraints.txt
	@rm -rf build/constraints
	@git diff --stat -- constraints.txt

.PHONY: clean
clean:  ## remove the environment, what was built, and the tools' caches
	rm -f $(STAMPS)
	rm -rf $(VENV) build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find bench pipelines tests -name __pycache__ -prune -exec rm -rf {} +

# An environment of its own: OpenAI's SDK and schemathesis are no part of the development install.
CONTRACT := .engines/contract

$(CONTRACT)/.ready: tests/contract/requirements.txt pyproject.toml constraints.txt
	@$(require-python)
	@"$(PYTHON)" -m venv --clear $(CONTRACT)
	@$(CONTRACT)/bin/python -m pip install --quiet --editable . --requirement $<
	@touch $@

.PHONY: test-contract
test-contract: export PYTHONPATH := tests
test-contract: $(CONTRACT)/.ready  ## hold the sandbox and the warehouse against OpenAI's SDK and OpenAPI file
	$(CONTRACT)/bin/python tests/contract/sdk_crosscheck.py
	$(CONTRACT)/bin/python -m pytest -o addopts= tests/contract/exports_check.py
	$(CONTRACT)/bin/python -m pytest -o addopts= tests/contract/specification_check.py || [ $$? -eq 5 ]

SCHEDULERS := .engines/schedules

$(SCHEDULERS)/.ready: tests/schedules/requirements.txt pyproject.toml
	@$(require-python)
	@"$(PYTHON)" -m venv --clear $(SCHEDULERS)
	@$(SCHEDULERS)/bin/python -m pip install --quiet --editable . --requirement $<
	@touch $@

.PHONY: test-schedules
test-schedules: $(SCHEDULERS)/.ready  ## put the recipes of schedules/ before Airflow, Dagster and GitHub's schema
	$(SCHEDULERS)/bin/python -m pytest -o addopts= -o filterwarnings=default --noconftest tests/schedules/schedulers_check.py

# Analysts' DuckDB is older than ours. Everything that stores, views and publishes runs on 1.5, too; 1.4 gets
# DuckDB alone, and must be able to read all of a copy that each of the others has published.
DUCKDB15 := .engines/duckdb-1.5
DUCKDB14 := .engines/duckdb-1.4
ON_DUCKDB15 := $(addprefix tests/test_,schema damage forced warehouse crash store views models checks definitions query)

$(DUCKDB15)/.ready: pyproject.toml constraints.txt
	@$(require-python)
	@"$(PYTHON)" -m venv --clear $(DUCKDB15)
	@sed '/^duckdb==/d' constraints.txt > $(DUCKDB15)/constraints.txt
	@PIP_CONSTRAINT=$(DUCKDB15)/constraints.txt PIP_BUILD_CONSTRAINT=$(DUCKDB15)/constraints.txt \
	    $(DUCKDB15)/bin/python -m pip install --quiet --editable '.[dev]' 'duckdb==1.5.*'
	@touch $@

$(DUCKDB14)/.ready:
	@$(require-python)
	@"$(PYTHON)" -m venv --clear $(DUCKDB14)
	@$(DUCKDB14)/bin/python -m pip install --quiet 'duckdb==1.4.*'
	@touch $@

.PHONY: test-duckdb
test-duckdb: $(VENV)/.dev $(DUCKDB15)/.ready $(DUCKDB14)/.ready  ## run storage, views and publishing on DuckDB 1.5, and read what they publish with 1.4
	@rm -rf build/duckdb && mkdir -p build/duckdb
	cd build/duckdb && ../../$(VENV)/bin/stored-completions demo > demo.txt
	cp build/duckdb/*.duckdb build/duckdb/by-2.0.db
	cd build/duckdb && ../../$(DUCKDB15)/bin/stored-completions demo > demo.txt
	cp build/duckdb/*.duckdb build/duckdb/by-1.5.db
	for engine in $(DUCKDB14) $(DUCKDB15) $(VENV); do \
	    for file in build/duckdb/by-*.db; do $$engine/bin/python tests/engines/opens.py $$file; done; \
	done
	$(DUCKDB15)/bin/python -m pytest $(addsuffix .py,$(ON_DUCKDB15))

# The engines that a warehouse can be shipped to: their clients are extras, their servers are started on loopback.
# DuckLake needs the DuckDB that its extensions are for, and so an environment of its own.
DESTINATIONS := .engines/destinations
DUCKLAKE := .engines/ducklake

$(DESTINATIONS)/.ready: without := python-dateutil urllib3
$(DESTINATIONS)/.ready: extras := dev
$(DUCKLAKE)/.ready: without := python-dateutil urllib3 duckdb
$(DUCKLAKE)/.ready: extras := dev,ducklake

$(DESTINATIONS)/.ready $(DUCKLAKE)/.ready: tests/destinations/requirements.txt pyproject.toml constraints.txt
	@$(require-python)
	@"$(PYTHON)" -m venv --clear $(@D)
	@# S3's client asks for older versions of two packages than everything else here
	@sed '$(foreach name,$(without),/^$(name)==/d;)' constraints.txt > $(@D)/constraints.txt
	@PIP_CONSTRAINT=$(@D)/constraints.txt PIP_BUILD_CONSTRAINT=$(@D)/constraints.txt \
	    $(@D)/bin/python -m pip install --quiet --editable '.[$(extras)]' --requirement $<
	@touch $@

.PHONY: test-engines
test-engines: export PYTHONPATH := tests:tests/destinations:tests/engines
test-engines: $(DESTINATIONS)/.ready $(DUCKLAKE)/.ready  ## ship warehouses to PostgreSQL, Delta and DuckLake, on servers started here, and hold every row against DuckDB's
	@command -v postgres > /dev/null || ls /usr/lib/postgresql/*/bin/postgres > /dev/null 2>&1 || \
	    { apt-get update -qq && apt-get install -qq -y postgresql > /dev/null; }
	@rm -f build/destinations.json
	@status=0; \
	$(DESTINATIONS)/bin/python -m pytest -o filterwarnings=default $(addprefix tests/destinations/,destinations_check.py settings_check.py) || status=1; \
	$(DUCKLAKE)/bin/python -m pytest -o filterwarnings=default $(addprefix tests/destinations/,destinations_check.py ducklake_check.py) || status=1; \
	exit $$status

.PHONY: bench-ships
bench-ships: export PYTHONPATH := .:tests:tests/engines
bench-ships: $(DESTINATIONS)/.ready $(DUCKLAKE)/.ready  ## measure what a sync to each destination costs: the figures of sql/DESTINATIONS.md
	@$(DESTINATIONS)/bin/python tests/engines/ships.py
	@$(DUCKLAKE)/bin/python tests/engines/ships.py 'duckdb alone' ducklake

# The tools of sql/RECIPES.md; dbt asks for other versions than ours of what both need, and has its own environment.
RECIPES := .engines/recipes
DBT := .engines/dbt

$(RECIPES)/.ready: tests/recipes/requirements.txt pyproject.toml constraints.txt
	@$(require-python)
	@"$(PYTHON)" -m venv --clear $(RECIPES)
	@$(RECIPES)/bin/python -m pip install --quiet --editable . --requirement $<
	@touch $@

$(DBT)/.ready: tests/recipes/dbt.txt
	@$(require-python)
	@"$(PYTHON)" -m venv --clear $(DBT)
	@$(DBT)/bin/python -m pip install --quiet --requirement $<
	@touch $@

.PHONY: test-recipes
test-recipes: export PYTHONPATH := .
test-recipes: export DBT_FOLDER := $(abspath $(DBT))/bin
test-recipes: $(RECIPES)/.ready $(DBT)/.ready  ## run every block of sql/RECIPES.md with the tools it is for
	$(RECIPES)/bin/python -m pytest -o addopts= -o filterwarnings= --noconftest tests/recipes/recipes_check.py

# PostgreSQL is the system's (Debian: apt-get install postgresql), and so is Java 17 or newer for Spark.
SPARK := .engines/spark

$(SPARK)/.ready: tests/engines/requirements.txt pyproject.toml constraints.txt
	@$(require-python)
	@"$(PYTHON)" -m venv --clear $(SPARK)
	@$(SPARK)/bin/python -m pip install --quiet --editable . --requirement $<
	@touch $@

.PHONY: test-spark
test-spark: export PYTHONPATH := tests:tests/engines
test-spark: $(SPARK)/.ready  ## run the portable views on PostgreSQL, and on a Spark cluster over Delta on S3, beside DuckDB
	$(SPARK)/bin/python tests/engines/views_check.py $(VIEWS_ON)

.PHONY: bench-scale
bench-scale: export PYTHONPATH := .:tests:tests/engines
bench-scale: $(SPARK)/.ready  ## measure what a row takes in DuckDB, Delta and PostgreSQL: the figures of sql/SCALE.md
	@$(SPARK)/bin/python tests/engines/scale.py

# One environment, two stamps: the demo gets by without the developers' tools.
# An install begins by taking all stamps away, so one that was interrupted leaves none of them, and
# the next starts from nothing.

STAMPS := $(addprefix $(VENV)/,.intact .runtime .dev)

$(VENV)/.runtime: pyproject.toml constraints.txt
	@$(call install,.)
	@touch $(VENV)/.intact $@

$(VENV)/.dev: pyproject.toml constraints.txt
	@$(call install,.[dev])
	@touch $(STAMPS)

# As variables and not as -c, because these also reach the environment that pip builds the project in:
# pip reads the first there up to 25.2, and the second from then on.
$(STAMPS) $(CONTRACT)/.ready $(RECIPES)/.ready $(SPARK)/.ready: export PIP_CONSTRAINT := constraints.txt
$(STAMPS) $(CONTRACT)/.ready $(RECIPES)/.ready $(SPARK)/.ready: export PIP_BUILD_CONSTRAINT := constraints.txt

define install
$(require-python); \
if [ ! -e $(VENV)/.intact ]; then \
    echo 'Making $(VENV) ...'; \
    rm -rf $(VENV); \
    "$(PYTHON)" -m venv $(VENV); \
fi; \
rm -f $(STAMPS); \
echo 'Installing $(1) into $(VENV) ...'; \
$(VENV)/bin/python -m pip install --quiet --editable '$(1)' 2> $(VENV)/pip.err || \
    { cat $(VENV)/pip.err >&2; exit 1; }
endef

define require-python
command -v "$(PYTHON)" > /dev/null || \
    { echo 'No $(PYTHON) here: install Python 3.11 or newer (Debian: apt-get install python3 python3-venv), or name one: make PYTHON=/path/to/python3' >&2; exit 1; }; \
"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
    { echo "$(PYTHON) is $$("$(PYTHON)" --version 2>&1), but 3.11 or newer is needed; name another: make PYTHON=/path/to/python3" >&2; exit 1; }; \
"$(PYTHON)" -c 'import venv, ensurepip' 2> /dev/null || \
    { echo '$(PYTHON) comes without venv or ensurepip: install them (Debian: apt-get install python3-venv), or name another: make PYTHON=/path/to/python3' >&2; exit 1; }
endef
