# Two commands are all that is needed: `make bench` and `make test`. Both set up what they need.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: bench test lint types pytest perf models clean help

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

# The recipe of the shipped models (methods/models); about two hours on one core.
POOLS := --speech data/training/speech/speech --background data/training/speech/background
FOR_SPEECH := --target speech $(POOLS) --valid-examples 96 --mixed --half --threads 1 \
	--patience 8 --drop-patience 1 --drop-factor 0.4
FOR_GUITAR := --target "acoustic guitar" --data data/training/band --valid-examples 48 --mixed \
	--half --threads 1 --epochs 14 --patience 8 --drop-patience 2 --drop-factor 0.4

models: .venv/ready-to-test  ## Build the training sets and train the shipped models again, into models/
	@$(BIN)/sepbench training-set speech
	@$(BIN)/sepbench training-set band
	@$(BIN)/sepbench train open-unmix $(FOR_SPEECH) --rate-hz 24000 --window 1536 --hop 512 \
		--bandwidth-hz 12000 --hidden 384 --seconds 3 --batch 16 --steps 100 --epochs 17 \
		-o models/open-unmix-speech
	@$(BIN)/sepbench train cnn-ibm $(FOR_SPEECH) --batch 8 --seconds 2 --steps 150 --epochs 12 \
		-o models/cnn-ibm-speech
	@$(BIN)/sepbench train open-unmix $(FOR_GUITAR) --rate-hz 24000 --window 2048 --hop 512 \
		--bandwidth-hz 12000 --hidden 256 --seconds 4 --batch 12 --steps 100 -o models/open-unmix-guitar

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
