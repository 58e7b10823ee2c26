#!/bin/sh
# wheel.sh: builds dist/, and tries the wheel as a stranger would: installed in an environment of its own, with the
# dependencies that its metadata asks for (at the locked versions), and run away from the checkout.
set -eu

cd "$(dirname "$0")/.."
root=$PWD
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

rm -rf dist
.venv/bin/python -m hatchling build --directory dist
wheel=$(echo "$root"/dist/*.whl)

# Every example file that git knows (or would, were it added) is in the wheel, and nothing beside them.
git ls-files --cached --others --exclude-standard examples/flights | sed 's|^examples/|anabranch/_examples/|' |
    sort >"$scratch/wanted"
.venv/bin/python -m zipfile --list "$wheel" | awk '{print $1}' | grep '^anabranch/_examples/' |
    sort >"$scratch/found" || true
if [ ! -s "$scratch/wanted" ] || ! diff "$scratch/wanted" "$scratch/found" >&2; then
    echo "The wheel's examples (>) differ from examples/flights (<)." >&2
    exit 1
fi

.venv/bin/python -m venv "$scratch/venv"
.venv/bin/python -m pip freeze --exclude-editable >"$scratch/versions"
"$scratch/venv/bin/python" -m pip --quiet --disable-pip-version-check --no-input \
    install --constraint "$scratch/versions" "$wheel"
cd "$scratch"
venv/bin/python -m pip check
venv/bin/anabranch --version
venv/bin/anabranch --help >/dev/null
echo "$(basename "$wheel"): $(wc -l <found) example files, $(du -k "$wheel" | cut -f1) kB; installs, and runs."
