"""The job templates of AWX: what a survey asks is what its playbook takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]


class Loader(yaml.SafeLoader):
    """With Ansible's own tag."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))

PLAY = yaml.load((ROOT / "playbooks/controller.yml").read_text(), Loader)[0]  # noqa: S506


def questions(template: dict[str, Any]) -> list[dict[str, Any]]:
    """The survey, with the questions that several templates share filled in."""
    shared = [re.search(r"survey_\w+", entry) if isinstance(entry, str) else None for entry in template["survey"]]
    return [
        PLAY["vars"][name.group()] if name else entry for name, entry in zip(shared, template["survey"], strict=True)
    ]


@pytest.mark.parametrize("template", PLAY["vars"]["job_templates"], ids=lambda template: template["playbook"])
def test_a_playbook_takes_what_its_survey_asks(template: dict[str, Any]) -> None:
    playbook = (ROOT / template["playbook"]).read_text()
    included = re.findall(r"include_tasks: (tasks/\S+)", playbook)
    playbook += "".join((ROOT / "playbooks" / name).read_text() for name in included)
    for question in questions(template):
        name = question["variable"]
        assert re.search(rf"{{{{[^}}]*\b{name}\b", playbook), f"{name} is asked for and not used"
        if not question["required"]:
            # AWX passes the default of a question that nobody answered, and that is an empty text
            assert f"{{{{ {name} | default(omit, true) }}}}" in playbook, name
