"""Rows about the API from a client's view: results, rejections, cancels, lists."""

from __future__ import annotations

import base64
import functools
import hashlib
import secrets
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.config import Config
from darkroom.aws.s3 import S3Signer

from ops.live.budget import CANCEL_TRIES, DEADLINE_S, SLOW, SLOW_INPUT
from ops.live.verdict import Verdict, fail, ok

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops.live.run import Run

PROMPT = "a plain grey stone on a white table"
TAG, END_USER = "ops-live", "ops-live-user"
LISTED_WITHIN_S = 20.0
UNKNOWN_MODEL = "model_not_found"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(64)
"""Starts like a PNG, which is all that is checked."""


# Observations that several rows share


def main_input(run: Run) -> dict[str, Any]:
    """Return the input of the first prediction. Repeating it makes an equal request."""
    return run.once("input", lambda: {"prompt": PROMPT, "seed": 1 + secrets.randbelow(2**31 - 2)})


def main_id(run: Run) -> str:
    """Return the id of the prediction that most rows use."""

    def create() -> str:
        body: dict[str, Any] = {
            "version": run.model,
            "input": main_input(run),
            "tags": [TAG],
            "end_user": END_USER,
        }
        if run.receiver:
            body |= {"webhook": run.receiver.url, "webhook_events_filter": ["start", "completed"]}
        return str(run.api.create(body)["id"])

    return run.once("main", create)


def main(run: Run) -> dict[str, Any]:
    """Return the same prediction after its end."""
    return run.once("main, ended", lambda: run.ended(main_id(run)))


def deadline_id(run: Run) -> str:
    """Return the id of a prediction that cannot end before its deadline."""
    body = {"version": SLOW, "input": {"prompt": PROMPT, "image": picture(), **SLOW_INPUT}}
    headers = {"Cancel-After": f"{DEADLINE_S}s"}
    return run.once("deadline", lambda: str(run.api.create(body, **headers)["id"]))


def picture(side: int = 512) -> str:
    """Return a gray PNG as a data URI, below 1 kB."""
    rows = (b"\0" + b"\x80" * side) * side
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


# Unknown paths and methods


@dataclass(frozen=True, slots=True)
class Unserved:
    """HTTP status by request."""

    unknown_path: int
    wrong_method: int
    head: int


def see_unserved(run: Run) -> Unserved:
    """Send requests that no route of the gateway serves."""
    main_id(run)  # afterwards the key is known everywhere
    return Unserved(
        unknown_path=run.api.ask("GET", "/no-such-path").status_code,
        wrong_method=run.api.ask("PATCH", "/v1/predictions").status_code,
        head=run.api.ask("HEAD", "/v1/predictions").status_code,
    )


def judge_unserved(seen: Unserved) -> Verdict:
    """Pass on 404, on 405, and if HEAD answers as GET would."""
    wanted = Unserved(unknown_path=404, wrong_method=405, head=200)
    text = (
        f"unknown path {seen.unknown_path}, wrong method {seen.wrong_method}, HEAD of a list "
        f"{seen.head}"
    )
    if seen == wanted:
        return ok(text)
    remedy = "the gateway may not call Read by its $default route: deploy this version"
    return fail(text, remedy)


# A picture


@dataclass(frozen=True, slots=True)
class Stored:
    """How a prediction ended, and its files."""

    status: str
    code: str | None = None
    cost: float | None = None
    types: tuple[str, ...] = ()


def see_stored(run: Run) -> Stored:
    """Wait for the first prediction."""
    shown = main(run)
    told = shown["darkroom"]
    types = tuple(file["content_type"] for file in told["files"])
    return Stored(shown["status"], told["code"], told["cost"], types)


def judge_stored(seen: Stored) -> Verdict:
    """Pass if it succeeded, which means that the bytes are in the bucket."""
    if seen.status != "succeeded" or not seen.types:
        text = f"ended as {seen.status} ({seen.code}) with {len(seen.types)} files"
        return fail(text, "see the logs of Persist and Webhook")
    return ok(f"{', '.join(seen.types)}, ${seen.cost}")


# The door `wait`


@dataclass(frozen=True, slots=True)
class Waited:
    """HTTP status by request, and the status that the watch URL showed."""

    by_key: int
    watched: int
    forged: int
    """The watch URL with another token."""
    status: str | None
    to_any_origin: bool


def see_wait(run: Run) -> Waited:
    """Wait for the first prediction both with a key and by its watch URL."""
    return run.once("wait", lambda: _wait(run))


def _wait(run: Run) -> Waited:
    id_ = main_id(run)
    by_key = run.api.ask("GET", f"/v1/predictions/{id_}/wait?seconds=2").status_code
    main(run)
    url = str(run.api.get(id_)["urls"].get("watch", ""))
    if not url:
        return Waited(by_key, 0, 0, None, to_any_origin=False)
    got, forged = run.http.get(url), run.http.get(url[:-1] + ("A" if url[-1] != "A" else "B"))
    status = got.json().get("status") if got.status_code == 200 else None
    allowed = "access-control-allow-origin" in got.headers
    return Waited(by_key, got.status_code, forged.status_code, status, to_any_origin=allowed)


def judge_wait(seen: Waited) -> Verdict:
    """Pass if the end is shown, and not with another token."""
    text = f"wait {seen.by_key}, watch {seen.watched} ({seen.status}), forged {seen.forged}"
    if (seen.by_key, seen.watched, seen.forged) == (200, 200, 404) and seen.status == "succeeded":
        cors = "" if seen.to_any_origin else "; the stage's `cors_origins` may read it alone"
        return ok(text + cors)
    return fail(text, "see the log of Wait")


# The door `mcp`


@dataclass(frozen=True, slots=True)
class Served:
    """What an agent was shown."""

    tools: int
    refused: int
    """The HTTP status without a key."""
    challenge: str | None
    made: str | None
    """The status of the prediction that it asked for; None where it was refused."""
    shown: str | None
    """The status of the first prediction, by `get_image`."""
    files: int


def see_mcp(run: Run) -> Served:
    """List the tools, ask for the first picture again, and look at it."""
    return run.once("mcp", lambda: _mcp(run))


def _mcp(run: Run) -> Served:
    main(run)
    asked = {"model": run.model, "input": main_input(run), "tags": [TAG]}
    made = _tool(run, "generate_image", asked)
    if "id" in made:
        run.api.made.append(str(made["id"]))
    shown = _tool(run, "get_image", {"id": main_id(run), "wait_seconds": 1})
    listed = run.api.read("POST", "/mcp", json=_message("tools/list", {}))
    refused = run.http.post(f"{run.api.url}/mcp", json=_message("ping", {}))
    return Served(
        tools=len(listed.get("result", {}).get("tools", ())),
        refused=refused.status_code,
        challenge=refused.headers.get("www-authenticate"),
        made=made.get("status"),
        shown=shown.get("status"),
        files=len(shown.get("files", ())),
    )


def _tool(run: Run, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What a tool shows; nothing where it refuses."""
    call = _message("tools/call", {"name": name, "arguments": arguments})
    result = run.api.read("POST", "/mcp", json=call).get("result", {})
    return dict(result.get("structuredContent", {}))


def _message(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def judge_mcp(seen: Served) -> Verdict:
    """The picture is made and shown, and to nobody without a key."""
    text = f"{seen.tools} tools, made {seen.made}, shown {seen.shown} with {seen.files} files"
    if (seen.refused, seen.challenge) != (401, "Bearer"):
        return fail(f"without a key {seen.refused}, {seen.challenge}", "see the log of Mcp")
    well = seen.made in {"starting", "succeeded"} and seen.shown == "succeeded" and seen.files
    return ok(text) if well and seen.tools else fail(text, "see the log of Mcp")


# The door `openai`


@dataclass(frozen=True, slots=True)
class Pictured:
    """What a create in OpenAI's words came to, and how an unknown model was refused."""

    created: int
    relative: bool
    """The redirect names no host."""
    status: int
    """Of the last wait."""
    same_bytes: bool
    """`url` and `b64_json` are of the same file."""
    unknown: str | None
    """The code of the refusal."""


def see_openai(run: Run) -> Pictured:
    """Make one picture as OpenAI's clients do."""
    return run.once("openai", lambda: _openai(run))


def _openai(run: Run) -> Pictured:
    base = "/openai/v1/images/generations"
    refused = run.api.ask("POST", base, json={"model": "gpt-none", "prompt": PROMPT})
    code = dict(refused.json().get("error") or {}).get("code") if refused.is_error else None
    asked = {"model": run.model, "prompt": PROMPT}
    answer = run.api.ask("POST", base, json=asked, headers={"x-stainless-retry-count": "0"})
    created, place = answer.status_code, answer.headers.get("location", "")
    if created == 303:
        run.api.made.append(str(answer.json()["id"]))
    while answer.status_code == 303 and answer.headers["location"].startswith("/"):
        answer = run.api.ask("GET", answer.headers["location"])
    if answer.status_code == 303:
        answer = run.http.get(answer.headers["location"])
    same = answer.status_code == 200 and all(
        run.http.get(one["url"]).content == base64.b64decode(one["b64_json"])
        for one in answer.json()["data"]
    )
    return Pictured(created, place.startswith(base), answer.status_code, same, code)


def judge_openai(seen: Pictured) -> Verdict:
    """Pass if the picture came by relative redirects, and an unknown model did not."""
    text = f"create {seen.created}, wait {seen.status}, unknown model {seen.unknown}"
    if seen == Pictured(303, relative=True, status=200, same_bytes=True, unknown=UNKNOWN_MODEL):
        return ok(text)
    return fail(text, "see the logs of Images and Imagewait")


# The door `thumbnails`


@dataclass(frozen=True, slots=True)
class Small:
    """A thumbnail, as a page gets it."""

    first: int
    """HTTP status of the look at which it is made."""
    again: int
    content_type: str | None
    smaller: bool
    """It has fewer bytes than a picture of that size could ever need."""
    forged: int
    """Status of its signature at the URL of another width."""


def see_thumbnails(run: Run) -> Small:
    """Look at the first picture's smallest thumbnail twice."""
    return run.once("thumbnails", lambda: _thumbnails(run))


def _thumbnails(run: Run) -> Small:
    urls = run.api.get(str(main(run)["id"]))["darkroom"]["files"][0].get("thumbnails")
    if not urls:
        return Small(0, 0, None, smaller=False, forged=0)
    small, large = urls["256"], urls["1024"]
    first, again = (run.http.get(small, follow_redirects=True) for _ in range(2))
    forged = run.http.get(f"{large.partition('?')[0]}?{small.partition('?')[2]}")
    return Small(
        first=first.status_code,
        again=again.status_code,
        content_type=again.headers.get("content-type"),
        smaller=0 < len(again.content) < 256 * 1024 * 4,
        forged=forged.status_code,
    )


def judge_thumbnails(seen: Small) -> Verdict:
    """Pass if it is made and found again, and its signature opens no other."""
    text = f"first {seen.first}, again {seen.again}, {seen.content_type}, forged {seen.forged}"
    well = (seen.first, seen.again, seen.content_type) == (200, 200, "image/webp")
    if well and seen.smaller and seen.forged in {403, 404}:
        return ok(text)
    return fail(text, "see the log of Thumbnail")


# The door `console`


@dataclass(frozen=True, slots=True)
class Consoled:
    """HTTP status of the page and of a file, and what the page's policy allows."""

    page: int
    script: int
    pictures: bool
    """Pictures from where outputs have their URLs."""
    uploads: bool
    """Forms to where large uploads go."""


def see_console(run: Run) -> Consoled:
    """Load the page and a file of it, and look for the real origins in the page's policy."""
    return run.once("console", lambda: _console(run))


def _console(run: Run) -> Consoled:
    page = run.http.get(f"{run.api.url}/console")
    script = run.http.get(f"{run.api.url}/console/app.js")
    policy: dict[str, list[str]] = {}
    for part in page.headers.get("content-security-policy", "").split(";"):
        name, *values = part.split() or [""]
        policy[name] = values
    output = main(run)["output"]
    picture = output if isinstance(output, str) else output[0]
    form = run.api.read("POST", "/v1/uploads", json={})["url"]
    return Consoled(
        page=page.status_code,
        script=script.status_code,
        pictures=_origin(picture) in policy.get("img-src", ()),
        uploads=_origin(form) in policy.get("connect-src", ()),
    )


def _origin(url: str) -> str:
    found = urlsplit(url)
    return f"{found.scheme}://{found.netloc}"


def judge_console(seen: Consoled) -> Verdict:
    """Pass if it is served, and may load what it shows."""
    text = f"page {seen.page}, script {seen.script}"
    if (seen.page, seen.script) != (200, 200):
        return fail(text, "see the log of Console")
    refused = [
        name
        for name, allowed in (("pictures", seen.pictures), ("uploads", seen.uploads))
        if not allowed
    ]
    if refused:
        remedy = "compare the header Content-Security-Policy of /console with their URLs"
        return fail(f"{text}; its policy refuses {' and '.join(refused)}", remedy)
    return ok(text)


@dataclass(frozen=True, slots=True)
class Read:
    """A stored output, read by URL."""

    status: int
    same_bytes: bool
    unsigned: int
    """Status of the URL without its signature."""
    authorized: int
    """Status of the URL with a client's own Authorization header."""


def _read(run: Run, url: str, sha256: str, *, token: bool) -> Read:
    got = run.http.get(url)
    with_token = run.http.get(url, headers={"Authorization": "Bearer none"}) if token else got
    return Read(
        status=got.status_code,
        same_bytes=hashlib.sha256(got.content).hexdigest() == sha256,
        unsigned=run.http.get(url.partition("?")[0]).status_code,
        authorized=with_token.status_code,
    )


def _file(run: Run) -> dict[str, Any]:
    return dict(main(run)["darkroom"]["files"][0])


def _url(run: Run) -> str:
    shown = main(run)["output"]
    return str(shown[0] if isinstance(shown, list) else shown)


def see_presigned(run: Run) -> Read:
    """Read the URL that is shown; on a stage with a CDN, one that the operator presigns."""
    file, url = _file(run), _url(run)
    if run.facts.cdn:
        # Configured like the functions' own client.
        config = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
        client = run.deployment.session.client("s3", config=config)
        url = S3Signer(client, run.deployment.outputs["OutputsBucket"], "").output_url(file["key"])
    # S3 rejects a request with two signatures, which is one reason for the CDN.
    return _read(run, url, file["sha256"], token=False)


def see_cdn(run: Run) -> Read:
    """Read the URL that is shown, which is CloudFront's."""
    return _read(run, _url(run), _file(run)["sha256"], token=True)


def judge_read(seen: Read) -> Verdict:
    """Pass if the signature alone gives access, and the bytes have the recorded hash."""
    text = (
        f"signed {seen.status}, {'the' if seen.same_bytes else 'other'} bytes that were stored, "
        f"unsigned {seen.unsigned}"
    )
    if seen.status == seen.authorized == 200 and seen.same_bytes and seen.unsigned == 403:
        return ok(text)
    if seen.authorized != seen.status:
        text += f", with a client's Authorization header {seen.authorized}"
    return fail(text, "`ops setup` checks the CDN's key; see the bucket's policy")


# An upload


@dataclass(frozen=True, slots=True)
class Uploaded:
    """HTTP status by step."""

    posted: int
    form: int
    stored: int
    """Status of the form's own POST to S3."""
    size: int
    """Size that the API shows afterwards."""


def see_upload(run: Run) -> Uploaded:
    """Upload one file in each way, and delete both."""
    main_id(run)
    posted = run.api.ask("POST", "/v1/files", files={"content": ("live.png", PICTURE, "image/png")})
    form = run.api.ask("POST", "/v1/uploads", json={"content_type": "image/png"})
    stored, size = 0, 0
    if form.status_code == 201:
        told = form.json()
        file = {"file": ("live.png", PICTURE, "image/png")}
        stored = run.http.post(told["url"], data=told["fields"], files=file).status_code
        kept = run.api.ask("GET", f"/v1/files/{told['id']}")
        size = kept.json()["size"] if kept.is_success else 0
    for made in (posted, form):
        if made.is_success:
            run.api.ask("DELETE", f"/v1/files/{made.json()['id']}")
    return Uploaded(posted.status_code, form.status_code, stored, size)


def judge_upload(seen: Uploaded) -> Verdict:
    """Pass if both ways accept the file."""
    text = f"through the API {seen.posted}, form {seen.form}, by the form {seen.stored}"
    if seen.posted == seen.form == 201 and seen.stored in {200, 201, 204} and seen.size:
        return ok(text)
    return fail(text, "see the log of Files, and the uploads bucket's policy")


# An equal request


@dataclass(frozen=True, slots=True)
class Hit:
    """The answer to an equal request."""

    of: str
    status: str
    cached_from: str | None
    provider_id: str | None
    cost: float | None


def see_hit(run: Run) -> Hit:
    """Repeat the request once its result is cached."""
    main(run)
    # The relay caches a result after the end; an equal request before that would be paid for.
    run.until(lambda: _is_noted(run), "the result is noted for equal requests")
    told = run.api.create({"version": run.model, "input": main_input(run)})
    made = told["darkroom"]
    ids = made["cached_from"], made["provider_id"]
    return Hit(main_id(run), told["status"], *ids, made["cost"])


def _is_noted(run: Run) -> bool:
    lines = run.logs.about("Relay", main_id(run))
    return any(line.get("state") == "succeeded" for line in lines)


def judge_hit(seen: Hit) -> Verdict:
    """Pass if it was answered at once, free of charge and without Replicate."""
    hit = seen.cached_from == seen.of and seen.provider_id is None and not seen.cost
    if hit and seen.status == "succeeded":
        return ok("answered from the store, for $0")
    text = f"was {seen.status}, and created anew" if not hit else f"was {seen.status}"
    return fail(text, "see the logs of Relay and Submit for `cache`")


# A cancel, a deadline


@dataclass(frozen=True, slots=True)
class Stopped:
    """How the prediction ended."""

    status: str
    code: str | None
    upstream: str | None
    """Replicate's status; None if Replicate never got it."""


def see_cancel(run: Run) -> Stopped:
    """Cancel right after the create. Repeat with a new prediction if it was already done."""
    for _ in range(CANCEL_TRIES):
        body = {"version": run.model, "input": {"prompt": PROMPT}}
        id_ = str(run.api.create(body)["id"])
        run.api.cancel(id_)
        seen = _stopped(run, id_)
        if seen.status != "succeeded":
            break
    return seen


def see_deadline(run: Run) -> Stopped:
    """Wait for the prediction that cannot end before its deadline."""
    return _stopped(run, deadline_id(run))


def _stopped(run: Run, id_: str) -> Stopped:
    shown = run.ended(id_)
    told = shown["darkroom"]
    there = run.at_replicate(told["provider_id"]) if told["provider_id"] else None
    return Stopped(shown["status"], told["code"], str(there.get("status")) if there else None)


def judge_cancel(seen: Stopped) -> Verdict:
    """Pass if it is canceled both in Darkroom and at Replicate."""
    return _judge_stop(seen, "canceled")


def judge_deadline(seen: Stopped) -> Verdict:
    """Pass if its deadline ended it both in Darkroom and at Replicate."""
    return _judge_stop(seen, "deadline_exceeded")


def _judge_stop(seen: Stopped, code: str) -> Verdict:
    text = f"{seen.status} ({seen.code}), at Replicate {seen.upstream or 'unknown'}"
    there = seen.upstream in {None, "canceled", "aborted"}
    if (seen.status, seen.code) == ("canceled", code) and there:
        return ok(text)
    return fail(text, "see the logs of Cancel, Dispatch and Sweep")


# Lists


@dataclass(frozen=True, slots=True)
class Listed:
    """For each filter, whether the first prediction is in the list with its own value; and the
    lists with another value that contain it."""

    has: dict[str, bool] = field(default_factory=dict)
    strays: tuple[str, ...] = ()


def see_lists(run: Run) -> Listed:
    """Query each filter with the prediction's own value and with another one."""
    id_, status = main_id(run), main(run)["status"]
    fitting: dict[str, tuple[str, str]] = {
        "tag": (TAG, "other"),
        "end_user": (END_USER, "other"),
        "status": (status, "failed" if status != "failed" else "succeeded"),
        "model": (run.model, SLOW),
    }

    def listed(name: str, value: str) -> bool:
        page = run.api.read("GET", "/v1/predictions", params={name: value})
        return id_ in [one["id"] for one in page["results"]]

    # The index of a list is eventually consistent.
    has = {
        name: run.comes(functools.partial(listed, name, own), LISTED_WITHIN_S)
        for name, (own, _) in fitting.items()
    }
    strays = tuple(name for name, (_, other) in fitting.items() if listed(name, other))
    return Listed(has, strays)


def judge_lists(seen: Listed) -> Verdict:
    """Pass if it is in its own lists and in no other."""
    missing = [name for name, there in seen.has.items() if not there]
    if missing or seen.strays or not seen.has:
        text = (
            f"missing by {_names(missing)}, shown where it does not belong by {_names(seen.strays)}"
        )
        return fail(text, "see the log of Read, and the table's index `tenant`")
    return ok(f"by {', '.join(seen.has)}")


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
