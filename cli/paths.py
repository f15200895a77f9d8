"""Where things are in a checkout."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT / "collections"
PLAYBOOKS = ROOT / "playbooks"


def data_dir() -> Path:
    """What this installation writes: database, keys, lab, logs (``PALEBLUEDOT_DATA_DIR``, else ``var/``)."""
    from fleet.settings import get_settings

    return get_settings().data_dir.resolve()


def make_collection_importable() -> None:
    """The collection is no installed package: Ansible finds it by `collections_path`, Python by this."""
    if str(COLLECTIONS) not in sys.path:
        sys.path.insert(0, str(COLLECTIONS))
