# make demo: the main job on stand-ins.  make test: the tests.  make chaos: the long version of
# tests/chaos.  make bench: all benchmarks, in less than ten minutes.  All do their own set-up.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV = 0.13.9
BIN = .venv/bin

# The parts of the benchmark. They run in their short form; SHORT= gives the long one, JSON=FILE writes
# the figures, POSTGRES=DIR takes the Postgres of a folder: make bench-queue SHORT= JSON=queue.json
BENCHES = queue pipeline growth memory dedupe scale webhook lifecycle checks compression
SHORT ?= yes
BENCH = $(BIN)/python -m bench $(if $(SHORT),--short) $(if $(POSTGRES),--postgres $(POSTGRES))

.PHONY: demo test chaos docker bench bench-full $(BENCHES:%=bench-%) lint check lock schema sql-api clean

demo: .venv/ready
	@$(BIN)/pgmedia demo

test: .venv/ready
	$(BIN)/pytest

# The image and compose.yaml for real, in three minutes. Where Docker can pull no images: tests/docker/make_bases.sh
docker: .venv/ready
	$(BIN)/pytest -n 0 --timeout 600 tests/docker

bench: .venv/ready
	$(BENCH) --json $(or $(JSON),bench.json)

bench-full:
	$(MAKE) bench SHORT=

$(BENCHES:%=bench-%): bench-%: .venv/ready
	$(BENCH) $(if $(JSON),--json $(JSON)) $*

# Its sizes, and the seed that it prints, can be given: make chaos PGMEDIA_CHAOS_SEED=1
chaos: export PGMEDIA_CHAOS_POLLERS ?= 4
chaos: export PGMEDIA_CHAOS_ATTACHMENTS ?= 2000
chaos: export PGMEDIA_CHAOS_SECONDS ?= 180
chaos: .venv/ready
	$(BIN)/pytest -n 0 -s tests/chaos

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	$(BIN)/squawk db/migrations/*.sql

check: lint test

.venv/ready: requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "pgmedia needs Python 3.11 or newer: make PYTHON=/path/to/python"; exit 1; }
	@echo "setting up .venv (once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV)
	@$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# The lock files, without the addresses of any registry: of development, and for deploy/Dockerfile.
lock: .venv/ready
	$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --upgrade --generate-hashes \
		--no-emit-index-url --no-annotate --custom-compile-command "make lock" \
		--extra report --extra sandbox --group dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --custom-compile-command "make lock" \
		--constraint requirements/dev.txt pyproject.toml -o requirements/run.txt
	echo hatchling | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --custom-compile-command "make lock" \
		--constraint requirements/dev.txt - -o requirements/build.txt

# What a fresh installation holds, for `pgmedia migrate` to compare with.
schema: .venv/ready
	$(BIN)/python -m tests.write_schema

# docs/sql-api.md, from the comments of the functions.
sql-api: .venv/ready
	$(BIN)/python -m tests.write_sql_api

clean:
	rm -rf .venv .pytest_cache .ruff_cache sandbox
