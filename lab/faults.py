"""Faults that can be switched on per machine, layer and request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from itertools import count
from typing import Any

LAYERS = ("redfish", "ipmi", "gnmi", "kube", "agent", "ssh", "metadata", "machine")


@dataclass
class Fault:
    """One fault.

    ``match`` is a pattern over ``"<method> <path>"`` such as ``GET /redfish/*``; ``*`` is everything of the layer.
    ``kind`` and ``value`` mean what the layer says they mean:

    - redfish, in place of the request: ``status`` (value: HTTP status, or ``{status, message_id, message,
      retry_after}``), ``latency`` (value: real seconds), ``drop`` (connection reset), ``hang`` (no answer ever),
      ``garbage`` (not JSON), ``unread_parent`` (404 until the resource above was read), ``refuse`` (nobody listens,
      until the fault is removed: the count does not matter)
    - redfish, after the request was carried out: ``wrong`` (value: name of the property left out; without it a list is
      answered), ``merge`` (value: a JSON merge patch onto what is read), ``until_reset`` (the same, until the BMC is
      restarted), ``no_location`` (200 without body and Location), ``lies`` (value as of ``status``: it worked and says
      that it failed), ``drop_after`` (connection reset), ``half`` (half an answer, then a reset), ``trickle`` (value:
      seconds for each byte)
    - redfish, standing: ``unlicensed`` (Lenovo's and Supermicro's licences are gone)
    - ipmi: ``status`` (value: completion code), ``latency``, ``hang`` (commands are not answered), ``checksum``
      (carried out, and the answer's checksum is wrong), ``integrity`` (the same with the packet's authentication
      code), ``silent`` (standing: nothing is answered at all, not even a ping)
    - gnmi: see ``lab/gnmi.py``
    - machine: ``power_stuck``, ``post_hang``, ``nic_drops`` (the network card is gone in this POST), ``gpu_missing``
      (value: GPU number from 1), ``fabric_down``, ``disk_error``, ``os_broken``, ``volume_failed``,
      ``firmware_failed``, ``firmware_old``, ``odd_dates`` (value: the ``Created`` of all log entries, null for none);
      their method and path stand in ``lab/machine.py``

    ``count`` is how often it still strikes; None is until removed.
    """

    id: int
    machine: str
    layer: str
    match: str
    kind: str
    value: Any = None
    count: int | None = None

    def concerns(self, machine: str, layer: str) -> bool:
        return self.layer == layer and self.machine in ("*", machine) and self.count != 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class FaultSet:
    """All faults that are switched on."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = count(1)
        self._watchers: list[Callable[[], None]] = []

    def watch(self, callback: Callable[[], None]) -> None:
        """Be told whenever a fault is switched on or off."""
        self._watchers.append(callback)

    def unwatch(self, callback: Callable[[], None]) -> None:
        if callback in self._watchers:
            self._watchers.remove(callback)

    def _changed(self) -> None:
        for callback in list(self._watchers):
            callback()

    def add(
        self,
        machine: str,
        layer: str,
        kind: str,
        match: str = "*",
        value: Any = None,
        count: int | None = None,
    ) -> Fault:
        """Switch a fault on. Raises ValueError for an unknown layer or a count below 1."""
        if layer not in LAYERS:
            raise ValueError(f"layer must be one of {', '.join(LAYERS)}, not {layer!r}")
        if count is not None and count < 1:
            raise ValueError(f"count must be at least 1 or absent, not {count!r}")
        fault = Fault(next(self._ids), machine, layer, match, kind, value, count)
        self._faults.append(fault)
        self._changed()
        return fault

    def pick(self, machine: str, layer: str, method: str, path: str) -> Fault | None:
        """The first fault that strikes here; its count goes down by one."""
        if not self._faults:
            return None
        subject = f"{method} {path}"
        for fault in self._faults:
            if fault.concerns(machine, layer) and fnmatchcase(subject, fault.match):
                if fault.count is not None:
                    fault.count -= 1
                    if not fault.count:
                        self._faults.remove(fault)
                return fault
        return None

    def standing(self, machine: str, layer: str, kind: str) -> list[Fault]:
        """Faults of a kind that are a condition rather than an event (``gpu_missing``, ``refuse``); none is used up."""
        return [fault for fault in self._faults if fault.kind == kind and fault.concerns(machine, layer)]

    def list(self) -> list[Fault]:
        return list(self._faults)

    def clear(self, machine: str | None = None, id: int | None = None) -> int:
        """Switch faults off: all of them, those of one machine, or one by its id. Returns how many went."""
        kept = [
            fault
            for fault in self._faults
            if (machine is not None and fault.machine != machine) or (id is not None and fault.id != id)
        ]
        gone = len(self._faults) - len(kept)
        self._faults = kept
        self._changed()
        return gone
