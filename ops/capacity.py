"""The account's limit of concurrent invocations, compared with the needs of a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.deployment import Deployment

ADVISED = 1000
"""AWS's default quota, which new accounts may reach only later."""
NEEDED = 100
"""Below this limit, queues and stream can use all concurrency and starve the functions of the
API."""
FEWEST_OF_A_QUEUE = 2
"""Concurrency of each queue in a stage with `small_account`, the minimum that Lambda allows."""
ASK = (
    "ask for 1000: `aws service-quotas request-service-quota-increase --service-code lambda "
    "--quota-code L-B99A9384 --desired-value 1000`"
)


@dataclass(frozen=True, slots=True)
class Capacity:
    """The limit of one account and region."""

    limit: int
    careful: bool
    """The stage sets `small_account` and so uses as little concurrency as possible."""

    @property
    def enough(self) -> bool:
        """Whether the stage can work, though perhaps without room for much traffic."""
        return self.limit >= NEEDED or self.careful

    @property
    def text(self) -> str:
        """Return a description for the report."""
        room = "" if self.limit >= ADVISED else f": {ADVISED} are advised"
        return f"the account allows {self.limit} invocations at once{room}"

    @property
    def remedy(self) -> str:
        """Return the advice for the operator; empty if there is room."""
        if self.limit >= ADVISED:
            return ""
        return ASK if self.enough else f"{ASK}; until then set small_account in the stage"


def look(deployment: Deployment) -> Capacity | None:
    """Read the account's limit. None in the embedded cloud, which has no such limit. Raises
    ClientError."""
    if deployment.endpoint:
        return None
    functions = deployment.client("lambda")
    limit = functions.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    mappings = functions.list_event_source_mappings(
        FunctionName=deployment.outputs["FunctionDispatch"]
    )["EventSourceMappings"]
    at_most = [mapping.get("ScalingConfig", {}).get("MaximumConcurrency") for mapping in mappings]
    return Capacity(limit, careful=at_most == [FEWEST_OF_A_QUEUE])
