#!/bin/sh
# victoria-metrics, which takes InfluxDB 2's writes, unpacked from Debian's package into var/peers (nothing is installed, no
# service is started). Never fails: what cannot be had is said.
root=$(cd "$(dirname "$0")/../../.." && pwd)
target=$root/var/peers/victoria-metrics
[ -x "$target/usr/bin/victoria-metrics" ] && exit 0
if ! command -v apt-get > /dev/null || ! command -v dpkg-deb > /dev/null; then
    echo "peers: no Debian packages here, so no victoria-metrics" >&2
    exit 0
fi
mkdir -p "$target"
(
    cd "$target" || exit 1
    timeout 120 apt-get download -qq victoria-metrics || { timeout 120 apt-get update -qq; timeout 120 apt-get download -qq victoria-metrics; }
    dpkg-deb -x victoria-metrics_*.deb . && rm -f victoria-metrics_*.deb
) > "$target/setup.log" 2>&1 || echo "peers: no victoria-metrics, see $target/setup.log" >&2
exit 0
