"""Outputs through CloudFront: who may read the bucket, and what a viewer needs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.config import OPTIONAL_STACKS, CdnDomain, StageConfig
from ops import cdn_key
from tests.support.make import planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.synthesis import Synth

ROOT = Path(__file__).resolve().parents[2]
PLACES = {"CdnPublicKey": "CdnKeyId", "OtherCdnPublicKey": "OtherCdnKeyId"}


def only(synth: Synth, type_: str) -> dict[str, Any]:
    (found,) = synth.cdn.properties(f"CloudFront::{type_}").values()
    return found


@pytest.fixture
def distribution(prod: Synth) -> dict[str, Any]:
    return dict(only(prod, "Distribution")["DistributionConfig"])


def stacks(synth: Synth) -> set[str]:
    manifest = json.loads((synth.outdir / "manifest.json").read_text())
    names = {k for k, v in manifest["artifacts"].items() if v["type"].endswith(":stack")}
    return {name.removeprefix(f"Darkroom-{synth.config.name}-") for name in names}


def test_the_embedded_cloud_leaves_out_the_optional_stacks_alone(
    local: Synth, dev: Synth, prod: Synth
) -> None:
    assert OPTIONAL_STACKS == ("Cdn", "Observability")
    assert stacks(dev) | {"Observability"} == stacks(prod) == stacks(local) | set(OPTIONAL_STACKS)
    assert not stacks(local) & set(OPTIONAL_STACKS)


def test_without_a_cdn_nothing_speaks_of_it(local: Synth) -> None:
    assert "cloudfront" not in local.stateful.path.read_text()
    assert "CDN_" not in local.service.path.read_text()
    assert "cdn-key" not in local.service.path.read_text()


def test_a_viewer_brings_https_and_a_signature(distribution: dict[str, Any]) -> None:
    behavior = distribution["DefaultCacheBehavior"]
    assert behavior["ViewerProtocolPolicy"] == "https-only"
    assert behavior["AllowedMethods"] == ["GET", "HEAD"]
    assert behavior["TrustedKeyGroups"] == [{"Ref": "KeyGroup"}]
    assert "CacheBehaviors" not in distribution
    assert "OriginRequestPolicyId" not in behavior


def test_the_key_group_trusts_the_keys_that_were_given(prod: Synth) -> None:
    assert only(prod, "KeyGroup")["KeyGroupConfig"]["Items"] == [
        {"Fn::If": [f"{place}Given", {"Ref": f"{place}Resource"}, {"Ref": "AWS::NoValue"}]}
        for place in PLACES
    ]
    for place, output in PLACES.items():
        parameter = prod.cdn.body["Parameters"][place]
        assert (parameter["Type"], parameter["Default"]) == ("String", "")
        key = prod.cdn.body["Resources"][f"{place}Resource"]
        assert key["Condition"] == f"{place}Given"
        encoded = key["Properties"]["PublicKeyConfig"]["EncodedKey"]
        assert encoded == {"Fn::Join": ["", [{"Ref": place}, "\n"]]}
        outputs = prod.cdn.body["Outputs"]
        assert outputs[output]["Value"] == {"Ref": f"{place}Resource"}
        assert outputs[f"{place}InUse"]["Value"] == {"Ref": place}


def evaluated(value: Any, names: dict[str, str]) -> Any:
    """Evaluate CloudFormation's own functions."""
    match value:
        case str() | int():
            return value
        case list():
            return [evaluated(part, names) for part in value]
        case {"Ref": name}:
            return names[name]
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(evaluated(parts, names))
        case {"Fn::Split": [separator, text]}:
            return evaluated(text, names).split(separator)
        case {"Fn::Select": [number, parts]}:
            return evaluated(parts, names)[int(number)]
    raise ValueError(f"cannot evaluate {value}")


@pytest.mark.parametrize("place", PLACES)
def test_aws_m3_no_two_keys_of_an_account_share_a_caller_reference(prod: Synth, place: str) -> None:
    """CloudFront's keys belong to one account in all regions, and a place is reused in each
    rotation."""
    key = prod.cdn.body["Resources"][f"{place}Resource"]["Properties"]["PublicKeyConfig"]
    pems = [cdn_key.public_half(cdn_key.new_private_key()) for _ in range(3)]
    references = {
        (region, pem): evaluated(
            key["CallerReference"], {"AWS::Region": region, place: pem.rstrip("\n")}
        )
        for region in ("eu-west-1", "us-east-1")
        for pem in pems
    }
    assert len(set(references.values())) == 6
    for reference in references.values():
        assert place in reference
        assert len(reference) <= 128
        assert re.fullmatch(r"[\w+/-]+", reference)


@pytest.mark.parametrize(
    "given", ["", "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----"]
)
def test_aws_m3_a_place_without_such_a_key_can_be_evaluated(prod: Synth, given: str) -> None:
    """An index out of range would stop the deployment."""
    key = prod.cdn.body["Resources"]["CdnPublicKeyResource"]["Properties"]["PublicKeyConfig"]
    names = {"AWS::Region": "eu-west-1", "CdnPublicKey": given}
    assert evaluated(key["CallerReference"], names).endswith("CdnPublicKey-")


def test_make_deploy_passes_the_public_key(prod: Synth) -> None:
    commands = planned("deploy", "STAGE=prod")
    assert "ops setup --keys-only --parameter --stage prod" in commands
    (stack,) = re.findall(r'\$\{given:\+--parameters "(\S+):\$given"\}', commands)
    assert stack == prod.cdn.path.name.removesuffix(".template.json")


@pytest.mark.parametrize(
    ("given", "passed"), [("", []), ("Key=-----A\nB C=", ["--parameters", "Cdn:Key=-----A\nB C="])]
)
def test_the_shell_passes_the_key_as_one_word_or_not_at_all(given: str, passed: list[str]) -> None:
    """aws-L8: without a key there is no parameter."""
    makefile = (ROOT / "Makefile").read_text()
    ((option, quoted),) = re.findall(r'\$\$\{given:\+(--parameters) "(\S+:\$\$given)"\}', makefile)
    words = f'${{given:+{option} "Cdn:$given"}}'
    assert quoted == "Darkroom-$(STAGE)-Cdn:$$given"
    script = "import sys; print(sys.argv[1:])"
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c '{script}' {words}"],
        env={"given": given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{passed}\n"


def test_a_deployment_without_any_key_is_refused(prod: Synth) -> None:
    (assertion,) = prod.cdn.body["Rules"]["AKeyIsGiven"]["Assertions"]
    assert assertion["Assert"] == {
        "Fn::Or": [{"Fn::Not": [{"Fn::Equals": [{"Ref": place}, ""]}]} for place in PLACES]
    }


def test_cloudfront_signs_each_request_to_the_bucket(
    prod: Synth, distribution: dict[str, Any]
) -> None:
    control = only(prod, "OriginAccessControl")["OriginAccessControlConfig"]
    assert control["SigningBehavior"] == "always"
    (origin,) = distribution["Origins"]
    assert prod.shown(origin["DomainName"]) == "Outputs.RegionalDomainName"
    assert prod.shown(origin["OriginAccessControlId"]).startswith("AccessControl")


def test_only_the_path_reaches_the_cache_and_the_bucket(prod: Synth) -> None:
    policy = only(prod, "CachePolicy")["CachePolicyConfig"]
    assert policy["ParametersInCacheKeyAndForwardedToOrigin"] == {
        "CookiesConfig": {"CookieBehavior": "none"},
        "HeadersConfig": {"HeaderBehavior": "none"},
        "QueryStringsConfig": {"QueryStringBehavior": "none"},
        "EnableAcceptEncodingBrotli": False,
        "EnableAcceptEncodingGzip": False,
    }
    assert policy["MaxTTL"] <= 86_400


def test_outputs_are_data_and_never_pages(prod: Synth) -> None:
    policy = only(prod, "ResponseHeadersPolicy")["ResponseHeadersPolicyConfig"]
    security = policy["SecurityHeadersConfig"]
    assert security["ContentTypeOptions"] == {"Override": True}
    csp = security["ContentSecurityPolicy"]
    assert csp == {"ContentSecurityPolicy": "default-src 'none'; sandbox", "Override": True}
    assert policy["CustomHeadersConfig"]["Items"] == [
        {"Header": "Content-Disposition", "Value": "attachment", "Override": False}
    ]
    cors = policy["CorsConfig"]
    assert cors["AccessControlAllowMethods"]["Items"] == ["GET", "HEAD"]
    assert cors["AccessControlAllowCredentials"] is False


def test_the_bucket_admits_this_accounts_distributions_to_read(prod: Synth) -> None:
    policies = {
        prod.shown(policy["Bucket"]): policy["PolicyDocument"]["Statement"]
        for policy in prod.stateful.properties("S3::BucketPolicy").values()
    }
    admitted = [
        (bucket, statement)
        for bucket, statements in policies.items()
        for statement in statements
        if statement["Effect"] == "Allow"
        and statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    ]
    ((bucket, statement),) = admitted
    assert bucket == "Outputs"
    assert statement["Action"] == "s3:GetObject"
    assert prod.shown(statement["Resource"]) == "Outputs/*"
    source = prod.shown(statement["Condition"]["ArnLike"].pop("aws:SourceArn"))
    assert source == "arn:AWS::Partition:cloudfront::AWS::AccountId:distribution/*"
    # aws-M4: no other condition key, because AWS documents none that CloudFront sends.
    assert statement["Condition"] == {"ArnLike": {}}


def test_functions_that_show_outputs_know_the_cdn(prod: Synth) -> None:
    showing = {
        name: prod.shown(f["Environment"]["Variables"]["CDN_DOMAIN"])
        for name, f in prod.service.properties("Lambda::Function").items()
        if "CDN_DOMAIN" in f["Environment"]["Variables"]
    }
    shown = {
        "SubmitFunction",
        "IntakeFunction",
        "ReadFunction",
        "CancelFunction",
        "DeliverFunction",
    }
    assert showing.keys() == shown
    assert set(showing.values()) == {"Distribution.DomainName"}


def test_price_class_is_a_stages_choice(dev: Synth, prod: Synth) -> None:
    classes = [only(s, "Distribution")["DistributionConfig"]["PriceClass"] for s in (dev, prod)]
    assert classes == ["PriceClass_100", "PriceClass_All"]


def test_a_domain_of_ones_own(synth: Callable[[StageConfig], Synth], prod: Synth) -> None:
    domain = CdnDomain(
        name="out.example.com", certificate_arn="arn:aws:acm:us-east-1:111122223333:certificate/x"
    )
    done = synth(replace(StageConfig.prod(), cdn_domain=domain))
    config = only(done, "Distribution")["DistributionConfig"]
    assert config["Aliases"] == ["out.example.com"]
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert done.cdn.body["Outputs"]["CdnDomain"]["Value"] == "out.example.com"
    assert done.shown(done.cdn.body["Outputs"]["CdnTarget"]["Value"]) == "Distribution.DomainName"
    # Exports for other stacks stay, so that a running stage can add the domain.
    assert done.cdn.exports == prod.cdn.exports


def test_a_stage_may_go_without(synth: Callable[[StageConfig], Synth], prod: Synth) -> None:
    done = synth(replace(StageConfig.prod(), cdn=False))
    assert stacks(done) == {"Stateful", "Service", "Observability"}
    assert "CDN_" not in done.service.path.read_text()
    # Exports for a deployed CDN stay, so that a running stage can remove it.
    text = prod.cdn.path.read_text()
    imported = {name for name in prod.stateful.exports if name in text}
    assert imported
    assert imported <= done.stateful.exports.keys()
