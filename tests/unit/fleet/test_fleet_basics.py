"""Ids, settings, steps, rendering, template documents, secrets, actors, errors."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet import clock, errors, ids, placement, rendering, secrets, steps, template_document
from fleet.actor import Actor
from fleet.operations import workflows
from fleet.settings import Settings, get_settings


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site's own key files."""
    monkeypatch.setenv("PALEBLUEDOT_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    secrets._keyring.cache_clear()
    yield tmp_path / "keys"
    get_settings.cache_clear()
    secrets._keyring.cache_clear()


# -- ids


def test_ids_are_uuid7_with_a_prefix_and_sort_by_birth() -> None:
    made = [ids.new_id("wf") for _ in range(5000)]
    assert made == sorted(made) and len(set(made)) == 5000
    value = uuid.UUID(made[0].removeprefix("wf_"))
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert abs((value.int >> 80) / 1000 - time.time()) < 10


def test_ids_are_unique_over_threads() -> None:
    made: list[str] = []

    def make() -> None:
        made.extend(ids.uuid7_hex() for _ in range(2000))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 16000


def test_an_id_says_what_it_is() -> None:
    identifier = ids.new_id("alloc")
    assert ids.prefix(identifier) == "alloc" and ids.prefix("gpu-01") == ""
    assert len(ids.short(identifier)) == 12 and identifier.endswith(ids.short(identifier))


# -- settings


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("PALEBLUEDOT_"):
            monkeypatch.delenv(name)
    plain = Settings()
    assert plain.database_url == f"sqlite:///{plain.data_dir / 'palebluedot.db'}"
    assert plain.public_url == plain.api_url == "http://127.0.0.1:8080"
    assert plain.master_key_file == plain.data_dir / "keys" / "master.key"
    monkeypatch.setenv("PALEBLUEDOT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PALEBLUEDOT_API_PORT", "9000")
    monkeypatch.setenv("PALEBLUEDOT_INFLUX_TOKEN", "hush")
    changed = Settings()
    assert changed.database_url == f"sqlite:///{tmp_path}/palebluedot.db"
    assert changed.public_url.endswith(":9000")
    assert "hush" not in repr(changed)


def test_the_state_limits_speak_of_states_that_exist() -> None:
    from fleet.states import TRANSITIONS

    for key in Settings().state_limits_s:
        entity, _, state = key.partition("/")
        assert state in TRANSITIONS[entity]


def test_importing_the_secrets_hashes_nothing() -> None:
    code = "import argon2; argon2.PasswordHasher.hash = None; import fleet.secrets"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# -- clock


def test_times_are_written_as_rfc3339_in_utc() -> None:
    moment = datetime(2026, 8, 1, 14, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    assert clock.rfc3339(moment) == "2026-08-01T12:00:00.123Z"
    assert clock.rfc3339(None) is None


def test_time_travel_ends_with_its_block() -> None:
    with clock.travel(timedelta(hours=1)), clock.travel(timedelta(hours=1)):
        assert clock.utcnow() - datetime.now(UTC) > timedelta(minutes=119)
    assert abs(clock.utcnow() - datetime.now(UTC)) < timedelta(seconds=1)


# -- steps


def register(folder: Path, name: str, **rule: Any) -> None:
    meta = folder / name / "meta"
    meta.mkdir(parents=True, exist_ok=True)
    (meta / "step.yml").write_text(yaml.safe_dump({"step": name, **rule}))


def test_steps_are_read_from_their_roles(tmp_path: Path) -> None:
    register(tmp_path, "wipe", destructive=True, timeout_s=7200, retries=1, server_state={"begin": "cleaning"})
    register(tmp_path, "look")
    register(tmp_path, "let_in", compensation="clean")
    rules = steps.load(tmp_path)
    assert rules["wipe"] == steps.StepRule("wipe", "", True, 7200, 1, "cleaning", None)
    assert rules["look"] == steps.StepRule("look")
    assert [rules[name].plan_entry([])["compensation"] for name in ("look", "let_in")] == [None, "clean"]


@pytest.mark.parametrize(
    "document",
    [
        {"step": "other"},
        {"step": "a", "server_state": {"end": "flying"}},
        {"step": "a", "retries": "many"},
        {"step": "a", "compensation": "pray"},
        {"step": "a", "compensation": ["clean"]},
    ],
)
def test_a_wrong_step_file_is_named(tmp_path: Path, document: dict[str, Any]) -> None:
    register(tmp_path, "a")
    (tmp_path / "a" / "meta" / "step.yml").write_text(yaml.safe_dump(document))
    with pytest.raises(errors.Invalid, match=r"a/meta/step\.yml"):
        steps.load(tmp_path)


RULES = {name: steps.StepRule(name) for name in "abcdef"}


def test_a_plan_honours_needs_and_else_the_order_as_written() -> None:
    listed = [{"name": "c", "needs": ["a"]}, {"name": "b", "needs": []}, {"name": "a", "needs": []}]
    assert [entry["name"] for entry in steps.plan(listed, RULES)] == ["b", "a", "c"]


def test_without_needs_a_step_follows_the_one_above() -> None:
    planned = steps.plan([{"name": "a"}, {"name": "b"}, {"name": "c", "needs": []}], RULES)
    assert {entry["name"]: entry["needs"] for entry in planned} == {"a": [], "b": ["a"], "c": []}


@pytest.mark.parametrize(
    ("listed", "what"),
    [
        ([{"name": "x"}], "not registered"),
        ([{"name": "a"}, {"name": "a"}], "twice"),
        ([{"name": "a", "needs": ["b"]}], "does not list"),
        ([{"name": "a", "needs": ["b"]}, {"name": "b", "needs": ["a"]}], "circle"),
    ],
)
def test_a_plan_that_cannot_be_walked_is_refused(listed: list[dict[str, Any]], what: str) -> None:
    with pytest.raises(errors.Invalid, match=what):
        steps.plan(listed, RULES)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef"))))
def test_in_every_plan_that_is_accepted_needs_come_first(needed: dict[str, set[str]]) -> None:
    listed = [{"name": name, "needs": sorted(needs)} for name, needs in needed.items()]
    try:
        planned = steps.plan(listed, RULES)
    except errors.Invalid:
        return
    done: set[str] = set()
    for entry in planned:
        assert set(entry["needs"]) <= done
        done.add(entry["name"])
    assert done == set(needed)


# -- rendering


def test_only_our_own_delimiters_are_filled() -> None:
    text = "{{ .Hardware }} [[ name ]] {% raw %} ${HOME} [# gone #][% if on %]yes[% endif %]"
    assert rendering.render(text, {"name": "a", "on": True}, "t") == "{{ .Hardware }} a {% raw %} ${HOME} yes"


def test_values_can_be_quoted() -> None:
    variables = {"keys": ['ssh-rsa "x"', "b"], "tree": {"a": [1, 2]}}
    assert rendering.render("[[ keys | to_json ]]", variables, "t") == '["ssh-rsa \\"x\\"", "b"]'
    text = rendering.render("root:\n  [[ tree | to_yaml(2) ]]\n", variables, "t")
    assert yaml.safe_load(text) == {"root": {"a": [1, 2]}}


@pytest.mark.parametrize(
    "text",
    [
        "[[ missing ]]",
        "[[ name.missing.deep ]]",
        "[[ 1 // 0 ]]",
        "[[ name.__class__.__mro__ ]]",
        "[[ ''.__class__.__base__.__subclasses__() ]]",
        "[% for x in range(99999999) %].[% endfor %]",
        "[[ keys.append(1) ]]",
    ],
)
def test_what_cannot_or_must_not_be_rendered_is_refused(text: str) -> None:
    with pytest.raises(errors.Invalid, match="t cannot be rendered"):
        rendering.render(text, {"name": "a", "keys": []}, "t")


def test_a_broken_template_is_refused_before_it_is_used() -> None:
    with pytest.raises(errors.Invalid, match="no valid template"):
        rendering.check("[% if %]", "t")


# -- template documents

TEMPLATE: dict[str, Any] = {
    "name": "t",
    "version": 1,
    "kind": "os",
    "steps": [{"name": "a"}],
    "tinkerbell": "x",
    "parameters": {
        "type": "object",
        "properties": {"size": {"type": "integer", "default": 3}, "name": {"type": "string"}},
        "required": ["size"],
        "additionalProperties": False,
    },
}


def parse(**changes: Any) -> template_document.TemplateDocument:
    return template_document.parse(yaml.safe_dump({**TEMPLATE, **changes}))


def test_parameters_are_checked_and_filled() -> None:
    document = parse()
    assert document.version == "1"
    assert document.fill({}) == {"size": 3}
    assert document.fill({"size": 5, "name": "x"}) == {"size": 5, "name": "x"}
    for wrong in ({"size": "big"}, {"other": 1}):
        with pytest.raises(errors.Invalid) as caught:
            document.fill(wrong)
        assert caught.value.code == "invalid_parameters"


def test_without_a_schema_there_are_no_parameters() -> None:
    with pytest.raises(errors.Invalid):
        parse(parameters=None).fill({"a": 1})


@pytest.mark.parametrize(
    "changes",
    [
        {"name": None},
        {"kind": "boat"},
        {"colour": "red"},
        {"steps": "a"},
        {"steps": [{"needs": []}]},
        {"image": "http://x"},
        {"parameters": {"type": "banana"}},
        {"tinkerbell": "[% if %]"},
        {"user_data": "[[ "},
    ],
)
def test_a_wrong_document_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(errors.Invalid):
        parse(**changes)


@pytest.mark.parametrize("text", ["[", "just text", ""])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(errors.Invalid):
        template_document.parse(text)


def test_an_operating_system_is_named_either_way() -> None:
    assert parse(os="talos").operating_system == {"distro": "talos"}
    assert parse(os={"distro": "ubuntu", "version": 24.04, "x": 1}).operating_system == {
        "distro": "ubuntu",
        "version": "24.04",
    }
    assert parse().operating_system == {}


# -- secrets


def test_key_files_are_made_once_and_only_for_their_owner(keys: Path) -> None:
    first = secrets.jwt_secret()
    assert secrets.jwt_secret() == first and len(first) >= 32
    mode = stat.S_IMODE((keys / "jwt.key").stat().st_mode)
    assert mode == 0o600
    assert [file.name for file in keys.iterdir()] == ["jwt.key"]


def test_processes_that_start_at_once_read_the_same_key(keys: Path) -> None:
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(secrets.jwt_secret())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 16 and len(set(seen)) == 1


def test_what_is_encrypted_comes_back_and_never_looks_the_same(keys: Path) -> None:
    first, second = (secrets.encrypt("calvin", "srv_1") for _ in range(2))
    assert first != second and b"calvin" not in first[2]
    assert secrets.decrypt(*first, "srv_1") == "calvin"
    with pytest.raises(secrets.SecretError, match="does not open"):
        secrets.decrypt(*first, "srv_2")
    with pytest.raises(secrets.SecretError, match="does not open"):
        secrets.decrypt(first[0], first[1], first[2][:-1] + b"\x00", "srv_1")


def test_a_key_is_rotated_by_writing_the_new_one_above_the_old(keys: Path) -> None:
    old = secrets.encrypt("calvin", "srv_1")
    token = secrets.derive("report")
    file = keys / "master.key"
    file.write_bytes(base64.b64encode(os.urandom(32)) + b"\n" + file.read_bytes())
    secrets._keyring.cache_clear()
    assert secrets.decrypt(*old, "srv_1") == "calvin"
    assert secrets.encrypt("calvin", "srv_1")[0] != old[0]
    assert secrets.derive("report") == token != secrets.derive("other")
    file.write_bytes(base64.b64encode(os.urandom(32)))
    secrets._keyring.cache_clear()
    with pytest.raises(secrets.SecretError, match="not in the master key file"):
        secrets.decrypt(*old, "srv_1")


@pytest.mark.parametrize("content", [b"", base64.b64encode(b"short")])
def test_a_damaged_key_file_is_no_key(keys: Path, content: bytes) -> None:
    keys.mkdir()
    (keys / "master.key").write_bytes(content)
    with pytest.raises(secrets.SecretError):
        secrets.encrypt("x", "y")


def test_passwords() -> None:
    stored = secrets.hash_password("correct horse")
    assert secrets.verify_password(stored, "correct horse")
    assert not secrets.verify_password(stored, "wrong")
    assert not secrets.verify_password(None, "correct horse")
    assert not secrets.verify_password("damaged", "correct horse")
    assert not secrets.needs_rehash(stored)


# -- the rest


def test_names_of_tinkerbells_objects_are_dns_labels_and_stay_different() -> None:
    long = [workflows.dns_label("allocate", "0123456789ab", "x" * 60 + end) for end in "ab"]
    assert long[0] != long[1]
    assert all(len(name) <= 57 and not name.endswith("-") for name in long)
    assert workflows.dns_label("release", "0123456789ab", "gpu-01") == "release-0123456789ab-gpu-01"


def test_an_actor_knows_its_limits() -> None:
    job = Actor("usr_1", "job", "automation", "wf_1")
    job.require("automation")
    job.require_workflow("wf_1")
    with pytest.raises(errors.Forbidden):
        job.require("admin")
    with pytest.raises(errors.Forbidden):
        job.require_workflow("wf_2")
    Actor("usr_1", "op", "operator").require_workflow("wf_2")


def test_an_error_tells_all_it_knows_and_nothing_else() -> None:
    error = errors.Invalid("no", code="invalid_x", tried="a", next="b", detail={"sizes": [8]})
    assert error.as_dict() == {
        "code": "invalid_x",
        "message": "no",
        "status": 422,
        "tried": "a",
        "next": "b",
        "sizes": [8],
    }
    assert str(error) == "no" and errors.Invalid("x").code == "invalid"


def test_the_ledger_of_a_placement_is_a_sentence() -> None:
    lines = [
        {"filter": "fleet", "left": 8, "removed": 0, "why": "servers in the record"},
        {"filter": "state", "left": 2, "removed": 6, "why": "they are not available"},
        {"filter": "hands_off", "left": 2, "removed": 0, "why": "x"},
    ]
    assert placement.ledger.sentence(lines) == "8 servers; 6 left out because they are not available; 2 left"
