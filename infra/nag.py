"""cdk-nag: the packs that every synth runs, and how a construct acknowledges a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct


def add_checks(app: cdk.App) -> None:
    """Run both packs at synth. A finding that is not acknowledged fails it."""
    packs = AwsSolutionsChecks(app, verbose=True), ServerlessChecks(app, verbose=True)
    cdk.Validations.of(app).add_plugins(*packs)


def acknowledge(construct: Construct, reasons: Mapping[str, str]) -> None:
    """Acknowledge findings on this construct and its children. `reasons` maps a rule id to the
    reason."""
    cdk.Validations.of(construct).acknowledge(
        *(cdk.Acknowledgment(id=rule, reason=reason) for rule, reason in reasons.items())
    )
