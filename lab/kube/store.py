"""The objects of the API server: resourceVersion, validation, conflicts, status subresource, watch.

Everything here is synchronous, so every write is atomic in the lab's one event loop. Stored objects are never changed
in place: callers may keep what they get, and must copy it before they change it.
"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lab.kube import managed
from lab.kube.document import clone
from lab.kube.errors import ApiError, Cause, already_exists, bad_request, conflict, expired, invalid, not_found
from lab.kube.managed import Writer
from lab.kube.schema import Schema, fill_defaults, prune, validate
from lab.kube.selectors import Predicate

Object = dict[str, Any]
Key = tuple[str, str]  # namespace, name
HISTORY = 4096  # events kept for watchers that resume; Kubernetes keeps some minutes of them

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")


@dataclass(frozen=True)
class Resource:
    """One kind of object. ``schema`` is None where the object is taken as it comes (the core kinds)."""

    group: str
    version: str
    kind: str
    plural: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    has_status: bool = False
    schema: Schema | None = field(default=None, compare=False)
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        return self.kind.lower()


NAMESPACE = Resource("", "v1", "Namespace", "namespaces", ("ns",), namespaced=False, has_status=True)
SECRET = Resource("", "v1", "Secret", "secrets")
CONFIG_MAP = Resource("", "v1", "ConfigMap", "configmaps", ("cm",))
CORE = (NAMESPACE, SECRET, CONFIG_MAP)


@dataclass(frozen=True)
class Event:
    """A committed write: ``type`` is ADDED, MODIFIED or DELETED; ``old`` is what stood there before."""

    version: int
    type: str
    resource: Resource
    obj: Object
    old: Object | None


Listener = Callable[[Event, str], None]  # the event, and the manager who wrote


class Watch:
    """A stream of events of one resource. Iterate it with ``async for``; ``close`` ends it."""

    def __init__(self, store: Store, resource: Resource, namespace: str | None, matches: Predicate) -> None:
        self._store = store
        self._resource = resource
        self._namespace = namespace
        self._matches = matches
        self._queue: asyncio.Queue[tuple[str, Object] | None] = asyncio.Queue()

    def offer(self, event: Event) -> None:
        if event.resource != self._resource:
            return
        if self._namespace is not None and event.obj["metadata"].get("namespace") != self._namespace:
            return
        matched_before = event.old is not None and self._matches(event.old)
        matches_now = event.type != "DELETED" and self._matches(event.obj)
        if matches_now:
            self._queue.put_nowait(("MODIFIED" if matched_before else "ADDED", event.obj))
        elif matched_before:
            self._queue.put_nowait(("DELETED", event.obj))

    def offer_existing(self, obj: Object) -> None:
        if self._matches(obj):
            self._queue.put_nowait(("ADDED", obj))

    def close(self) -> None:
        self._store.forget(self)
        self._queue.put_nowait(None)

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> tuple[str, Object]:
        item = await self._queue.get()
        if item is None:
            raise StopAsyncIteration
        return item


class Store:
    """All objects of the given resources. Namespaces ``default``, ``kube-system`` and ``tinkerbell`` exist."""

    def __init__(self, resources: Iterable[Resource], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self.resources: dict[tuple[str, str, str], Resource] = {
            (r.group, r.version, r.plural): r for r in (*CORE, *resources)
        }
        self._objects: dict[tuple[str, str], dict[Key, Object]] = {}
        self._version = 0
        self._events: deque[Event] = deque(maxlen=HISTORY)
        self._watches: list[Watch] = []
        self._listeners: list[Listener] = []
        self.started_at = self.timestamp()
        for name in ("default", "kube-system", "tinkerbell"):
            self.create(NAMESPACE, "", {"metadata": {"name": name}}, Writer("kube-apiserver"))

    # --- reading

    @property
    def version(self) -> int:
        return self._version

    def resource(self, group: str, version: str, plural: str) -> Resource | None:
        return self.resources.get((group, version, plural))

    def kind(self, group: str, kind: str) -> Resource:
        """The resource of a kind. Raises KeyError when it is not served."""
        for resource in self.resources.values():
            if (resource.group, resource.kind) == (group, kind):
                return resource
        raise KeyError(f"no resource of kind {kind} in group {group!r}")

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """Raises ApiError 404."""
        try:
            return self._of(resource)[(namespace, name)]
        except KeyError:
            raise not_found(resource.group, resource.plural, name) from None

    def list(self, resource: Resource, namespace: str | None, matches: Predicate = lambda obj: True) -> list[Object]:
        """Objects of one namespace, or of all when it is None, ordered by namespace and name."""
        return [
            obj
            for (where, _), obj in sorted(self._of(resource).items())
            if (namespace is None or where == namespace) and matches(obj)
        ]

    def watch(
        self,
        resource: Resource,
        namespace: str | None,
        since: int | None,
        matches: Predicate = lambda obj: True,
    ) -> Watch:
        """Events after resourceVersion ``since``; None or 0 starts with what exists. Raises ApiError 410."""
        watch = Watch(self, resource, namespace, matches)
        if not since:
            for obj in self.list(resource, namespace):
                watch.offer_existing(obj)
        else:
            oldest = self._events[0].version if self._events else self._version + 1
            if since < oldest - 1:
                raise expired(since, oldest)
            for event in self._events:
                if event.version > since:
                    watch.offer(event)
        self._watches.append(watch)
        return watch

    def forget(self, watch: Watch) -> None:
        if watch in self._watches:
            self._watches.remove(watch)

    def close_watches(self) -> None:
        for watch in tuple(self._watches):
            watch.close()

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` after every commit, before the writer gets its answer."""
        self._listeners.append(listener)

    # --- writing

    def create(self, resource: Resource, namespace: str, body: Object, writer: Writer, dry_run: bool = False) -> Object:
        obj = self._incoming(resource, namespace, body)
        meta = obj["metadata"]
        if meta.get("resourceVersion"):
            raise ApiError(500, "InternalError", "resourceVersion should not be set on objects to be created")
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + secrets.token_hex(3)[:5]
        name = meta.get("name", "")
        if resource.namespaced and ("", namespace) not in self._of(NAMESPACE):
            raise not_found("", "namespaces", namespace)
        if resource.has_status:
            obj.pop("status", None)
        self._complete(resource, obj)
        self._check(resource, name, obj)
        if (namespace, name) in self._of(resource):
            raise already_exists(resource.group, resource.plural, name)
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": self.timestamp()}
        if resource.schema is not None:
            meta["generation"] = 1
        for given in ("deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"):
            meta.pop(given, None)
        managed.record_update(None, obj, writer, resource.schema, self.timestamp(), resource.api_version)
        return self._commit(resource, "ADDED", obj, None, writer, dry_run)

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Object,
        writer: Writer,
        dry_run: bool = False,
    ) -> Object:
        """Replace an object, or its status when ``writer.subresource`` is ``status``."""
        obj = self._incoming(resource, namespace, body)
        if obj["metadata"].setdefault("name", name) != name:
            sent = obj["metadata"]["name"]
            raise bad_request(f"the name of the object ({sent}) does not match the name on the URL ({name})")
        live = self.get(resource, namespace, name)
        if resource.schema is not None and not obj["metadata"].get("resourceVersion"):
            text = "Invalid value: 0: must be specified for an update"
            cause = Cause("FieldValueInvalid", text, "metadata.resourceVersion")
            raise invalid(resource.group, resource.plural, name, [cause])
        return self._replace(resource, live, obj, writer, dry_run)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Callable[[Object], Object],
        writer: Writer,
        dry_run: bool = False,
    ) -> Object:
        """Put ``change(object)`` in the object's place."""
        live = self.get(resource, namespace, name)
        body = change(clone(live))
        if not isinstance(body, dict) or not isinstance(body.get("metadata"), dict):
            raise bad_request("the patch leaves no object behind")
        if body["metadata"].get("name") != name:
            raise bad_request(f"the patch must not change the name of {name}")
        return self._replace(resource, live, self._incoming(resource, namespace, body), writer, dry_run)

    def apply(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Object,
        writer: Writer,
        force: bool = False,
        dry_run: bool = False,
    ) -> tuple[Object, bool]:
        """Server-side apply: the object, and whether it was created."""
        body = self._incoming(resource, namespace, body)
        if body["metadata"].setdefault("name", name) != name:
            sent = body["metadata"]["name"]
            raise bad_request(f"the name of the object ({sent}) does not match the name on the URL ({name})")
        if body["metadata"].get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        live = self._of(resource).get((namespace, name))
        if live is None:
            if writer.subresource:
                raise not_found(resource.group, resource.plural, name)
            return self.create(resource, namespace, body, writer, dry_run), True
        merged = managed.apply(live, body, writer, force, resource.schema, self.timestamp(), resource.api_version)
        if sent_version := body["metadata"].get("resourceVersion"):
            merged["metadata"]["resourceVersion"] = sent_version
        return self._replace(resource, live, merged, writer, dry_run, applied=True), False

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        writer: Writer,
        preconditions: dict[str, str] | None = None,
        dry_run: bool = False,
    ) -> tuple[Object, bool]:
        """The object, and whether it is gone; with finalizers it only gets a deletionTimestamp."""
        live = self.get(resource, namespace, name)
        for key, wanted in (preconditions or {}).items():
            if key in ("uid", "resourceVersion") and live["metadata"].get(key) != wanted:
                label = "UID" if key == "uid" else "ResourceVersion"
                why = (
                    f"the {label} in the precondition ({wanted}) does not match the {label} in record"
                    f" ({live['metadata'].get(key)}). The object might have been deleted and then recreated"
                    if key == "uid"
                    else f"the {label} in the precondition ({wanted}) does not match the {label} in record"
                    f" ({live['metadata'].get(key)}). The object might have been modified"
                )
                raise conflict(resource.group, resource.kind, name, why)
        if live["metadata"].get("finalizers"):
            if live["metadata"].get("deletionTimestamp"):
                return live, False
            obj = clone(live)
            obj["metadata"] |= {"deletionTimestamp": self.timestamp(), "deletionGracePeriodSeconds": 0}
            if "generation" in obj["metadata"]:
                obj["metadata"]["generation"] += 1
            return self._commit(resource, "MODIFIED", obj, live, writer, dry_run), False
        if resource is NAMESPACE and not dry_run:
            self._empty_namespace(name, writer)
        return self._commit(resource, "DELETED", clone(live), live, writer, dry_run), True

    def timestamp(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    # --- inside

    def _of(self, resource: Resource) -> dict[Key, Object]:
        return self._objects.setdefault((resource.group, resource.plural), {})

    def _incoming(self, resource: Resource, namespace: str, body: Object) -> Object:
        if not isinstance(body, dict):
            raise bad_request("the body of the request is not an object")
        api_version, kind = body.get("apiVersion", resource.api_version), body.get("kind", resource.kind)
        if api_version != resource.api_version:
            raise bad_request(
                f"the API version in the data ({api_version}) does not match the expected API version"
                f" ({resource.api_version})"
            )
        if kind != resource.kind:
            cause = Cause("FieldValueInvalid", f'Invalid value: "{kind}": must be {resource.kind}', "kind")
            raise invalid(resource.group, str(kind), str((body.get("metadata") or {}).get("name", "")), [cause])
        meta = body.get("metadata") or {}
        if not isinstance(meta, dict):
            raise bad_request("metadata is not an object")
        obj = {"apiVersion": api_version, "kind": kind} | clone(body)
        obj["metadata"] = obj.get("metadata") or {}
        if resource.namespaced:
            if obj["metadata"].setdefault("namespace", namespace) != namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
        else:
            obj["metadata"].pop("namespace", None)
        for key in ("labels", "annotations", "finalizers", "ownerReferences"):
            if not obj["metadata"].get(key, True):
                del obj["metadata"][key]
        if resource.schema is not None:
            obj, _ = prune(obj, resource.schema)
        return obj

    def _complete(self, resource: Resource, obj: Object) -> None:
        if resource.schema is not None:
            fill_defaults(obj, resource.schema)
        elif resource is SECRET:
            data = obj.setdefault("data", {})
            for key, text in (obj.pop("stringData", None) or {}).items():
                data[key] = base64.b64encode(text.encode()).decode()
            obj.setdefault("type", "Opaque")
        elif resource is NAMESPACE:
            obj["spec"] = {"finalizers": ["kubernetes"]}
            obj["status"] = {"phase": "Active"}
            obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")

    def _check(self, resource: Resource, name: str, obj: Object) -> None:
        causes: list[Cause] = []
        if not name:
            causes.append(
                Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")
            )
        elif len(name) > 253 or not _NAME.match(name):
            causes.append(Cause("FieldValueInvalid", f'Invalid value: "{name}": {_NAME_RULE}', "metadata.name"))
        for kind in ("labels", "annotations"):
            for key, value in (obj["metadata"].get(kind) or {}).items():
                if not isinstance(value, str):
                    raise bad_request(
                        f"{resource.kind} in version {resource.version!r} cannot be handled as a {resource.kind}: json:"
                        f" cannot unmarshal {type(value).__name__} into Go struct field ObjectMeta.metadata.{kind} of"
                        f" type string ({key})"
                    )
                if kind == "labels" and len(value) > 63:
                    text = f'Invalid value: "{value}": must be no more than 63 bytes'
                    causes.append(Cause("FieldValueInvalid", text, "metadata.labels"))
                if kind == "labels" and not _LABEL_VALUE.match(value):
                    text = f'Invalid value: "{value}": {_LABEL_RULE}'
                    causes.append(Cause("FieldValueInvalid", text, "metadata.labels"))
        if resource.schema is not None:
            causes += validate(obj, resource.schema)
        if causes:
            raise invalid(resource.group, resource.kind, name, causes)

    def _replace(
        self, resource: Resource, live: Object, obj: Object, writer: Writer, dry_run: bool, applied: bool = False
    ) -> Object:
        name = live["metadata"]["name"]
        sent, held = obj["metadata"], live["metadata"]
        if sent.get("resourceVersion", held["resourceVersion"]) != held["resourceVersion"]:
            raise conflict(resource.group, resource.plural, name)
        if sent.get("uid", held["uid"]) != held["uid"]:
            why = f"Precondition failed: UID in precondition: {sent['uid']}, UID in object meta: {held['uid']}"
            raise conflict(resource.group, resource.plural, name, why)
        if resource.has_status:
            if writer.subresource == "status":
                status = obj.get("status")
                fields = sent.get("managedFields", [])
                obj = clone(live)
                if applied:
                    obj["metadata"]["managedFields"] = fields
                obj.pop("status", None)
                if status is not None:
                    obj["status"] = status
            else:
                obj.pop("status", None)
                if "status" in live:
                    obj["status"] = live["status"]
        for key in ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"):
            if key in held:
                obj["metadata"][key] = held[key]
            else:
                obj["metadata"].pop(key, None)
        if not applied and "managedFields" in held:
            obj["metadata"]["managedFields"] = clone(held["managedFields"])
        obj["metadata"]["resourceVersion"] = held["resourceVersion"]
        self._complete(resource, obj)
        self._check(resource, name, obj)
        if not applied:
            managed.record_update(live, obj, writer, resource.schema, self.timestamp(), resource.api_version)
        if _without_times(obj) == _without_times(live):
            return live  # a write that changes nothing makes no new version
        if "generation" in held and _content(obj) != _content(live):
            obj["metadata"]["generation"] = held["generation"] + 1
        if held.get("deletionTimestamp") and not obj["metadata"].get("finalizers"):
            return self._commit(resource, "DELETED", obj, live, writer, dry_run)
        return self._commit(resource, "MODIFIED", obj, live, writer, dry_run)

    def _commit(
        self, resource: Resource, type: str, obj: Object, old: Object | None, writer: Writer, dry_run: bool
    ) -> Object:
        if dry_run:
            return obj
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if type == "DELETED":
            del self._of(resource)[key]
        else:
            self._of(resource)[key] = obj
        event = Event(self._version, type, resource, obj, old)
        self._events.append(event)
        for watch in tuple(self._watches):
            watch.offer(event)
        for listener in tuple(self._listeners):
            listener(event, writer.manager)
        return obj

    def _empty_namespace(self, namespace: str, writer: Writer) -> None:
        for resource in self.resources.values():
            if resource.namespaced:
                for obj in self.list(resource, namespace):
                    self.delete(resource, namespace, obj["metadata"]["name"], writer)


def _content(obj: Object) -> Object:
    """What counts for ``metadata.generation``."""
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def _without_times(obj: Object) -> Object:
    """The object without the times in managedFields, which move although nothing else did."""
    meta = dict(obj["metadata"])
    meta["managedFields"] = [
        {key: value for key, value in entry.items() if key != "time"} for entry in meta.get("managedFields", [])
    ]
    return obj | {"metadata": meta}
