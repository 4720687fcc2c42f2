# Every target sets the environment up first; nothing here calls sudo or a system package manager, and nothing but
# `setup` needs a network. PORT=, METRICS_PORT= and PENSTOCK_DATA_DIR=, in the environment or on make's command line,
# override what the configuration says: make hands both on by itself, and sets none of them.
.DEFAULT_GOAL := help
VENV := .venv
UV_VERSION := 0.13.8
BIN := $(CURDIR)/$(VENV)/bin
TRAINED := $(CURDIR)/.venv-train
BORROWED := $(CURDIR)/.venv-litellm
PYTEST := $(BIN)/pytest -n 2 --dist loadscope
# Code is compiled once, into the environment, whatever the shell says: else every process that starts does it anew.
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/bytecode
export PYTHONDONTWRITEBYTECODE :=

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(BIN)/uv:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Penstock needs python3 3.11 or newer.")'
	@python3 -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# --inexact: uv itself lies in the environment too, and is no dependency of the product.
$(VENV)/.synced: pyproject.toml uv.lock | $(BIN)/uv
	@VIRTUAL_ENV= UV_PYTHON=$(BIN)/python $(BIN)/uv sync --frozen --quiet --inexact
	@touch $@

setup: $(VENV)/.synced  ## create .venv with the locked dependencies

run: setup  ## serve; without a provider key, from the simulator
	@exec $(BIN)/penstock serve --or-sandbox

demo: setup  ## the same with live traffic; DURATION= seconds, then a closing table
	@exec $(BIN)/penstock demo

test: setup  ## correctness at small sizes
	@$(PYTEST) -m 'not full'

test-full: setup  ## the same at the sizes of a release
	@$(PYTEST)

check: setup  ## format, lint, types, imports, shape
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest tests/house/test_shape.py

$(TRAINED)/.synced: pyproject.toml uv.lock | $(BIN)/uv
	@VIRTUAL_ENV= UV_PROJECT_ENVIRONMENT=$(TRAINED) UV_PYTHON=$(BIN)/python $(BIN)/uv sync --frozen --quiet --only-group train
	@touch $@

$(BORROWED)/.synced: pyproject.toml uv.lock | $(BIN)/uv
	@VIRTUAL_ENV= UV_PROJECT_ENVIRONMENT=$(BORROWED) UV_PYTHON=$(BIN)/python $(BIN)/uv sync --frozen --quiet --no-dev --extra litellm --no-install-project
	@touch $@

litellm: setup $(BORROWED)/.synced  ## LiteLLM in an environment of its own, for the tests of its dialect

train: setup $(TRAINED)/.synced  ## rebuild classifiers/weights.json from classifiers/data, some minutes
	@OPENBLAS_NUM_THREADS=1 $(TRAINED)/bin/python -m training

semantic-weights: setup  ## rebuild the weights of the semantic cache from classifiers/data, half a minute
	@$(BIN)/python -m training.rarity

eval-classifier: setup $(TRAINED)/.synced  ## how well the judge ranks prompts it has not seen; renews docs/judging.md
	@OPENBLAS_NUM_THREADS=1 $(TRAINED)/bin/python -m training.report

clients: setup  ## real SDKs through Penstock, with a third-party mock behind it; needs npm and a network
	@$(BIN)/python -m tests.clients

conformance: setup  ## the pricing brief's 72 rows: pass, fail or open
	@$(BIN)/python -m tests.conformance

bench: setup  ## Penstock beside LiteLLM, nginx and others, about 18 minutes; renews docs/performance.md
	@$(BIN)/python -m benchmarks.compare

bench-growth: setup  ## cost as prompts, customers and streams grow; renews the pictures in docs
	@$(BIN)/python -m benchmarks.growth

check-perf: setup  ## instructions per request against the figure in benchmarks/instructions.json
	@$(BIN)/python -m benchmarks.instructions

bench-quick: setup  ## a minute beside nginx: overhead, judged by ratios
	@$(BIN)/python -m benchmarks.quick

bench-limits: setup  ## what limits and budgets cost a request, against their bound
	@$(BIN)/python -m benchmarks.limits

bench-routing: setup  ## a month of routing in virtual time, beside other policies; renews docs/routing.md
	@$(BIN)/python -m benchmarks.routing

bench-semantic: setup  ## which pairs of prompts the semantic cache takes for one, against its bound; --curves with CURVES=1
	@$(BIN)/python -m benchmarks.meaning $(if $(CURVES),--curves)

business: setup  ## a month of a business played into books and metrics, and blocks for Prometheus; FOLDER= a new one
	@$(BIN)/python -m benchmarks.business $(or $(FOLDER),business)

format: setup  ## rewrite the code in the house format
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix-only .

clean:  ## remove the environment and every cache; data stays
	@rm -rf $(VENV) $(TRAINED) $(BORROWED) .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist benchmarks/.peers
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup litellm business run demo test test-full check train eval-classifier conformance bench bench-growth bench-quick bench-limits bench-routing bench-semantic semantic-weights check-perf format clean
