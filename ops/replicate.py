"""A client of Replicate's API for the operator's commands, with a deployment's token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from ops.deployment import SetupError, fields

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from ops.deployment import Deployment

TIMEOUT_S = 20


def http(deployment: Deployment) -> AbstractContextManager[httpx.Client]:
    """Return an HTTP client. It uses the shell's proxies, except for the loopback of the embedded
    cloud, whose own certificate authority it trusts."""
    trusted = httpx.create_ssl_context()
    if deployment.authority:
        trusted.load_verify_locations(cafile=deployment.authority)
    return httpx.Client(trust_env=deployment.endpoint is None, timeout=TIMEOUT_S, verify=trusted)


@dataclass(frozen=True)
class Replicate:
    """Every method raises SetupError if Replicate does not give the expected answer."""

    http: httpx.Client
    url: str
    """Origin, without /v1."""

    def account(self, token: str) -> dict[str, Any]:
        """Return the account of the token."""
        return self._ask("/v1/account", token)

    def webhook_secret(self, token: str) -> str:
        """Return the signing secret of Replicate's webhooks, `whsec_…`."""
        key = self._ask("/v1/webhooks/default/secret", token).get("key")
        if not isinstance(key, str) or not key.startswith("whsec_"):
            raise SetupError("Replicate gave no secret that signs its webhooks.")
        return key

    def model(self, token: str, name: str) -> dict[str, Any] | None:
        """Return the description of a model `owner/name`, with the schema of its newest version;
        None if unknown."""
        return self._known(f"/v1/models/{name}", token)

    def version(self, token: str, name: str, id_: str) -> dict[str, Any] | None:
        """Return one version of a model with its schema; None if unknown."""
        return self._known(f"/v1/models/{name}/versions/{id_}", token)

    def newest(self, token: str) -> list[dict[str, Any]]:
        """Return the first page of the account's predictions, newest first."""
        results = self._ask("/v1/predictions", token).get("results")
        if not isinstance(results, list):
            raise SetupError("Replicate's list of predictions is not a page.")
        return list(_objects(results))

    def get(self, token: str, id_: str) -> dict[str, Any] | None:
        """Return one prediction; None if Replicate does not know it any more."""
        return self._known(f"/v1/predictions/{id_}", token)

    def create(self, token: str, model: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Create a prediction of an official model by name. Returns HTTP status and answer."""
        path = f"/v1/models/{model}/predictions"
        answer = self._send(path, token, body)
        return answer.status_code, fields(answer.text)

    def cancel(self, token: str, id_: str) -> None:
        """Cancel a prediction. One that has ended stays as it is."""
        self._send(f"/v1/predictions/{id_}/cancel", token, {})

    def _known(self, path: str, token: str) -> dict[str, Any] | None:
        answer = self._send(path, token)
        return None if answer.status_code == 404 else self._read(answer)

    def _ask(self, path: str, token: str) -> dict[str, Any]:
        return self._read(self._send(path, token))

    def _send(self, path: str, token: str, body: dict[str, Any] | None = None) -> httpx.Response:
        url, headers = self.url + path, {"Authorization": f"Bearer {token}"}
        try:
            if body is None:
                return self.http.get(url, headers=headers)
            return self.http.post(url, headers=headers, json=body)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            # A token that is not a valid header raises ValueError, whose text may contain it.
            raise SetupError(f"{url} cannot be reached: {type(error).__name__}") from None

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code in {401, 403}:
            raise SetupError("Replicate does not know this token.")
        if answer.status_code != 200:
            raise SetupError(f"{answer.request.url} answered {answer.status_code}.")
        return fields(answer.text)


def _objects(values: list[Any]) -> Iterator[dict[str, Any]]:
    return (value for value in values if isinstance(value, dict))
