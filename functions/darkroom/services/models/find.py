"""Finds the model of a client's reference, including open models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain.errors import InvalidInputError, ProviderUnavailableError, UnavailableError
from darkroom.domain.model import (
    MODEL_NAME,
    VERSION,
    Model,
    input_schema_of,
    makes_files,
    output_places_of,
    output_shape_of,
)
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.catalog import Catalogue
    from darkroom.ports import Provider, SchemaCache

OPEN_MODEL_TYPICAL_S = 30.0


@immutable
class FindModel:
    """Needs no I/O for models of the catalogue. An open model's schema is read from the provider
    once."""

    catalogue: Callable[[], Catalogue]
    controls: SchemaCache
    provider: Provider
    open_models: bool

    def __call__(self, reference: str) -> tuple[Model, str | None, str | None]:
        """Return the model, the version to run, and a warning if the reference was corrected.

        Raises InvalidInputError, or UnavailableError if the provider cannot be reached.
        """
        found = self.catalogue().resolve(reference)
        if found is not None:
            return found.model, found.version, found.warning
        if self.open_models:
            opened = self._open_model(reference)
            if opened is not None:
                return opened, opened.version, None
        raise InvalidInputError(self._unknown(), title="Invalid version or not permitted")

    def at_openai(self, name: str, part: str) -> tuple[Model, str] | None:
        """The catalogue's model for a part of OpenAI's Images API, `generations`, `edits` or
        `masked`, and the reference that names it; None where there is none.

        `name` is one of OpenAI's, or a reference of ours with an owner.
        """
        catalogue = self.catalogue()
        models = catalogue.openai_names().get(name)
        reference = name if models is None else str(getattr(models, part))
        found = catalogue.resolve(reference) if "/" in reference else None
        return None if found is None else (found.model, reference)

    def _unknown(self) -> str:
        """Return the provider's own sentence, followed by Darkroom's difference."""
        pinned = ", or any other as owner/name:version" if self.open_models else ""
        return (
            "The specified version does not exist "
            "(or perhaps you don't have permission to use it?) "
            f"Darkroom runs the models of its catalogue{pinned}: GET /v1/models and docs/models.md "
            "list them. The operator adds one by `python -m ops models add owner/name`."
        )

    def _open_model(self, reference: str) -> Model | None:
        """Return the model of a pinned `owner/name:version`; its schema is fetched from the
        provider once.

        A version belongs to one model. A version of the catalogue is never another model's,
        whatever the provider says; any other is cached with the name under which the provider knows
        it.
        """
        name, _, version = reference.partition(":")
        if not (MODEL_NAME.fullmatch(name) and VERSION.fullmatch(version)):
            return None
        if self.catalogue().resolve(version) is not None:
            return None
        schema = self.controls.cached_schema(name, version)
        if schema is None:
            try:
                schema = self.provider.input_schema(name, version)
            except ProviderUnavailableError:
                raise UnavailableError(
                    "The model's schema cannot be read now; try again."
                ) from None
            if schema is None:
                return None
            self.controls.cache_schema(name, version, schema)
        return Model(
            model=name,
            tasks=("any",),
            official=False,
            version=version,
            input_schema=input_schema_of(schema),
            output=output_shape_of(schema),
            typical_seconds=OPEN_MODEL_TYPICAL_S,
            makes_files=makes_files(schema),
            output_places=output_places_of(schema),
        )
