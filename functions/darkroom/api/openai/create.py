"""A create in OpenAI's words, handed to the same use case as any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.api.http import warning
from darkroom.api.openai.answers import AnswerForm, place, under_way
from darkroom.api.openai.bodies import data_url
from darkroom.api.openai.errors import OpenAIError, param_of
from darkroom.api.openai.mapping import Mapped, mapped
from darkroom.api.requests import prefers
from darkroom.domain.errors import BadRequestError, InvalidInputError
from darkroom.domain.values import immutable
from darkroom.runtime.observability import note_accepted

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.api.http import Call
    from darkroom.api.openai.answers import Kind
    from darkroom.api.openai.bodies import PictureRequest
    from darkroom.api.requests import ReadCreate
    from darkroom.domain.model import Model
    from darkroom.ports import Masks
    from darkroom.services.predictions.submit import Accepted, Submit

POLL_S = 2
"""When a client that does not wait had better look."""


@immutable
class CreatePictures:
    """Finds the model, makes its input, submits, and says where the pictures are waited for."""

    read_create: ReadCreate
    submit: Submit
    masks: Callable[[], Masks]

    def __call__(self, call: Call, kind: Kind, asked: PictureRequest) -> dict[str, Any]:
        """The body of the answer, whose status and headers are set. Raises what the use case
        raises, and OpenAIError."""
        part = kind if asked.mask is None else "masked"
        found = self.submit.find_model.at_openai(asked.model, part)
        if found is None:
            raise _unknown(asked.model)
        model, reference = found
        if not model.makes_files:
            raise OpenAIError(f"{model.model} makes no pictures.", param="model")
        made = mapped(asked, model)
        if asked.mask is not None:
            made.input[_mask_of(model)] = self._mask(asked.mask, asked.first, model)
        accepted = self._submit(call, reference, asked, made)
        note_accepted(accepted)
        form = AnswerForm(asked.response_format, asked.stream, made.ignored)
        waits = not prefers(call.request, "respond-async")
        call.status = 303 if waits else 202
        call.headers["location"] = place(kind, accepted.record.id, form, int(waits))
        if not waits:
            call.headers["retry-after"] = str(POLL_S)
        if accepted.replayed:
            call.headers["idempotent-replayed"] = "true"
        if accepted.warning:
            call.headers["warning"] = warning(accepted.warning)
        return under_way(accepted.record)

    def _mask(self, mask: bytes, picture: bytes | None, model: Model) -> str:
        try:
            painted = self.masks().repainting(mask, picture, model.mask_repaints or "white")
        except BadRequestError as error:
            raise OpenAIError(str(error), param="mask") from None
        return data_url("image/png", painted)

    def _submit(self, call: Call, reference: str, asked: PictureRequest, made: Mapped) -> Accepted:
        key = call.key
        body: dict[str, Any] = {"input": made.input, **asked.ours}
        if asked.end_user is not None:
            body["end_user"] = asked.end_user
        try:
            return self.submit(
                self.read_create.of(call.request, key.tenant, key.dedupe_window_s, reference, body)
            )
        except InvalidInputError as error:
            names = {**made.theirs, "end_user": "user"}
            param = param_of(error)
            if param is not None:
                param = names.get(param.partition(".")[0], param)
            raise OpenAIError(str(error).strip(), param=param) from None


def _unknown(name: str) -> OpenAIError:
    shown = "".join(c if c.isprintable() else "?" for c in name)
    return OpenAIError(
        f"The model '{shown}' does not exist here. GET /openai/v1/models lists those that do.",
        status=404,
        code="model_not_found",
        param="model",
    )


def _mask_of(model: Model) -> str:
    if model.mask is None:
        raise OpenAIError(f"{model.model} takes no mask.", param="mask")
    return model.mask
