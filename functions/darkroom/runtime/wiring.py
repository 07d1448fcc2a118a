"""The composition root: the only place that knows both the services and the adapters.

Each function builds what one handler needs; adapters are imported here, inside, so that a handler
loads only its own.
"""

from __future__ import annotations

import gc
import os
import random
import time
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from darkroom.runtime import settings as settings_
from darkroom.services.changes import Changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.adapters.controls import DynamoControls
    from darkroom.adapters.replicate import Replicate
    from darkroom.adapters.s3 import S3Signer, S3Uploads
    from darkroom.adapters.secrets import ManagedSecrets
    from darkroom.adapters.stepfunctions import StepFunctionsTasks
    from darkroom.api.requests import ReadCreate
    from darkroom.ports import PredictionStore
    from darkroom.services.authenticate import Authenticate
    from darkroom.services.cancel import Cancel
    from darkroom.services.carry_out import CarryOut
    from darkroom.services.create import SendCreate
    from darkroom.services.deliver import DeliverCallback
    from darkroom.services.deliveries import Deliveries
    from darkroom.services.dispatch import Dispatch
    from darkroom.services.files import Files
    from darkroom.services.intake import NotTaken
    from darkroom.services.limits import TenantLimits
    from darkroom.services.look import AskForLook, Look
    from darkroom.services.models import Models
    from darkroom.services.persist import Persist
    from darkroom.services.read import Read
    from darkroom.services.receive import Receive
    from darkroom.services.relay import Relay
    from darkroom.services.reuse import Reuse
    from darkroom.services.shown import Shown
    from darkroom.services.submit import Submit
    from darkroom.services.sweep import Sweep
    from darkroom.services.tasks import TellTask
    from darkroom.services.usage import Usage


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


INITIALIZATION = "AWS_LAMBDA_INITIALIZATION_TYPE"
"""Lambda sets it, to how it initializes the function; nobody else does."""

T = TypeVar("T")


def _once(make: Callable[[], T]) -> Callable[[], T]:
    """Made at the first call, and kept. Without the garbage collector: it would walk all of
    botocore's models several times while they are loaded, an eighth of a cold start, and again
    later; and they stay for good."""

    @lru_cache
    @wraps(make)
    def made() -> T:
        gc.disable()
        try:
            return make()
        finally:
            gc.freeze()
            gc.enable()

    return made


def at_init(*makers: Callable[[], object]) -> None:
    """Make what a handler needs before its first event, where Lambda loads it.

    Lambda gives the initialization a whole processor whatever the function's memory, and an
    invocation a share that goes by it: the same work takes several times as long there. Anywhere
    else the first call makes it, and nothing is read from the environment at import.
    """
    if INITIALIZATION in os.environ:
        for make in makers:
            make()


@_once
def submit() -> tuple[Authenticate, ReadCreate, Submit, Shown]:
    """What the submit function needs."""
    from darkroom.api.requests import ReadCreate

    s = settings_.SubmitSettings.from_env()
    signer = _signer(s.outputs_bucket, s.uploads_bucket, s.s3_endpoint)
    reader = ReadCreate(local_callbacks=s.local_callbacks)
    shown = _shown(s, signer, s.public_url)
    return _authenticate(s.controls_table), reader, _submit(s, signer), shown


def _submit(s: settings_.SubmitSettings, signer: S3Signer) -> Submit:
    from darkroom.adapters.aws import OnFirstUse
    from darkroom.adapters.s3 import S3Outputs
    from darkroom.catalog import Catalogue
    from darkroom.services.find_model import FindModel
    from darkroom.services.read_input import ReadInput
    from darkroom.services.run_times import RunTimes
    from darkroom.services.submit import Submit

    changes = _changes(s, s.controls_table, dedicated=s.dedicated_account)
    secrets = _secrets(token_name=s.replicate_token_secret, link_name=s.link_key_secret)
    provider = _provider(s.replicate_url, secrets)
    controls = _controls(s.controls_table)
    return Submit(
        changes=changes,
        create=_create(changes, provider, signer, secrets, s.public_url),
        find_model=FindModel(lru_cache(Catalogue.load), controls, provider, s.open_models),
        read_input=ReadInput(
            _uploads(s.uploads_bucket),
            S3Outputs(OnFirstUse("s3"), s.outputs_bucket),
            _shown(s, signer, s.public_url).signer,
            s.public_url,
        ),
        random=random.SystemRandom(),
        retention_days=s.retention_days,
        public_url=s.public_url,
        limits=_limits(s.controls_table),
        run_times=RunTimes(controls, now),
        reuse=_reuse(s, changes.store) if s.result_cache else None,
        strict=s.strict_inputs,
    )


class Takes(NamedTuple):
    """What the intake function needs."""

    read_create: ReadCreate
    submit: Submit
    not_taken: NotTaken


@_once
def intake() -> Takes:
    """What the intake function needs."""
    from darkroom.adapters.aws import client
    from darkroom.adapters.queues import EventBridgeBus, SqsDeadLetters, SqsQueue
    from darkroom.api.requests import ReadCreate
    from darkroom.services.intake import NotTaken

    s = settings_.IntakeSettings.from_env()
    signer = _signer(s.outputs_bucket, s.uploads_bucket, s.s3_endpoint)
    sqs = client("sqs")
    not_taken = NotTaken(
        bus=EventBridgeBus(client("events"), s.event_bus),
        dead=SqsDeadLetters(sqs, s.intake_dlq),
        queue=SqsQueue(sqs, s.intake_queue),
        # Where no state machine may be answered, what names a task is refused like any request.
        tasks=_tasks() if s.tasks else None,
        random=random.random,
    )
    reader = ReadCreate(local_callbacks=s.local_callbacks, tasks=s.tasks)
    return Takes(reader, _submit(s, signer), not_taken)


class Reads(NamedTuple):
    """What the read function needs."""

    authenticate: Authenticate
    read: Read
    ask_for_look: AskForLook
    models: Models
    shown: Shown
    usage: Usage
    limits: TenantLimits
    callback_secret: Callable[[str], str]
    """The secret with which a tenant's callbacks are signed, `whsec_…`."""
    public_url: str


@_once
def read() -> Reads:
    """What the read function needs."""
    from darkroom.adapters.aws import OnFirstUse
    from darkroom.adapters.queues import SqsQueue
    from darkroom.catalog import Catalogue
    from darkroom.services.look import AskForLook
    from darkroom.services.models import Models
    from darkroom.services.read import Read
    from darkroom.services.run_times import RunTimes
    from darkroom.services.usage import Usage

    s = settings_.ReadSettings.from_env()
    controls = _controls(s.controls_table)
    store = _changes(s, s.controls_table).store
    signer = _signer(s.outputs_bucket, s.uploads_bucket, s.s3_endpoint)
    return Reads(
        authenticate=_authenticate(s.controls_table),
        read=Read(store),
        ask_for_look=AskForLook(store, SqsQueue(OnFirstUse("sqs"), s.dispatch_queue), now),
        models=Models(lru_cache(Catalogue.load), controls, RunTimes(controls, now), s.open_models),
        shown=_shown(s, signer, s.public_url, often=True),
        usage=Usage(controls, now),
        limits=_limits(s.controls_table),
        callback_secret=_callback_secret(s.callback_key_secret, controls),
        public_url=s.public_url,
    )


def _callback_secret(name: str, controls: DynamoControls) -> Callable[[str], str]:
    """Makes its client when it is first called: most reads need no secret."""
    from darkroom.services.callback_secrets import CallbackSecrets

    made = lru_cache(lambda: CallbackSecrets(_secrets(callback_name=name), controls, now))
    return lambda tenant: made().current(tenant)


@_once
def cancel() -> tuple[Authenticate, Cancel, Shown]:
    """What the cancel function needs."""
    from darkroom.services.cancel import Cancel
    from darkroom.services.read import Read

    s = settings_.CancelSettings.from_env()
    changes = _changes(s, s.controls_table, dedicated=s.dedicated_account)
    secrets = _secrets(token_name=s.replicate_token_secret)
    use_case = Cancel(
        changes,
        _provider(s.replicate_url, secrets),
        Read(changes.store),
        _limits(s.controls_table),
    )
    signer = _signer(s.outputs_bucket, s.uploads_bucket, s.s3_endpoint)
    return _authenticate(s.controls_table), use_case, _shown(s, signer, s.public_url)


@_once
def files() -> tuple[Authenticate, Files]:
    """What the files function needs."""
    from darkroom.adapters.aws import client
    from darkroom.adapters.s3 import S3Forms
    from darkroom.services.files import Files

    s = settings_.FilesSettings.from_env()
    forms = S3Forms(client("s3", s.s3_endpoint or None), s.uploads_bucket)
    uploads, limits = _uploads(s.uploads_bucket), _limits(s.controls_table)
    use_case = Files(uploads, now, s.public_url, forms, limits)
    return _authenticate(s.controls_table), use_case


@_once
def webhook() -> Receive:
    """What the webhook function needs."""
    from darkroom.services.receive import Receive

    s = settings_.WebhookSettings.from_env()
    secrets = _secrets(webhook_name=s.replicate_webhook_secret, link_name=s.link_key_secret)
    return Receive(_changes(s, s.controls_table, dedicated=s.dedicated_account), secrets)


@_once
def dispatch() -> Dispatch:
    """What the dispatch function needs."""
    from darkroom.services.dispatch import Dispatch

    s = settings_.DispatchSettings.from_env()
    changes = _changes(s, s.controls_table, dedicated=s.dedicated_account)
    secrets = _secrets(token_name=s.replicate_token_secret, link_name=s.link_key_secret)
    provider = _provider(s.replicate_url, secrets)
    signer = _signer(s.outputs_bucket, s.uploads_bucket, s.s3_endpoint)
    create = _create(changes, provider, signer, secrets, s.public_url)
    return Dispatch(changes, create, provider)


@_once
def look() -> Look:
    """What the dispatch function needs to look at the provider for a client that polls."""
    from darkroom.services.look import Look

    s = settings_.DispatchSettings.from_env()
    made = dispatch()
    return Look(made.changes, made.provider, _controls(s.controls_table))


@_once
def relay() -> Relay:
    """What the relay function needs."""
    from darkroom.services.relay import Relay
    from darkroom.services.reuse import Remember

    s = settings_.RelaySettings.from_env()
    store = _changes(s, s.controls_table).store
    return Relay(_carry_out(s), store, Remember(_controls(s.controls_table)))


@_once
def persist() -> Persist:
    """What the persist function needs."""
    from darkroom.adapters.aws import client
    from darkroom.adapters.download import OutputFetcher, output_guard
    from darkroom.adapters.http import Client
    from darkroom.adapters.s3 import S3Outputs
    from darkroom.services.persist import Persist
    from darkroom.services.run_times import RunTimes

    s = settings_.PersistSettings.from_env()
    fetcher = OutputFetcher(
        Client(output_guard(s.output_hosts)),
        s.output_hosts,
        s.max_output_bytes,
        s.timings.output_budget_s,
    )
    outputs = S3Outputs(client("s3"), s.outputs_bucket)
    return Persist(
        _changes(s, s.controls_table),
        fetcher,
        outputs,
        RunTimes(_controls(s.controls_table), now),
        at_once=4,
    )


@_once
def deliver() -> DeliverCallback:
    """What the deliver function needs."""
    from darkroom.adapters.aws import OnFirstUse, client
    from darkroom.adapters.deliveries import DynamoDeliveries
    from darkroom.adapters.download import Callbacks, callback_guard
    from darkroom.adapters.http import Client
    from darkroom.adapters.queues import EventBridgeBus, SqsQueue
    from darkroom.services.callback_secrets import CallbackSecrets
    from darkroom.services.deliver import DeliverCallback

    s = settings_.DeliverSettings.from_env()
    controls = _controls(s.controls_table)
    signer = _signer(s.outputs_bucket, s.uploads_bucket, s.s3_endpoint)
    return DeliverCallback(
        deliveries=DynamoDeliveries(client("dynamodb"), s.deliveries_table),
        store=_changes(s, "").store,
        controls=controls,
        sender=Callbacks(Client(callback_guard(local=s.local_callbacks)), s.local_callbacks),
        secrets=CallbackSecrets(_secrets(callback_name=s.callback_key_secret), controls, now),
        shown=_shown(s, signer, s.public_url),
        queue=SqsQueue(client("sqs"), s.deliver_queue),
        bus=EventBridgeBus(OnFirstUse("events"), s.event_bus),
        random=random.random,
        clock=now,
        timings=s.timings,
        share=s.slow_callbacks,
    )


@_once
def tell_task() -> TellTask:
    """What the deliver function needs where a Step Functions task waits."""
    from darkroom.services.tasks import TellTask

    s = settings_.DeliverSettings.from_env()
    signer = _signer(s.outputs_bucket, s.uploads_bucket, s.s3_endpoint)
    return TellTask(_changes(s, "").store, _tasks(), _shown(s, signer, s.public_url))


def _tasks() -> StepFunctionsTasks:
    from darkroom.adapters.aws import OnFirstUse
    from darkroom.adapters.stepfunctions import StepFunctionsTasks

    return StepFunctionsTasks(OnFirstUse("stepfunctions"))


@_once
def deliveries() -> tuple[Authenticate, Deliveries]:
    """What the deliveries function needs."""
    from darkroom.adapters.aws import client
    from darkroom.adapters.deliveries import DynamoDeliveries
    from darkroom.adapters.queues import SqsQueue
    from darkroom.services.deliveries import Deliveries
    from darkroom.services.read import Read

    s = settings_.DeliveriesSettings.from_env()
    use_case = Deliveries(
        read=Read(_changes(s, "").store),
        limits=_limits(s.controls_table),
        deliveries=DynamoDeliveries(client("dynamodb"), s.deliveries_table),
        controls=_controls(s.controls_table),
        queue=SqsQueue(client("sqs"), s.deliver_queue),
        clock=now,
        timings=s.timings,
    )
    return _authenticate(s.controls_table), use_case


@_once
def sweep() -> Sweep:
    """What the sweep function needs."""
    from urllib.parse import urlsplit

    from darkroom.services.owed import EnqueueOwed
    from darkroom.services.sweep import Sweep

    s = settings_.SweepSettings.from_env()
    secrets = _secrets(token_name=s.replicate_token_secret)
    carry_out = _carry_out(s)
    changes = _changes(s, s.controls_table, dedicated=s.dedicated_account)
    return Sweep(
        changes=changes,
        provider=_provider(s.replicate_url, secrets),
        carry_out=carry_out,
        owed=EnqueueOwed(carry_out.deliveries, changes.store, carry_out.deliver, now, s.timings),
        public_host=urlsplit(s.public_url).netloc.lower(),
        choices=_choices,
    )


@lru_cache
def _choices(model: str) -> dict[str, frozenset[str]]:
    """What the enums of a catalogue model know. Read where a create's outcome is unknown alone."""
    from darkroom.catalog import Catalogue

    return Catalogue.load().choices(model)


def _changes(s: settings_.Common, controls: str, *, dedicated: bool = False) -> Changes:
    from darkroom.adapters.aws import client
    from darkroom.adapters.predictions import DynamoPredictions

    store = DynamoPredictions(client("dynamodb"), s.predictions_table, controls)
    return Changes(store, now, s.timings, dedicated_account=dedicated)


def _controls(table: str) -> DynamoControls:
    from darkroom.adapters.aws import client
    from darkroom.adapters.controls import DynamoControls

    return DynamoControls(client("dynamodb"), table)


def _limits(controls_table: str) -> TenantLimits:
    from darkroom.services.limits import TenantLimits

    return TenantLimits(_controls(controls_table), now)


def _authenticate(controls_table: str) -> Authenticate:
    from darkroom.services.authenticate import Authenticate

    return Authenticate(_controls(controls_table))


def _uploads(bucket: str) -> S3Uploads:
    from darkroom.adapters.aws import OnFirstUse
    from darkroom.adapters.s3 import S3Uploads

    return S3Uploads(OnFirstUse("s3"), bucket)


def _signer(outputs: str, uploads: str, endpoint: str) -> S3Signer:
    from darkroom.adapters.aws import OnFirstUse
    from darkroom.adapters.s3 import S3Signer

    return S3Signer(OnFirstUse("s3", endpoint or None), outputs, uploads)


def _shown(
    s: settings_.Showing, inputs: S3Signer, public_url: str, *, often: bool = False
) -> Shown:
    from darkroom.services.shown import Shown

    if not s.cdn_domain:
        return Shown(inputs, public_url)
    from darkroom.adapters.cdn import CdnSigner

    # A function that shows no file makes no client for the key; one that often does is ready.
    secrets = lru_cache(lambda: _secrets(cdn_name=s.cdn_key_secret))
    if often:
        at_init(secrets)
    signer = CdnSigner(s.cdn_domain, lambda: secrets().cdn_key(), inputs, now)
    return Shown(signer, public_url)


def _secrets(**names: str) -> ManagedSecrets:
    from darkroom.adapters.aws import client
    from darkroom.adapters.secrets import ManagedSecrets

    made = ManagedSecrets(client("secretsmanager"), **names)
    at_init(made.read_ahead)
    return made


def _provider(url: str, secrets: ManagedSecrets) -> Replicate:
    from darkroom.adapters.http import Client
    from darkroom.adapters.replicate import Replicate

    return Replicate(Client(), url, secrets)


def _create(
    changes: Changes,
    provider: Replicate,
    signer: S3Signer,
    secrets: ManagedSecrets,
    public_url: str,
) -> SendCreate:
    from darkroom.services.create import SendCreate

    return SendCreate(changes, provider, signer, secrets, random.random, public_url)


def _reuse(s: settings_.SubmitSettings, store: PredictionStore) -> Reuse:
    from darkroom.adapters.aws import OnFirstUse
    from darkroom.adapters.s3 import S3Outputs
    from darkroom.services.reuse import Reuse

    outputs = S3Outputs(OnFirstUse("s3"), s.outputs_bucket)
    return Reuse(_controls(s.controls_table), store, outputs)


def _carry_out(s: settings_.RelaySettings | settings_.SweepSettings) -> CarryOut:
    from darkroom.adapters.aws import client
    from darkroom.adapters.deliveries import DynamoDeliveries
    from darkroom.adapters.queues import EventBridgeBus, SqsQueue
    from darkroom.services.carry_out import CarryOut

    sqs = client("sqs")
    return CarryOut(
        persist=SqsQueue(sqs, s.persist_queue),
        dispatch=SqsQueue(sqs, s.dispatch_queue),
        deliver=SqsQueue(sqs, s.deliver_queue),
        tasks_queue=SqsQueue(sqs, s.tasks_queue),
        bus=EventBridgeBus(client("events"), s.event_bus),
        deliveries=DynamoDeliveries(client("dynamodb"), s.deliveries_table),
        clock=now,
        timings=s.timings,
    )
