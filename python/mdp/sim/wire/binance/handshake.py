"""What a client asks for by the address of its WebSocket connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdp.sim.wire.protocol import Opening, RestError

if TYPE_CHECKING:
    from aiohttp import web

_MILLI, _MICRO = "MILLISECOND", "MICROSECOND"


def opening(request: web.Request, routes: tuple[str, ...], *, micro_offered: bool) -> Opening:
    """Read the address of a handshake.

    Parameters
    ----------
    request : Request
        To one of the paths ``/ws``, ``/ws/<streams>`` and ``/stream?streams=``, behind a route.
    routes : tuple of str
        The routes there are.
    micro_offered : bool
        Whether ``timeUnit`` is read; ignored otherwise, as the futures do.

    Raises
    ------
    RestError
        A time unit that there is not.
    """
    unit = request.query.get("timeUnit", _MILLI).upper() if micro_offered else _MILLI
    if unit not in (_MILLI, _MICRO):
        raise RestError(400, -1100, "Invalid timeUnit.")
    combined = "/stream" in request.path and "streams" not in request.match_info
    listed = request.query.get("streams", "") if combined else request.match_info.get("streams", "")
    route = next(route for route in routes if request.path.startswith((f"{route}/ws", f"{route}/stream")))
    return Opening(route, combined, unit == _MICRO, [name for name in listed.split("/") if name])
