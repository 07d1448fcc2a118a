"""Data that must survive a redeployment: tables, buckets and secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import aws_cdk as cdk
from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from darkroom.runtime.settings import CDN_KEY_SECRET

from ..flags import DarkroomStack
from ..nag import acknowledge

if TYPE_CHECKING:
    from constructs import Construct

    from ..config import StageConfig

S, N = dynamodb.AttributeType.STRING, dynamodb.AttributeType.NUMBER
UPLOADS_DAYS = 7
"""Longer than a record may wait for its create, so that an input is never deleted before its
use."""


class StatefulStack(DarkroomStack):
    """A change of any logical id here causes data loss; a test pins them."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: StageConfig,
        env: cdk.Environment | None = None,
    ) -> None:
        super().__init__(
            scope,
            id_,
            env=env,
            description="Darkroom: predictions, outputs and secrets",
            termination_protection=config.retain,
        )
        self._config = config
        self._keep = RemovalPolicy.RETAIN if config.retain else RemovalPolicy.DESTROY
        self._make_tables()
        self._make_buckets()
        self._make_secrets()
        for name, value in {
            "PredictionsTable": self.predictions.table_name,
            "ControlsTable": self.controls.table_name,
            "DeliveriesTable": self.deliveries.table_name,
            "OutputsBucket": self.outputs.bucket_name,
            "UploadsBucket": self.uploads.bucket_name,
            "ReplicateTokenSecret": self.replicate_token.secret_arn,
            "ReplicateWebhookSecret": self.replicate_webhook.secret_arn,
            "LinkKeySecret": self.link_key.secret_arn,
            "CallbackKeySecret": self.callback_key.secret_arn,
        }.items():
            # The construct needs its own id, because the resource may already have this one.
            cdk.CfnOutput(self, f"{name}Output", value=value).override_logical_id(name)

    def _make_tables(self) -> None:
        days = self._config.recovery_days
        recovery = dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=days is not None, recovery_period_in_days=days
        )
        self.predictions = self._table(
            "Predictions",
            partition_key=_key("id", S),
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
            point_in_time_recovery_specification=recovery,
        )
        _keys_only_index(self.predictions, "tenant", _key("tenant", S), _key("created_at", N))
        _keys_only_index(self.predictions, "due", _key("due_shard", N), _key("due_at", N))
        self.controls = self._table(
            "Controls",
            partition_key=_key("pk", S),
            point_in_time_recovery_specification=recovery,
        )
        self.deliveries = self._table(
            "Deliveries", partition_key=_key("prediction", S), sort_key=_key("event", S)
        )
        _keys_only_index(self.deliveries, "due", _key("due_shard", N), _key("due_at", N))

    def _table(self, id_: str, **key_and_stream: Any) -> dynamodb.Table:
        table = dynamodb.Table(
            self,
            id_,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="expires_at",
            deletion_protection=self._config.retain,
            removal_policy=self._keep,
            **key_and_stream,
        )
        acknowledge(
            table,
            {
                "AwsSolutions-DDB3": "Predictions and Controls have it where the stage says so. "
                "Deliveries are told again by the records, and expire by themselves.",
            },
        )
        return table

    def _make_buckets(self) -> None:
        self.access_logs = self._bucket(
            "AccessLogs", lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(90))]
        )
        acknowledge(
            self.access_logs,
            {"AwsSolutions-S1": "It holds the access logs; logging it into itself never ends."},
        )
        self.outputs = self._bucket(
            "Outputs",
            # Without a CDN, browsers read from the bucket. The CDN adds its own CORS headers.
            cors=self._cors(s3.HttpMethods.GET, s3.HttpMethods.HEAD),
            versioned=True,
            server_access_logs_bucket=self.access_logs,
            server_access_logs_prefix="outputs/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=Duration.days(self._config.retention_days + 1),
                    noncurrent_version_expiration=Duration.days(7),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
        )
        # Exported without a CDN too, because a CDN stack that is about to be removed still uses it.
        self.export_value(self.outputs.bucket_regional_domain_name)
        if self._config.cdn:
            self._admit_cloudfront()
        self.uploads = self._bucket(
            "Uploads",
            cors=self._uploads_cors(),
            server_access_logs_bucket=self.access_logs,
            server_access_logs_prefix="uploads/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=Duration.days(UPLOADS_DAYS),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
        )

    def _uploads_cors(self) -> list[s3.CorsRule] | None:
        """Browsers send the form of `POST /v1/uploads` here. The console has no origin that this
        stack knows, so pages of every origin may send one: the signed form is the right to it."""
        rules = self._cors(s3.HttpMethods.GET, s3.HttpMethods.HEAD, s3.HttpMethods.POST) or []
        if "console" in self._config.doors:
            rules.append(
                s3.CorsRule(
                    allowed_origins=["*"], allowed_methods=[s3.HttpMethods.POST], max_age=3600
                )
            )
        return rules or None

    def _cors(self, *methods: s3.HttpMethods) -> list[s3.CorsRule] | None:
        """Return CORS rules for the origins whose browsers may call the API; None by default."""
        origins = list(self._config.cors_origins)
        if not origins:
            return None
        rule = s3.CorsRule(
            allowed_origins=origins,
            allowed_methods=list(methods),
            allowed_headers=["*"],
            exposed_headers=["ETag", "Location"],
            max_age=3600,
        )
        return [rule]

    def _admit_cloudfront(self) -> None:
        """Allow every distribution of this account to read outputs. Naming the distribution of
        CdnStack would make the two stacks depend on each other."""
        distributions = self.format_arn(
            service="cloudfront", region="", resource="distribution", resource_name="*"
        )
        self.outputs.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudfront.amazonaws.com")],
                actions=["s3:GetObject"],
                resources=[self.outputs.arn_for_objects("*")],
                # The condition key that CloudFront is documented to send; its value also contains
                # the account.
                conditions={"ArnLike": {"aws:SourceArn": distributions}},
            )
        )

    def objects_arn(self, bucket: s3.Bucket, keys: str = "*") -> str:
        """Return the ARN of a bucket's objects, for policies of other stacks. The ARN is exported
        here and not by CDK at the end of the synth, because cdk-nag's acknowledgement needs the
        export's name."""
        return f"{self.export_value(bucket.bucket_arn)}/{keys}"

    def _bucket(self, id_: str, **options: Any) -> s3.Bucket:
        return s3.Bucket(
            self,
            id_,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=self._keep,
            **options,
        )

    def _make_secrets(self) -> None:
        self.replicate_token = self._secret("ReplicateToken", "Replicate's API token")
        self.replicate_webhook = self._secret(
            "ReplicateWebhook", "Replicate's webhook signing secrets: {current, previous}"
        )
        for secret in (self.replicate_token, self.replicate_webhook):
            # Empty until the operator stores Replicate's own secret. A random value would look like
            # a wrong token.
            resource = cast("secretsmanager.CfnSecret", secret.node.default_child)
            resource.add_property_deletion_override("GenerateSecretString")
        self.link_key = self._secret(
            "LinkKey",
            "Key of the tokens in webhook URLs: {current, previous}",
            template=json.dumps({}),
            field="current",
        )
        self.callback_key = self._secret(
            "CallbackKey", "Master key of the tenants' callback signing secrets"
        )
        # Not created here, because its public half must be in the first template (docs/adr/0010).
        name = CDN_KEY_SECRET.format(stage=self._config.name)
        self.cdn_key = secretsmanager.Secret.from_secret_name_v2(self, "CdnKey", name)

    def _secret(
        self, id_: str, description: str, *, template: str | None = None, field: str | None = None
    ) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self,
            id_,
            description=description,
            removal_policy=self._keep,
            # Letters and digits in a multiple of four are valid base64, here 48 bytes of key.
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=64,
                exclude_punctuation=True,
                secret_string_template=template,
                generate_string_key=field,
            ),
        )
        acknowledge(
            secret,
            {
                "AwsSolutions-SMG4": "Rotated by `ops rotate`: Replicate's secrets change in "
                "Replicate first, and our keys must stay valid for predictions in flight.",
            },
        )
        return secret


def _key(name: str, type_: dynamodb.AttributeType) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=type_)


def _keys_only_index(
    table: dynamodb.Table, name: str, partition: dynamodb.Attribute, sort: dynamodb.Attribute
) -> None:
    table.add_global_secondary_index(
        index_name=name,
        partition_key=partition,
        sort_key=sort,
        projection_type=dynamodb.ProjectionType.KEYS_ONLY,
    )
