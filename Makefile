.DEFAULT_GOAL := help
PY := .venv/bin/python
export PYTHONPATH := .:functions

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: .venv/.done  ## the environment only; every other target makes it when needed
.venv/.done: requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install -q --disable-pip-version-check uv==0.13.8
	.venv/bin/uv pip install -q --require-hashes -r requirements.txt
	@touch $@

lock:  ## compile both requirements files from their .in files
	.venv/bin/uv pip compile -q functions/requirements.in --python-version 3.13 \
	  --python-platform aarch64-manylinux2014 --generate-hashes --no-emit-package boto3 \
	  --no-emit-package botocore --custom-compile-command "make lock" -o functions/requirements.txt
	.venv/bin/uv pip compile -q requirements.in --universal --python-version 3.11 \
	  --generate-hashes --custom-compile-command "make lock" -o requirements.txt

fmt: .venv/.done  ## format the code
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

.PHONY: help setup lock fmt
