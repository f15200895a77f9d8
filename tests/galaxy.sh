#!/usr/bin/env bash
# Builds the collection as it would be published, and has Galaxy's own importer read it: metadata, documentation of every
# plugin, changelog, lint. The importer pins other versions of what the project's tools pin, so it lives in an environment of
# its own in .cache: half a minute the first time, ten seconds after that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

IMPORTER=0.4.44
bin=$PWD/.venv/bin
home=$PWD/.cache/galaxy-importer-$IMPORTER
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

if [ ! -x "$home/bin/galaxy-importer-ready" ]; then
	rm -rf "$home"
	"$bin/python" -m venv "$home"
	core=$("$bin/python" -c 'import ansible.release as release; print(release.__version__)')
	"$home/bin/pip" install --quiet "galaxy-importer==$IMPORTER" "ansible-core==$core"
	install -m 755 /dev/null "$home/bin/galaxy-importer-ready"
fi

copy=$tree/ansible_collections/palebluedot/gpu
mkdir -p "$copy"
cp -R collections/ansible_collections/palebluedot/gpu/. "$copy"
# Galaxy wants to know where the sources are; whoever publishes the collection says so
grep -q '^repository:' "$copy/galaxy.yml" || echo "repository: https://example.com/palebluedot" >>"$copy/galaxy.yml"

"$bin/ansible-galaxy" collection build --output-path "$tree" "$copy"
cd "$tree"
said=$tree/importer.log
if ! env HOME="$tree" PATH="$home/bin:$PATH" "$home/bin/python" -m galaxy_importer.main palebluedot-gpu-*.tar.gz >"$said" 2>&1; then
	cat "$said"
	exit 1
fi
# it reports what it does not like as warnings and goes on; the ignore files are ansible-test's own way and read by `make sanity`
if grep -E '^(WARNING|ERROR)' "$said" | grep -v 'Ignore files skip ansible-test sanity tests'; then
	exit 1
fi
grep 'Importer processing completed successfully' "$said"
