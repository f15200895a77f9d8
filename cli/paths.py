"""Where things are in a checkout."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT / "collections"
PLAYBOOKS = ROOT / "playbooks"


def var_dir() -> Path:
    """What this installation writes: database, lab, logs. ``PALEBLUEDOT_VAR_DIR``, or ``var/`` in the checkout."""
    return Path(os.environ.get("PALEBLUEDOT_VAR_DIR", ROOT / "var")).resolve()


def make_collection_importable() -> None:
    """The collection is no installed package: Ansible finds it by `collections_path`, Python by this."""
    if str(COLLECTIONS) not in sys.path:
        sys.path.insert(0, str(COLLECTIONS))
