"""How a faulty BMC answers: before a request is carried out, and after it was. The kinds stand in ``lab/faults.py``."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from lab.redfish.errors import RedfishError
from lab.redfish.routes import Answer, Body

if TYPE_CHECKING:
    from lab.faults import Fault
    from lab.redfish.service import RedfishBmc

GARBAGE = "<html>lighttpd</html>\x00{"


class Drop(Exception):
    """Reset the connection instead of answering."""


async def before(bmc: RedfishBmc, request: web.BaseRequest, path: str, fault: Fault) -> Answer | web.Response | None:
    """What a fault answers in place of the BMC; None: the request goes on. Raises Drop."""
    if fault.kind == "latency":
        await asyncio.sleep(float(fault.value or 1))
    elif fault.kind in ("drop", "refuse"):
        raise Drop
    elif fault.kind == "hang":
        await asyncio.Event().wait()
    elif fault.kind == "garbage":
        return web.Response(text=GARBAGE, content_type="application/json")
    elif fault.kind == "status":
        return _refusal(bmc, fault)
    elif fault.kind == "unread_parent" and request.method == "GET" and path.rsplit("/", 1)[0] not in bmc.seen:
        error = RedfishError("ResourceMissingAtURI", path)
        return Answer(error.status, bmc.vendor.error_body(error))
    return None


def _refusal(bmc: RedfishBmc, fault: Fault) -> Answer:
    asked: dict[str, Any] = fault.value if isinstance(fault.value, dict) else {"status": fault.value}
    error = RedfishError("GeneralError", status=int(asked.get("status") or 500))
    body = bmc.vendor.error_body(error)
    if "message_id" in asked:
        (info,) = body["error"]["@Message.ExtendedInfo"]
        info.update(MessageId=asked["message_id"], Message=str(asked.get("message") or asked["message_id"]))
    headers = {"Retry-After": str(asked["retry_after"])} if "retry_after" in asked else {}
    return Answer(error.status, body, headers)


def after(bmc: RedfishBmc, request: web.BaseRequest, fault: Fault, answer: Answer) -> Answer:
    """The answer to a request that was carried out, as a fault spoils it. Raises Drop."""
    good = answer.status < 400
    if fault.kind == "wrong":
        return Answer(answer.status, _wrong(answer.body, fault), answer.headers)
    if not good:
        return answer
    if fault.kind == "merge" and request.method == "GET" and isinstance(answer.body, dict):
        return Answer(answer.status, merged(answer.body, fault.value), answer.headers)
    if fault.kind == "until_reset" and isinstance(answer.body, dict) and bmc.state.resets == _since(bmc, fault):
        return Answer(answer.status, merged(answer.body, fault.value), answer.headers)
    if fault.kind == "no_location" and request.method != "GET":
        headers = {name: value for name, value in answer.headers.items() if name != "Location"}
        return Answer(200, {}, headers)
    if fault.kind == "lies":
        return _refusal(bmc, fault)
    if fault.kind == "drop_after":
        raise Drop
    return answer


def _since(bmc: RedfishBmc, fault: Fault) -> int:
    """How often the BMC had restarted when the fault was first met."""
    known: dict[int, int] = bmc.oem.setdefault("faults_since", {})
    return known.setdefault(fault.id, bmc.state.resets)


def _wrong(body: Body | None, fault: Fault) -> Any:
    """JSON of a shape nobody expects: one property less, or a list."""
    if fault.value and isinstance(body, dict):
        return {name: value for name, value in body.items() if name != fault.value}
    return ["not", "what", "you", "asked", "for"]


def merged(body: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396): null takes a property out."""
    if not isinstance(patch, dict):
        return patch
    result = dict(body) if isinstance(body, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


async def partly(request: web.BaseRequest, response: web.Response, fault: Fault) -> web.StreamResponse:
    """``half``: half of the body, then the connection is reset. ``trickle``: so slowly that it never ends in time."""
    content = response.body if isinstance(response.body, bytes) else json.dumps(None).encode()
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_length = len(content)
    await stream.prepare(request)
    with contextlib.suppress(ConnectionError):
        if fault.kind == "half":
            await stream.write(content[: len(content) // 2])
            await asyncio.sleep(0.05)  # for it to leave
            raise Drop
        for at in range(len(content)):
            await stream.write(content[at : at + 1])
            await asyncio.sleep(float(fault.value or 0.2))
        await stream.write_eof()
    return stream
