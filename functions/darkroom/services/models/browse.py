"""The models of the catalogue, in the form in which Replicate shows its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.domain.errors import BadRequestError, NotFoundError
from darkroom.domain.model import MODEL_NAME, VERSION
from darkroom.domain.values import immutable
from darkroom.replicate import cog

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.catalog import Catalogue
    from darkroom.domain.model import Model
    from darkroom.ports import SchemaCache
    from darkroom.services.models.run_times import RunTimes

PAGE = 25
BEFORE = "<"
"""Cursor prefix for the page that ends before this name. No name begins with it."""


@immutable
class Models:
    """Reads of the catalogue, the same for every tenant."""

    catalogue: Callable[[], Catalogue]
    controls: SchemaCache
    run_times: RunTimes
    open_models: bool

    def page(
        self, cursor: str | None, *, descending: bool = False
    ) -> tuple[list[dict[str, Any]], str | None, str | None]:
        """Return up to 25 models by name from the cursor on, and the cursors of the next and the
        previous page. A cursor is the name after which the page begins or, with prefix `<`, before
        which it ends.

        Raises BadRequestError for a cursor without a model's name.
        """
        behind = (cursor or "").removeprefix(BEFORE)
        if cursor is not None and not MODEL_NAME.fullmatch(behind):
            raise BadRequestError("The cursor is not one of ours.")
        catalogue = self.catalogue()
        names = sorted(catalogue.names(), reverse=descending)
        earlier = [n for n in names if (n > behind if descending else n < behind)] if behind else []
        if cursor is not None and cursor.startswith(BEFORE):
            start, end = max(0, len(earlier) - PAGE), len(earlier)
        else:
            start = len(earlier) + (behind in names)
            end = start + PAGE
        shown = names[start:end]
        following = shown[-1] if shown and end < len(names) else None
        previous = BEFORE + shown[0] if shown and start else None
        return [self._body(catalogue.model(name)) for name in shown], following, previous

    def get(self, name: str) -> dict[str, Any]:
        """Return a model by `owner/name`, or by an alias of the stage. Raises NotFoundError."""
        return self._body(self._find(name))

    def versions(self, name: str) -> list[dict[str, Any]]:
        """Return every version of a model; none for an official one. Raises NotFoundError."""
        model = self._find(name)
        schema = cog.openapi_schema(model)
        return [cog.version_body(id_, schema) for id_ in cog.version_ids(model)]

    def version(self, name: str, id_: str) -> dict[str, Any]:
        """Return one version. Raises NotFoundError.

        On an open stage, this includes every version that was run before, under its model's name:
        Python's client 1.x requests it after the create, when its schema is cached.
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
        raise NotFoundError("Not found")

    def brief(self, task: str | None) -> list[dict[str, Any]]:
        """Return the facts for choosing a model: of all models, or of those for a task."""
        catalogue = self.catalogue()
        models = (catalogue.model(name) for name in catalogue.names())
        return [self._brief(model) for model in models if task is None or task in model.tasks]

    def whole(self, name: str) -> dict[str, Any]:
        """Return the same for one model, with its input schema. Raises NotFoundError."""
        model = self._find(name)
        return {**self._brief(model), "input_schema": model.input_schema}

    def _brief(self, model: Model) -> dict[str, Any]:
        return {
            "model": model.model,
            "description": model.description,
            "tasks": list(model.tasks),
            "price": model.price,
            **self.run_times.expected(model),
            "inputs": list(model.input_schema["properties"]),
            "mask_repaints": model.mask_repaints,
            "deprecated": bool(model.status),
        }

    def _find(self, name: str) -> Model:
        model = self._resolve(name)
        if model is None:
            raise NotFoundError("Not found")
        return model

    def _resolve(self, name: str) -> Model | None:
        found = self.catalogue().resolve(name) if ":" not in name else None
        return found.model if found else None

    def _body(self, model: Model) -> dict[str, Any]:
        known = {
            "tasks": model.tasks,
            "status": model.status or None,
            "price": model.price,
            "pictures": model.pictures,
            "mask": model.mask,
            "mask_repaints": model.mask_repaints,
        }
        return {**cog.model_body(model), "darkroom": {**self.run_times.expected(model), **known}}
