"""DynamoDB under load, which moto alone does not emulate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError


@dataclass
class Crowded:
    """A client over moto's that answers in parts, throttles, and lets writes conflict."""

    client: Any
    keys_at_once: int = 40
    """Maximum keys in the answer to a read of many keys."""
    throttled: int = 0
    """The next n reads of many keys are answered without any item."""
    conflicts: int = 0
    """The next n conditional writes conflict with another transaction on their item."""
    reads: list[int] = field(default_factory=list)
    """The number of items in each answer to a read of many keys."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        ((table, asked),) = RequestItems.items()
        most = 0 if self.throttled else self.keys_at_once
        self.throttled = max(0, self.throttled - 1)
        taken, left = asked["Keys"][:most], asked["Keys"][most:]
        answer: dict[str, Any] = {"Responses": {table: []}, "UnprocessedKeys": {}}
        if taken:
            # moto returns keys unprocessed that would exceed 16 MB.
            answer = self.client.batch_get_item(RequestItems={table: {**asked, "Keys": taken}})
            left = answer["UnprocessedKeys"].get(table, {}).get("Keys", []) + left
        self.reads.append(len(answer["Responses"][table]))
        unprocessed = {table: {**asked, "Keys": left}} if left else {}
        return {**answer, "UnprocessedKeys": unprocessed}

    def put_item(self, **write: Any) -> Any:
        self._meet("PutItem", "ConditionExpression" in write)
        return self.client.put_item(**write)

    def update_item(self, **write: Any) -> Any:
        self._meet("UpdateItem", "ConditionExpression" in write)
        return self.client.update_item(**write)

    def _meet(self, operation: str, conditional: bool) -> None:
        if conditional and self.conflicts:
            self.conflicts -= 1
            error = {"Code": "TransactionConflictException", "Message": "ongoing"}
            raise ClientError({"Error": error}, operation)

    def transact_write_items(self, TransactItems: list[Any]) -> Any:  # noqa: N803
        if not self.conflicts:
            return self.client.transact_write_items(TransactItems=TransactItems)
        self.conflicts -= 1
        # The conflict is on the row that many share: the last one here.
        reasons = [{"Code": "None"} for _ in TransactItems[1:]] + [{"Code": "TransactionConflict"}]
        answer: Any = {
            "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
            "CancellationReasons": reasons,
        }
        raise ClientError(answer, "TransactWriteItems")
