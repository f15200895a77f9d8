"""docs/enrolment.md shows a rule file that is one, and facts that there are."""

from __future__ import annotations

import re
from pathlib import Path

from fleet.enrolment import rules

PAGE = Path(__file__).resolve().parents[3] / "docs" / "enrolment.md"


def test_the_rule_file_of_the_page_is_one() -> None:
    found = re.search(r"```yaml\n(mode.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    ruleset = rules.parse(found.group(1))
    facts = {"expected": True, "model": "DGXH100", "vendor": "AMI"}
    assert rules.evaluate(ruleset, facts).assigned["model_class"] in ruleset.classes
    assert rules.evaluate(ruleset, {**facts, "expected": False}).assigned == {"quarantine": "not on the delivery list"}
