# Every task of the project. `make` lists them.

PYTHON ?= python3.13
PORT ?= 4566
APP_PORT ?= 8700
OPERATIONS ?= 100000
ARCHITECTURE ?= arm64
BUILD_DIR ?= .aws-sam/build
SECONDS ?= 600
SEED ?= $(shell date +%s)
BIN := .venv/bin

# SAM looks for python3.13 and pip on PATH, and must not send telemetry.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export SAM_CLI_TELEMETRY := 0
export UV_PYTHON_DOWNLOADS := never
# Some containers forbid bytecode; then each of many processes would compile what all of them import.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup dev docs build lint test test-fast test-timeless test-later test-integration explore fuzz browser bench bench-audit test-typescript example-fastapi example-nextjs openapi reference lock clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## Create .venv with everything that Scrip needs (other targets do this, too)

.venv/.ready: requirements/uv.txt pyproject.toml uv.lock layers/scrip/pyproject.toml cli/pyproject.toml clients/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || { \
	  echo "Scrip needs Python 3.13 as '$(PYTHON)'. Install it, or name it: make PYTHON=/path/to/python3.13"; \
	  exit 1; }
	@$(PYTHON) -m venv .venv || { \
	  echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3.13-venv"; \
	  exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv sync --frozen --quiet
	@touch $@

# Tools that have a .venv of their own.
.venv-%/.ready: requirements/%.txt | setup
	@$(BIN)/python -m venv --without-pip .venv-$*
	@$(BIN)/uv pip sync --quiet --require-hashes --python .venv-$*/bin/python $<
	@touch $@

# What Lambda's own Python has beside a function, for tests/integration/test_runtime.py.
RUNTIMES := $(patsubst %,.runtime/%/.ready,oldest newest)

.runtime/%/.ready: requirements/runtime-%.txt | setup
	@$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python --target .runtime/$* $<
	@touch $@

TYPESCRIPT := clients/typescript

$(TYPESCRIPT)/node_modules/.ready: $(TYPESCRIPT)/package-lock.json
	@node --eval 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null || { \
	  echo "The TypeScript packages need Node.js 20 or later as 'node'. Install it: https://nodejs.org"; \
	  exit 1; }
	@npm ci --prefix $(TYPESCRIPT) --silent --no-audit --no-fund --ignore-scripts
	@touch $@

NEXTJS := examples/nextjs
export NEXT_TELEMETRY_DISABLED := 1

$(NEXTJS)/node_modules/.ready: $(NEXTJS)/package-lock.json $(TYPESCRIPT)/node_modules/.ready functions/docs/openapi.json $(filter-out %/openapi.ts,$(wildcard $(TYPESCRIPT)/packages/*/package.json $(TYPESCRIPT)/packages/*/src/*))
	@npm run build --prefix $(TYPESCRIPT) --silent > /dev/null
	@npm ci --prefix $(NEXTJS) --silent --no-audit --no-fund --ignore-scripts
	@touch $@

$(NEXTJS)/.next/.ready: $(NEXTJS)/node_modules/.ready $(wildcard $(NEXTJS)/*.* $(NEXTJS)/app/* $(NEXTJS)/app/*/*)
	@$(NEXTJS)/node_modules/.bin/next build $(NEXTJS)
	@touch $@

dev: setup ## Run Scrip on a local AWS, with demo users (PORT=4566)
	@scrip local up --port $(PORT)

REPOSITORY ?= $(shell git remote get-url origin 2>/dev/null | sed -nE 's#^(https://|git@)([^/:]+)[/:](.+)$$#https://\2/\3#p' | sed 's/\.git$$//')

# A link or an anchor that leads nowhere fails it.
docs: setup .venv-docs/.ready ## Build docs/ as a site that can be searched (REPOSITORY=https://github.com/you/scrip)
	@python scripts/docs_site.py .site/pages $(REPOSITORY)
	@.venv-docs/bin/zensical build --strict
	@echo "The site is in .site/html. To read it: python3 -m http.server --directory .site/html 8800"

# The examples use the stack that `scrip local env` has prepared this terminal for.
define RUN_EXAMPLE
@[ "$$SCRIP_API_URL" ] || { echo 'Run this first: eval "$$(.venv/bin/scrip local env)"'; exit 1; }
@echo "Open http://127.0.0.1:$(APP_PORT). Ctrl-C stops it."
@python examples/fake_model.py
endef

example-fastapi: setup ## Run an app of FastAPI that charges for a fake model's answers (APP_PORT=8700)
	$(RUN_EXAMPLE) uvicorn --app-dir examples/fastapi --port $(APP_PORT) --log-level warning app:app

example-nextjs: setup $(NEXTJS)/.next/.ready ## Run one of Next.js with the AI SDK (APP_PORT=8700)
	$(RUN_EXAMPLE) $(NEXTJS)/node_modules/.bin/next start $(NEXTJS) --hostname 127.0.0.1 --port $(APP_PORT)

# The variables make pip download packages for AWS's platform. Without them SAM would let pip choose
# those of this machine, and download those of another architecture again, without hashes. A test
# builds one RESOURCE into a BUILD_DIR of its own.
build: setup ## Build for AWS, with packages checked by hash (ARCHITECTURE=arm64 or x86_64)
	PIP_ONLY_BINARY=:all: PIP_PLATFORM=manylinux2014_$(ARCHITECTURE:arm64=aarch64) \
	  sam build $(RESOURCE) --cached --parallel --build-dir $(BUILD_DIR) \
	  --parameter-overrides Architecture=$(ARCHITECTURE)
	python -m scrip_cli.local.bytecode $(BUILD_DIR)
	[ ! -e $(BUILD_DIR)/Layer ] || python -m scrip_cli.local.layer_data $(BUILD_DIR)/Layer

lint: setup .venv-checkov/.ready ## Check style, types, imports and the template
	ruff format --check
	ruff check
	mypy
	mypy --python-version 3.11 clients
	lint-imports
	sam validate --lint
	cfn-lint template.yaml
	python scripts/processed_template.py > .venv-checkov/template.json
	.venv-checkov/bin/checkov --config-file .checkov.yaml --file .venv-checkov/template.json
	uv lock --check --quiet
	uv export --frozen --quiet --package scrip --no-dev --no-emit-workspace --no-header \
	  | diff layers/scrip/src/requirements.txt - || { echo "run: make lock"; exit 1; }
	uv export --frozen --quiet --only-group providers --no-header \
	  | diff layers/providers/requirements.txt - || { echo "run: make lock"; exit 1; }

# Whole lives of customers and years of statements, which take long, as simulated worlds do.
LIVES := tests/unit/domain/entitlement/test_entitlement.py tests/unit/domain/test_statement.py \
  tests/functional/test_paid_lives.py

test-fast: setup ## Run the tests that need no stack, but for whole lives
	pytest --numprocesses auto tests/unit tests/functional $(LIVES:%=--ignore %)

# The domain gets the time as an argument, and the clients know only durations. All else could know
# today's date, so `make test` runs it in another year.
TIMELESS := tests/unit/domain tests/unit/clients

test-timeless: setup ## Run those of them that know no date
	pytest --numprocesses auto $(TIMELESS) $(LIVES:%=--ignore %)

test-later: setup ## Run the others as if 400 days had passed
	pytest --numprocesses auto tests/unit tests/functional $(LIVES:%=--ignore %) $(TIMELESS:%=--ignore %) --days-ahead 400

test-simulation: setup ## Run simulated worlds and whole lives, and find the seeded bugs
	pytest --numprocesses auto tests/simulation $(LIVES)
	@$(MAKE) --no-print-directory simulate OPERATIONS=9000 SEED=2026
	@$(MAKE) --no-print-directory bugs

simulate: setup ## Look for lost credits in simulated worlds (SEED=..., OPERATIONS=100000, or WORLD=...)
	@python -m simulation --operations $(OPERATIONS) $(if $(SEED),--seed $(SEED)) $(if $(WORLD),--world $(WORLD))

# A counterexample that this finds becomes a test: what `make test` tries is the same every time.
explore: setup ## Look for new counterexamples with fresh seeds: properties, and simulated worlds
	pytest --numprocesses auto -m hypothesis --hypothesis-profile explore tests/unit tests/functional tests/simulation
	@$(MAKE) --no-print-directory simulate

bugs: setup ## Apply each seeded bug, and show how the simulation finds it
	@python -m simulation --bugs --operations 40000

# The longest tests start first, so that the run does not end with a wait for them.
LONGEST := $(patsubst %,tests/integration/test_%.py,least_privilege stacks smoke sweep local faults schemathesis bench runtime)

# Most of these wait for something most of the time, so there are more of them than processors.
test-integration: setup browser $(RUNTIMES) $(NEXTJS)/.next/.ready ## Deploy to a local AWS and test it, with the console and the examples in a browser
	pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(LONGEST) tests/browser tests/examples tests/integration tests/typescript

test-typescript: setup $(NEXTJS)/.next/.ready ## Build the npm packages, and test them in memory
	npm test --prefix $(TYPESCRIPT) --silent
	$(TYPESCRIPT)/node_modules/.bin/prettier --print-width 100 --check "examples/**/*.{css,html,js,json,ts,tsx}"

fuzz: setup ## Fuzz the API for a long time (SECONDS=600, SEED=...)
	FUZZ_SECONDS=$(SECONDS) FUZZ_SEED=$(SEED) pytest -s tests/integration/test_schemathesis.py

browser: setup ## Install Chromium for the tests if it is missing (as root with apt-get)
	@command -v chromium > /dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  apt-get update -qq && apt-get install -y -qq chromium > /dev/null; \
	else \
	  playwright install chromium; \
	fi

# What keeps one processor busy goes side by side, the rest keeps all of them busy.
test: setup ## Run every check and every test
	@$(MAKE) --no-print-directory --jobs 2 --output-sync lint docs browser $(RUNTIMES) $(NEXTJS)/.next/.ready
	@$(MAKE) --no-print-directory test-timeless test-later test-simulation test-typescript test-integration

ACCOUNTS ?= 10000
ENTRIES ?= 200000

bench-audit: setup ## Measure the audit, and check that it finds tampering (ACCOUNTS=10000 ENTRIES=200000)
	python -m bench.audit --accounts $(ACCOUNTS) --entries $(ENTRIES)

bench: setup ## Compare speed and cost with other designs (QUICK=1, OUT=file, POSTGRES=url, REDIS=url, ONLY=parts)
	@python -m bench $(if $(QUICK),--quick) $(if $(OUT),--out $(OUT)) \
	  $(if $(POSTGRES),--postgres $(POSTGRES)) $(if $(REDIS),--redis $(REDIS)) $(if $(ONLY),--only $(ONLY))

openapi: setup ## Generate the OpenAPI document from the code
	PYTHONPATH=. python scripts/openapi.py > openapi.json.new && mv openapi.json.new functions/docs/openapi.json

reference: setup openapi ## Generate the pages of docs/reference that come from the code
	PYTHONPATH=. python scripts/api_reference.py > reference.new && mv reference.new docs/reference/api.md
	python scripts/cli_reference.py > reference.new && mv reference.new docs/reference/cli.md
	PYTHONPATH=. python scripts/configuration_reference.py > reference.new && mv reference.new docs/reference/configuration.md
	PYTHONPATH=. python scripts/costs_reference.py > reference.new && mv reference.new docs/reference/costs.md
	PYTHONPATH=. python scripts/errors_reference.py > reference.new && mv reference.new docs/reference/errors.md
	PYTHONPATH=. python scripts/benchmark_reference.py > reference.new && mv reference.new docs/reference/benchmark.md

lock: setup ## Lock all dependencies again, including those of the layers
	uv lock
	uv export --frozen --quiet --package scrip --no-dev --no-emit-workspace --no-header \
	  > layers/scrip/src/requirements.txt
	uv export --frozen --quiet --only-group providers --no-header \
	  > layers/providers/requirements.txt
	for name in uv checkov docs runtime-oldest runtime-newest; do \
	  uv pip compile --no-config --quiet --no-header --generate-hashes --universal \
	    --python-version 3.13 requirements/$$name.in \
	    --output-file requirements/$$name.txt; \
	done

clean: ## Remove everything built, and the local stacks with their data
	rm -rf $(TYPESCRIPT)/node_modules $(TYPESCRIPT)/packages/*/dist $(NEXTJS)/node_modules $(NEXTJS)/.next .aws-sam .cache .runtime .scrip .screenshots .site .venv .venv-checkov .venv-docs .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
