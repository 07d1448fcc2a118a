"""Where the service is and with which key it is called: the environment, or what `login` kept."""

from __future__ import annotations

import ipaddress
import json
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from darkroom_cli.errors import UsageError
from darkroom_cli.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_KEY = 512


@dataclass(frozen=True)
class Account:
    """A service and a key for it."""

    url: str
    """Without a trailing slash and without `/v1`."""
    token: str
    insecure_http: bool = False
    """Whether the key may cross a network without TLS."""

    def __repr__(self) -> str:
        """Show no key: what is printed of an error could contain this."""
        return f"Account({self.url!r})"


def account(environment: Mapping[str, str], *, insecure_http: bool = False) -> Account:
    """Return the account: `DARKROOM_URL` and `DARKROOM_TOKEN`, else what `login` kept.

    A kept key is used only for the address that it was kept with. Raises UsageError.
    """
    url, token = environment.get("DARKROOM_URL"), environment.get("DARKROOM_TOKEN")
    kept = {} if url and token else _kept(environment)
    insecure_http = insecure_http or environment.get("DARKROOM_INSECURE_HTTP") == "1"
    if url:
        url = address(url, insecure_http=insecure_http)
        if not token and kept.get("url") != url:
            raise UsageError(
                "The kept key is for another address than DARKROOM_URL: set DARKROOM_TOKEN too."
            )
    else:
        insecure_http = insecure_http or kept.get("insecure_http") is True
        if not kept.get("url"):
            raise UsageError(
                "Which deployment? Run `darkroom login`, or set DARKROOM_URL and DARKROOM_TOKEN."
            )
        url = address(str(kept["url"]), insecure_http=insecure_http)
    return Account(url, key(token or str(kept.get("token", ""))), insecure_http)


def address(text: str, *, insecure_http: bool = False) -> str:
    """Return the base URL that was given, with or without `/v1`. Raises UsageError."""
    text = text.strip().rstrip("/").removesuffix("/v1").rstrip("/")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise UsageError(f"{visible(text)} is no URL.") from None
    if parts.scheme not in {"http", "https"} or not host or not text.isprintable():
        raise UsageError(
            f"{visible(text)} is no address of a service: https://images.example.com is one."
        )
    if parts.username is not None or parts.query or parts.fragment or " " in text:
        raise UsageError("The address has no user, query or fragment.")
    if parts.scheme == "http" and not (is_loopback(host) or insecure_http):
        raise UsageError(
            f"Over http the key can be read on its way to {host}. Use https, or "
            "--insecure-http if you trust the network."
        )
    return text


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by an address or by `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def key(text: str) -> str:
    """Return the key without white space around it. Raises UsageError."""
    text = text.strip()
    plain = text.isascii() and text.isprintable() and " " not in text
    if not text or not plain or len(text) > LONGEST_KEY:
        raise UsageError(
            "An API key is one word, such as dk_… Ask the operator for one, then run "
            "`darkroom login`."
        )
    return text


def place(environment: Mapping[str, str]) -> Path:
    """Return the path of the kept account."""
    root = environment.get("XDG_CONFIG_HOME", "")
    folder = Path(root) if root.startswith("/") else Path.home() / ".config"
    return folder / "darkroom" / "account.json"


def keep(account: Account, environment: Mapping[str, str]) -> Path:
    """Keep the account for later commands, readable by the user alone. Raises UsageError."""
    path = place(environment)
    content = {
        "url": account.url,
        "token": account.token,
        "insecure_http": account.insecure_http,
    }
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes it 0600, and the rename leaves no moment with half a file.
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".account-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file)
            Path(draft).replace(path)
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    return path


def forget(environment: Mapping[str, str]) -> bool:
    """Delete the kept account; False if there was none. Raises UsageError."""
    path = place(environment)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UsageError(f"{path} cannot be deleted: {error.strerror}") from None
    return True


def _kept(environment: Mapping[str, str]) -> dict[str, Any]:
    path = place(environment)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise UsageError(
                f"Others can read the key in {path}: run chmod 600 {path}, and think "
                "of replacing the key."
            )
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise UsageError(f"{path} is damaged: run `darkroom login` again.")
    return kept
