#!/bin/sh
# sushy-emulator, and the DMTF's redfishtool and protocol validator, into virtual environments of their own, because their
# dependencies are not ours; ipmi_sim and ipmitool from Debian where we may install packages. Never fails.
root=$(cd "$(dirname "$0")/../../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
sushy=$root/var/peers/sushy
dmtf=$root/var/peers/dmtf
log=$root/var/peers/setup-bmc.log
mkdir -p "$root/var/peers"
: > "$log"

if [ ! -x "$sushy/bin/sushy-emulator" ]; then
    # pkg_resources, which it still asks for, went out of setuptools with version 82
    { "$python" -m venv "$sushy" && "$sushy/bin/pip" install --quiet "sushy-tools==2.2.0" "setuptools<82"; } >> "$log" 2>&1 ||
        { rm -rf "$sushy"; echo "peers: no sushy-emulator, see $log" >&2; }
fi

if [ ! -x "$dmtf/bin/rf_protocol_validator" ]; then
    { "$python" -m venv "$dmtf" && "$dmtf/bin/pip" install --quiet "redfishtool==1.1.8" "redfish-protocol-validator==1.3.2"; } \
        >> "$log" 2>&1 || { rm -rf "$dmtf"; echo "peers: no redfishtool and no protocol validator, see $log" >&2; }
fi

if ! command -v ipmi_sim > /dev/null || ! command -v ipmitool > /dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        { timeout 120 apt-get update -qq && timeout 300 apt-get install -qq -y --no-install-recommends openipmi ipmitool; } \
            >> "$log" 2>&1 || echo "peers: no ipmi_sim or ipmitool, see $log" >&2
    else
        echo "peers: ipmi_sim and ipmitool are not here and this user cannot install openipmi and ipmitool" >&2
    fi
fi
exit 0
