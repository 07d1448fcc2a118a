"""CloudFront distribution for outputs: URLs signed by a key group, the bucket closed otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
from aws_cdk import Duration
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from darkroom.domain.thumbnails import WIDTHS, key_of

from ..bundling import lambda_code, lock_file
from ..constructs.python_function import FunctionDefaults, PythonFunction
from ..flags import DarkroomStack
from ..grants import data, statements
from ..nag import acknowledge

if TYPE_CHECKING:
    from constructs import Construct

    from ..config import StageConfig
    from .stateful import StatefulStack

NO_SCRIPTS = "default-src 'none'; sandbox"
"""Content-Security-Policy of outputs: one that is opened as a page runs and loads nothing."""


class CdnStack(DarkroomStack):
    """Holds no state. Deleting it changes the host of outputs and invalidates issued URLs."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: StageConfig,
        stateful: StatefulStack,
        env: cdk.Environment | None = None,
    ) -> None:
        super().__init__(scope, id_, env=env, description="Darkroom: outputs through CloudFront")
        self._config = config
        # Names of CloudFront resources are unique per account across all regions.
        self._name = f"{self.stack_name}-{cdk.Aws.REGION}"
        self._keys = self._trusted_keys()
        self.functions = self._make_functions(stateful)
        """The functions that are origins, by their names in logical ids and outputs."""
        self.distribution = self._distribute(stateful.outputs)
        own_domain = self.distribution.distribution_domain_name
        self.domain: str = config.cdn_domain.name if config.cdn_domain else own_domain
        """The host that serves outputs."""
        # Also exported when a stage has its own domain: the deployment that adds the domain would
        # fail if it removed an export that ServiceStack still uses.
        self.export_value(own_domain)
        for name, value in {
            "CdnDomain": self.domain,
            "CdnTarget": own_domain,
            **{f"Function{name}": f.function.function_name for name, f in self.functions.items()},
        }.items():
            cdk.CfnOutput(self, f"{name}Output", value=value).override_logical_id(name)

    def _key(self, parameter: str, output: str) -> tuple[cdk.CfnParameter, str]:
        """Create a slot for a public key. Returns its parameter, and its id for the key group or no
        value.

        CloudFront does not allow changing a public key, so a rotation alternates between two slots:
        one deployment empties the unused slot and a later one fills it.
        """
        given = cdk.CfnParameter(
            self,
            parameter,
            default="",
            allowed_pattern=r"(-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+"
            r"-----END PUBLIC KEY-----\s*)?",
            constraint_description="a public key in PEM, as `ops setup --keys-only` prints it",
            description="A public key that signed URLs are checked with (PEM); empty: none",
        )
        is_given = cdk.CfnCondition(
            self,
            f"{parameter}Given",
            expression=_given(given),
        )
        key = cloudfront.CfnPublicKey(
            self,
            f"{parameter}Resource",
            public_key_config=cloudfront.CfnPublicKey.PublicKeyConfigProperty(
                # Unique for each key: CloudFront may treat a known reference as a repeated request
                # and reject another key under it.
                caller_reference=cdk.Fn.join(
                    "-", [self._name, parameter, _own_letters(given.value_as_string)]
                ),
                name=f"{self._name}-{parameter}",
                # Restores the final line break, which command lines drop.
                encoded_key=cdk.Fn.join("", [given.value_as_string, "\n"]),
            ),
        )
        key.cfn_options.condition = is_given
        for name, value in ((output, key.ref), (f"{parameter}InUse", given.value_as_string)):
            shown = cdk.CfnOutput(self, f"{name}Output", value=value, condition=is_given)
            shown.override_logical_id(name)
        return given, cdk.Fn.condition_if(
            is_given.logical_id, key.ref, cdk.Aws.NO_VALUE
        ).to_string()

    def _trusted_keys(self) -> cloudfront.CfnKeyGroup:
        places = (
            self._key("CdnPublicKey", "CdnKeyId"),
            self._key("OtherCdnPublicKey", "OtherCdnKeyId"),
        )
        cdk.CfnRule(
            self,
            "AKeyIsGiven",
            assertions=[
                cdk.CfnRuleAssertion(
                    assert_=cdk.Fn.condition_or(*(_given(parameter) for parameter, _ in places)),
                    assert_description="No CdnPublicKey: deploy with `make deploy`, which makes "
                    "the key pair",
                )
            ],
        )
        return cloudfront.CfnKeyGroup(
            self,
            "KeyGroup",
            key_group_config=cloudfront.CfnKeyGroup.KeyGroupConfigProperty(
                name=self._name, items=[id_ for _, id_ in places]
            ),
        )

    def _make_functions(self, stateful: StatefulStack) -> dict[str, PythonFunction]:
        config = self._config
        environment = {
            "POWERTOOLS_SERVICE_NAME": config.service_name,
            "OUTPUTS_BUCKET": stateful.outputs.bucket_name,
        }
        return {
            name: PythonFunction(
                self,
                name,
                defaults=FunctionDefaults.of(config),
                code=lambda_code(self, catalogue=config.catalogue, lock=lock_file(function.lock)),
                declared=function,
                environment=environment,
                statements=statements(function, data(stateful), config.switches),
            )
            for name, function in config.origins().items()
        }

    def _distribute(self, outputs: s3.Bucket) -> cloudfront.Distribution:
        config = self._config
        # Imported, so that CDK does not change its policy: a policy that names this distribution
        # would make the two stacks depend on each other. StatefulStack's policy allows CloudFront.
        bucket = s3.Bucket.from_bucket_attributes(
            self,
            "Outputs",
            bucket_arn=outputs.bucket_arn,
            bucket_regional_domain_name=outputs.bucket_regional_domain_name,
        )
        files = origins.S3BucketOrigin.with_origin_access_control(
            bucket,
            # Always signed, so that a client's own Authorization header never reaches S3.
            origin_access_control=cloudfront.S3OriginAccessControl(
                self,
                "AccessControl",
                origin_access_control_name=self._name,
                signing=cloudfront.Signing.SIGV4_ALWAYS,
            ),
        )
        small = self._thumbnails(files)
        served: dict[str, Any] = {
            "viewer_protocol_policy": cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
            "allowed_methods": cloudfront.AllowedMethods.ALLOW_GET_HEAD,
            "compress": False,
            "cache_policy": self._cache_policy(),
            "response_headers_policy": self._headers_policy(),
            "trusted_key_groups": [
                cloudfront.KeyGroup.from_key_group_id(self, "TrustedKeys", self._keys.ref)
            ],
        }
        certificate = (
            acm.Certificate.from_certificate_arn(
                self, "Certificate", config.cdn_domain.certificate_arn
            )
            if config.cdn_domain
            else None
        )
        distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"Darkroom {config.name}: outputs",
            domain_names=[config.cdn_domain.name] if config.cdn_domain else None,
            certificate=certificate,
            # Has no effect on CloudFront's own domain, and CDK warns about it there.
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021
            if config.cdn_domain
            else None,
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            price_class=config.cdn_price_class,
            default_behavior=cloudfront.BehaviorOptions(origin=files, **served),
            additional_behaviors={
                f"*{key_of('', width)}": cloudfront.BehaviorOptions(origin=small, **served)
                for width in WIDTHS
            }
            if small
            else None,
        )
        cdk.Annotations.of(distribution).acknowledge_warning(
            "@aws-cdk/aws-cloudfront-origins:updateImportedBucketPolicyOac",
            "StatefulStack's own policy of the bucket admits CloudFront.",
        )
        reasons = {
            "AwsSolutions-CFR1": "What an API key's holder made is theirs in every country.",
            "AwsSolutions-CFR2": "Only GET of files by signed URL: a firewall would guard nothing "
            "that the signature does not.",
            "AwsSolutions-CFR3": "CloudFront's logs would hold the URLs' signatures, and want a "
            "bucket with ACLs. S3's own log has each read that the cache did not answer.",
        }
        if not config.cdn_domain:
            reasons["AwsSolutions-CFR4"] = (
                "CloudFront's own certificate sets the protocol of its own domain; with cdn_domain "
                "it is TLS 1.2 of 2021."
            )
        acknowledge(distribution, reasons)
        return distribution

    def _thumbnails(self, files: cloudfront.IOrigin) -> cloudfront.IOrigin | None:
        """Return the origin of thumbnails: the bucket, and for those that it does not have the
        function that makes them. None if the stage has no such function."""
        made = self.functions.get("Thumbnail")
        if made is None:
            return None
        url = made.function.add_function_url(auth_type=lambda_.FunctionUrlAuthType.AWS_IAM)
        maker = origins.FunctionUrlOrigin.with_origin_access_control(
            url,
            origin_access_control=cloudfront.FunctionUrlOriginAccessControl(
                self,
                "FunctionAccessControl",
                origin_access_control_name=f"{self._name}-functions",
                signing=cloudfront.Signing.SIGV4_ALWAYS,
            ),
        )
        return origins.OriginGroup(
            primary_origin=files,
            fallback_origin=maker,
            # Without the right to list the bucket, an object that does not exist is a 403.
            fallback_status_codes=[403, 404],
        )

    def _cache_policy(self) -> cloudfront.CachePolicy:
        """Cache by path only. CloudFront removes the signature from the query by itself."""
        return cloudfront.CachePolicy(
            self,
            "Caching",
            comment="Outputs never change; a deleted one is gone here a day later",
            min_ttl=Duration.seconds(0),
            default_ttl=Duration.days(1),
            max_ttl=Duration.days(1),
            cookie_behavior=cloudfront.CacheCookieBehavior.none(),
            header_behavior=cloudfront.CacheHeaderBehavior.none(),
            query_string_behavior=cloudfront.CacheQueryStringBehavior.none(),
        )

    def _headers_policy(self) -> cloudfront.ResponseHeadersPolicy:
        """Allow cross-origin reads from any origin, since possession of the URL is the
        authorization. Forbid rendering as a page."""
        headers = cloudfront.ResponseSecurityHeadersBehavior(
            content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
            content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                content_security_policy=NO_SCRIPTS, override=True
            ),
            strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                access_control_max_age=Duration.days(365), override=True
            ),
        )
        return cloudfront.ResponseHeadersPolicy(
            self,
            "Headers",
            response_headers_policy_name=self._name,
            security_headers_behavior=headers,
            cors_behavior=cloudfront.ResponseHeadersCorsBehavior(
                access_control_allow_credentials=False,
                access_control_allow_headers=["*"],
                access_control_allow_methods=["GET", "HEAD"],
                access_control_allow_origins=["*"],
                access_control_max_age=Duration.hours(1),
                origin_override=True,
            ),
            custom_headers_behavior=cloudfront.ResponseCustomHeadersBehavior(
                custom_headers=[
                    cloudfront.ResponseCustomHeader(
                        header="Content-Disposition", value="attachment", override=False
                    )
                ]
            ),
        )


def _own_letters(pem: str) -> str:
    """Return the 28 letters of a P-256 key's first PEM line that follow the prefix which all such
    keys share. For other kinds of keys the result is empty."""
    begins = "DQgAE"
    after = cdk.Fn.select(1, cdk.Fn.split(begins, cdk.Fn.join("", [pem, begins])))
    return cdk.Fn.select(0, cdk.Fn.split("\n", after))


def _given(parameter: cdk.CfnParameter) -> cdk.ICfnRuleConditionExpression:
    return cdk.Fn.condition_not(cdk.Fn.condition_equals(parameter, ""))
