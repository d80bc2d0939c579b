# Two commands are all that is needed: `make bench` and `make test`. Both set up what they need.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: bench test lint types pytest notebook perf sample clean help

help:  ## Say what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

bench: .venv/ready  ## Run the benchmark on the default suite; ends with the path of a report
	@$(BIN)/sepbench run everyday

test: lint types pytest  ## Run ruff, mypy and all tests

lint: .venv/ready-to-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/ready-to-test
	@$(BIN)/mypy

pytest: .venv/ready-to-test
	@$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) $(ARGS)

perf: .venv/ready-to-test  ## Time ours beside each peer, and how it grows
	@for part in nn_filter spleeter open_unmix bss_eval words fingerprints scaling; do $(BIN)/python -m benchmarks.perf.$$part; done

clean:  ## Remove what was set up and built; the reports stay
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache data/raw/*/

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "sepbench needs Python 3.11 or newer; name it: make PYTHON=/path/to/python3"; exit 2; }
	@echo "Setting up .venv with $(PYTHON); this is done once."
	@$(PYTHON) -m venv .venv

.venv/ready: .venv/bin/python pyproject.toml constraints.txt
	@$(INSTALL) --editable .
	@touch $@

.venv/ready-to-test: .venv/bin/python pyproject.toml constraints.txt
	@$(INSTALL) --editable '.[test]'
	@touch $@ .venv/ready
