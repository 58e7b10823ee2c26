# Everything starts from git, make and Python 3.11, 3.12 or 3.13: each target sets up what it needs, once.

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench lock upgrade test-plain test-lowest test-duckdb2 wheel clean venv venv-lowest venv-duckdb2
MAKEFLAGS += --no-print-directory

# What the two further environments leave out: it doesn't change with a dependency's version, and takes long.
LESS = --ignore=tests/architecture -m "not docs and not crash and not long $(AND)"
# make test ARGS="tests/domain -k merge"
ARGS ?=

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

demo: venv ## branch, change, compare, promote, undo: on a year of flights, in a minute
	@.venv/bin/anabranch demo $(ARGS)

test: venv ## all tests (ARGS="tests/domain -k merge" for some)
	@.venv/bin/python -m pytest $(ARGS)

lint: venv ## style, types, layers, dependencies
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/deptry src

format: venv ## let ruff mend what it can
	@.venv/bin/ruff check --fix-only
	@.venv/bin/ruff format

bench: venv ## how long things take
	@.venv/bin/python bench/run.py $(ARGS)

# Without tests/sql, which holds our reading of SQL against the parse tree of DuckDB 1.5 as that version prints it.
# Engines besides DuckDB don't change with it.
test-duckdb2: AND = and not postgres and not clickhouse and not bigquery and not snowflake and not spark
test-duckdb2: venv-duckdb2 ## the tests with DuckDB 2
	@.venv-duckdb2/bin/python -m pytest $(LESS) --ignore=tests/sql $(ARGS)

# Where every statement commits by itself: DuckDB, with its transactions taken away. Of the commands, those that change data.
PLAIN = tests/app tests/crash tests/integration/test_random_edits.py $(patsubst %,tests/cli/test_%.py,adopt audits clone \
	clone_at costs custom_kinds cutoff diff failed_builds false_drift forward_only loop merge_clones restating runs undo_again)
test-plain: venv ## the tests of commands, and of crashes, on a warehouse without transactions
	@ANABRANCH_TEST_ENGINE=plain .venv/bin/python -m pytest $(PLAIN) $(ARGS)

test-lowest: AND = and not duckdb2 and not spark
test-lowest: venv-lowest ## the tests with the oldest versions that pyproject.toml allows
	@.venv-lowest/bin/python -m pytest $(LESS) $(ARGS)

wheel: venv ## dist/: wheel and source archive, tried in an environment of their own
	@scripts/wheel.sh

lock: ## requirements/*.txt from pyproject.toml
	@scripts/lock.sh

upgrade: ## the same, with everything at its newest
	@scripts/lock.sh --upgrade

clean: ## remove what these targets made
	@rm -rf .venv .venv-* .venv.lock dist
	@rm -rf .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .inline-snapshot
	@find src tests bench examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

venv:
	@scripts/venv.sh .venv requirements/dev.txt

venv-duckdb2:
	@scripts/venv.sh .venv-duckdb2 requirements/dev.txt requirements/duckdb2.txt

venv-lowest:
	@scripts/venv.sh .venv-lowest requirements/lowest.txt
