# Everything a person types. Each target sets up what it needs.

PYTHON ?= python3
BIN := .venv/bin
AUDIT := .venv-audit/bin
JOBS ?= 4
SECONDS ?= 600
REQUESTS ?= 100000
COMPILE := $(CURDIR)/$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links
OPENCODE := tests/e2e/node_modules/.package-lock.json

# What `make security` looks at; the workflows are there once somebody writes them.
CODE := app launch deploy wsgi.py gunicorn.conf.py
TEXTS = $(shell git ls-files)
DOCKERFILES := $(wildcard Dockerfile)
WORKFLOWS := $(wildcard .github/workflows)
BUILDS := $(wildcard cloudbuild.yaml)
RUFF_HAS := B104,B108,B608 # as S104, S108 and S608, with the reasons of what it lets pass
SBOM := build/sbom.json
LISTED := .venv-gateway/bin/python

# What is not a secret is told by rules, not by a list of findings, which would only grow: a made-up key counts up or says
# so, or its line says `pragma: allowlist secret`, or it is the commit of a model. The names of variables are ruff's to
# look at; locks hold digests alone.
SECRETS := --no-verify --disable-plugin KeywordDetector --exclude-files '^requirements.*\.txt$$' \
  --exclude-lines 'MODEL_REVISION(=|: "?)[0-9a-f]{40}\b' --exclude-secrets 0123456789 \
  --exclude-secrets '^HuggingFaceTB/' --exclude-secrets '^(password$$|made-up-)'

WISHES := requirements.in requirements-dev.in requirements-audit.in requirements-vllm-cpu.in requirements-vllm-gpu.in \
  requirements-bench.in requirements-bench-litellm.in requirements-clients.in requirements-aider.in
LEFT_OUT_requirements-vllm-cpu.in := torch torchvision torchaudio torchcodec
LEFT_OUT_requirements-bench-litellm.in := gunicorn
LEFT_OUT_requirements-aider.in := requests urllib3 starlette
UNLOCKED = $(if $(LEFT_OUT_$1),$(addprefix --unsafe-package ,$(LEFT_OUT_$1)),--allow-unsafe)
FOLDER := .

.PHONY: serve demo demo-secret-manager test test-fast test-e2e test-clients image-test check security audit sbom measure soak fuzz bench screenshot \
  bench-quick bench-setup format lock lock-check clean gateway dev gateway-alone audit-tools

serve: ## everything, from a fresh clone to a model that answers
	@$(PYTHON) -m launch

demo: gateway ## the gateway in front of a scripted stand-in for vLLM
	@$(BIN)/python -m tests.demo

demo-secret-manager: gateway ## the same, with its keys in a stand-in for Google's Secret Manager
	@$(BIN)/python -m tests.demo --secret-manager

test: check test-fast test-e2e test-clients ## everything

test-fast: dev gateway-alone audit-tools ## unit and integration tests, about seven minutes
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal tests/unit tests/integration

test-e2e: dev $(OPENCODE) ## a real vLLM with a real model, the real OpenCode, the SDKs, a real Chromium
	CUDA_VISIBLE_DEVICES=-1 $(PYTHON) -m launch --prepare
	$(BIN)/pytest -q --timeout 400 tests/e2e

test-clients: dev $(OPENCODE) ## other makers' clients, as docs/clients.md shows them; two minutes, and the downloads
	@$(PYTHON) -m launch.environments clients
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then $(PYTHON) -m launch.environments aider; fi
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal tests/clients

image-test: dev ## builds the image with buildah, runs it without a network; as root; by hand and before a release
	CUDA_VISIBLE_DEVICES=-1 $(PYTHON) -m launch --prepare
	$(BIN)/python -m tests.image

check: dev security ## format, lint, types, keys in files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/shellcheck entrypoint.sh .ci/run

security: audit-tools ## insecure calls, keys in files, and Dockerfiles, builds and workflows where there are any
	$(AUDIT)/bandit --quiet --severity-level medium --skip $(RUFF_HAS) --recursive $(CODE)
	@test -n "$(strip $(TEXTS))" || { git ls-files >/dev/null && echo "security: git lists no files to look for keys in"; exit 1; }
	@echo $(AUDIT)/detect-secrets-hook $(SECRETS) && $(AUDIT)/detect-secrets-hook $(SECRETS) $(TEXTS)
	$(if $(DOCKERFILES),$(AUDIT)/hadolint --failure-threshold error $(DOCKERFILES))
	$(if $(BUILDS),$(AUDIT)/check-jsonschema --builtin-schema vendor.cloudbuild $(BUILDS))
	$(if $(WORKFLOWS),$(AUDIT)/zizmor --offline --min-severity high $(WORKFLOWS))

audit: dev audit-tools ## known vulnerabilities of what is locked; by hand, every week and before a release
	$(BIN)/python -m tests.supply.audit $(LOCKS)

sbom: gateway-alone audit-tools ## what the gateway consists of, as CycloneDX: build/sbom.json
	@mkdir -p $(dir $(SBOM))
	$(AUDIT)/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
	  --output-format JSON --output-file $(SBOM) $(LISTED)

measure: dev ## what the gateway promises, in figures; about twelve minutes
	$(BIN)/python -m tests.measure

soak: dev ## ten minutes of mixed load and faults, or SECONDS=60
	$(BIN)/python -m tests.measure.soak $(SECONDS)

fuzz: dev ## 100,000 odd requests, or REQUESTS=1000; about ten minutes
	$(BIN)/python -m tests.fuzz --requests $(REQUESTS)

screenshot: dev ## the picture of the status page in docs/, of the real one in a real Chromium; six minutes
	$(BIN)/python -m tests.screenshot

bench: bench-setup ## this gateway and others, measured in one run: benchmarks/results and docs/benchmarks.md; 20 minutes
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.real_vllm
	$(BIN)/python -m benchmarks.report
	.venv-bench/bin/python -m benchmarks.plots

bench-quick: dev ## a few of its ratios in less than a minute; fails when one has become worse
	@$(PYTHON) -m launch.environments bench
	$(BIN)/python -m benchmarks --quick

bench-setup: ## the proxies that the gateway is compared with, in environments of their own, and a real vLLM
	@missing=$$(PATH="$$PATH:/usr/sbin"; for each in nginx haproxy; do command -v $$each >/dev/null || echo $$each; done); \
	  test -z "$$missing" || { echo "bench-setup: missing:" $$missing; \
	  echo "as root: apt-get install --no-install-recommends" $$missing; exit 1; }
	CUDA_VISIBLE_DEVICES=-1 $(PYTHON) -m launch --prepare
	@for each in dev bench bench-litellm; do $(PYTHON) -m launch.environments $$each || exit 1; done

gateway dev gateway-alone audit-tools:
	@$(PYTHON) -m launch.environments $@

$(OPENCODE): tests/e2e/package.json
	cd tests/e2e && npm install --no-package-lock --ignore-scripts --no-audit --no-fund
	touch $@

format: dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: dev ## compile the hand-written requirements to hash-pinned ones
	cd $(FOLDER)$(foreach wishes,$(WISHES), && $(COMPILE) $(call UNLOCKED,$(wishes)) $(wishes))

lock-check: dev ## each lock is what `make lock` would write; asks the package index
	@rm -rf build/locks && mkdir -p build/locks && cp requirements* build/locks
	@$(MAKE) --no-print-directory lock FOLDER=build/locks \
	  || { echo "lock-check: NOT DONE: the package index gave no answer, or a wish cannot be had"; exit 1; }
	@for wishes in $(WISHES); do diff build/locks/$${wishes%.in}.txt $${wishes%.in}.txt \
	  || { echo "lock-check: $${wishes%.in}.txt is not what $$wishes compiles to: make lock"; exit 1; }; done

clean:
	rm -rf .venv .venv-* .venv*.lock .models build tests/e2e/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis fuzz-findings
