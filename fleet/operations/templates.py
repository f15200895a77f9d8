"""The template library: files go into the record, once a version."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet import audit, steps, template_document
from fleet.actor import OPERATORS, SYSTEM, Actor
from fleet.errors import Conflict, Invalid, NotFound
from fleet.models import Allocation, Image, Template, Workflow
from fleet.settings import get_settings
from fleet.template_document import TemplateDocument


class Seeded(NamedTuple):
    """What became of one template."""

    name: str
    version: str
    outcome: Literal["created", "updated", "unchanged"]


def seed(session: Session, directory: Path | None = None) -> list[Seeded]:
    """Bring every `*.yml` of the templates folder into the record. Raises Invalid or Conflict naming the file."""
    folder = directory or get_settings().templates_dir
    return [
        store(session, SYSTEM, file.read_text(encoding="utf-8"), str(file)) for file in sorted(folder.glob("*.yml"))
    ]


def store(session: Session, actor: Actor, content: str, label: str = "template") -> Seeded:
    """Store one document. A version that something used is never changed: other content for it is a Conflict."""
    actor.require(*OPERATORS)
    try:
        document = template_document.parse(content)
        steps.plan(document.steps)
    except Invalid as error:
        error.message = f"{label}: {error.message}"
        raise
    found = session.scalar(select(Template).where(Template.name == document.name, Template.version == document.version))
    if found is not None and found.content_sha256 == document.sha256:
        return Seeded(document.name, document.version, "unchanged")
    outcome: Literal["created", "updated"]
    if found is None:
        serial = session.scalar(select(func.max(Template.serial)).where(Template.name == document.name)) or 0
        found = Template(name=document.name, version=document.version, serial=serial + 1)
        outcome = "created"
    elif _used(session, found):
        raise Conflict(
            f"{label}: version {document.version} of template {document.name} is in use and cannot be changed",
            code="template_immutable",
            next="give the changed document a new version",
        )
    else:
        outcome = "updated"
    found.kind = document.kind
    found.description = document.description[:1024]
    found.content = content
    found.content_sha256 = document.sha256
    found.image_id = _image(session, document)
    session.add(found)
    session.flush()
    audit.record(session, actor, f"template.{outcome}", found.id, {"name": found.name, "version": found.version})
    return Seeded(document.name, document.version, outcome)


def placeholder(session: Session, name: str, description: str) -> Template:
    """A row for what was never rendered: an allocation names a template, and an adopted server has none.

    Its kind is its name, so that nothing finds it that looks for something to install.
    """
    content = f"# {description}\n"
    row = Template(
        name=name,
        version="1",
        serial=1,
        kind=name,
        description=description,
        content=content,
        content_sha256=hashlib.sha256(content.encode()).hexdigest(),
    )
    session.add(row)
    session.flush()
    return row


def find(session: Session, name: str, version: str | None = None, kind: str | None = None) -> Template:
    """By name (or id) and version; without a version the newest. Raises NotFound naming what there is."""
    query = select(Template).where((Template.name == name) | (Template.id == name))
    if version is not None:
        query = query.where(Template.version == version)
    if kind is not None:
        query = query.where(Template.kind == kind)
    found = session.scalar(query.order_by(Template.serial.desc()).limit(1))
    if found is None:
        others = select(Template.name, Template.version).order_by(Template.name, Template.serial)
        if kind is not None:
            others = others.where(Template.kind == kind)
        known = ", ".join(f"{row.name} {row.version}" for row in session.execute(others.limit(50)))
        wanted = f"{name} {version}" if version else name
        raise NotFound(
            f"there is no template {wanted}" + (f" of kind {kind}" if kind else ""),
            code="unknown_template",
            answer=f"templates: {known or 'none'}",
            next="name one of them; `palebluedot db upgrade` seeds the shipped library",
        )
    return found


def _used(session: Session, template: Template) -> bool:
    by_allocation = select(Allocation.id).where(Allocation.template_id == template.id).limit(1)
    by_workflow = select(Workflow.id).where(Workflow.template_id == template.id).limit(1)
    return session.scalar(by_allocation) is not None or session.scalar(by_workflow) is not None


def _image(session: Session, document: TemplateDocument) -> str | None:
    if document.image is None or not document.image.get("url") or not document.image.get("sha256"):
        # an image without its digest is a name, not an image
        return None
    url, sha256 = str(document.image["url"]), str(document.image["sha256"])
    image = session.scalar(select(Image).where(Image.url == url, Image.sha256 == sha256))
    if image is None:
        image = Image(
            url=url,
            sha256=sha256,
            os=" ".join(document.operating_system.values()) or None,
            signature=document.image.get("signature"),
        )
        session.add(image)
    driver = document.image.get("driver_version")
    image.driver_version = str(driver) if driver else None
    session.flush()
    return image.id
