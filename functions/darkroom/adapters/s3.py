"""Outputs and uploads in S3, and the URLs under which they may be read."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.ports import Form, StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterator

PART = 8 * 1024 * 1024
"""Bytes per part of a multipart upload: S3's least is 5 MiB."""
URL_LIFE_S = 3600
PROVIDER_URL_LIFE_S = 7200
"""The provider may fetch an input late: after a queue, or a cold start."""


@dataclass(frozen=True, slots=True)
class S3Outputs:
    """OutputStore: one object per output, written once."""

    client: Any
    bucket: str

    def write_once(self, key: str, content_type: str, chunks: Iterator[bytes]) -> StoredObject:
        whole = hashlib.sha256()
        buffer = bytearray()
        for chunk in chunks:
            whole.update(chunk)
            buffer += chunk
            if len(buffer) >= PART:
                return self._multipart(key, content_type, buffer, chunks, whole)
        common = {"Bucket": self.bucket, "Key": key, "ContentType": content_type}
        try:
            self.client.put_object(
                **common,
                Body=bytes(buffer),
                IfNoneMatch="*",
                ChecksumSHA256=base64.b64encode(whole.digest()).decode(),
                Metadata={"sha256": whole.hexdigest()},
                ContentDisposition="attachment",
            )
        except ClientError as error:
            return self._existing(key, error)
        return StoredObject(len(buffer), whole.hexdigest())

    def _multipart(
        self, key: str, content_type: str, buffer: bytearray, chunks: Iterator[bytes], whole: Any
    ) -> StoredObject:
        """Parts of 8 MiB; nothing is visible until the last call, which never overwrites."""
        where = {"Bucket": self.bucket, "Key": key}
        upload = self.client.create_multipart_upload(
            **where,
            ContentType=content_type,
            ContentDisposition="attachment",
            ChecksumAlgorithm="SHA256",
        )
        where["UploadId"] = upload["UploadId"]
        try:
            parts, size = self._parts(where, buffer, chunks, whole)
            self.client.complete_multipart_upload(
                **where, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
        except ClientError as error:
            self.client.abort_multipart_upload(**where)
            return self._existing(key, error)
        except BaseException:
            self.client.abort_multipart_upload(**where)
            raise
        return StoredObject(size, whole.hexdigest())

    def _parts(
        self, where: dict[str, Any], buffer: bytearray, chunks: Iterator[bytes], whole: Any
    ) -> tuple[list[dict[str, Any]], int]:
        parts: list[dict[str, Any]] = []
        size = 0

        def send(body: bytes) -> None:
            number = len(parts) + 1
            checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
            sent = self.client.upload_part(
                **where, PartNumber=number, Body=body, ChecksumSHA256=checksum
            )
            parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum})

        while True:
            while len(buffer) >= PART:
                send(bytes(buffer[:PART]))
                del buffer[:PART]
                size += PART
            chunk = next(chunks, None)
            if chunk is None:
                break
            whole.update(chunk)
            buffer += chunk
        if buffer:
            send(bytes(buffer))
        return parts, size + len(buffer)

    def _existing(self, key: str, error: ClientError) -> StoredObject:
        """An earlier try has stored the object: what is stored is the truth, not what we read."""
        if error.response["ResponseMetadata"]["HTTPStatusCode"] not in {409, 412}:
            raise error
        stored = self.client.get_object(Bucket=self.bucket, Key=key)
        whole = hashlib.sha256()
        size = 0
        for chunk in stored["Body"].iter_chunks(1024 * 1024):
            whole.update(chunk)
            size += len(chunk)
        return StoredObject(size, whole.hexdigest())


@dataclass(frozen=True, slots=True)
class S3Uploads:
    """UploadStore: files that clients sent us."""

    client: Any
    bucket: str

    def put(self, key: str, content_type: str, data: bytes, metadata: dict[str, str]) -> None:
        self.client.put_object(
            Bucket=self.bucket, Key=key, Body=data, ContentType=content_type, Metadata=metadata
        )

    def head(self, key: str) -> dict[str, Any] | None:
        try:
            found = self.client.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            # Without the right to list, S3 says 403 for an object that is not there.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in {403, 404}:
                return None
            raise
        return {
            "content_type": found["ContentType"],
            "bytes": found["ContentLength"],
            "created_at": int(found["LastModified"].timestamp() * 1000),
            "etag": found["ETag"].strip('"'),
            "metadata": found.get("Metadata", {}),
        }

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=key)

    def keys(self, prefix: str, after: str, limit: int) -> list[str]:
        found = self.client.list_objects_v2(
            Bucket=self.bucket, Prefix=prefix, StartAfter=after, MaxKeys=limit
        )
        return [each["Key"] for each in found.get("Contents", [])]


@dataclass(frozen=True, slots=True)
class S3Forms:
    """UploadForms by presigned POST, which alone lets S3 itself hold a client to a size."""

    client: Any
    bucket: str

    def form(
        self, key: str, content_type: str, metadata: dict[str, str], most: int, seconds: int
    ) -> Form:
        fields = {
            "Content-Type": content_type,
            **{f"x-amz-meta-{name}": value for name, value in metadata.items()},
        }
        made = self.client.generate_presigned_post(
            self.bucket,
            key,
            Fields=dict(fields),
            Conditions=[
                *({name: value} for name, value in fields.items()),
                ["content-length-range", 1, most],
            ],
            ExpiresIn=seconds,
        )
        return Form(made["url"], made["fields"])


@dataclass(frozen=True, slots=True)
class S3Signer:
    """Signer by presigned GETs. Signing is local; a URL dies early with the role's credentials."""

    client: Any
    outputs: str
    uploads: str

    def output_url(self, key: str) -> str:
        return self._url(self.outputs, key, URL_LIFE_S)

    def upload_url(self, key: str) -> str:
        return self._url(self.uploads, key, PROVIDER_URL_LIFE_S)

    def _url(self, bucket: str, key: str, seconds: int) -> str:
        return str(
            self.client.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=seconds
            )
        )
