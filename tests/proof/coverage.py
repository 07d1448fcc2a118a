"""The I/O calls of the product's code, read from its source: the faults must have reached all of
them."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from darkroom import ports, services
from darkroom.runtime import parts
from darkroom.runtime.function import declared

from tests.proof.cloud import LEFT_OUT
from tests.proof.gate import PURE, phases

PORTS = {
    "store": ports.PredictionStore,
    "deliveries": ports.DeliveryStore,
    "controls": ports.Controls,
    "rates": ports.Controls,
    "receivers": ports.Controls,
    "persist": ports.Queue,
    "dispatch": ports.Queue,
    "deliver": ports.Queue,
    "tasks_queue": ports.Queue,
    "queue": ports.Queue,
    "bus": ports.EventBus,
    "outputs": ports.OutputStore,
    "uploads": ports.UploadStore,
    "provider": ports.Provider,
    "fetcher": ports.Fetcher,
    "sender": ports.CallbackSender,
    "secrets": ports.Secrets,
    "tasks": ports.Tasks,
    "dead": ports.DeadLetters,
}
"""By the names of the services' attributes."""
CALLED = {"queue": "deliver", "rates": "controls", "receivers": "controls"}
"""The port behind an attribute of another name."""
HANDLERS = tuple(name for name in declared() if name not in LEFT_OUT)

UNREACHED: dict[tuple[str, str], str] = {
    ("cancel", "store.list_ids"): "pages are read's; cancel looks one record up",
    ("cancel", "store.get_many"): "as above",
    ("deliveries", "store.list_ids"): "as above",
    ("deliveries", "store.get_many"): "as above",
    ("deliveries", "store.commit"): "wired for its store alone; it writes no record",
    ("deliveries", "deliveries.of"): "the history: GET alone, which writes nothing",
    ("submit", "controls.note_run_time"): "run times are noted by persist",
    ("submit", "controls.cache_result"): "results are noted by relay",
    ("submit", "fetcher.open"): "of persist it needs the names of files alone",
    ("submit", "outputs.digest"): "asked for an output that is an input: read as an upload is",
    ("submit", "outputs.write_once"): "of persist, as above",
    ("submit", "outputs.keys"): "as above",
    ("submit", "outputs.get"): "as above",
    ("intake", "controls.note_run_time"): "as for submit",
    ("intake", "controls.cache_result"): "as for submit",
    ("intake", "fetcher.open"): "as for submit",
    ("intake", "outputs.digest"): "as for submit",
    ("intake", "outputs.write_once"): "as for submit",
    ("intake", "outputs.keys"): "as for submit",
    ("intake", "outputs.get"): "as for submit",
    ("intake", "store.repeats_in"): "an event has a key: nobody guesses whether it is a repetition",
    ("intake", "store.answer_again"): "as above",
    ("intake", "store.note_refusal"): "as above",
    ("submit", "store.month"): "the first days of a month: the proof's is in its middle",
    ("intake", "store.month"): "as above",
    ("cancel", "store.month"): "a limit of creates; a cancel counts against the rate alone",
    ("deliveries", "store.month"): "as above",
    ("submit", "provider.token_works"): "a first attempt is not asked about: nobody waits for that",
    ("intake", "provider.token_works"): "as for submit",
    ("deliver", "store.commit"): "wired for its store alone; it writes no record",
    ("dispatch", "controls.take"): "a look at the provider for a client that polls: nobody polls",
    ("dispatch", "provider.get"): "as above",
    ("dispatch", "store.watch"): "as above, and the wish for a look is read's",
    ("dispatch", "deliver.send"): "as above",
    ("relay", "store.commit"): "wired for its store alone; it writes no record",
    ("relay", "controls.cached_result"): "results are looked up by submit",
    ("relay", "store.get"): "as above",
    ("relay", "controls.run_times"): "of persist, which reuse loads for the names of files",
    ("relay", "controls.note_run_time"): "as above",
    ("relay", "fetcher.open"): "as above",
    ("relay", "outputs.write_once"): "as above",
    ("relay", "outputs.keys"): "as above",
    ("relay", "outputs.get"): "as above",
}
"""Calls in the modules that a handler loads but that its own code path never makes. If a run makes
one anyway, the proof fails, so that this table stays correct."""


def services_of(handler: str) -> set[str]:
    """Return the service modules that a function's own module imports, and the parts from which it
    is built, with the modules that those import."""
    module = ast.parse(inspect.getsource(import_module(declared()[handler].module)))
    found = {"predictions.changes"} | _imported(module)
    for function in _parts(module):
        found |= _imported(function)
    while True:
        wider = found | {other for name in found for other in _imported(_tree(name))}
        if wider == found:
            return found
        found = wider


def _parts(tree: ast.AST) -> list[ast.AST]:
    """Return the functions of `runtime.parts` that the code names, and those that they name in
    turn."""
    named = {_last_name(node) for node in ast.walk(tree) if isinstance(node, ast.expr)}
    found: dict[str, ast.AST] = {}
    while new := {name for name in named if name in _PARTS and name not in found}:
        found |= {name: _PARTS[name] for name in new}
        named = {
            _last_name(node)
            for name in new
            for node in ast.walk(_PARTS[name])
            if isinstance(node, ast.expr)
        }
    return list(found.values())


_PARTS = {
    node.name: node
    for node in ast.parse(inspect.getsource(parts)).body
    if isinstance(node, ast.FunctionDef)
}


def expected() -> set[tuple[str, str]]:
    """Return (handler, port.method) for every call of a port's method in the handlers' services."""
    return {
        (handler, site)
        for handler in HANDLERS
        for name in services_of(handler)
        for site in _sites(name)
    } - UNREACHED.keys()


def unvisited(
    seen: set[tuple[str, str]], hit: set[tuple[str, str, str]]
) -> list[tuple[str, str, str]]:
    """Return each (handler, I/O, phase) that exists and had no fault."""
    stale = seen & UNREACHED.keys()
    if stale:
        raise ValueError(f"reached after all: {sorted(stale)}")
    sites = expected() | seen
    return sorted(
        (handler, site, phase)
        for handler, site in sites
        for phase in phases(site)
        if (handler, site, phase) not in hit
    )


@cache
def _tree(service: str) -> ast.Module:
    return ast.parse(
        (Path(services.__path__[0]).joinpath(*service.split(".")).with_suffix(".py")).read_text()
    )


def _imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        _, within, name = node.module.partition("darkroom.services.")
        names = [alias.name for alias in node.names]
        if within and Path(services.__path__[0], name).is_dir():
            found |= {f"{name}.{module}" for module in names}
        # A constant adds no I/O.
        elif within and not all(each.isupper() for each in names):
            found.add(name)
    return found


@cache
def _sites(service: str) -> frozenset[str]:
    found = set()
    for node in ast.walk(_tree(service)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            port = _last_name(node.func.value).lstrip("_")
            method = node.func.attr
            if port in PORTS and method in _methods(PORTS[port]):
                found.add(f"{CALLED.get(port, port)}.{method}")
    return frozenset(found) - PURE


def _methods(port: Any) -> set[str]:
    return {name for name in dir(port) if not name.startswith("_")}


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
