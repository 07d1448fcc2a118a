"""Predictions and their lifecycle: starting, processing, and one terminal state."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emulator.inputs import ModelError
from emulator.kinds import WITHOUT_FILES, arrange, convert
from emulator.pictures import render
from emulator.streams import Stream
from emulator.webhooks import Message
from emulator.wire import encode

if TYPE_CHECKING:
    from random import Random

    from emulator.faults import Faults
    from emulator.inputs import Given, InputFetcher
    from emulator.models import Model
    from emulator.outputs import Outputs
    from emulator.showing import Showing
    from emulator.sizes import Size
    from emulator.webhooks import WebhookSender

logger = logging.getLogger(__name__)

EVENTS = ("start", "output", "logs", "completed")
TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
STARTING_SHARE = 0.15
"""Share of a model's typical time that passes before the start."""
THROTTLE_S = 0.5
"""Minimum interval between `output` and `logs` webhooks of one prediction."""
PROGRESS_LINES = 8
NSFW = "All generated images contained NSFW content. Try running it again with a different prompt."


@dataclass(eq=False, kw_only=True)
class Prediction:
    """One prediction. The object remains after its data is deleted."""

    seq: int
    model: Model
    version: str
    input: dict[str, Any]
    webhook: str | None
    events: tuple[str, ...]
    time_scale: float
    output_kind: str
    cancel_after: float | None
    created: float
    id: str = field(default_factory=lambda: "".join(secrets.choice(ID_ALPHABET) for _ in range(26)))
    status: str = "starting"
    started: float | None = None
    completed: float | None = None
    logs: str = ""
    output: Any = None
    output_paths: list[str] = field(default_factory=list)
    pictures: list[Size] = field(default_factory=list)
    """Sizes of all pictures that were drawn, even if they were not delivered."""
    given: list[Size] = field(default_factory=list)
    """Sizes of the input pictures, without masks."""
    error: str | None = None
    data_removed: bool = False
    stream: Stream | None = None
    told_at: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL


class Predictions:
    """All predictions ever created. Only this class changes their state."""

    def __init__(
        self,
        *,
        base_url: str,
        faults: Faults,
        showing: Showing,
        inputs: InputFetcher,
        outputs: Outputs,
        webhooks: WebhookSender,
        random: Random,
        retention_s: float,
    ) -> None:
        self._base_url = base_url
        self._faults = faults
        self._showing = showing
        self._inputs = inputs
        self._outputs = outputs
        self._webhooks = webhooks
        self._random = random
        self._retention_s = retention_s
        self._by_id: dict[str, Prediction] = {}
        self._by_stream: dict[str, Prediction] = {}
        self._pool = ThreadPoolExecutor(2, "draw")

    def close(self) -> None:
        """Stop all running predictions, without further webhooks."""
        for prediction in self._by_id.values():
            if prediction.task:
                prediction.task.cancel()
        self._pool.shutdown(cancel_futures=True)

    def get(self, prediction_id: str) -> Prediction | None:
        """Return the prediction, even if its data is deleted."""
        return self._by_id.get(prediction_id)

    def streaming(self, token: str) -> Stream | None:
        """Return the stream of a capability URL."""
        prediction = self._by_stream.get(token)
        return prediction.stream if prediction else None

    def oldest_first(self) -> list[Prediction]:
        """Return every prediction ever created."""
        return list(self._by_id.values())

    def create(
        self,
        model: Model,
        version: str,
        values: dict[str, Any],
        *,
        webhook: str | None,
        events: tuple[str, ...],
        cancel_after: float | None,
    ) -> Prediction:
        """Record a prediction and schedule its run, which starts after the caller yields."""
        prediction = Prediction(
            seq=len(self._by_id),
            model=model,
            version=version,
            input=values,
            webhook=webhook,
            events=events,
            time_scale=self._faults["time_scale"],
            output_kind=self._faults["output_kind"],
            cancel_after=cancel_after,
            # Rounded, so that the time on the wire and the time that list filters compare are
            # equal.
            created=int(time.time() * 1000) / 1000,
            stream=Stream() if model.output == "text" else None,
        )
        self._by_id[prediction.id] = prediction
        if prediction.stream:
            self._by_stream[prediction.stream.token] = prediction
        prediction.task = asyncio.create_task(self._live(prediction))
        prediction.task.add_done_callback(lambda task: self._check(prediction, task))
        return prediction

    def cancel(self, prediction: Prediction) -> None:
        """Cancel at once. A terminal prediction stays as it is."""
        if not prediction.terminal and prediction.task:
            prediction.task.cancel()
            self._finish(prediction, "canceled")

    def expire(self) -> int:
        """Delete the data of all ended predictions. Returns their number."""
        ended = [p for p in self._by_id.values() if p.terminal and not p.data_removed]
        for prediction in ended:
            self._remove_data(prediction)
        return len(ended)

    def _remove_data(self, prediction: Prediction) -> None:
        prediction.data_removed = True
        for path in prediction.output_paths:
            self._outputs.delete(path)

    async def _live(self, prediction: Prediction) -> None:
        deadline = asyncio.timeout(prediction.cancel_after)
        try:
            async with deadline:
                await self._run(prediction)
        except ModelError as error:
            self._finish(prediction, "failed", error=str(error))
        except TimeoutError:
            if not deadline.expired():
                raise
            late = "aborted" if prediction.started is None else "canceled"
            self._finish(prediction, late, error="Prediction exceeded its deadline")
        else:
            self._finish(prediction, "succeeded")

    def _check(self, prediction: Prediction, task: asyncio.Task[None]) -> None:
        """Fail the prediction if its task crashed."""
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("prediction %s crashed", prediction.id, exc_info=error)
            self._finish(prediction, "failed", error="(E1000) Unknown error")

    async def _run(self, prediction: Prediction) -> None:
        model = prediction.model
        seconds = model.typical_seconds * prediction.time_scale
        await asyncio.sleep(seconds * STARTING_SHARE)
        prediction.status = "processing"
        prediction.started = time.time()
        self._tell(prediction, "start")
        values = model.with_defaults(prediction.input)
        prompt = str(values.get("prompt", ""))
        if "FAIL" in prompt:
            raise ModelError("(E1001) The model ran out of memory: the prompt asked it to fail.")
        seconds *= 1 - STARTING_SHARE
        if prediction.stream:
            await self._write(prediction, prediction.stream, prompt, values, seconds)
            return
        values = model.seen(prediction.input)
        given = await self._inputs.fetch(values, model)
        prediction.given = [source.size for source in given.pictures]
        seed = self._seed(model, values)
        await self._show_progress(prediction, seed, values, seconds)
        if "NSFW" in prompt:
            raise ModelError(NSFW)
        await self._draw(prediction, values, given, seed)

    def _seed(self, model: Model, values: dict[str, Any]) -> int:
        """Return the given seed, or draw one: for a negative seed, and with some models for 0."""
        # JSON Schema accepts 1.0 as an integer.
        given = int(values["seed"]) if values.get("seed") is not None else -1
        drawn = given < 0 or (given == 0 and model.draws_at_zero)
        return self._random.randrange(1, 1 << 31) if drawn else given

    async def _show_progress(
        self, prediction: Prediction, seed: int, values: dict[str, Any], seconds: float
    ) -> None:
        """Let the time pass, with occasional log lines in the style of tqdm."""
        if prediction.model.has("seed"):
            self._log(prediction, f"Using seed: {seed}\n")
        steps = int(values.get("num_inference_steps", values.get("steps", PROGRESS_LINES)))
        for line in range(1, PROGRESS_LINES + 1):
            await asyncio.sleep(seconds / PROGRESS_LINES)
            share = line / PROGRESS_LINES
            done = round(steps * share)
            bar = "█" * round(10 * share)
            self._log(prediction, f"{round(100 * share):3}%|{bar:<10}| {done}/{steps}\n")

    async def _draw(
        self,
        prediction: Prediction,
        values: dict[str, Any],
        given: Given,
        seed: int,
    ) -> None:
        kind = prediction.output_kind
        if kind in WITHOUT_FILES:
            self._put_out(prediction)
            return
        loop = asyncio.get_running_loop()
        model = prediction.model
        for index in range(model.count(values)):
            drawn, size = await loop.run_in_executor(
                self._pool, render, model, values, given, seed, index
            )
            prediction.pictures.append(size)
            file = convert(kind, drawn)
            path = self._outputs.put(f"out-{index}.{file.extension}", file.data, file.content_type)
            prediction.output_paths.append(path)
            self._put_out(prediction)

    def _put_out(self, prediction: Prediction) -> None:
        prediction.output = arrange(
            prediction.output_kind,
            [self._base_url + path for path in prediction.output_paths],
            array=prediction.model.output == "array",
            prompt=str(prediction.input.get("prompt", "")),
        )
        self._tell(prediction, "output")

    async def _write(
        self,
        prediction: Prediction,
        stream: Stream,
        prompt: str,
        values: dict[str, Any],
        seconds: float,
    ) -> None:
        words = f"You asked for {prompt}. It would be a fine picture, quietly lit.".split(" ")
        words = words[: int(values["max_tokens"])]
        prediction.output = []
        for number, word in enumerate(words):
            await asyncio.sleep(seconds / len(words))
            token = f" {word}" if number else word
            prediction.output = [*prediction.output, token]
            stream.add("output", token)
            self._tell(prediction, "output")

    def _log(self, prediction: Prediction, line: str) -> None:
        prediction.logs += line
        if prediction.stream:
            prediction.stream.add("logs", line)
        self._tell(prediction, "logs")

    def _finish(self, prediction: Prediction, status: str, error: str | None = None) -> None:
        if prediction.terminal:
            return
        prediction.status = status
        prediction.completed = time.time()
        prediction.error = error
        if status != "succeeded":
            prediction.output = None
            for path in prediction.output_paths:
                self._outputs.delete(path)
        if prediction.stream:
            _close(prediction.stream, status, error)
        prediction.done.set()
        self._tell(prediction, "completed")
        loop = asyncio.get_running_loop()
        loop.call_later(self._retention_s, self._remove_data, prediction)

    def _tell(self, prediction: Prediction, event: str) -> None:
        """Send the webhook of an event, if the prediction has one that asks for the event."""
        if prediction.webhook is None or event not in prediction.events:
            return
        if event in {"output", "logs"}:
            now = time.monotonic()
            if now - prediction.told_at < THROTTLE_S:
                return
            prediction.told_at = now
        message = Message(
            id="msg_" + secrets.token_hex(14),
            prediction=prediction.id,
            event=event,
            status=prediction.status,
            url=prediction.webhook,
            body=encode(self._showing.view(prediction)),
        )
        self._webhooks.send(
            message, may_hold="completed" in prediction.events and event != "completed"
        )


def _close(stream: Stream, status: str, error: str | None) -> None:
    if status == "failed":
        stream.add("error", encode({"detail": error}).decode())
    reason = {"succeeded": {}, "failed": {"reason": "error"}}.get(status, {"reason": "canceled"})
    stream.add("done", encode(reason).decode())
