"""A capture of a real BMC, served as a BMC that can be written to.

A capture is a folder in the DMTF mockup layout (``…/redfish/v1/Systems/index.json``) or a ``.tar.xz`` of one, as
``palebluedot lab capture`` and the Redfish Mockup Creator write them. What the capture holds is answered as it stands,
what it lacks is 404; what a write does comes from the specification (DSP0266, DSP0268), from what the bodies themselves
say (settings objects, allowable values, action targets, ETags, limits) and, where neither tells, from `manners`.
"""

from __future__ import annotations

from lab.replay.server import ReplayBmc
from lab.replay.tree import NotACapture, Tree

__all__ = ["NotACapture", "ReplayBmc", "Tree"]
