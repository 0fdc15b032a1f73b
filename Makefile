# Every target works from a fresh clone: what is missing is installed first, once.
PYTHON ?= python3
PY := .venv/bin/python
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run demo fmt check test test-all bench up down

help:  ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED)  ## Make .venv and install Headwater with all it needs

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Headwater needs Python 3.11 or newer; set PYTHON=..")'
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[demo,dev]' --constraint constraints.txt
	@touch $@

# Tethered: if make itself is killed, everything stops. SIGTERM and Ctrl-C reach deploy.run through make.
run: $(INSTALLED)  ## Start everything in the foreground; Ctrl-C stops it
	@$(PY) -m deploy.tether $(PY) -m deploy.run

up: $(INSTALLED)  ## Start everything in the background and wait until it works
	@$(PY) -m deploy.background up

down: $(INSTALLED)  ## Stop what `make up` or `make run` started
	@$(PY) -m deploy.background down

demo: $(INSTALLED)  ## Post a day of real traffic to a running instance and compare its reports with the file
	@$(PY) -m deploy.demo

fmt: $(INSTALLED)  ## Format and fix
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

check: $(INSTALLED)  ## Format, lint and types; writes nothing
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

test: $(INSTALLED)  ## The whole suite against real Kafka and the real ClickHouse engine
	$(PY) -m pytest -m 'not slow' --cov

test-all: $(INSTALLED)  ## The same with soaks, all variants, and ten times the examples
	HEADWATER_TEST_DEPTH=10 $(PY) -m pytest --cov

bench: $(INSTALLED)  ## Figures of this machine: edge, stages, attribution, latency, credits under load
	PYTHONPATH=.:tests $(PY) tests/bench/run.py
