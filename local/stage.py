"""The stage of the embedded cloud, with timings that show recovery within seconds."""

from __future__ import annotations

from pathlib import Path

from aws_cdk.aws_logs import RetentionDays
from darkroom.domain.timings import Timings

from infra.config import EventSource, StageConfig, all_doors

NAME = "local"
CATALOGUE = Path(__file__).parent / "catalogue"


def local_stage() -> StageConfig:
    """Return the local stage. No file of the operator changes it."""
    return StageConfig(
        name=NAME,
        retain=False,
        cdn=False,
        recovery_days=None,
        log_retention=RetentionDays.ONE_DAY,
        queue_concurrency=4,
        queue_visibility_s=15,
        timings=Timings(
            create_margin_s=2,
            create_silence_s=10,
            unknown_grace_s=0,
            unknown_poll_s=2,
            first_poll_s=3,
            poll_max_s=10,
            store_grace_s=10,
            store_retry_s=1,
            effects_grace_s=3,
            cancel_retry_s=2,
            parked_retry_s=5,
            refused_retry_s=1,
            clocks_apart_s=0,
            due_slack_s=0,
            claim_s=5,
            callback_scale=0.01,
            callback_claim_s=20,
            callback_grace_s=3,
        ),
        # The emulator's model with streamed output.
        catalogue=CATALOGUE,
        # Only this cloud uses the emulated account, so its list may serve as evidence.
        dedicated_account=True,
        event_sources=(EventSource(source="local.app", tenant="local"),),
        state_machines=("darkroom-pictures",),
        doors=all_doors(),
        local_callbacks=True,
    )
