"""Product photos: Darkroom enlarges every photo of one bucket into another bucket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom_cdk import Darkroom, StageConfig  # before aws_cdk, since it sets jsii's Node

# isort: split
import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs

if TYPE_CHECKING:
    from constructs import Construct

FUNCTIONS = Path(__file__).resolve().parent / "functions"


class PhotosStack(cdk.Stack):
    """Originals → enlarge → Darkroom → publish → published. Failed work waits in a queue."""

    def __init__(self, scope: Construct, id_: str, *, darkroom: Darkroom) -> None:
        super().__init__(scope, id_, description="Product photos, enlarged")
        originals = self._bucket("Originals")
        published = self._bucket("Published")
        self._lost = sqs.Queue(
            self, "Lost", enforce_ssl=True, retention_period=cdk.Duration.days(14)
        )

        enlarge = self._function("Enlarge")
        # The presigned URL for Replicate has no more rights than the function itself.
        enlarge.add_to_role_policy(_objects("s3:GetObject", originals))
        darkroom.grant_submit(enlarge)
        self._on_created(originals, enlarge)

        publish = self._function("Publish", PUBLISHED=published.bucket_name)
        publish.add_to_role_policy(_objects("s3:PutObject", published))
        darkroom.grant_read(publish)
        darkroom.on_succeeded(publish)

        darkroom.on("Failed", "Canceled", "Rejected", target=self._lost)
        cdk.CfnOutput(self, "OriginalsBucket", value=originals.bucket_name)
        cdk.CfnOutput(self, "PublishedBucket", value=published.bucket_name)
        cdk.CfnOutput(self, "DarkroomApi", value=darkroom.api_url)

    def _bucket(self, id_: str) -> s3.Bucket:
        return s3.Bucket(
            self,
            id_,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
        )

    def _function(self, name: str, **environment: str) -> lambda_.Function:
        return lambda_.Function(
            self,
            name,
            code=lambda_.Code.from_asset(str(FUNCTIONS), exclude=["__pycache__"]),
            handler=f"{name.lower()}.handler",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=256,
            timeout=cdk.Duration.seconds(60),
            dead_letter_queue=self._lost,
            environment=environment,
            log_group=logs.LogGroup(self, f"{name}Logs", retention=logs.RetentionDays.ONE_MONTH),
        )

    def _on_created(self, bucket: s3.Bucket, function: lambda_.Function) -> None:
        resource: Any = bucket.node.default_child
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(
                event_bridge_enabled=True
            )
        )
        events.Rule(
            self,
            f"{bucket.node.id}Created",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={"bucket": {"name": [bucket.bucket_name]}},
            ),
            targets=[targets.LambdaFunction(function, dead_letter_queue=self._lost)],
        )


def _objects(action: str, bucket: s3.Bucket) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=[action], resources=[bucket.arn_for_objects("*")])


def build(*, outdir: str | None = None, context: dict[str, Any] | None = None) -> cdk.App:
    """Build the app: Darkroom's own stacks, and this one next to them."""
    app = cdk.App(outdir=outdir, context=context)
    darkroom = Darkroom(
        app,
        "Darkroom",
        config=StageConfig(name="photos", cdn=False),
        tenant="product-photos",
    )
    PhotosStack(app, "ProductPhotos", darkroom=darkroom)
    return app


if __name__ == "__main__":
    assembly = build().synth()
    print(f"The templates are in {assembly.directory}")
