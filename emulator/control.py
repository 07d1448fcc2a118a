"""The control API under /_emulator: faults, logs of what happened, and expiry of data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from emulator.bill import bill, billed
from emulator.faults import FaultsError
from emulator.wire import invalid, json_response, read_json, timestamp

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from emulator.server import Emulator


LONGEST_OVERLAP_S = 3600


class Control:
    """Needs no token: every client that reaches the emulator may control it."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def routes(self) -> list[Route]:
        """Return all routes of /_emulator."""
        return [
            Route("/_emulator/faults", self.get_faults, methods=["GET"]),
            Route("/_emulator/faults", self.put_faults, methods=["PUT"]),
            Route("/_emulator/faults", self.delete_faults, methods=["DELETE"]),
            Route("/_emulator/predictions", self.predictions, methods=["GET"]),
            Route("/_emulator/bill", self.bill, methods=["GET"]),
            Route("/_emulator/expire", self.expire, methods=["POST"]),
            Route("/_emulator/webhooks", self.webhooks, methods=["GET"]),
            Route("/_emulator/requests", self.requests, methods=["GET"]),
            Route("/_emulator/webhook_secret", self.rotate_webhook_secret, methods=["POST"]),
        ]

    async def get_faults(self, _request: Request) -> Response:
        return json_response(self._emulator.faults.as_dict())

    async def put_faults(self, request: Request) -> Response:
        try:
            self._emulator.faults.replace(await read_json(request))
        except FaultsError as error:
            raise invalid(
                [("invalid", name, text) for name, text in error.problems.items()]
            ) from None
        return await self.get_faults(request)

    async def delete_faults(self, request: Request) -> Response:
        self._emulator.faults.reset()
        return await self.get_faults(request)

    async def predictions(self, _request: Request) -> Response:
        return json_response(
            [
                {
                    "id": prediction.id,
                    "status": prediction.status,
                    "input": prediction.input,
                    "webhook": prediction.webhook,
                    "created_at": timestamp(prediction.created),
                    "billed": billed(prediction),
                }
                for prediction in self._emulator.predictions.oldest_first()
            ]
        )

    async def bill(self, _request: Request) -> Response:
        """Return dollars by model, of all predictions that have ended."""
        return json_response(bill(self._emulator.predictions.oldest_first()))

    async def expire(self, _request: Request) -> Response:
        self._emulator.files.clear()
        return json_response({"predictions": self._emulator.predictions.expire()})

    async def webhooks(self, _request: Request) -> Response:
        return json_response(self._emulator.webhooks.attempts())

    async def requests(self, _request: Request) -> Response:
        return json_response(list(self._emulator.requests))

    async def rotate_webhook_secret(self, request: Request) -> Response:
        """Create a new secret, which is shown and signs at once. The old one signs as well for
        `overlap_s` seconds, by default 0."""
        body = await read_json(request) if await request.body() else {}
        overlap = body.get("overlap_s", 0) if isinstance(body, dict) else None
        if not isinstance(overlap, int | float) or not 0 <= overlap <= LONGEST_OVERLAP_S:
            text = f"overlap_s is a number from 0 to {LONGEST_OVERLAP_S}."
            raise invalid([("invalid", "overlap_s", text)])
        self._emulator.webhooks.rotate(overlap)
        return json_response({})
