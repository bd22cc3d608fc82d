# Everything a person types. Each target sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 4

.PHONY: demo test test-fast check format lock clean

$(VENV)/gateway: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements.txt
	touch $@

$(VENV)/dev: $(VENV)/gateway requirements-dev.txt
	$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements-dev.txt
	touch $@

demo: $(VENV)/gateway  ## the gateway in front of a scripted stand-in for vLLM
	$(BIN)/python -m tests.demo

test: check test-fast  ## everything

test-fast: $(VENV)/dev  ## unit and integration tests, under a minute
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal tests/unit tests/integration

check: $(VENV)/dev  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/dev  ## compile the hand-written requirements to hash-pinned ones
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-find-links requirements.in
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-find-links requirements-dev.in

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
