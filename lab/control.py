"""The lab's control API: look at the physics, read the write log, break things, and change the clock's speed.

Plain HTTP on a loopback port, for tests and demos. Errors are ``{"error": text}`` with a 4xx status.

======================================  ==========================================================================
``GET /machines``, ``/machines/{m}``    the physics as it is
``POST /machines/{m}/power``            ``{action}``: somebody at the rack (on, off, soft, cycle, reset)
``POST /machines/{m}/xid``              ``{gpu, xid, text?}``: the driver reports an XID
``POST /machines/{m}/temperature``      ``{celsius, gpu?}``: a GPU's temperature, or the inlet air's; null sets it free
``PATCH /machines/{m}/gpus/{n}``        ``{load?, mig_enabled?, ecc_enabled?, errors?: {counter: n}, nvlink_down?}``
``GET /log?machine=&layer=&since=``     every write to every device
``GET/POST/DELETE /faults``             see ``lab/faults.py``; DELETE takes ``?machine=`` or ``?id=``
``GET/PATCH /clock``                    ``{speed}``
======================================  ==========================================================================
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from lab import netplan
from lab.gpu import NVLINKS, ErrorCounters, Gpu
from lab.machine import POWER_ACTIONS, Machine, World

if TYPE_CHECKING:
    from lab.disk import Disk

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_COUNTERS = {field.name: field.type for field in dataclasses.fields(ErrorCounters)}


class Refused(Exception):
    """A request that cannot be carried out; the message says why."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """Serves the control API. ``redfish_ports`` and ``ipmi_ports`` are by machine name."""

    def __init__(self, world: World, machines: dict[str, Machine], redfish_ports: dict[str, int]) -> None:
        self._world = world
        self._machines = machines
        self._redfish_ports = redfish_ports
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self, host: str = "127.0.0.1") -> None:
        app = web.Application(middlewares=[_errors], client_max_size=1_000_000)
        app.add_routes(
            [
                web.get("/machines", self._list_machines),
                web.get("/machines/{name}", self._get_machine),
                web.post("/machines/{name}/power", self._power),
                web.post("/machines/{name}/xid", self._xid),
                web.post("/machines/{name}/temperature", self._temperature),
                web.patch("/machines/{name}/gpus/{number}", self._change_gpu),
                web.get("/log", self._log),
                web.get("/faults", self._list_faults),
                web.post("/faults", self._add_fault),
                web.delete("/faults", self._clear_faults),
                web.get("/clock", self._get_clock),
                web.patch("/clock", self._set_clock),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, 0).start()
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    # --- machines

    def _machine(self, request: web.Request) -> Machine:
        name = request.match_info["name"]
        if name not in self._machines:
            raise Refused(f"the lab has no machine {name}", 404)
        return self._machines[name]

    def _gpu(self, machine: Machine, number: Any) -> Gpu:
        found = next((gpu for gpu in machine.gpus if number in (gpu.number, str(gpu.number), gpu.id)), None)
        if found is None:
            raise Refused(f"{machine.name} has no GPU {number!r}; they count from 1 to {len(machine.gpus)}", 404)
        return found

    async def _list_machines(self, request: web.Request) -> web.Response:
        return web.json_response([self._shown(machine) for machine in self._machines.values()])

    async def _get_machine(self, request: web.Request) -> web.Response:
        return web.json_response(self._shown(self._machine(request)))

    def _shown(self, machine: Machine) -> dict[str, Any]:
        at = self._world.clock.elapsed()
        bmc = machine.bmc
        return {
            "name": machine.name,
            "serial_number": machine.serial_number,
            "mac": machine.mac,
            "switch": machine.switch,
            "switch_port": machine.switch_port,
            "vlan": self._world.fabric.vlan(machine),
            "power": machine.power,
            "running": machine.running,
            "in_post": machine.in_post,
            "posts": machine.posts,
            "power_actions": machine.power_actions,
            "boots": machine.boots,
            "boot_order": machine.boot_order,
            "addresses": netplan.static_addresses(machine.disks[0].files, machine.mac),
            "disks": [_shown_disk(disk) for disk in machine.disks],
            "gpus": [_shown_gpu(machine, gpu, at) for gpu in machine.gpus],
            "bmc": {
                "redfish_port": self._redfish_ports.get(machine.name),
                "ipmi_port": bmc.ipmi_port,
                "resets": bmc.resets,
                "accounts": sorted(account.username for account in bmc.accounts.by_id.values()),
                "override": dataclasses.asdict(bmc.override),
                "bios_pending": bmc.bios_pending,
                "media": {media.id: media.image for media in bmc.media.values()},
            },
        }

    async def _power(self, request: web.Request) -> web.Response:
        machine = self._machine(request)
        action = (await _body(request)).get("action")
        if action not in POWER_ACTIONS:
            raise Refused(f"action must be one of {', '.join(POWER_ACTIONS)}, not {action!r}")
        changed = await machine.power_action(action, by="control")
        return web.json_response({"changed": changed, "power": machine.power})

    async def _xid(self, request: web.Request) -> web.Response:
        machine = self._machine(request)
        body = await _body(request)
        gpu = self._gpu(machine, body.get("gpu"))
        xid = body.get("xid")
        if type(xid) is not int or not 0 < xid < 1000:
            raise Refused(f"xid must be a number such as 79, not {xid!r}")
        machine.xid(gpu, xid, str(body.get("text") or ""))
        return web.json_response({"gpu": gpu.id, "xid": xid}, status=201)

    async def _temperature(self, request: web.Request) -> web.Response:
        machine = self._machine(request)
        body = await _body(request)
        celsius = body.get("celsius")
        if celsius is not None and (isinstance(celsius, bool) or not isinstance(celsius, int | float)):
            raise Refused(f"celsius must be a number or null, not {celsius!r}")
        if body.get("gpu") is None:
            machine.inlet_celsius = celsius
            return web.json_response({"inlet": celsius})
        gpu = self._gpu(machine, body["gpu"])
        machine.set_temperature(gpu, celsius)
        return web.json_response({"gpu": gpu.id, "celsius": celsius})

    async def _change_gpu(self, request: web.Request) -> web.Response:
        machine = self._machine(request)
        gpu = self._gpu(machine, request.match_info["number"])
        body = await _body(request)
        unknown = set(body) - {"load", "mig_enabled", "ecc_enabled", "errors", "nvlink_down"}
        if unknown:
            raise Refused(f"unknown: {', '.join(sorted(unknown))}")
        load = body.get("load", gpu.load)
        if isinstance(load, bool) or not isinstance(load, int | float) or not 0 <= load <= 1:
            raise Refused(f"load must be between 0 and 1, not {load!r}")
        errors = body.get("errors", {})
        if not isinstance(errors, dict) or set(errors) - set(_COUNTERS):
            raise Refused(f"errors may hold {', '.join(_COUNTERS)}")
        down = body.get("nvlink_down", [n for n, up in enumerate(gpu.nvlink_up) if not up])
        if not isinstance(down, list) or not all(isinstance(n, int) and 0 <= n < NVLINKS for n in down):
            raise Refused(f"nvlink_down must be a list of link numbers below {NVLINKS}")
        gpu.load = float(load)
        gpu.mig_enabled = bool(body.get("mig_enabled", gpu.mig_enabled))
        gpu.ecc_enabled = bool(body.get("ecc_enabled", gpu.ecc_enabled))
        gpu.errors = dataclasses.replace(gpu.errors, **errors)
        gpu.nvlink_up = [n not in down for n in range(NVLINKS)]
        return web.json_response(_shown_gpu(machine, gpu, self._world.clock.elapsed()))

    # --- log, faults, clock

    async def _log(self, request: web.Request) -> web.Response:
        since = request.query.get("since", "0")
        if not since.isdigit():
            raise Refused(f"since must be a number, not {since!r}")
        entries = self._world.log.select(request.query.get("machine"), request.query.get("layer"), int(since))
        return web.json_response([dataclasses.asdict(entry) for entry in entries], dumps=_dumps)

    async def _list_faults(self, request: web.Request) -> web.Response:
        return web.json_response([fault.as_dict() for fault in self._world.faults.list()])

    async def _add_fault(self, request: web.Request) -> web.Response:
        body = await _body(request)
        unknown = set(body) - {"machine", "layer", "match", "kind", "value", "count"}
        if unknown:
            raise Refused(f"unknown: {', '.join(sorted(unknown))}")
        for name in ("layer", "kind"):
            if not isinstance(body.get(name), str):
                raise Refused(f"{name} is missing")
        machine = body.get("machine", "*")
        if machine != "*" and machine not in self._machines and body["layer"] not in ("gnmi", "kube"):
            raise Refused(f"the lab has no machine {machine!r}", 404)
        try:
            fault = self._world.faults.add(
                machine=machine,
                layer=body["layer"],
                kind=body["kind"],
                match=body.get("match", "*"),
                value=body.get("value"),
                count=body.get("count"),
            )
        except (TypeError, ValueError) as error:
            raise Refused(str(error)) from error
        return web.json_response(fault.as_dict(), status=201)

    async def _clear_faults(self, request: web.Request) -> web.Response:
        id = request.query.get("id")
        if id is not None and not id.isdigit():
            raise Refused(f"id must be a number, not {id!r}")
        gone = self._world.faults.clear(request.query.get("machine"), int(id) if id else None)
        return web.json_response({"cleared": gone})

    async def _get_clock(self, request: web.Request) -> web.Response:
        clock = self._world.clock
        return web.json_response({"speed": clock.speed, "now": clock.timestamp()})

    async def _set_clock(self, request: web.Request) -> web.Response:
        speed = (await _body(request)).get("speed")
        try:
            self._world.clock.set_speed(float(speed))  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise Refused(f"speed: {error}") from error
        return await self._get_clock(request)


def _shown_disk(disk: Disk) -> dict[str, Any]:
    return {
        "device": disk.device,
        "serial_number": disk.serial,
        "size_gb": disk.size_gb,
        "image": disk.image,
        "files": sorted(disk.files),
        "writes": disk.writes,
        "erased_at": disk.erased_at,
        "erase_count": disk.erase_count,
    }


def _shown_gpu(machine: Machine, gpu: Gpu, at: float) -> dict[str, Any]:
    return {
        "id": gpu.id,
        "serial_number": gpu.serial_number,
        "present": machine.gpu_present(gpu),
        "load": gpu.load,
        "temperature_celsius": round(gpu.temperature_celsius(at), 2),
        "margin_celsius": round(gpu.margin_celsius(at), 2),
        "mig_enabled": gpu.mig_enabled,
        "ecc_enabled": gpu.ecc_enabled,
        "resets": gpu.resets,
        "errors": dataclasses.asdict(gpu.errors),
        "nvlink_down": [number for number, up in enumerate(gpu.nvlink_up) if not up],
    }


def _dumps(value: Any) -> str:
    return json.dumps(value, default=str)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise Refused(f"the body is no JSON: {error}", 400) from error
    if not isinstance(body, dict):
        raise Refused("the body is no object", 400)
    return body


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as error:
        return web.json_response({"error": str(error)}, status=error.status)
    except web.HTTPException as error:
        return web.json_response({"error": error.reason}, status=error.status)
