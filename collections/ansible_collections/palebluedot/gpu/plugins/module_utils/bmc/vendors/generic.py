# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""A BMC that no profile knows: the specification (DSP0266, DSP0268) and nothing else."""

from __future__ import annotations

from ansible_collections.palebluedot.gpu.plugins.module_utils.bmc.vendors.profile import Profile

GENERIC = Profile(name="generic")
