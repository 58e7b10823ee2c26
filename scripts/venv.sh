#!/bin/sh
# venv.sh DIR LOCK...: a virtual environment holding exactly what the locks pin, and Anabranch itself, editable.
#
# Needs Python 3.11, 3.12 or 3.13 with venv, and nothing else. Runs in milliseconds when there is nothing to do: a key
# made of the locks, the interpreter and the place is kept in DIR. Another lock or another place makes DIR anew, so that
# no package that a lock dropped lives on; a changed pyproject.toml only installs Anabranch again.
# A later lock overrides what an earlier one installed. PYTHON=… chooses the interpreter.
set -eu

dir=$1
shift
cd "$(dirname "$0")/.."

usable() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if command -v "$candidate" >/dev/null && usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "No usable Python: ${PYTHON:-python3.11, python3.12, python3.13 and python3} were tried." >&2
    echo "Anabranch needs Python 3.11, 3.12 or 3.13 with the venv module (on Debian: apt-get install python3-venv)." >&2
    exit 1
}

# Two at once in one checkout take turns, where the system has flock.
if command -v flock >/dev/null; then
    exec 9>"$dir.lock"
    flock 9
fi

python=$(find_python)
key=$(echo "$PWD" "$("$python" -VV)" "$(cat requirements/build.txt "$@" scripts/venv.sh | cksum)")
own=$(cat pyproject.toml src/anabranch/__init__.py | cksum)

if [ "$(cat "$dir/.key" 2>/dev/null)" != "$key" ]; then
    echo "Setting up $dir with $("$python" -V); about a minute, the first time."
    "$python" -m venv --clear "$dir"
    pip="$dir/bin/python -m pip --quiet --disable-pip-version-check --no-input"
    $pip install --no-deps --require-hashes -r requirements/build.txt
    for lock in "$@"; do
        $pip install --no-deps --require-hashes --no-build-isolation -r "$lock"
    done
    echo "$key" >"$dir/.key"
fi

if [ "$(cat "$dir/.own" 2>/dev/null)" != "$own" ]; then
    "$dir/bin/python" -m pip --quiet --disable-pip-version-check --no-input \
        install --no-deps --no-build-isolation --editable .
    echo "$own" >"$dir/.own"
fi
