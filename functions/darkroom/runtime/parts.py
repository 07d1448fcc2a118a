"""Parts that several functions share: use cases over adapters, built from a function's settings.

The services are imported inside, so that a function loads only its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from darkroom.services.predictions.changes import Changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom import ports
    from darkroom.runtime import settings
    from darkroom.runtime.adapters import Adapters
    from darkroom.services.doors.wait import Wait
    from darkroom.services.doors.watch import Watch
    from darkroom.services.predictions.create import SendCreate
    from darkroom.services.predictions.reuse import ReuseResult
    from darkroom.services.predictions.run_effects import RunEffects
    from darkroom.services.predictions.shown import Shown
    from darkroom.services.predictions.submit import Submit
    from darkroom.services.tenants.authenticate import Authenticate
    from darkroom.services.tenants.limits import TenantLimits


def changes(
    s: settings.Common, a: Adapters, controls: str = "", *, dedicated: bool = False
) -> Changes:
    """`controls` is the table of the rows that change with a record, if the function writes."""
    store = a.predictions(s.predictions_table, controls)
    return Changes(store, a.clock(), s.timings, dedicated_account=dedicated)


def authenticate(s: settings.Controlled, a: Adapters) -> Authenticate:
    from darkroom.services.tenants.authenticate import Authenticate

    return Authenticate(a.controls(s.controls_table))


def limits(s: settings.Controlled, a: Adapters) -> TenantLimits:
    from darkroom.services.tenants.limits import TenantLimits

    return TenantLimits(a.controls(s.controls_table), a.clock())


def signer(s: settings.Showing, a: Adapters, *, often: bool = False) -> ports.Signer:
    """Return the signer for the place where the stage serves files: its CDN, or S3.

    A function that rarely shows a file creates a client for the CDN's key only then.
    """
    inputs = a.signer(s.outputs_bucket, s.uploads_bucket, s.s3_endpoint)
    if not s.cdn_domain:
        return inputs
    return a.cdn_signer(s.cdn_domain, s.cdn_key_secret, inputs, lazy=not often)


def shown(
    s: settings.ShowingHttp, a: Adapters, *, often: bool = False, watches: Watch | None = None
) -> Shown:
    from darkroom.services.predictions.shown import Shown

    return Shown(signer(s, a, often=often), s.public_url, watches.url if watches else None)


def shown_with_thumbnails(
    s: settings.Thumbnailed,
    a: Adapters,
    link_secrets: ports.Secrets | None,
    *,
    often: bool = False,
    watches: Watch | None = None,
) -> Shown:
    """`link_secrets` sign the URLs of thumbnails in a stage without a CDN."""
    plain = shown(s, a, often=often, watches=watches)
    if not s.thumbnails:
        return plain
    from darkroom.services.doors import thumbnails

    if s.cdn_domain:
        return replace(plain, thumbnail_urls=thumbnails.SignedThumbnails(plain.signer).urls)
    if link_secrets is None:
        return plain
    linked = thumbnails.LinkedThumbnails(link_secrets, a.clock(), s.public_url)
    return replace(plain, thumbnail_urls=linked.urls)


def watch(s: settings.Http, a: Adapters, secrets: ports.Secrets) -> Watch:
    from darkroom.services.doors.watch import Watch

    return Watch(secrets, a.clock(), s.public_url)


def seen(store: ports.PredictionStore, dispatch_queue: str, a: Adapters) -> Callable[[Any], None]:
    """Return what functions call with each record that a polling client is shown: it requests a
    look at the provider."""
    from darkroom.runtime.observability import best_effort
    from darkroom.services.predictions.look import AskForLook

    ask_for_look = AskForLook(store, a.queue(dispatch_queue, lazy=True), a.clock())

    def call(record: Any) -> None:
        with best_effort("a refresh could not be requested"):
            ask_for_look(record)

    return call


def wait(s: settings.Waiting, a: Adapters) -> Wait:
    """Return the wait for a record; a client that waits counts as one that polls."""
    from darkroom.services.doors.wait import Wait

    store = changes(s, a).store
    return Wait(store, a.clock(), a.sleep(), seen(store, s.dispatch_queue, a))


def send_create(
    s: settings.Creating,
    a: Adapters,
    changes: Changes,
    provider: ports.Provider,
    secrets: ports.Secrets,
) -> SendCreate:
    from darkroom.services.predictions.create import SendCreate

    inputs = a.signer(s.outputs_bucket, s.uploads_bucket, s.s3_endpoint)
    return SendCreate(changes, provider, inputs, secrets, a.dice(), s.public_url)


def submit(s: settings.Submitting, a: Adapters) -> Submit:
    from darkroom.services.files.prepare_input import PrepareInput
    from darkroom.services.models.find import FindModel
    from darkroom.services.models.run_times import RunTimes
    from darkroom.services.predictions.submit import Submit

    ours = changes(s, a, s.controls_table, dedicated=s.dedicated_account)
    secrets = a.secrets(token_name=s.replicate_token_secret, link_name=s.link_key_secret)
    provider = a.provider(s.replicate_url, secrets)
    controls = a.controls(s.controls_table)
    outputs = a.outputs(s.outputs_bucket, lazy=True)
    return Submit(
        changes=ours,
        create=send_create(s, a, ours, provider, secrets),
        find_model=FindModel(a.catalogue(), controls, provider, s.open_models),
        prepare_input=PrepareInput(
            a.uploads(s.uploads_bucket), outputs, signer(s, a), s.public_url
        ),
        random=a.seeds(),
        retention_days=s.retention_days,
        public_url=s.public_url,
        limits=limits(s, a),
        run_times=RunTimes(controls, a.clock()),
        reuse=_reuse(controls, ours.store, outputs) if s.result_cache else None,
        strict=s.strict_inputs,
    )


def _reuse(
    results: ports.ResultCache, store: ports.PredictionStore, outputs: ports.OutputStore
) -> ReuseResult:
    from darkroom.services.predictions.reuse import ReuseResult

    return ReuseResult(results, store, outputs)


def run_effects(s: settings.Effects, a: Adapters) -> RunEffects:
    from darkroom.services.predictions.run_effects import RunEffects

    return RunEffects(
        persist=a.queue(s.persist_queue),
        dispatch=a.queue(s.dispatch_queue),
        deliver=a.queue(s.deliver_queue),
        tasks_queue=a.queue(s.tasks_queue),
        bus=a.bus(s.event_bus),
        deliveries=a.deliveries(s.deliveries_table),
        clock=a.clock(),
        timings=s.timings,
    )
