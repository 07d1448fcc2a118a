"""Rights that several functions need, in addition to those in their own modules."""

from __future__ import annotations

from darkroom.domain import row_keys
from darkroom.runtime.function import Right

READ_SECRET = "secretsmanager:GetSecretValue"  # noqa: S105 - an action's name
OWNERS = row_keys.every(row_keys.OWNER)
"""Rows with the record that owns a provider id."""
MONTHS, RATES = row_keys.every(row_keys.MONTH), row_keys.every(row_keys.RATE)
USAGE = (row_keys.every(row_keys.USAGE), row_keys.every(row_keys.TAGGED))
"""Rows of tenants' days of usage, and of their tags'."""

# In a shared account, provider ids have no owner.
CLAIM = Right("dynamodb:PutItem", "controls", keys=(OWNERS,), when="dedicated_account")
SEE_OWNERS = Right("dynamodb:GetItem", "controls", keys=(OWNERS,), when="dedicated_account")

# A change of a record is a conditional PutItem, in a transaction with its owner and, at the end,
# with its tenant's months and days. Transactions need no additional actions.
CHANGE = Right("dynamodb:GetItem PutItem", "predictions")
COUNT_END = Right("dynamodb:UpdateItem", "controls", keys=(MONTHS, *USAGE))
COUNT_REQUEST = Right("dynamodb:UpdateItem", "controls", keys=(RATES,))

# S3's URLs are signed with Lambda's own role, which must have the rights that they give; the CDN's
# key needs none.
SIGN_AT_CDN = Right(READ_SECRET, "cdn_key", when="cdn")
SHOW = (
    Right("s3:GetObject", "uploads/*"),
    SIGN_AT_CDN,
    Right("s3:GetObject", "outputs/*", when="no cdn"),
)

SUBMIT = (
    CHANGE,
    Right("dynamodb:GetItem", "controls"),
    Right("dynamodb:PutItem", "controls", keys=(row_keys.every(row_keys.IDEMPOTENCY),)),
    CLAIM,
    Right("dynamodb:UpdateItem", "controls", keys=(MONTHS, *USAGE, RATES)),
    Right("s3:PutObject GetObject", "uploads/*"),
    # A cached result is copied from record to record, and an output may be an input.
    Right("s3:PutObject GetObject", "outputs/*"),
    Right(READ_SECRET, "replicate_token", "link_key"),
)
# What is read once of a model that no catalogue has.
KEEP_SCHEMA = Right(
    "dynamodb:PutItem", "controls", keys=(row_keys.every(row_keys.SCHEMA),), when="open_models"
)
# A client may repeat itself without a key: its equal requests share a row.
REPEAT = Right("dynamodb:UpdateItem", "controls", keys=(row_keys.every(row_keys.REPEAT),))

# Recording that a client polls, and nothing else; requesting a poll upstream.
ASK_FOR_LOOK = (
    Right(
        "dynamodb:UpdateItem",
        "predictions",
        attributes=("id", "revision", "watched_until", "relay"),
    ),
    Right("sqs:SendMessage", "dispatch_queue"),
)

HAND_ON = (
    Right("sqs:SendMessage", "dispatch_queue", "persist_queue", "deliver_queue"),
    Right("sqs:SendMessage", "tasks_queue", when="state_machines"),
    Right("events:PutEvents", "bus"),
)
