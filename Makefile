# `make demo` and `make test` are all that a new machine needs: each makes its own environment first.
# PYTHON=python3.12 picks another interpreter (3.10 or newer), VENV=DIR another place for the environment.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
CONSTRAINTS = .ci/constraints.txt
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS)

# As many tests at once as there are cores; those of a file one after the other, as they share what they train. Files
# with slow tests come first (tests/conftest.py).
PARALLEL ?= --numprocesses auto --dist loadfile --no-loadscope-reorder

# One thread a process, also of torch and in decoding: parallel work goes by processes. (Features and training see to it
# themselves.)
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help demo test test-fast test-kaldi lint docs bench digits yesno mboshi clean

help:
	@grep -E '^## ' Makefile | sed 's/^## //'

## make demo        train a digit recogniser on synthesised speech, transcribe a file, show the results (minutes)
demo: $(VENV)/.demo
	@$(BIN)/python recipes/digits/demo.py --out build/demo

## make test        everything that is tested without Kaldi's own code
test: $(VENV)/.test
	$(BIN)/python -m pytest $(PARALLEL)

## make test-fast   the tests that train nothing
test-fast: $(VENV)/.test
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

## make test-kaldi  record kaldi-hmm-gmm's answers anew and compare with the committed ones
test-kaldi: $(VENV)/.test $(VENV)-kaldi/.installed
	KALDI_PYTHON=$(VENV)-kaldi/bin/python $(BIN)/python -m pytest tests/references

## make lint        style, types, and that imports go one way
lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## make docs        the pages of docs/ as a site in build/docs, every warning an error
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file docs/mkdocs.yml

## make bench       speed beside the peers, as ratios in one run; CORPUS=DIR adds training and --jobs (Free Spoken Digit Dataset)
bench: $(VENV)/.bench $(VENV)-kaldi/.installed
	$(BIN)/python tests/benchmarks/bench_features.py
	$(BIN)/python tests/benchmarks/bench_decoder.py
	$(BIN)/python tests/benchmarks/bench_prefix.py
	$(BIN)/python tests/benchmarks/bench_graph.py
	$(BIN)/python tests/benchmarks/bench_lm.py
	$(if $(CORPUS),KALDI_PYTHON=$(VENV)-kaldi/bin/python $(BIN)/python tests/benchmarks/bench_training.py $(CORPUS))
	$(if $(CORPUS),$(BIN)/python tests/benchmarks/bench_jobs.py $(CORPUS))

## make digits CORPUS=DIR   the digits recipe on the Free Spoken Digit Dataset: GMM-HMMs, then networks
digits: $(VENV)/.nn
	$(BIN)/python -m recipes.digits.run --corpus $(CORPUS) --out build/digits
	$(BIN)/python -m recipes.digits.networks --corpus $(CORPUS) --out build/digits

## make yesno CORPUS=DIR    the yesno recipe on waves_yesno (OpenSLR 1)
yesno: $(VENV)/.demo
	$(BIN)/python recipes/yesno/run.py --corpus $(CORPUS) --out build/yesno

## make mboshi CORPUS=DIR   the mboshi recipe: 4.5 hours of sentences (its README says where from)
mboshi: $(VENV)/.nn
	$(BIN)/python -m recipes.mboshi.run --corpus $(CORPUS) --out build/mboshi

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Python 3.10 or newer is needed; set PYTHON=..."; exit 1; }
	@echo "Making the environment $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	@echo "Installing the toolkit and what the demo needs (package index only) ..."
	@$(INSTALL) --editable '.[demo]'
	@touch $@

$(VENV)/.nn: $(VENV)/.demo
	@echo "Installing what networks need (package index only) ..."
	@$(INSTALL) --editable '.[demo,nn]'
	@touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	@echo "Installing the toolkit and what the tests need (package index only) ..."
	@$(INSTALL) --editable '.[test]'
	@touch $@ $(VENV)/.demo $(VENV)/.nn

$(VENV)/.docs: $(VENV)/.test
	@$(INSTALL) --editable '.[docs]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@$(INSTALL) --editable '.[bench]'
	@touch $@

# Kaldi's training code needs an older kaldifst than its decoder does, hence a second environment.
$(VENV)-kaldi/.installed: .ci/constraints-kaldi.txt
	@$(PYTHON) -m venv $(VENV)-kaldi
	@$(VENV)-kaldi/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
