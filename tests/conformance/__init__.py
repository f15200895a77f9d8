"""One suite of operations against every kind of BMC, and the compatibility matrix that is made of its results."""

import sys
from pathlib import Path

# pytest has the collections on its path; ``python -m tests.conformance`` has not
_COLLECTIONS = str(Path(__file__).resolve().parents[2] / "collections")
if _COLLECTIONS not in sys.path:
    sys.path.append(_COLLECTIONS)
