# Afterimage. `make run` shows it at work, `make test` proves it; both set up all they need.
# Only python3.11+ and make are required; Node, where present, lets the JavaScript SDKs be tested too.

SHELL := /bin/bash
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(shell $(name) -c 'import sys; print("$(name)") if sys.version_info >= (3, 11) else None' 2>/dev/null | grep -v None)))
PY := .venv/bin/python
# One more than two cores: tests wait for processes and sockets a good part of their time.
WORKERS ?= 3
# The tests start hundreds of Python processes; each would compile every module anew where bytecode is not kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test test-rules check bench conformance soak setup node page screenshots clean

help:
	@echo "make run          the local suite with the functions loaded, a picture sent through it, and the page"
	@echo "make test         every promise of the project (under 10 minutes)"
	@echo "make test-rules   the security rules' cases, also against another emulator"
	@echo "make check        lint, format, strict types, structure"
	@echo "make bench        the figures, each beside its floor"
	@echo "make conformance  the official SDKs' own system tests, against the suite (long)"
	@echo "make soak         long runs with faults injected (long)"
	@echo "make screenshots  the pictures in README.md and docs/"

run: setup page
	@$(PY) -m afterimage_emulator start --run '$(PY) demo/first_picture.py && $(PY) demo/page_address.py'

test: setup node
	@$(PY) -m rules assemble --check
	@if git rev-parse --quiet --verify HEAD~1 >/dev/null 2>&1; then $(PY) -m rules diff HEAD~1; fi
	@$(PY) -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

# The rules' cases, in process and over the wire. With FIRESTORE_EMULATOR_HOST and FIREBASE_STORAGE_EMULATOR_HOST set,
# as `firebase emulators:exec` sets them, the wire is that of the other emulator.
test-rules: setup
	@$(PY) -m rules assemble --check
	@$(PY) -m pytest tests/rules

check: setup
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy emulator functions/afterimage client server demo rules bench conftest.py tests
	@$(PY) -m vulture
	@$(PY) -m rules assemble --check
	@$(PY) -m pytest tests/structure

bench: setup node
	@$(PY) -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@for script in $(filter-out %/measuring.py %/__init__.py,$(wildcard bench/*.py bench/suite/*.py)); do \
	  module=$${script%.py}; echo; echo "== $$script"; $(PY) -m $${module//\//.} || exit 1; done

conformance: setup node
	@$(PY) -m pip install --quiet --disable-pip-version-check -r tests/conformance/requirements.txt -c constraints.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv/export-readers -r tests/conformance/export_readers.txt
	@$(PY) -m pytest -m conformance -s tests/conformance tests/functions/media

soak: setup node
	@TEST_ALL_EXAMPLES=yes $(PY) -m pytest -n $(WORKERS) --dist worksteal -m 'soak or hypothesis' $(or $(TESTS),tests)

setup: .venv/installed

# Idempotent: made again only when a list of packages changes.
.venv/installed: requirements.txt constraints.txt functions/requirements.txt emulator/pyproject.toml client/pyproject.toml server/pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "Afterimage needs python3.11 or newer on PATH; python3 is $$(python3 --version 2>&1)"; exit 1; fi
	@echo "setting up .venv (once; about half a minute)"
	@[ -x $(PY) ] || $(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	@touch $@

node:
	@if ! command -v npm >/dev/null; then echo "npm is not installed: tests of the JavaScript SDKs will be skipped"; \
	elif [ -L tests/node/node_modules ]; then echo "tests/node/node_modules is a link: what it leads to is used as it is"; \
	elif [ ! -f tests/node/node_modules/.installed ] || [ tests/node/package-lock.json -nt tests/node/node_modules/.installed ]; then \
	  echo "installing the JavaScript SDKs for tests (once)"; \
	  (cd tests/node && npm ci --silent --no-audit --no-fund) && touch tests/node/node_modules/.installed; fi

# The SDK that a local Hosting serves to the page; the tests' own copy, where it is there.
page:
	@if [ -e web/node_modules/firebase ]; then :; \
	elif [ -e tests/node/node_modules/firebase ]; then ln -sfn ../tests/node/node_modules web/node_modules; \
	elif command -v npm >/dev/null; then \
	  echo "installing the JavaScript SDK for the page (once)"; \
	  (cd web && { [ ! -L node_modules ] || rm node_modules; } && npm ci --silent --no-audit --no-fund) || echo "npm could not install it: the page is left out"; fi

# The README's pictures of the page, and those of the console in docs/.
screenshots: setup node
	@$(PY) -m tests.web.screenshots
	@$(PY) -m tests.browser.screenshots docs/pictures

clean:
	rm -rf .venv tests/node/node_modules web/node_modules .pytest_cache .mypy_cache .ruff_cache
