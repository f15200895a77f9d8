"""Where the captures of real systems lie, when they are there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tinkerbell_data() -> Path:
    """The folder of Tinkerbell's own CRDs."""
    here = Path(__file__).resolve()
    candidates = [Path(os.environ["PALEBLUEDOT_SHARED"])] if "PALEBLUEDOT_SHARED" in os.environ else []
    candidates += [parent / "shared" for parent in here.parents]
    for shared in candidates:
        if (shared / "data" / "tinkerbell").is_dir():
            return shared / "data" / "tinkerbell"
    pytest.skip("Tinkerbell's CRD files are not here (set PALEBLUEDOT_SHARED to the folder that holds data/tinkerbell)")
