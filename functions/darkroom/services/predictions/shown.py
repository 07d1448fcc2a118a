"""A record as clients see it: the provider's body, with URLs signed at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from darkroom.domain import thumbnails
from darkroom.domain.prediction import State
from darkroom.domain.values import immutable
from darkroom.replicate import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import Prediction
    from darkroom.ports import Signer


@immutable
class Shown:
    """Presents records on our own host. Signing is local; a CDN's key is read once in minutes."""

    signer: Signer
    public_url: str
    watch_url: Callable[[Prediction], str | None] | None = None
    """None if the stage has no door `wait`."""
    thumbnail_urls: Callable[[Prediction, int], dict[str, str]] | None = None
    """Returns the URLs of a file's thumbnails by width. None if the stage has no door `thumbnails`,
    and in answers that show none."""

    def created(self, record: Prediction, expected: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to a create: never `processing`, and with the model's expected
        duration.

        The provider's clients take a create's answer for the result unless it says `starting`.
        """
        shown = self.alone(record)
        shown["darkroom"] |= expected or {}
        return shown | {"status": "starting"} if shown["status"] == "processing" else shown

    def alone(self, record: Prediction) -> dict[str, Any]:
        """Return the answer to a create or a get, with the fields that waiting clients need and
        that no list, callback or event has."""
        shown = self(record)
        shown["darkroom"]["revision"] = record.revision
        url = self.watch_url(record) if self.watch_url else None
        if url:
            shown["urls"]["watch"] = url
        return shown

    def watched(self, record: Prediction) -> dict[str, Any]:
        """Return the answer at a watch URL."""
        return wire.watched(record, self.output_urls(record))

    def files(self, record: Prediction) -> list[dict[str, Any]]:
        """Return the stored files with their URLs; none unless the prediction succeeded."""
        if record.state is not State.SUCCEEDED:
            return []
        pairs = zip(record.files, self.output_urls(record), strict=True)
        return [
            {
                "url": url,
                "content_type": file.content_type,
                "bytes": file.bytes,
                "width": file.width,
                "height": file.height,
                **self._thumbnails(record, number),
            }
            for number, (file, url) in enumerate(pairs)
        ]

    def __call__(self, record: Prediction) -> dict[str, Any]:
        """Return the JSON body of the prediction."""
        shown = wire.body(
            record,
            public_url=self.public_url,
            output_urls=self.output_urls(record),
            upload_urls={
                pointer: self.signer.upload_url(key) for pointer, key in record.uploads.items()
            },
        )
        for number, file in enumerate(shown["darkroom"]["files"]):
            file.update(self._thumbnails(record, number))
        return shown

    def output_urls(self, record: Prediction) -> list[str]:
        """Return a signed URL for each stored file, in order."""
        return [self.signer.output_url(file.key) for file in record.files]

    def _thumbnails(self, record: Prediction, number: int) -> dict[str, Any]:
        """Return the fields of a file that has thumbnails; none for every other one."""
        is_picture = record.files[number].content_type in thumbnails.PICTURES
        urls = self.thumbnail_urls(record, number) if self.thumbnail_urls and is_picture else {}
        return {"thumbnail": urls[str(thumbnails.SHOWN)], "thumbnails": urls} if urls else {}
