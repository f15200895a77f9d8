#!/usr/bin/env bash
# ansible-test sanity over the collection, with the Python of .venv: `make sanity`.
#   tests/sanity.sh [arguments of ansible-test sanity]      e.g. --test validate-modules
#
# ansible-test wants the collection in a tree of its own and in git, fetches a get-pip script from a server of Ansible's,
# and hands no PIP_* variable on. So it gets a copy, a stand-in for that script (ensurepip, and the package index for the
# rest), and a home with the caller's pip settings. That home stays in .cache, because it holds the tests' own virtual
# environments: a minute the first time, seconds after that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

collection=collections/ansible_collections/palebluedot/gpu
bin=$PWD/.venv/bin
home=$PWD/.cache/ansible-test
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

copy=$tree/ansible_collections/palebluedot/gpu
mkdir -p "$copy"
cp -R "$collection/." "$copy"
rm -rf "$copy/tests/output"
git -C "$copy" init --quiet
git -C "$copy" add --all

umask 077 # an index URL may hold a password
mkdir -p "$home/.config/pip" "$home/.ansible/test/cache"
{
	echo "[global]"
	# ":env:.cert='x'" (which comes first, and wins) and "global.cert='x'" become "cert = x"
	"$bin/pip" config list | sed -En "s/^(:env:|global)\.([^=]+)='(.*)'$/\2 = \3/p" | awk '!seen[$1]++'
} >"$home/.config/pip/pip.conf"

pip_version=$("$bin/python" - <<'PYTHON'
import re
from importlib.util import find_spec
from pathlib import Path

package = Path(find_spec("ansible_test").submodule_search_locations[0])
print(re.search(r"\bpip='([0-9.]+)'", (package / "_internal/python_requirements.py").read_text())[1].replace(".", "_"))
PYTHON
)
cat >"$home/.ansible/test/cache/get_pip_$pip_version.py" <<'PYTHON'
"""Stands in for get-pip.py: the pip that Python brings, then what was asked for, from the package index."""

import subprocess
import sys

unknown = ("--no-setuptools", "--no-wheel")
subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"], stdout=subprocess.DEVNULL)
asked = [argument for argument in sys.argv[1:] if argument not in unknown]
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", *asked])
PYTHON

version=$("$bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
cd "$copy"
env HOME="$home" PATH="$bin:$PATH" "$bin/ansible-test" sanity --color no --python "$version" "$@" </dev/null
