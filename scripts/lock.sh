#!/bin/sh
# lock.sh [--upgrade]: makes requirements/*.txt from pyproject.toml, with hashes, for every system and Python at once.
# What is pinned stays pinned unless --upgrade is given. Takes uv from the path, else from a throw-away environment.
set -eu

cd "$(dirname "$0")/.."

if ! command -v uv >/dev/null; then
    tools=$(mktemp -d)
    trap 'rm -rf "$tools"' EXIT
    python3 -m venv "$tools"
    "$tools/bin/python" -m pip --quiet --disable-pip-version-check install uv
    PATH="$tools/bin:$PATH"
fi

lock() {
    output=requirements/$1.txt
    shift
    uv pip compile --quiet --universal --python-version "${python:-3.11}" --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
        --output-file "$output" "$@"
    if grep -n '://' "$output"; then
        echo "$output names a host: it has to install from any index." >&2
        exit 1
    fi
    echo "$output: $(grep -c '==' "$output") packages"
}

lock build --group build "$@"
lock dev pyproject.toml --all-extras --group test --group lint \
    --constraint requirements/build.txt --constraint requirements/pins.in "$@"
lock lowest pyproject.toml --all-extras --group test --resolution lowest-direct \
    --constraint requirements/build.txt "$@"
lock duckdb2 requirements/duckdb2.in "$@"
python=3.13 lock local-bigquery requirements/local-bigquery.in --override requirements/local-bigquery-overrides.in "$@"
lock fakesnow requirements/fakesnow.in "$@"
