"""NetBox: `GET /api/dcim/devices/` (one page or a list of devices) or the CSV export of the device list.

The BMC is the device's out-of-band address (`oob_ip`). The list holds no passwords and no interfaces. Nobody is given a
server before a second import has said which ones it has (`nics`, the one that boots first); discovery guesses none.
"""

from __future__ import annotations

from typing import Any

from cli.importers.converted import Converted, host_of, label, positive

# headers of the CSV export in the order in which one is looked for; NetBox writes labels, older versions field names
_COLUMNS = {
    "name": ("name",),
    "bmc": ("oob_ip", "out-of-band_ip", "oob_ip_address"),
    "rack": ("rack",),
    "position": ("position", "position_(u)"),
    "status": ("status",),
    "tags": ("tags",),
    "role": ("role", "device_role"),
}


def convert(content: Any) -> Converted:
    """Devices as servers; tags go along, the cluster becomes the NVLink domain only where a custom field says so."""
    converted = Converted()
    devices = content.get("results", []) if isinstance(content, dict) else content
    for device in devices:
        row = (
            _from_json(device)
            if isinstance(device.get("device_type"), dict) or "display" in device
            else _from_csv(device)
        )
        status = str(row.pop("status") or "").lower()
        if status == "decommissioning":
            converted.notes.append(f"{row['name']} left out: it is being decommissioned")
            continue
        converted.add(row)
    return converted


def _from_json(device: dict[str, Any]) -> dict[str, Any]:
    fields = device.get("custom_fields") or {}
    return {
        "name": label(device.get("name")),
        "bmc_address": host_of((device.get("oob_ip") or {}).get("address")),
        "rack": (device.get("rack") or {}).get("name"),
        "rack_unit": positive(device.get("position")),
        "tags": [tag["slug"] for tag in device.get("tags") or [] if tag.get("slug")],
        "pool": fields.get("pool"),
        "nvlink_domain": fields.get("nvlink_domain"),
        "bmc_username": fields.get("bmc_username"),
        "status": (device.get("status") or {}).get("value"),
    }


def _from_csv(row: dict[str, Any]) -> dict[str, Any]:
    cells = {str(name).strip().lower().replace(" ", "_"): (value or "").strip() for name, value in row.items() if name}

    def cell(key: str) -> str | None:
        return next((cells[name] for name in _COLUMNS[key] if cells.get(name)), None)

    return {
        "name": label(cell("name")),
        "bmc_address": host_of(cell("bmc")),
        "rack": cell("rack"),
        "rack_unit": positive(cell("position")),
        "tags": [tag.strip() for tag in (cell("tags") or "").split(",") if tag.strip()],
        "status": cell("status"),
    }
