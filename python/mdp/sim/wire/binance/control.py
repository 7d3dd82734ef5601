"""Control messages of clients: SUBSCRIBE and its like, checked and answered as the venue does."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mdp.sim.client import Client

if TYPE_CHECKING:
    from mdp.sim.hub import Hub

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_ID_TEXT = re.compile(r"[A-Za-z0-9_-]{1,36}")


def _invalid(message: str) -> dict[str, Any]:
    return {"code": 2, "msg": f"Invalid request: {message}"}


def answer(hub: Hub, client: Client, text: str) -> dict[str, Any] | None:
    """Carry out a control message; return the answer, or None where a fault withholds it."""
    try:
        message = json.loads(text)
    except json.JSONDecodeError as error:
        return {
            "code": 3,
            "msg": f"Invalid JSON: expected value at line {error.lineno} column {error.colno}",
        }
    if not isinstance(message, dict):
        return _invalid("expected an object")
    extra = sorted(set(message) - {"method", "params", "id"})
    if extra:
        return _invalid(f"unknown field `{extra[0]}`")
    request_id = message.get("id")
    if not _valid_id(request_id):
        return _invalid("request ID must be an integer, a string or null")
    if "method" not in message:
        return _invalid("missing field `method`")
    method = message["method"]
    if method not in _METHODS:
        expected = ", ".join(f"`{name}`" for name in _METHODS)
        return _invalid(f"unknown variant `{method}`, expected one of {expected}")
    params = message.get("params", [])
    if not isinstance(params, list):
        return _invalid("params must be an array")
    if method == "LIST_SUBSCRIPTIONS":
        return {"result": list(client.streams), "id": request_id}
    if method.endswith("_PROPERTY"):
        return _property(client, method, params, request_id)
    if not params or not all(isinstance(name, str) and name for name in params):
        return _invalid("params must be stream names")
    if method == "UNSUBSCRIBE":
        hub.unsubscribe(client, params)
        return {"result": None, "id": request_id}
    return _subscribe(hub, client, params, request_id)


def _subscribe(hub: Hub, client: Client, streams: list[str], request_id: Any) -> dict[str, Any] | None:
    most = hub.options.max_streams
    if len(client.streams.keys() | set(streams)) > most:
        hub.counters.violations["streams"] += 1
        return _invalid(f"more than {most} streams")
    struck = [(stream, fault) for stream in streams for fault in hub.subscribe_faults(stream)]
    for _, fault in struck:
        if fault.kind == "subscribe_error":
            error = {"code": fault.params["code"], "msg": fault.params["msg"]}
            return (
                {"error": error, "id": request_id} if fault.params["wrapped"] else {**error, "id": request_id}
            )
    silent = {stream for stream, fault in struck if fault.kind == "subscribe_silent"}
    hub.subscribe(client, streams, silent)
    if any(fault.kind == "subscribe_no_ack" for _, fault in struck):
        return None
    return {"result": None, "id": request_id}


def _property(client: Client, method: str, params: list[Any], request_id: Any) -> dict[str, Any]:
    expected = 2 if method == "SET_PROPERTY" else 1
    if len(params) != expected or not isinstance(params[0], str):
        return _invalid("property name must be a string")
    if params[0] != "combined":
        return {"code": 0, "msg": "Unknown property", "id": request_id}
    if method == "GET_PROPERTY":
        return {"result": client.combined, "id": request_id}
    if not isinstance(params[1], bool):
        return {"code": 1, "msg": "Invalid value type: expected Boolean"}
    client.combined = params[1]
    return {"result": None, "id": request_id}


def _valid_id(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return isinstance(value, str) and _ID_TEXT.fullmatch(value) is not None
