# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Python packages that a family of modules needs, and what is said where one is missing.

A module file must be importable without them (documentation and argument spec are read from it), so imports are guarded
and whoever uses the package asks first.
"""

from __future__ import annotations

import sys

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import Unsupported


def need(package: str, missing: ImportError | None) -> None:
    """:raises Unsupported: ``package_missing``, when importing the package failed."""
    if missing is not None:
        raise Unsupported(
            f"the Python package {package} is not installed",
            code="package_missing",
            tried=f"import with {sys.executable}",
            answer=str(missing),
            next=f"Install it there: {sys.executable} -m pip install {package}",
        ) from missing
