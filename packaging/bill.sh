#!/bin/sh
# Write what an installation with all extras is made of, as CycloneDX: bill.sh WHEEL CYCLONEDX-PY FILE
set -eu

wheel=$1
tool=$2
file=$3
source=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check -c "$source/constraints.txt" "$wheel[all]"
# They are how it was installed, and not a part of it.
"$work/venv/bin/python" -m pip uninstall -q -y setuptools pip 2>/dev/null
"$tool" environment --pyproject "$source/pyproject.toml" --output-reproducible --spec-version 1.6 --of JSON -o "$file" \
    "$work/venv/bin/python"
# The tool does not know a version that stands in the code.
"$work/venv/bin/python" - "$file" <<'PROGRAM'
import json, pathlib, sys
from importlib.metadata import version

path = pathlib.Path(sys.argv[1])
bill = json.loads(path.read_text())
bill["metadata"]["component"]["version"] = version("mailstore")
path.write_text(json.dumps(bill, indent=2) + "\n")
PROGRAM
