"""``python -m tests.licences requirements.lock``: every package that ships with the service has a licence we may use.

The service is Apache-2.0 and is given away with what it depends on, so that must be permissive. The packages in
`ALLOWED_BY_NAME` are not, or do not say so in their metadata, and are allowed one by one, each for the reason given.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

PERMISSIVE = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "PSF-2.0", "Unlicense",
}  # fmt: skip

# What older metadata says instead of an SPDX expression.
_NAMES = {
    "apache 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license, version 2.0": "Apache-2.0",
    'bsd 3-clause "new" or "revised license"': "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "python software foundation license": "PSF-2.0",
}

ALLOWED_BY_NAME = {
    "ansible-core": "GPL-3.0-or-later: run as a program; only the collection's plugins import it, and they are GPL too",
    "asyncssh": "EPL-2.0 or GPL-2.0-or-later, unmodified: the lab's SSH servers and the demo's client",
    "certifi": "MPL-2.0: a list of certificate authorities, unmodified",
    "psycopg": "LGPL-3.0: imported as a library, unmodified",
    "psycopg-binary": "LGPL-3.0: imported as a library, unmodified",
    "requests-unixsocket": "Apache-2.0: says so in its LICENSE file, not in its metadata",
}

_REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==")


def locked(lock: Path) -> list[str]:
    """The names in a lock file, once each."""
    return sorted({match[1] for line in lock.read_text().splitlines() if (match := _REQUIREMENT.match(line))})


def licences(package: Distribution) -> set[str]:
    """The licences a package names, as SPDX identifiers where they are known; empty when it names none.

    The SPDX expression (PEP 639) decides when there is one. An ``OR`` leaves us the choice, so one permissive side is
    enough; everything joined by ``AND`` counts.
    """
    metadata = package.metadata
    said = metadata.get("License-Expression") or metadata.get("License") or ""
    if said.lower() in ("", "unknown") or len(said) > 100:  # some put the whole text there
        classifiers = [
            c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")
        ]
        return {_NAMES.get(name.lower(), name) for name in classifiers if name != "OSI Approved"}
    found: set[str] = set()
    for part in re.split(r"\s+AND\s+", said):
        if part.lower() in _NAMES:  # before a licence's own name is split at its "or"
            found.add(_NAMES[part.lower()])
            continue
        choices = re.split(r"\s+OR\s+", part.strip("() "))
        found.add(next((choice for choice in choices if choice in PERMISSIVE), part))
    return found


def complaints(names: list[str]) -> list[str]:
    """One line for each package that may not ship."""
    answer = []
    for name in names:
        if name in ALLOWED_BY_NAME:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:  # a marker excludes it here
            continue
        found = licences(package)
        if not found:
            answer.append(
                f"{name}: names no licence; read its LICENSE file and add it to ALLOWED_BY_NAME with the reason"
            )
        elif strange := found - PERMISSIVE:
            answer.append(f"{name}: {', '.join(sorted(strange))} is not in the list of permissive licences")
    return answer


def main() -> int:
    names = locked(Path(sys.argv[1]))
    found = complaints(names)
    print("\n".join(found) if found else f"licences of {len(names)} packages: all allowed")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
