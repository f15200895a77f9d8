"""A real BMC's Redfish tree and IPMI summary, walked into a directory in the DMTF mockup layout, pseudonymised."""

from __future__ import annotations

from lab.capture.pseudonyms import Pseudonyms, StillThere
from lab.capture.walk import Limits, Walk, WalkError
from lab.capture.write import write

__all__ = ["Limits", "Pseudonyms", "StillThere", "Walk", "WalkError", "write"]
