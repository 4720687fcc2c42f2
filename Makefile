# Every target that needs the environment runs `setup` first; nothing here calls sudo or a system package manager.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
UV_VERSION := 0.13.8
BIN := $(CURDIR)/$(VENV)/bin
export PENSTOCK_DATA_DIR ?= $(CURDIR)/data

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(BIN)/uv:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Penstock needs python3 3.11 or newer.")'
	@python3 -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.synced: pyproject.toml uv.lock | $(BIN)/uv
	@VIRTUAL_ENV= UV_PYTHON=$(BIN)/python $(BIN)/uv sync --frozen --quiet --inexact
	@touch $@

setup: $(VENV)/.synced  ## create .venv with the locked dependencies

format: setup  ## rewrite the code in the house format
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix-only .

.PHONY: help setup format
