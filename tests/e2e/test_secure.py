"""`make run TLS=1`: https with an authority that is created for one start."""

from __future__ import annotations

import signal
import ssl
from typing import TYPE_CHECKING

import httpx
import pytest

from local.certificates import issue, trusting, write_bundle
from local.front import Front, FrontServer
from local.processes import listen
from tests.e2e.started import Started, refuses

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_whoever_trusts_the_authority_trusts_this_server(tmp_path: Path, host: str) -> None:
    ca = tmp_path / "ca.pem"
    front = Front(
        aws_endpoint="http://127.0.0.1:9",
        api_id="x",
        outputs_bucket="outputs",
        uploads_bucket="uploads",
        host="unused",
        port=0,
        sweep=dict,
    )
    listener = listen(0)
    url = f"https://{host}:{listener.getsockname()[1]}"
    tls = issue(ca)
    server = FrontServer(front, listener, log=tmp_path / "front.log", tls=tls)
    server.start()
    try:
        assert httpx.get(url, verify=trusting(ca), trust_env=False, timeout=60).status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(url, trust_env=False, timeout=60)
        issue(tmp_path / "other.pem")
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(url, verify=trusting(tmp_path / "other.pem"), trust_env=False, timeout=60)
    finally:
        server.stop()
    assert sorted(path.name for path in tmp_path.glob("*.pem")) == ["ca.pem", "other.pem"]
    assert "PRIVATE" not in ca.read_text()


def test_newcomer_friction_9_the_bundle_trusts_the_public_authorities_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE replaces all roots, and is kept from one start to the next."""
    ca, bundle = tmp_path / "ca.pem", tmp_path / "ca-bundle.pem"
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    for _ in range(2):
        issue(ca)
        write_bundle(ca, bundle)
        authorities = ssl.create_default_context(cafile=bundle).get_ca_certs()
        assert str(authorities).count("Darkroom local CA") == 2  # Its subject and its issuer.
        assert len(authorities) > 100
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    # A company's own roots are those that this shell trusts.
    issue(tmp_path / "company.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "company.pem"))
    write_bundle(ca, bundle)
    assert len(ssl.create_default_context(cafile=bundle).get_ca_certs()) == 2


def test_a_run_with_tls_announces_https(tmp_path: Path) -> None:
    run = Started(tmp_path, "--port", "0", "--tls")
    try:
        found = run.announced()
        assert found["base_url"].startswith("https://127.0.0.1:")
        context = trusting(tmp_path / "state" / "ca.pem")
        answer = httpx.get(
            f"{found['base_url']}/v1/account",
            headers={"Authorization": f"Bearer {found['token']}"},
            verify=context,
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
    finally:
        code, out, err = run.end(signal.SIGTERM)
    assert code == 0, err
    assert f"SSL_CERT_FILE={tmp_path / 'state' / 'ca-bundle.pem'}" in out
    assert refuses(found["base_url"])
