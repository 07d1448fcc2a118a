"""POST /v1/predictions and POST /v1/models/{owner}/{name}/predictions."""

from __future__ import annotations

from typing import Any

from darkroom.api.http import Request, Response, answer, respond
from darkroom.api.requests import is_dry_run
from darkroom.domain.money import usd
from darkroom.runtime import wiring
from darkroom.runtime.observability import count, invocation, logger


def _submit(request: Request) -> Response:
    authenticate, read_create, submit, shown = wiring.submit()
    key = authenticate.key(request.header("authorization"), "submit")
    wanted = read_create(request, key.tenant, key.dedupe_window_s)
    if is_dry_run(request):
        most, warning = submit.most(wanted)
        return answer(200, {"darkroom": {"most": usd(most)}}, _warning(warning))
    accepted = submit(wanted)
    record = accepted.record
    count("Replayed" if accepted.replayed else "Accepted")
    if record.cached_from:
        count("Reused", int(not accepted.replayed))
    elif record.provider_id is None:
        count("CreateUnbound")
    # In the line of the answer: a line of its own would cost more than its words.
    logger.append_keys(
        prediction=record.id,
        state=record.state.value,
        model=record.model,
        provider_id=record.provider_id,
    )
    location = f"{submit.public_url}/v1/predictions/{record.id}"
    headers = {"location": location, **_warning(accepted.warning)}
    if accepted.replayed:
        headers["idempotent-replayed"] = "true"
    return answer(201, shown.created(record, accepted.expected), headers)


def _warning(text: str | None) -> dict[str, str]:
    return {"warning": f'299 darkroom "{text}"'} if text else {}


@invocation
def handler(event: dict[str, Any], _context: Any) -> Response:
    """Accept a prediction; never waits for its result."""
    response = respond(event, _submit)
    status = response["statusCode"]
    if status >= 400:
        count(f"Refused{status // 100}xx")
    if status in {402, 429}:
        count(f"Refused{status}")
    return response


wiring.at_init(wiring.submit)
