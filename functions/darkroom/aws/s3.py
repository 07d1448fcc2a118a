"""Outputs and uploads in S3, and the URLs that read them."""

from __future__ import annotations

import base64
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from darkroom.domain import media
from darkroom.domain.inputs import is_output, path_below
from darkroom.domain.values import immutable
from darkroom.ports import PresignedForm, StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PART = 8 * 1024 * 1024
"""Bytes per part of a multipart upload; S3's minimum is 5 MiB."""
READ = 1024 * 1024
"""Bytes read at a time from an object."""
_ONCE = {"IfNoneMatch": "*"}
_CHECKSUM = "CRC32"
"""Verifies each part on its way to S3. The SHA-256 of the whole is ours, since S3 has none for
multipart uploads."""
URL_LIFE_S = 3600
PROVIDER_URL_LIFE_S = 7200
"""The provider may fetch an input late, after a queue or a cold start."""


@immutable
class S3Outputs:
    """OutputStore for S3: one object per output, written once."""

    client: Any
    bucket: str

    def write_once(self, key: str, content_type: str, chunks: Iterator[bytes]) -> StoredObject:
        whole = hashlib.sha256()
        body = _part(chunks)
        if len(body) >= PART:
            return self._multipart(key, content_type, body, chunks, whole)
        whole.update(body)
        common = {"Bucket": self.bucket, "Key": key, "ContentType": content_type}
        try:
            self.client.put_object(
                **common,
                Body=body,
                **_ONCE,
                ChecksumSHA256=base64.b64encode(whole.digest()).decode(),
                Metadata={"sha256": whole.hexdigest()},
                ContentDisposition="attachment",
            )
        except ClientError as error:
            return self._existing(key, error)
        return StoredObject(len(body), whole.hexdigest())

    def write(self, key: str, content_type: str, chunks: Iterator[bytes]) -> None:
        body = _part(chunks)
        if len(body) >= PART:
            self._multipart(key, content_type, body, chunks, hashlib.sha256(), once={})
            return
        self.client.put_object(
            Bucket=self.bucket,
            Key=key,
            ContentType=content_type,
            Body=body,
            ContentDisposition="attachment",
        )

    def keys(self, prefix: str) -> list[str]:
        return _keys(self.client, Bucket=self.bucket, Prefix=prefix)

    def get(self, key: str) -> Iterator[bytes]:
        stored = self.client.get_object(Bucket=self.bucket, Key=key)
        yield from stored["Body"].iter_chunks(READ)

    def whole(self, key: str, most: int) -> bytes | None:
        try:
            stored = self.client.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            _pass_over_absent(error)
            return None
        with stored["Body"] as body:
            return bytes(body.read()) if stored["ContentLength"] <= most else None

    def copy(self, source: str, key: str) -> str | None:
        # Copied within S3, together with type and disposition. No If-None-Match, because the key
        # has a new record's id, and the runtime's own boto3 may be too old to send one with a copy.
        copied = self.client.copy_object(
            Bucket=self.bucket,
            Key=key,
            CopySource={"Bucket": self.bucket, "Key": source},
            ChecksumAlgorithm="SHA256",
        )
        checksum = copied["CopyObjectResult"].get("ChecksumSHA256")
        return base64.b64decode(checksum).hex() if checksum else None

    def digest(self, key: str) -> str | None:
        found = _head(self.client, self.bucket, key)
        return found and str(found.get("Metadata", {}).get("sha256", found["ETag"].strip('"')))

    def _multipart(
        self,
        key: str,
        content_type: str,
        first: bytes,
        chunks: Iterator[bytes],
        whole: Any,
        once: Mapping[str, str] = _ONCE,
    ) -> StoredObject:
        """Upload in parts of about 8 MiB. Nothing is visible before the last call.

        That call never overwrites, unless `once` does not say so.
        """
        where = {"Bucket": self.bucket, "Key": key}
        upload = self.client.create_multipart_upload(
            **where,
            ContentType=content_type,
            ContentDisposition="attachment",
            ChecksumAlgorithm=_CHECKSUM,
        )
        where["UploadId"] = upload["UploadId"]
        try:
            parts, size = self._parts(where, first, chunks, whole)
            self.client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts}, **once)
        except ClientError as error:
            self.client.abort_multipart_upload(**where)
            return self._existing(key, error)
        except BaseException:
            self.client.abort_multipart_upload(**where)
            raise
        return StoredObject(size, whole.hexdigest())

    def _parts(
        self, where: dict[str, Any], first: bytes, chunks: Iterator[bytes], whole: Any
    ) -> tuple[list[dict[str, Any]], int]:
        """Send one part while the next is read, so at most two are in memory."""

        def send(**part: Any) -> Any:
            # Hashed here, since reading a part takes longer than sending one.
            whole.update(part["Body"])
            return self.client.upload_part(**where, ChecksumAlgorithm=_CHECKSUM, **part)

        kept = ("ETag", f"Checksum{_CHECKSUM}")
        parts: list[dict[str, Any]] = []
        size = 0
        body = first
        with ThreadPoolExecutor(1) as sender:
            while body:
                number = len(parts) + 1
                sending = sender.submit(send, PartNumber=number, Body=body)
                size += len(body)
                body = _part(chunks)
                answer = sending.result()
                parts.append({"PartNumber": number, **{n: answer[n] for n in kept if n in answer}})
        return parts, size

    def _existing(self, key: str, error: ClientError) -> StoredObject:
        """Return the object that an earlier attempt has stored; its content counts, not what we
        read."""
        if error.response["ResponseMetadata"]["HTTPStatusCode"] not in {409, 412}:
            raise error
        whole = hashlib.sha256()
        size = 0
        for chunk in self.get(key):
            whole.update(chunk)
            size += len(chunk)
        return StoredObject(size, whole.hexdigest(), earlier=True)


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def _pass_over_absent(error: ClientError) -> None:
    """Without the right to list, S3 answers 403 for an object that does not exist."""
    if _status(error) not in {403, 404}:
        raise error


def _head(client: Any, bucket: str, key: str) -> Any:
    try:
        return client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        _pass_over_absent(error)
        return None


def _described(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "content_type": found["ContentType"],
        "bytes": found["ContentLength"],
        "created_at": int(found["LastModified"].timestamp() * 1000),
        "etag": found["ETag"].strip('"'),
        "metadata": found.get("Metadata", {}),
    }


def _keys(client: Any, **wanted: Any) -> list[str]:
    found = client.list_objects_v2(**wanted)
    return [each["Key"] for each in found.get("Contents", [])]


_HOST = re.compile(r"https://([a-z0-9.-]+)(?::443)?/", re.IGNORECASE)
_S3 = r"s3(?:[.-][a-z0-9-]+){0,3}\.amazonaws\.com(?:\.cn)?"
"""S3's hosts: global, regional, dual-stack, accelerated."""


def _addresses(url: str, bucket: str) -> Iterator[str]:
    """Yield the bucket's base URL on this host if it is one of S3's: in the host name, or first in
    the path."""
    found = _HOST.match(url)
    host = found[1].lower() if found else ""
    if re.fullmatch(rf"{re.escape(bucket)}\.{_S3}", host):
        yield f"https://{host}/"
    if re.fullmatch(_S3, host):
        yield f"https://{host}/{bucket}/"


def _part(chunks: Iterator[bytes]) -> bytes:
    """Join chunks until they make a part or end."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= PART:
            break
    return b"".join(held)


@immutable
class S3Uploads:
    """UploadStore for S3: files uploaded by clients."""

    client: Any
    bucket: str

    def put(self, key: str, content_type: str, data: bytes, metadata: dict[str, str]) -> None:
        self.client.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=data,
            ContentType=content_type,
            Metadata=metadata,
            ContentDisposition="attachment",
        )

    def head(self, key: str) -> dict[str, Any] | None:
        found = _head(self.client, self.bucket, key)
        return found and _described(found)

    def begin(self, key: str) -> dict[str, Any] | None:
        where = {"Bucket": self.bucket, "Key": key}
        try:
            found = self.client.get_object(**where, Range=f"bytes=0-{media.START - 1}")
        except ClientError as error:
            if _status(error) == 416:
                # It is empty, so no range is valid.
                head = self.head(key)
                return head and {**head, "start": b""}
            _pass_over_absent(error)
            return None
        size = int(found["ContentRange"].rpartition("/")[2])
        return _described({**found, "ContentLength": size}) | {"start": found["Body"].read()}

    def copy(self, source: str, key: str) -> bool:
        where = {"Bucket": self.bucket, "Key": key}
        try:
            self.client.copy_object(**where, CopySource={"Bucket": self.bucket, "Key": source})
        except ClientError as error:
            _pass_over_absent(error)
            return False
        return True

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=key)

    def keys(self, prefix: str, after: str, limit: int) -> list[str]:
        where = {"Bucket": self.bucket, "Prefix": prefix}
        return _keys(self.client, **where, StartAfter=after, MaxKeys=limit)


@immutable
class S3Forms:
    """UploadForms by presigned POST, the only way to have S3 enforce a size."""

    client: Any
    bucket: str

    def form(
        self, key: str, content_type: str, metadata: dict[str, str], most: int, seconds: int
    ) -> PresignedForm:
        fields = {
            "Content-Type": content_type,
            # A client's bytes with a client's type must never be a page on the bucket's host.
            "Content-Disposition": "attachment",
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
        return PresignedForm(made["url"], made["fields"])


@immutable
class S3Signer:
    """Signer by presigned GETs. Signing is local; a URL expires early with the role's
    credentials."""

    client: Any
    outputs: str
    uploads: str

    def output_url(self, key: str) -> str:
        return self._url(self.outputs, key, URL_LIFE_S)

    def upload_url(self, key: str) -> str:
        return self._url(self.outputs if is_output(key) else self.uploads, key, PROVIDER_URL_LIFE_S)

    def output_key(self, url: str) -> str | None:
        """Accepts any of the bucket's base URLs, since S3 serves all of them."""
        here = self._url(self.outputs, "k", URL_LIFE_S).partition("?")[0].removesuffix("k")
        for base in (here, *_addresses(url, self.outputs)):
            key = path_below(url, base)
            if key is not None:
                return key if is_output(key) else None
        return None

    def _url(self, bucket: str, key: str, seconds: int) -> str:
        return str(
            self.client.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=seconds
            )
        )
