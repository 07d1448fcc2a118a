"""Every test has the same environment: no account, no proxy, no settings of the developer's."""

from __future__ import annotations

import os

import pytest

# Before any module imports them, so that assertions there show the compared values.
pytest.register_assert_rewrite("tests.support")

from tests.support import examples  # noqa: E402

# Before pytest's own plugin takes the profile that its option names.
examples.register()

DUMMY = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def pytest_configure() -> None:
    proxies = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
    for name in list(os.environ):
        if name.lower() in proxies or name.startswith(("AWS_", "POWERTOOLS_")):
            del os.environ[name]
    os.environ.update(DUMMY)
