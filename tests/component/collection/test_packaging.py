"""What leaves the repository: the collection's archive, and the context of the execution environment's image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[3]
COLLECTION = REPOSITORY / "collections/ansible_collections/palebluedot/gpu"
BIN = Path(sys.executable).parent
MODULES = sorted(path.stem for path in (COLLECTION / "plugins/modules").glob("*.py"))


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Standard output of one of the environment's programs; a failure shows what it said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PALEBLUEDOT_"))}
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=cwd,
        env={**kept, "HOME": str(cwd), "ANSIBLE_NOCOLOR": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as ``ansible-galaxy collection build`` packs it."""
    folder = tmp_path_factory.mktemp("archive")
    run("ansible-galaxy", "collection", "build", "--output-path", folder, COLLECTION, cwd=folder)
    (found,) = folder.glob("palebluedot-gpu-*.tar.gz")
    return found


def test_the_archive_holds_the_collection_and_nothing_that_was_left_around(archive: Path) -> None:
    with tarfile.open(archive) as packed:
        names = {member.name for member in packed if member.isfile()}
    source = {str(path.relative_to(COLLECTION)) for path in COLLECTION.rglob("*.py")}
    assert source <= names
    assert {"MANIFEST.json", "README.md", "CHANGELOG.md", "meta/runtime.yml", "requirements.txt", "bindep.txt"} <= names
    assert "galaxy.yml" not in names, "MANIFEST.json takes its place"
    assert [name for name in names if "__pycache__" in name or ".cache" in name or "tests/output" in name] == []


def test_the_archive_installs_without_a_network_and_documents_every_module(archive: Path, tmp_path: Path) -> None:
    run("ansible-galaxy", "collection", "install", "--offline", "-p", tmp_path / "installed", archive, cwd=tmp_path)
    listed = json.loads(
        run(
            *("ansible-doc", "--json", "--type", "module", "--list", "palebluedot.gpu"),
            cwd=tmp_path,
            ANSIBLE_COLLECTIONS_PATH=str(tmp_path / "installed"),
        )
    )
    assert sorted(listed) == [f"palebluedot.gpu.{name}" for name in MODULES]
    assert all(listed.values()), "each has a short description"


def test_ansible_builder_makes_the_context_of_the_image(tmp_path: Path) -> None:
    """The image itself needs podman and a registry."""
    definition = REPOSITORY / "execution-environment.yml"
    run("ansible-builder", "create", "--file", definition, "--context", tmp_path / "context", cwd=tmp_path)
    (recipe,) = [path for path in (tmp_path / "context").iterdir() if path.name in ("Containerfile", "Dockerfile")]
    assert "quay.io/centos/centos:stream10" in recipe.read_text()
    # the collection is where the image's requirements say that it is
    (wanted,) = yaml.safe_load((tmp_path / "context/_build/requirements.yml").read_text())["collections"]
    assert wanted["type"] == "dir"
    inside = tmp_path / "context/_build" / Path(wanted["name"]).relative_to("/build")
    assert (inside / "galaxy.yml").read_bytes() == (COLLECTION / "galaxy.yml").read_bytes()


def test_the_image_gets_the_packages_that_the_collection_asks_for(tmp_path: Path) -> None:
    found = yaml.safe_load(run("ansible-builder", "introspect", REPOSITORY / "collections", cwd=tmp_path))
    python = {line.split(">=")[0] for line in found["python"]}
    assert {"redfish", "pyghmi", "pygnmi", "kubernetes", "requests"} <= python
    assert any(line.startswith("openssh-clients") for line in found["system"])
