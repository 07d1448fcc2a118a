"""Allowed imports between packages, and the maximum length of a handler."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import darkroom
import pytest

ROOT = Path(darkroom.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
AWS_AND_HTTP = {"boto3", "botocore", "httpx", "httpcore"}
ADAPTERS = {"aws", "outbound", "replicate.client"}
WORDS = ("cog", "creates", "hooks", "snapshot", "wire")
MAY_IMPORT = {
    "domain": {"domain"},
    "catalog": {"domain", "catalog"},
    # In no function.
    "catalog.entry": {"domain", "catalog"},
    "ports": {"domain", "ports"},
    # Darkroom uses Replicate's vocabulary and reaches it through a port; no service imports the
    # client.
    "services": {"domain", "ports", "services", "catalog", *(f"replicate.{m}" for m in WORDS)},
    "outbound": {"domain", "ports", "outbound"},
    "aws": {"domain", "ports", "aws"},
    "pictures": {"domain", "ports", "pictures"},
    "replicate": {"domain", "ports", "replicate"},
    "replicate.client": {"domain", "ports", "outbound", "replicate"},
    "api": {"domain", "ports", "api", "services", "runtime"},
    # The relay's events contain the table's items, which an adapter can read. The webhook's
    # route is the path at which Replicate calls.
    "handlers": {"domain", "api", "services", "runtime", "aws.items", "replicate.hooks"},
    "runtime": {"domain", "runtime"},
    "runtime.adapters": {
        *("ports", "aws", "outbound", "replicate", "pictures", "runtime", "catalog"),
    },
    "runtime.parts": {"ports", "services", "runtime"},
}


def imports(path: Path) -> set[str]:
    """Return every module that a file imports, anywhere in it, including for type checking."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name(path: Path) -> str:
    """`domain.money` for darkroom/domain/money.py."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def layer(module: str) -> str:
    return module if module in MAY_IMPORT else module.partition(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_imports_only_from_the_layers_below_it(path: Path) -> None:
    if name(path) == "__init__":
        assert not imports(path)
        return
    allowed = MAY_IMPORT[layer(name(path))]
    ours = {found.removeprefix("darkroom.") for found in imports(path) if "darkroom" in found}
    wrong = {
        found
        for found in ours
        if not any(found == ok or found.startswith(f"{ok}.") for ok in allowed)
    }
    assert not wrong


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_aws_and_http_are_the_adapters_alone(path: Path) -> None:
    roots = {found.partition(".")[0] for found in imports(path)}
    if layer(name(path)) not in ADAPTERS:
        assert not roots & AWS_AND_HTTP
    if layer(name(path)) in {"domain", "services", "ports", "catalog", "replicate"}:
        assert roots <= sys.stdlib_module_names | {"darkroom"}


PROVIDER = re.compile(r"replicate|\bcog\b", re.IGNORECASE)
IN_INPUTS = {"replicate_api_token", "replicate_api_key", "replicate_token", "x-cog-secret"}
"""Names that occur in clients' inputs and models' schemas with any provider."""


@pytest.mark.parametrize("path", sorted((ROOT / "domain").glob("*.py")), ids=name)
def test_the_domain_names_no_provider(path: Path) -> None:
    words = set(re.findall(r"[\w-]+", path.read_text())) - IN_INPUTS
    assert not {word for word in words if PROVIDER.search(word)}


@pytest.mark.parametrize("path", sorted((ROOT / "handlers").glob("*.py")), ids=name)
def test_a_handler_is_plumbing(path: Path) -> None:
    """Each of its functions is short; its declarations may be long."""
    functions = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
    assert all((f.end_lineno or 0) - f.lineno < 30 for f in functions)


def test_a_class_has_a_name_of_its_own() -> None:
    trees = [ast.parse(path.read_text()) for path in MODULES]
    classes = [n.name for tree in trees for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    assert [name for name, times in Counter(classes).items() if times > 1] == []
