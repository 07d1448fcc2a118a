"""The models that Darkroom knows, as Replicate shows its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.domain import cog
from darkroom.domain.errors import BadRequest, NotFound
from darkroom.domain.model import MODEL_NAME, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.catalog import Catalogue
    from darkroom.domain.model import Model
    from darkroom.ports import Controls
    from darkroom.services.run_times import RunTimes

PAGE = 25
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Models:
    """Reads of the catalogue. The same for every tenant."""

    catalogue: Callable[[], Catalogue]
    controls: Controls
    run_times: RunTimes
    open_models: bool

    def page(self, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """Up to 25 models by name, from the one after `after` on; and the next page's `after`.

        Raises BadRequest for what is no model's name.
        """
        if after is not None and (len(after) > LONGEST_NAME or not MODEL_NAME.fullmatch(after)):
            raise BadRequest("The cursor is not one of ours.")
        catalogue = self.catalogue()
        names = [name for name in catalogue.names() if after is None or name > after]
        shown = [self._body(catalogue.model(name)) for name in names[:PAGE]]
        return shown, names[PAGE - 1] if len(names) > PAGE else None

    def get(self, name: str) -> dict[str, Any]:
        """A model by `owner/name`, or by an alias of the stage's. Raises NotFound."""
        return self._body(self._find(name))

    def versions(self, name: str) -> list[dict[str, Any]]:
        """Every version of a model; none for an official one. Raises NotFound."""
        model = self._find(name)
        schema = cog.openapi_schema(model)
        return [cog.version_body(id_, schema) for id_ in cog.version_ids(model)]

    def version(self, name: str, id_: str) -> dict[str, Any]:
        """One version. Raises NotFound.

        On an open stage this is any version that was run before, under its model's name: Python's
        client 1.x asks for it after the create, and by then its schema is kept.
        """
        model = self._resolve(name)
        if model is not None and id_ == cog.latest_version(model):
            return cog.version_body(id_, cog.openapi_schema(model))
        if VERSION.fullmatch(id_):
            known = self.catalogue().resolve(f"{model.model}:{id_}") if model else None
            if known is not None:
                return cog.version_body(known.version or id_, cog.openapi_schema(known.model))
            kept = self.open_models and MODEL_NAME.fullmatch(name)
            schema = self.controls.cached_schema(name, id_) if kept else None
            if schema is not None:
                return cog.version_body(id_, schema)
        raise NotFound("Not found")

    def _find(self, name: str) -> Model:
        model = self._resolve(name)
        if model is None:
            raise NotFound("Not found")
        return model

    def _resolve(self, name: str) -> Model | None:
        found = self.catalogue().resolve(name) if ":" not in name else None
        return found.model if found else None

    def _body(self, model: Model) -> dict[str, Any]:
        expected = self.run_times.expected(model)
        return {**cog.model_body(model), "darkroom": {**expected, "price": model.price}}
