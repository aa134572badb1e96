# `make demo` and `make test` need nothing run before them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
ARGS   ?=
# So many processes share the tests, each with a broker of its own; 0 runs them one after another.
TESTERS ?= 0

.PHONY: help install demo test slow faults fuzz lint bench clean

help:  ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.dev  ## .venv with all that a developer needs

demo: $(VENV)/.demo  ## stream events through a broker, the models and back (ARGS="--speed max …")
	$(BIN)/headrace demo $(ARGS)

test: $(VENV)/.dev  ## the test suite, on real Kafka where a JDK or Docker is at hand
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile $(ARGS)

slow: $(VENV)/.dev  ## the tests that take half a minute and more, no part of `make test`
	$(BIN)/python -m pytest -m slow $(ARGS)

faults: $(VENV)/.dev  ## kill, cut, freeze and poison for minutes, then audit (ARGS="--faults 300 --seed 7")
	$(BIN)/python -m tests.faults $(ARGS)

fuzz: $(VENV)/.dev  ## a million damaged records through the part that reads (ARGS="--records 20000")
	$(BIN)/python -m tests.fuzz $(ARGS)

lint: $(VENV)/.dev  ## style, types, import rules, insecure calls, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -r schemas inference streams bench examples setup.py
	$(BIN)/python -m schemas.generate --check
	$(BIN)/python -m streams.gateway.documents.generate --check

# It asks PyPI's advisories, so it is no part of lint; a package that PyPI does not know fails it.
audit: $(VENV)/.dev  ## known weaknesses of all that is installed; needs the network
	$(BIN)/pip-audit --local --skip-editable --strict --progress-spinner off

bench: $(VENV)/.dev  ## throughput and latency against a naive worker, side by side
	$(BIN)/python bench/end_to_end.py $(ARGS)

clean:  ## remove the environment and caches
	rm -rf $(VENV) build .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f inference/native/*.so

# What is compiled at installation.
NATIVE := setup.py $(wildcard inference/native/src/*)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Where a developer's environment exists it runs the demo too.
$(VENV)/.demo: $(BIN)/python pyproject.toml deploy/constraints.txt $(NATIVE)
	test -e $(VENV)/.dev || $(PIP) install -q -c deploy/constraints.txt -e '.[apps,embedded]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml deploy/constraints.txt $(NATIVE)
	$(PIP) install -q -c deploy/constraints.txt -e '.[dev]'
	@touch $@
