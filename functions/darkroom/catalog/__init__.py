"""The models of the catalogue: one data file each, and the lookup of a client's reference."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.domain import strict_json
from darkroom.domain.model import MODEL_NAME, VERSION, InvalidModelError, Model, choices
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?")
_DIGITS = re.compile(rb'"([0-9a-f]{64})"')
_ALIASES_FILE = "aliases.json"
_OPENAI_FILE = "openai.json"
_NO_MODELS = frozenset({_ALIASES_FILE, _OPENAI_FILE})


@immutable
class Resolved:
    """The model that a reference names."""

    model: Model
    version: str | None
    """The version to request from the provider; None runs an official model by its name."""
    warning: str | None = None
    """Warning for the client that used this reference."""


@immutable
class ModelsFor:
    """The models that stand for one of OpenAI's names, as `owner/name` each."""

    generations: str
    edits: str
    masked: str
    """For an edit with a mask."""


class Catalogue:
    """The entries of one folder: `owner--name.json` each, and optionally `aliases.json` and
    `openai.json`.

    A file is parsed when its model is first needed.
    """

    def __init__(
        self, files: Mapping[str, Path], aliases: Mapping[str, str], openai: Path | None = None
    ) -> None:
        self._files = dict(files)
        self._aliases = dict(aliases)
        self._openai = openai
        self._openai_names: dict[str, ModelsFor] | None = None
        self._models: dict[str, Model] = {}
        self._by_version: dict[str, list[str]] = {}

    @classmethod
    def load(cls, folder: Path | None = None, *, over: Path | None = None) -> Catalogue:
        """List the folder (by default the package's own) and read its aliases. Files of `over`
        replace those of the same name, like a stage's do in its functions.

        Raises InvalidModelError for an invalid file name or alias.
        """
        folders = [each for each in (folder or Path(__file__).parent, over) if each]
        files = {
            path.stem.replace("--", "/", 1): path
            for each in folders
            for path in sorted(each.glob("*.json"))
            if path.name not in _NO_MODELS
        }
        for name, path in files.items():
            if MODEL_NAME.fullmatch(name) is None:
                raise InvalidModelError(f"{path.name}: the file name is not owner--name.json")
        aliases: dict[str, str] = {}
        for each in folders:
            aliases = _read_aliases(each / _ALIASES_FILE) or aliases
        theirs = [path for each in folders if (path := each / _OPENAI_FILE).exists()]
        catalogue = cls(files, aliases, theirs[-1] if theirs else None)
        for alias, target in catalogue._aliases.items():
            if catalogue._find(target) is None:
                raise InvalidModelError(f"{_ALIASES_FILE}: {alias} points to an unknown model")
        return catalogue

    def names(self) -> tuple[str, ...]:
        """Return all models as owner/name, sorted."""
        return tuple(sorted(self._files))

    def file(self, name: str) -> Path:
        """Return the file of one of `names`."""
        return self._files[name]

    def aliases_of(self, name: str) -> list[str]:
        """Return the aliases of this model, or of a version of it."""
        return [alias for alias, to in self._aliases.items() if to.partition(":")[0] == name]

    def openai_names(self) -> dict[str, ModelsFor]:
        """What stands for each of OpenAI's names. Raises InvalidModelError for a damaged file, or
        for a model that there is not."""
        if self._openai_names is None:
            self._openai_names = self._read_openai_names()
        return self._openai_names

    def _read_openai_names(self) -> dict[str, ModelsFor]:
        found = _read_openai(self._openai) if self._openai else {}
        names = {}
        for name, given in found.items():
            models = given if isinstance(given, dict) else {}
            if models.keys() != set(_PARTS) or not all(map(self._knows, models.values())):
                raise InvalidModelError(
                    f"{_OPENAI_FILE}: {name} names one model of the catalogue for each of "
                    f"{', '.join(_PARTS)}"
                )
            names[name] = ModelsFor(**models)
        return names

    def _knows(self, name: object) -> bool:
        return isinstance(name, str) and name in self._files

    def resolve(self, reference: str) -> Resolved | None:
        """Return the model and version of a client's `reference`; None if unknown.

        Forms: owner/name, owner/name:version, a bare version, or a stage's alias, which may take
        precedence over a model's own name. Raises InvalidModelError only for a damaged catalogue
        file.
        """
        return self._find(self._aliases.get(reference, reference))

    def choices(self, name: str) -> dict[str, frozenset[str]]:
        """Return the values of each enum in a model's input; empty for an unknown model."""
        return choices(self.model(name).input_schema) if name in self._files else {}

    def _find(self, reference: str) -> Resolved | None:
        if VERSION.fullmatch(reference):
            found = (self._at_version(name, reference) for name in self._naming(reference))
            return next((resolved for resolved in found if resolved), None)
        name, colon, version = reference.partition(":")
        if name not in self._files:
            return None
        if colon:
            return self._at_version(name, version)
        model = self.model(name)
        return Resolved(model, model.version, _warning(model))

    def _naming(self, version: str) -> list[str]:
        """Return the models whose files name the version, found without parsing them."""
        if not self._by_version:
            for name, path in self._files.items():
                for digits in set(_DIGITS.findall(path.read_bytes())):
                    self._by_version.setdefault(digits.decode(), []).append(name)
        return self._by_version.get(version, [])

    def _at_version(self, name: str, version: str) -> Resolved | None:
        model = self.model(name)
        if version in model.version_aliases:
            told = _warning(model, model.version_aliases[version])
            return Resolved(model, model.version, told)
        if version == model.version or version in model.known_versions:
            return Resolved(model, version, _warning(model))
        return None

    def model(self, name: str) -> Model:
        """Return the entry of one of `names`, independent of aliases.

        Raises InvalidModelError for a damaged file; `catalog.entry` tells what is wrong with it.
        """
        if name not in self._models:
            path = self._files[name]
            try:
                model = Model.from_dict(strict_json.loads(path.read_bytes()))
            except strict_json.StrictJSONError as error:
                raise InvalidModelError(f"{path.name}: {error}") from None
            except (AttributeError, LookupError, TypeError, ValueError):
                raise InvalidModelError(f"{path.name}: not a catalogue entry") from None
            if model.model != name:
                raise InvalidModelError(f"{path.name}: holds the model {model.model}")
            self._models[name] = model
        return self._models[name]


_PARTS = tuple(field.name for field in fields(ModelsFor))


def _warning(model: Model, other: str | None = None) -> str | None:
    """Return the warning for users of the model, combined with another one."""
    if not model.status:
        return other
    told = f"{model.model} is deprecated ({model.status['as_of']})"
    successor = model.status.get("successor")
    told += f": use {successor} in its place." if successor else "."
    return f"{told} {other}" if other else told


def _read_openai(path: Path) -> dict[str, object]:
    try:
        found = strict_json.loads(path.read_bytes())
    except strict_json.StrictJSONError as error:
        raise InvalidModelError(f"{path.name}: {error}") from None
    if not isinstance(found, dict):
        raise InvalidModelError(f"{path.name}: expected an object of OpenAI's names")
    return found


def _read_aliases(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        aliases = strict_json.loads(path.read_bytes())
    except strict_json.StrictJSONError as error:
        raise InvalidModelError(f"{path.name}: {error}") from None
    if not isinstance(aliases, dict) or not all(
        _ALIAS.fullmatch(alias) and isinstance(target, str) for alias, target in aliases.items()
    ):
        raise InvalidModelError(f"{path.name}: expected an object of alias to owner/name")
    return aliases
