"""The rule file: what the facts of an inspection make of a server, and why.

One YAML document, kept in the record version by version (or read from the file that `PALEBLUEDOT_ENROLMENT_RULES_FILE`
names while the record has none)::

    mode: first                # or `all`: every rule that fits, in order; a later one overrides an earlier one
    classes:                   # bills of materials, see fleet.enrolment.bom
      dgx-h100: {gpus: {count: 8, model: H100, pcie_width: 16}, dimms: {count: 32, size_gb: 64}}
    profiles:                  # hardware profiles that rules may set
      training: {bios: {SriovEnable: Enabled}, boot_order: [pxe, hdd]}
    rules:
      - name: unknown-machine
        when: [{fact: expected, eq: false}]
        set: {quarantine: not on the delivery list}
      - name: dgx-h100
        when: [{fact: model, matches: ^DGXH100}, {fact: gpu_count, ge: 8}]
        set: {model_class: dgx-h100, pool: training, tags: [nvlink], hardware_profile: training}

A rule fires when all of its conditions hold. A fact that is not known makes every condition false but `exists: false`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import best_match  # type: ignore[import-untyped]
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet import audit
from fleet.actor import OPERATORS, Actor
from fleet.enrolment import bom
from fleet.errors import Invalid
from fleet.models import EnrolmentRules
from fleet.settings import get_settings

LONGEST = 64 * 1024
LONGEST_PATTERN = 200
# how much of a fact a pattern sees: more would let a pattern that is slow take the record's time
LONGEST_FACT = 128
# `(a+)+`, `(a*b){2,}`: a group that repeats something and is repeated takes exponential time
_NESTED = re.compile(r"[*+}][^()]*\)+[?]?[*+{]")
_NAME = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"}
_SCALAR = {"type": ["string", "number", "boolean"]}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 128}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Enrolment rules",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "mode": {"enum": ["first", "all"]},
        "classes": {"type": "object", "propertyNames": _NAME, "additionalProperties": bom.SCHEMA},
        "profiles": {
            "type": "object",
            "propertyNames": _NAME,
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "bios": {"type": "object"},
                    "boot_order": {"type": "array", "maxItems": 100, "items": _TEXT},
                },
            },
        },
        "rules": {
            "type": "array",
            "maxItems": 1000,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "set"],
                "properties": {
                    "name": _NAME,
                    "description": {"type": "string"},
                    "when": {
                        "type": "array",
                        "maxItems": 100,
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["fact"],
                            "minProperties": 2,
                            "properties": {
                                "fact": _TEXT,
                                "eq": _SCALAR,
                                "matches": {"type": "string", "minLength": 1, "maxLength": LONGEST_PATTERN},
                                "in": {"type": "array", "items": _SCALAR, "minItems": 1, "maxItems": 100},
                                "ge": {"type": "number"},
                                "le": {"type": "number"},
                                "exists": {"type": "boolean"},
                            },
                        },
                    },
                    "set": {
                        "type": "object",
                        "additionalProperties": False,
                        "minProperties": 1,
                        "properties": {
                            "model_class": _NAME,
                            "pool": _TEXT,
                            "tags": {"type": "array", "maxItems": 100, "items": _TEXT, "uniqueItems": True},
                            "hardware_profile": _NAME,
                            "quarantine": {"type": "string", "minLength": 1, "maxLength": 512},
                        },
                    },
                },
            },
        },
    },
}


@dataclass(frozen=True, slots=True)
class Ruleset:
    """A checked rule file. `version` is 0 for one that the record does not hold."""

    mode: str
    classes: dict[str, dict[str, Any]]
    profiles: dict[str, dict[str, Any]]
    rules: list[dict[str, Any]]
    version: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition as it came out: what it asks, what the fact is, and whether it holds."""

    text: str
    value: Any
    holds: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rule as it came out. `looked_at` is false after the first that fired, in mode `first`."""

    rule: str
    fired: bool
    looked_at: bool
    conditions: list[Condition]
    sets: dict[str, Any]


@dataclass(slots=True)
class Verdict:
    """What the rules make of a server: `assigned`, for each key the rule that said so, and every rule's outcome."""

    assigned: dict[str, Any] = field(default_factory=dict)
    by: dict[str, str] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)


def parse(content: str) -> Ruleset:
    """Read and check a rule file. Raises Invalid naming the place and what is wrong there."""
    return _parse(content)


@lru_cache(maxsize=16)
def _parse(content: str) -> Ruleset:
    if len(content) > LONGEST:
        raise Invalid(f"the rule file has more than {LONGEST} characters", code="invalid_rules")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, yaml.SafeLoader)):
            raise Invalid("the rule file has YAML aliases (*name): write it out", code="invalid_rules")
        raw = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid("the rule file is no YAML document", code="invalid_rules", answer=str(error)) from error
    try:
        # dates, sets, binaries and NaN are YAML and no JSON: neither the record nor an answer can hold them
        json.dumps(raw, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(
            "the rule file has values that JSON does not have",
            code="invalid_rules",
            answer=str(error),
            next="put dates and the like in quotes",
        ) from error
    raw = {} if raw is None else raw
    problem = best_match(Draft202012Validator(SCHEMA).iter_errors(raw))
    if problem is not None:
        where = "/".join(str(part) for part in problem.absolute_path) or "the document"
        raise Invalid(
            f"rule file: {where}: {problem.message}"[:1024],
            code="invalid_rules",
            next="GET /api/v1/enrolment-rules/schema is its JSON schema",
        )
    found = Ruleset(
        raw.get("mode", "first"), raw.get("classes") or {}, raw.get("profiles") or {}, raw.get("rules") or []
    )
    _check_references(found)
    return found


def _check_references(ruleset: Ruleset) -> None:
    names: set[str] = set()
    for rule in ruleset.rules:
        label = f"rule file: rule {rule['name']}"
        if rule["name"] in names:
            raise Invalid(f"{label} stands there twice", code="invalid_rules")
        names.add(rule["name"])
        wanted = rule["set"].get("model_class")
        if wanted is not None and ruleset.classes and wanted not in ruleset.classes:
            raise Invalid(
                f"{label}: there is no class {wanted}",
                code="invalid_rules",
                answer=f"classes: {', '.join(sorted(ruleset.classes))}",
            )
        profile = rule["set"].get("hardware_profile")
        if profile is not None and profile not in ruleset.profiles:
            raise Invalid(
                f"{label}: there is no profile {profile}",
                code="invalid_rules",
                answer=f"profiles: {', '.join(sorted(ruleset.profiles)) or 'none'}",
            )
        for condition in rule.get("when") or []:
            if "matches" in condition:
                if _NESTED.search(condition["matches"]):
                    raise Invalid(
                        f"{label}: {condition['matches']!r} repeats what repeats already",
                        code="invalid_rules",
                        next="write the pattern with one repetition: (a+)+ is a+",
                    )
                try:
                    re.compile(condition["matches"])
                except re.error as error:
                    raise Invalid(
                        f"{label}: {condition['matches']!r} is no regular expression",
                        code="invalid_rules",
                        answer=str(error),
                    ) from error


def evaluate(ruleset: Ruleset, facts: dict[str, Any]) -> Verdict:
    """Ask every rule in order."""
    verdict = Verdict()
    decided = False
    for rule in ruleset.rules:
        if decided:
            verdict.outcomes.append(Outcome(rule["name"], False, False, [], rule["set"]))
            continue
        conditions = [_condition(condition, facts) for condition in rule.get("when") or []]
        fired = all(condition.holds for condition in conditions)
        verdict.outcomes.append(Outcome(rule["name"], fired, True, conditions, rule["set"]))
        if not fired:
            continue
        for key, value in rule["set"].items():
            if key == "tags":
                value = list(dict.fromkeys([*verdict.assigned.get("tags", []), *value]))
            if key == "quarantine" and key in verdict.assigned:
                value = f"{verdict.assigned[key]}; {value}"
            verdict.assigned[key] = value
            verdict.by[key] = rule["name"]
        decided = ruleset.mode == "first"
    return verdict


def look_up(facts: dict[str, Any], path: str) -> Any:
    """A fact by name, or by a dotted path into it (`capabilities.vendor`, `gpus.0.model`); None where there is none."""
    if path in facts:
        return facts[path]
    found: Any = facts
    for part in path.split("."):
        if isinstance(found, dict):
            found = found.get(part)
        elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return None
    return found


def _condition(condition: dict[str, Any], facts: dict[str, Any]) -> Condition:
    value = look_up(facts, condition["fact"])
    tests = {key: wanted for key, wanted in condition.items() if key != "fact"}
    text = f"{condition['fact']} " + " and ".join(f"{key} {wanted!r}" for key, wanted in tests.items())
    return Condition(text, value, all(_holds(key, wanted, value) for key, wanted in tests.items()))


def _holds(test: str, wanted: Any, value: Any) -> bool:
    if test == "exists":
        return (value is not None) is wanted
    if value is None:
        return False
    if isinstance(value, list):
        # of a list of facts (gpu_models, tags) one is enough
        return any(_holds(test, wanted, item) for item in value)
    if test == "eq":
        return _same(value, wanted)
    if test == "in":
        return any(_same(value, item) for item in wanted)
    if test == "matches":
        return isinstance(value, str) and re.search(wanted, value[:LONGEST_FACT]) is not None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return bool(value >= wanted) if test == "ge" else bool(value <= wanted)


def _same(value: Any, wanted: Any) -> bool:
    # True == 1 in Python, and not here
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted


# -- which rules hold --------------------------------------------------------------------------------------------------


def current(session: Session) -> Ruleset:
    """The rules that hold now: the record's newest, else the file of the settings, else none."""
    row = newest(session)
    if row is not None:
        found = parse(row.content)
        return Ruleset(found.mode, found.classes, found.profiles, found.rules, row.version)
    path = get_settings().enrolment_rules_file
    return Ruleset("first", {}, {}, []) if path is None else parse(read_file(path))


def read_file(path: Path) -> str:
    """The rule file of the settings."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(
            f"the rule file {path} cannot be read",
            code="invalid_rules",
            answer=str(error),
            next="correct PALEBLUEDOT_ENROLMENT_RULES_FILE, or store the rules: palebluedot rules set FILE",
        ) from error


def newest(session: Session) -> EnrolmentRules | None:
    """The record's newest version."""
    return session.scalar(select(EnrolmentRules).order_by(EnrolmentRules.version.desc()).limit(1))


def store(session: Session, actor: Actor, content: str) -> EnrolmentRules:
    """Keep a rule file as the newest version; the same text as the newest again is no new version."""
    actor.require(*OPERATORS)
    parse(content)
    digest = hashlib.sha256(content.encode()).hexdigest()
    present = newest(session)
    if present is not None and present.content_sha256 == digest:
        return present
    version = (session.scalar(select(func.max(EnrolmentRules.version))) or 0) + 1
    row = EnrolmentRules(version=version, content=content, content_sha256=digest, created_by=actor.username)
    session.add(row)
    audit.record(session, actor, "enrolment_rules.set", None, {"version": version, "sha256": digest})
    session.flush()
    return row
