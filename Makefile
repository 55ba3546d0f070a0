# Everything a newcomer or a contributor runs. `make demo` and `make test` set themselves up.
PYTHON ?= python3
# What the demonstration's servers start enclaves with: simulated or gramine-direct.
LAUNCHER ?= simulated
BIN := .venv/bin
# Unit tests write small files and wait for the disk each time: memory is a disk that does not wait.
QUICK := $(shell test -w /dev/shm && echo /dev/shm || echo $${TMPDIR:-/tmp})

.PHONY: demo demo-service test unit slow lint bench lock docs clean

demo: .venv/ready
	PYTHONDONTWRITEBYTECODE=1 $(BIN)/python -m examples.demo --launcher $(LAUNCHER)

demo-service: .venv/ready
	PYTHONDONTWRITEBYTECODE=1 $(BIN)/python -m examples.service_demo

# Unit tests, then one end-to-end run of each kind.
test: unit
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "e2e and not slow"

unit: .venv/ready
	TMPDIR=$(QUICK) $(BIN)/python -m pytest -q -n 2 -m "not e2e and not slow"

slow: .venv/ready
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m slow

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 -p sealroom.core -p sealroom.client -p sealroom.adapters -p sealroom.cli
	$(BIN)/mypy --platform darwin -p sealroom.core -p sealroom.client -p sealroom.adapters -p sealroom.cli

bench: .venv/ready
	$(BIN)/python -m bench

# Needs `uv`; the result is committed and is all that an installation reads.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    --all-extras pyproject.toml --output-file requirements.lock

docs: .venv/ready
	$(BIN)/python tools/draw_states.py
	$(BIN)/python tools/write_cli_reference.py
	$(BIN)/python tools/count_measured.py

clean:
	rm -rf .venv demo-run demo-service-run

.venv/ready: requirements.lock pyproject.toml tools/set-up
	@PYTHON="$(PYTHON)" tools/set-up
