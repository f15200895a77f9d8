"""``python -m tests.conformance``: run every operation on every source that is here, and write what came of it.

Writes docs/compatibility/<source>.json and docs/compatibility.md. A source that is not here keeps its results.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys

from tests.conformance import matrix, results, switches
from tests.conformance.sources import SOURCES


def _commit() -> str:
    """The commit that was measured; with a + when the working tree differs from it."""
    git = ["git", "-C", str(results.ROOT)]
    name = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", ".", ":!docs/compatibility", ":!docs/compatibility.md"],
        capture_output=True,
        text=True,
        check=True,
    )
    return name.stdout.strip() + ("+" if changed.stdout.strip() else "")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--source", action="append", help="only this one, or switches (may be repeated)")
    parser.add_argument("--page-only", action="store_true", help="only write docs/compatibility.md anew")
    arguments = parser.parse_args()
    today, commit = datetime.datetime.now(datetime.UTC).date().isoformat(), _commit()
    failed = 0
    for source in () if arguments.page_only else SOURCES:
        if arguments.source and source.name not in arguments.source:
            continue
        if (reason := source.here()) is not None:
            print(f"{source.name:24} left as it is: {reason}")
            continue
        rows = results.measure(source, today, commit, print)
        failed += sum(row["outcome"] == "fails" for row in rows)
        results.write(source, rows)
    if not arguments.page_only and (not arguments.source or "switches" in arguments.source):
        failed += switches.measure(commit, print)
    switches.PAGE.write_text(switches.page())
    matrix.PAGE.write_text(matrix.page())
    print(f"{failed} operations fail; written: {matrix.PAGE.relative_to(results.ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
