"""What must agree between the files of the collection."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.palebluedot.gpu.plugins.module_utils import errors, options

ROOT = Path(__file__).parents[3] / "collections/ansible_collections/palebluedot/gpu"
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
RUNTIME = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())
FAMILIES = {"bmc", "service", "switch", "tinkerbell"}
# An option that only modules of this group have.
MARKS = {"bmc": "bmc_address", "service": "api_url", "switch": "switch_address", "tinkerbell": "kubeconfig"}


def module(name: str) -> Any:
    return importlib.import_module(f"ansible_collections.palebluedot.gpu.plugins.modules.{name}")


def test_every_module_is_routed_and_has_an_action_plugin_of_its_name() -> None:
    """Without the latter its imports are paid once a host: core loads no routed action plugin before it forks."""
    routed = RUNTIME["plugin_routing"]["modules"]
    assert sorted(routed) == MODULES
    for name in MODULES:
        family = routed[name]["action_plugin"].removeprefix("palebluedot.gpu.")
        assert family in FAMILIES
        text = (ROOT / f"plugins/action/{name}.py").read_text()
        assert f"from ansible_collections.palebluedot.gpu.plugins.action.{family} import ActionModule" in text
        assert f'preload("{name}")' in text


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_documented_and_in_the_groups_that_its_documentation_names(name: str) -> None:
    loaded = module(name)
    documentation = yaml.safe_load(loaded.DOCUMENTATION)
    assert documentation["module"] == name
    assert yaml.safe_load(loaded.EXAMPLES)
    assert yaml.safe_load(loaded.RETURN)
    groups = {f"palebluedot.gpu.{group}" for group, members in RUNTIME["action_groups"].items() if name in members}
    connects = set(MARKS.values()) & set(loaded.SPEC["argument_spec"])
    assert groups or not connects, "module_defaults can set its connection once"
    attributes: dict[str, Any] = dict(documentation.get("attributes", {}))
    for used in documentation["extends_documentation_fragment"]:
        fragment, _dot, part = used.removeprefix("palebluedot.gpu.").partition(".")
        holder = importlib.import_module(f"ansible_collections.palebluedot.gpu.plugins.doc_fragments.{fragment}")
        text = getattr(holder.ModuleDocFragment, part.upper() or "DOCUMENTATION")
        attributes |= yaml.safe_load(text).get("attributes", {})
    assert set(attributes.get("action_group", {"membership": []})["membership"]) == groups


def test_groups_and_routes_name_no_module_that_is_gone() -> None:
    grouped = {name for members in RUNTIME["action_groups"].values() for name in members}
    assert grouped | set(RUNTIME["plugin_routing"]["modules"]) == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_documented_requirements_are_those_that_are_installed(name: str) -> None:
    """In the documentation, in the collection's requirements.txt and in pyproject.toml."""
    wanted = set((ROOT / "requirements.txt").read_text().split("\n"))
    ours = tomllib.loads((ROOT.parents[3] / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {line for line in wanted if line and not line.startswith("#")} <= set(ours)
    for said in yaml.safe_load(module(name).DOCUMENTATION).get("requirements", []):
        package, _at_least, version = said.removesuffix(" for IPMI").partition(" >= ")
        assert f"{package}>={version}" in wanted, said


@pytest.mark.parametrize("group", sorted(MARKS))
def test_a_group_holds_the_modules_that_share_its_options(group: str) -> None:
    sharing = {name for name in MODULES if MARKS[group] in module(name).SPEC["argument_spec"]}
    assert set(RUNTIME["action_groups"][group]) == sharing


@pytest.mark.parametrize("name", MODULES)
def test_documentation_and_spec_agree(name: str) -> None:
    """Names, types, defaults and choices; what fragments document is in `options`."""
    loaded = module(name)
    documented = yaml.safe_load(loaded.DOCUMENTATION)["options"] or {}
    shared = {**options.service(), **options.bmc(), **options.switch(), **options.tinkerbell()}
    spec = loaded.SPEC["argument_spec"]
    assert set(documented) == {option for option in spec if option not in shared or option in documented}
    for option, document in documented.items():
        said = spec[option]
        assert document.get("type", "str") == said.get("type", "str"), option
        assert document.get("default") == said.get("default"), option
        assert document.get("choices") == said.get("choices"), option
        assert document.get("required", False) == said.get("required", False), option
        assert document.get("elements") == said.get("elements"), option


@pytest.mark.parametrize("group", ["service", "bmc", "switch", "tinkerbell"])
def test_fragments_and_specs_agree(group: str) -> None:
    fragment = importlib.import_module(f"ansible_collections.palebluedot.gpu.plugins.doc_fragments.{group}")
    documented = yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"]
    spec = getattr(options, group)()
    own = {name: said for name, said in spec.items() if group == "service" or name not in options.service()}
    assert set(documented) == set(own)
    for name, said in own.items():
        document = documented[name]
        assert (document["type"], document.get("default")) == (said["type"], said.get("default")), name
        assert document.get("choices") == said.get("choices"), name
        assert document.get("required", False) == said.get("required", False), name
        for variable in said["fallback"][1]:
            assert f"E({variable})" in "".join(document["description"]), name


@pytest.mark.parametrize("name", MODULES)
def test_every_module_supports_check_mode(name: str) -> None:
    assert module(name).SPEC["supports_check_mode"] is True


@pytest.mark.parametrize(
    ("family", "package"),
    [
        ("bmc.redfish.transport", "redfish"),
        ("bmc.ipmi.client", "pyghmi"),
        ("tinkerbell.kube", "kubernetes"),
        ("switch.gnmi", "pygnmi"),
        ("tinkerbell.templatedata", "PyYAML"),
    ],
)
def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, family: str, package: str) -> None:
    """Modules can be imported without it (ansible-doc, ansible-test), and say what to install when they run."""
    loaded = importlib.import_module(f"ansible_collections.palebluedot.gpu.plugins.module_utils.{family}")
    monkeypatch.setattr(loaded, "MISSING", ImportError(f"No module named {package!r}"))
    calls: dict[str, Any] = {
        "bmc.redfish.transport": lambda: loaded.RedfishTransport("a", None, "", ""),
        "bmc.ipmi.client": lambda: loaded.IpmiBmc("a", None, "", "", timeout=1).power_state(),
        "tinkerbell.kube": lambda: loaded.Kube(),
        "switch.gnmi": lambda: loaded.Session("a", 1, None, username="", password="", ca_path=None, seconds=1),
        "tinkerbell.templatedata": lambda: loaded.check("t", "name: t"),
    }
    with pytest.raises(errors.Unsupported, match=f"package {package} is not installed") as caught:
        calls[family]()
    assert caught.value.code == "package_missing"


def test_secrets_are_declared_as_such() -> None:
    for name in MODULES:
        for option, said in module(name).SPEC["argument_spec"].items():
            if ("password" in option and "choices" not in said) or option.endswith("_token"):
                assert said.get("no_log") is True, (name, option)
            elif "credential" in option or "token" in option or "key" in option:
                assert said.get("no_log") is False, (name, option, "say that it is none")
