"""Tables, buckets and secrets: protection and retention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.infra.synthesis import Synth

PINNED = {
    "PredictionsD178A010": "DynamoDB::Table",
    "ControlsFF3AAC4A": "DynamoDB::Table",
    "DeliveriesBF2F7293": "DynamoDB::Table",
    "AccessLogs8B620ECA": "S3::Bucket",
    "OutputsA3C868EE": "S3::Bucket",
    "Uploads4F6EB0FD": "S3::Bucket",
    "ReplicateToken0164541C": "SecretsManager::Secret",
    "ReplicateWebhookEED2FA3F": "SecretsManager::Secret",
    "LinkKey27470AF7": "SecretsManager::Secret",
    "CallbackKey723161D2": "SecretsManager::Secret",
}
"""CloudFormation replaces a resource whose logical id changes, and its data would be orphaned."""

OUTPUTS = {
    "PredictionsTable": "Predictions",
    "ControlsTable": "Controls",
    "DeliveriesTable": "Deliveries",
    "OutputsBucket": "Outputs",
    "UploadsBucket": "Uploads",
    "ReplicateTokenSecret": "ReplicateToken",
    "ReplicateWebhookSecret": "ReplicateWebhook",
    "LinkKeySecret": "LinkKey",
    "CallbackKeySecret": "CallbackKey",
}


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_logical_ids_are_pinned(stage: str, request: pytest.FixtureRequest) -> None:
    synth: Synth = request.getfixturevalue(stage)
    found = {id_: r["Type"].removeprefix("AWS::") for id_, r in synth.stateful.resources()}
    assert {k: v for k, v in found.items() if v != "S3::BucketPolicy"} == PINNED


def test_outputs_have_their_stable_names(prod: Synth) -> None:
    outputs = prod.stateful.body["Outputs"]
    named = {k: prod.shown(v["Value"]) for k, v in outputs.items() if "Export" not in v}
    assert named == OUTPUTS


def index(name: str, partition: str, sort: str) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [
            {"AttributeName": partition, "KeyType": "HASH"},
            {"AttributeName": sort, "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }


def test_the_predictions_table(prod: Synth, dev: Synth) -> None:
    table = prod.stateful.properties("DynamoDB::Table")["Predictions"]
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["GlobalSecondaryIndexes"] == [
        index("tenant", "tenant", "created_at"),
        index("due", "due_shard", "due_at"),
    ]
    types = {a["AttributeName"]: a["AttributeType"] for a in table["AttributeDefinitions"]}
    assert types == {"id": "S", "tenant": "S", "created_at": "N", "due_shard": "N", "due_at": "N"}


def test_aws_m6_records_and_money_can_be_recovered(prod: Synth, dev: Synth, local: Synth) -> None:
    """Caps, spending and versions of callback secrets are in Controls. Deliveries follow from the
    records."""
    for synth, days in ((prod, 35), (dev, 1)):
        recoverable = {
            name: table["PointInTimeRecoverySpecification"]
            for name, table in synth.stateful.properties("DynamoDB::Table").items()
            if "PointInTimeRecoverySpecification" in table
        }
        wanted = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": days}
        assert recoverable == dict.fromkeys(("Predictions", "Controls"), wanted)
    for table in local.stateful.properties("DynamoDB::Table").values():
        recovery = table.get("PointInTimeRecoverySpecification", {})
        assert not recovery.get("PointInTimeRecoveryEnabled")


def test_the_other_tables(prod: Synth) -> None:
    tables = prod.stateful.properties("DynamoDB::Table")
    assert tables["Controls"]["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert tables["Deliveries"]["KeySchema"] == [
        {"AttributeName": "prediction", "KeyType": "HASH"},
        {"AttributeName": "event", "KeyType": "RANGE"},
    ]
    assert tables["Deliveries"]["GlobalSecondaryIndexes"] == [index("due", "due_shard", "due_at")]


def test_every_table_is_on_demand_and_expires_rows(prod: Synth) -> None:
    for table in prod.stateful.properties("DynamoDB::Table").values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_every_bucket_is_closed(prod: Synth) -> None:
    policies = {
        prod.shown(policy["Bucket"]): policy["PolicyDocument"]["Statement"]
        for policy in prod.stateful.properties("S3::BucketPolicy").values()
    }
    for name, bucket in prod.stateful.properties("S3::Bucket").items():
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert bucket["OwnershipControls"] == {
            "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]
        }
        assert "BucketEncryption" in bucket
        denied = [s["Condition"] for s in policies[name] if s["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in denied
        assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in denied


def test_objects_expire(prod: Synth) -> None:
    buckets = prod.stateful.properties("S3::Bucket")
    rules = {
        name: {
            key: value
            for rule in bucket["LifecycleConfiguration"]["Rules"]
            for key, value in rule.items()
            if key != "Status"
        }
        for name, bucket in buckets.items()
    }
    assert rules == {
        "AccessLogs": {"ExpirationInDays": 90},
        "Outputs": {
            # One day more than a record's lifetime.
            "ExpirationInDays": 91,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
        "Uploads": {
            "ExpirationInDays": 7,
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
    }
    versioned = {name for name, bucket in buckets.items() if "VersioningConfiguration" in bucket}
    assert versioned == {"Outputs"}


def test_our_own_keys_are_generated_and_replicates_are_left_empty(prod: Synth) -> None:
    secrets = prod.stateful.properties("SecretsManager::Secret")
    generated = {name: s.get("GenerateSecretString") for name, s in secrets.items()}
    letters_and_digits = {"PasswordLength": 64, "ExcludePunctuation": True}
    assert generated == {
        "ReplicateToken": None,
        "ReplicateWebhook": None,
        "LinkKey": {
            **letters_and_digits,
            "SecretStringTemplate": "{}",
            "GenerateStringKey": "current",
        },
        "CallbackKey": letters_and_digits,
    }
    assert all("SecretString" not in secret for secret in secrets.values())
