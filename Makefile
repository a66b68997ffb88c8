# One verb each; CI runs the same verbs.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# A platform is ten processes, and each would compile every module of ours anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install up down status test lint types format generate bench soak demo

help:
	@echo "verbs: up down status demo test lint types format generate bench soak install"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

up: install
	@exec $(BIN)/center up

down: install
	@$(BIN)/center down

status: install
	@$(BIN)/center status

demo: install
	@$(BIN)/center demo

# Tests mostly wait, for real servers to start, to die and to come back: two processes share the files.
test: install
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/buf format --diff --exit-code --path proto/center --path proto/flagd .
	$(BIN)/buf lint proto/gen/center/image.binpb --config buf.yaml

types: install
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/buf format -w --path proto/center --path proto/flagd .

generate: install
	$(BIN)/python proto/generate.py

bench: install
	$(BIN)/python -m pytest tests/bench -o addopts= --import-mode=importlib -s

# Kills, odd requests, events, payments and checkouts for as long as one likes:
# make soak SECONDS_OF_KILLS=3600 EXAMPLES_A_METHOD=5000 EVENTS=1000000 SCHEDULES=10000
SECONDS_OF_KILLS ?= 600
EXAMPLES_A_METHOD ?= 500
EVENTS ?= 100000
SCHEDULES ?= 10000

soak: install
	SOAK_S=$(SECONDS_OF_KILLS) SOAK_EXAMPLES=$(EXAMPLES_A_METHOD) SOAK_EVENTS=$(EVENTS) \
		SOAK_SCHEDULES=$(SCHEDULES) $(BIN)/python -m pytest tests/e2e/own/test_faults.py tests/e2e/own/test_input.py \
		tests/shared/test_events.py tests/dataplane/test_payment_schedules.py \
		tests/dataplane/test_checkout_races.py
