"""How many invocations at once the account allows, against what a deployment may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ops.deployment import Deployment

ADVISED = 1000
"""What AWS gives accounts by default, sooner or later."""
NEEDED = 100
"""Below it, queues and stream can take all there is, and the functions behind the API get none."""
FEWEST_OF_A_QUEUE = 2
"""What a stage with `small_account` gives each queue: the least that Lambda allows."""
ASK = (
    "ask for 1000: `aws service-quotas request-service-quota-increase --service-code lambda "
    "--quota-code L-B99A9384 --desired-value 1000`"
)


@dataclass(frozen=True, slots=True)
class Capacity:
    """Of one account and region."""

    limit: int
    careful: bool
    """The stage takes as few invocations as it can: `small_account`."""

    @property
    def enough(self) -> bool:
        """For the stage as it is, though perhaps not for much traffic."""
        return self.limit >= NEEDED or self.careful

    @property
    def text(self) -> str:
        """In words."""
        room = "" if self.limit >= ADVISED else f": {ADVISED} are advised"
        return f"the account allows {self.limit} invocations at once{room}"

    @property
    def remedy(self) -> str:
        """What to do; nothing where there is room."""
        if self.limit >= ADVISED:
            return ""
        return ASK if self.enough else f"{ASK}; until then set small_account in the stage"


def look(deployment: Deployment) -> Capacity | None:
    """None in the embedded cloud, which has no such limit. Raises ClientError."""
    if deployment.endpoint:
        return None
    functions = deployment.client("lambda")
    limit = functions.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    mappings = functions.list_event_source_mappings(
        FunctionName=deployment.outputs["FunctionDispatch"]
    )["EventSourceMappings"]
    at_most = [mapping.get("ScalingConfig", {}).get("MaximumConcurrency") for mapping in mappings]
    return Capacity(limit, careful=at_most == [FEWEST_OF_A_QUEUE])
