# Everything a developer types. `make help` lists it.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
export CARGO_TERM_COLOR ?= auto

rust_sources := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

LOCK := ../$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.10 \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.PHONY: help build demo test check bench bench-quick soak docs lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

build: $(STAMPS)/extension ## install the locked dependencies into .venv and build the extension in release mode

demo: build ## run a fleet on the local engine for half a minute, kill one of its workers, show the account
	@$(BIN)/jobfleet demo

test: build ## all tests, Rust first (the first run compiles for minutes)
	@echo "== cargo test"
	@cargo test --workspace --locked --quiet || { echo "== cargo test, once more"; cargo test --workspace --locked --quiet; }
	@echo "== pytest"
	@$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder \
	  --reruns 1 --reruns-delay 2

check: build ## format, lint, types and stubs of both languages
	cargo fmt --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --strict bench --exclude bench/peers
	$(BIN)/python -m mypy.stubtest jobfleet._core

bench: build ## the table of figures: the bare loop, jobfleet, the peers (a quarter of an hour)
	@$(BIN)/python -m bench full

bench-quick: build ## the bare loop and jobfleet, without peers (a minute)
	@$(BIN)/python -m bench quick

soak: build ## a fleet at full load while everything around it breaks: two minutes, or MINUTES=30
	@$(BIN)/python -m bench.soak --minutes $(or $(MINUTES),2) $(if $(SEED),--seed $(SEED))

docs: build ## write docs/settings.md from the settings' model
	@$(BIN)/python tools/settings.py > docs/settings.md

lock: $(STAMPS)/dependencies ## resolve the locked dependencies anew
	cd requirements && $(LOCK) ../pyproject.toml --output-file run.txt
	cd requirements && $(LOCK) ../pyproject.toml dev.in -c run.txt --output-file dev.txt

clean: ## remove everything that was built
	rm -rf $(VENV) target bench/.cache

$(STAMPS)/dependencies: requirements/run.txt requirements/dev.txt tools/needs
	@python=$$(tools/needs) || exit 1; \
	echo "== installing the locked dependencies into $(VENV) with $$($$python --version)"; \
	[ -x $(BIN)/python ] || $$python -m venv $(VENV) || exit 1; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/extension: $(STAMPS)/dependencies pyproject.toml $(rust_sources)
	@tools/needs >/dev/null
	@echo "== building the extension in release mode (minutes the first time)"
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) PIP_QUIET=1 $(BIN)/maturin develop --release --locked
	@touch $@
