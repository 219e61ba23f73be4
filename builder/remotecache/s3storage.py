"""S3Storage: a cache as objects in a bucket, named as BuildKit names them: blobs by digest, manifests by name.

boto3 does the talking, and finds credentials where the attributes have none: environment, profile files, single
sign-on, web identity of a CI's job, the machine's role.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from builder.errors import Canceled, Denied, Interrupted, NotThere, OutputFault, RegistryFault, TimedOut, Unreachable
from builder.images.intake import take_stream
from builder.layer.layer import Layer
from builder.oci.descriptor import Descriptor
from builder.oci.reference import Reference
from builder.remotecache.options import S3Options
from builder.remotecache.storage import Moved
from cache.blobs import DOCUMENT_LIMIT, BlobReader, BlobStore
from cache.digest import Digest

_PART = 16 << 20  # bytes of one piece of a large upload
_COPY_LIMIT = 5 << 30  # bytes that S3 copies in one request
_READ = 1 << 20
_BREAKS = 5
_DENIED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "403", "401"})
_MISSING = frozenset({"NoSuchKey", "NotFound", "404"})
_LOADING = threading.Lock()
_HINT = "give access_key_id and secret_access_key, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"


class S3Storage:
    """environment: has the bucket and region where the options do not. now: seconds since 1970."""

    reference: Reference | None = None

    def __init__(
        self, options: S3Options, environment: Mapping[str, str], now: Callable[[], float] = time.time
    ) -> None:
        if find_spec("boto3") is None:
            raise OutputFault("type=s3 needs boto3, which is not installed", "pip install 'lapstrake[s3]'")
        self._options, self._now = options, now
        self._bucket = options.bucket or environment.get("AWS_BUCKET", "")
        if not self._bucket:
            raise OutputFault("bucket ($AWS_BUCKET) not set for s3 cache", "give bucket=NAME")
        self._region = options.region or environment.get("AWS_REGION", "")
        self.name = f"s3://{self._bucket}/{self._manifest_key(options.names[0])}"
        self._lock = threading.Lock()
        self._canceled = False
        self._made: Any = None

    def manifest(self) -> bytes:
        return self._small(self._manifest_key(self._options.names[0]), None)

    def document(self, blob: Descriptor) -> bytes:
        if blob.size > DOCUMENT_LIMIT:
            raise RegistryFault(f"{self.name}: {blob.digest} is said to have {blob.size} bytes, too many")
        raw = self._small(self._blob_key(blob), blob.size)
        if Digest.of(raw) != blob.digest:
            raise RegistryFault(f"{self.name}: {blob.digest} is wrong: its bytes are {Digest.of(raw)}")
        return raw

    def fetch(self, layer: Layer, blobs: BlobStore, moved: Moved) -> None:
        key = self._blob_key(layer.blob)
        with self._faults(key):
            stream = _Download(self._client(), self._bucket, key, layer.blob.size, lambda: self._canceled, moved)
            take_stream(stream, f"s3://{self._bucket}/{key}", blobs, layer.diff_id, layer.blob)

    def has(self, blob: Descriptor) -> bool:
        """Also notes that the blob is still wanted, where rules of the bucket delete what is old."""
        key = self._blob_key(blob)
        try:
            with self._faults(key):
                found = self._client().head_object(Bucket=self._bucket, Key=key)
        except NotThere:
            return False
        if found.get("ContentLength") != blob.size:
            return False
        written = found.get("LastModified")
        age = self._now() - written.timestamp() if written is not None else 0
        if age > self._options.touch_refresh and blob.size <= _COPY_LIMIT:
            with self._faults(key):
                source = {"Bucket": self._bucket, "Key": key}
                self._client().copy_object(Bucket=self._bucket, Key=key, CopySource=source, MetadataDirective="REPLACE")
        return True

    def mount(self, blob: Descriptor, source: Reference) -> bool:
        return False

    def send(self, blob: Descriptor, blobs: BlobStore) -> None:
        from boto3.s3.transfer import TransferConfig

        key = self._blob_key(blob)
        pieces = TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART, max_concurrency=2)
        with self._faults(key), blobs.open(blob.digest) as reader:
            self._client().upload_fileobj(_Whole(reader), self._bucket, key, Config=pieces)

    def put(self, blob: Descriptor, raw: bytes) -> None:
        self._put(self._blob_key(blob), raw, "application/octet-stream")

    def publish(self, manifest: Descriptor, raw: bytes) -> None:
        for name in self._options.names:
            self._put(self._manifest_key(name), raw, manifest.media_type)

    def cancel(self) -> None:
        self._canceled = True  # what reads a body looks; the rest is short

    def resume(self) -> None:
        self._canceled = False

    def _put(self, key: str, raw: bytes, kind: str) -> None:
        with self._faults(key):
            self._client().put_object(Bucket=self._bucket, Key=key, Body=raw, ContentType=kind)

    def _small(self, key: str, size: int | None) -> bytes:
        with self._faults(key):
            answer = self._client().get_object(Bucket=self._bucket, Key=key)
            with answer["Body"] as body:
                raw: bytes = body.read(DOCUMENT_LIMIT + 1)
        if len(raw) > DOCUMENT_LIMIT or (size is not None and len(raw) != size):
            wanted = f"{size}" if size is not None else f"at most {DOCUMENT_LIMIT}"
            raise RegistryFault(f"s3://{self._bucket}/{key} has {len(raw)} bytes, not {wanted}")
        return raw

    def _blob_key(self, blob: Descriptor) -> str:
        return f"{self._options.prefix}{self._options.blobs_prefix}{blob.digest}"

    def _manifest_key(self, name: str) -> str:
        return f"{self._options.prefix}{self._options.manifests_prefix}{name}"

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._connect()
            return self._made

    def _connect(self) -> Any:
        from boto3.session import Session
        from botocore.config import Config

        options = self._options
        key, secret, token = options.credentials
        session = Session(key or None, secret or None, token or None, region_name=self._region or None)
        if not session.region_name:
            raise OutputFault("region ($AWS_REGION) not set for s3 cache", "give region=NAME")
        retries: dict[str, Any] = {"mode": options.retry_mode or "standard"}
        if options.retry_attempts:
            retries["total_max_attempts"] = options.retry_attempts
        config = Config(
            user_agent_appid="lapstrake",
            retries=retries,
            s3={"addressing_style": "path" if options.path_style and options.endpoint_url else "auto"},
            request_checksum_calculation="when_required",  # other makers' servers know no newer ones
            response_checksum_validation="when_required",
            max_pool_connections=2 * options.parallelism + 4,
        )
        return session.client("s3", endpoint_url=options.endpoint_url or None, config=config)

    @contextmanager
    def _faults(self, key: str) -> Iterator[None]:
        """boto3's errors as ours. Their texts name codes and places, no credentials."""
        _load()
        from boto3.exceptions import S3UploadFailedError
        from botocore import exceptions

        where = f"s3://{self._bucket}/{key}"
        try:
            yield
        except exceptions.ClientError as error:
            raise _answered(where, error.response.get("Error", {})) from error
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise Denied(f"{where}: no credentials", _HINT) from error
        except (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError) as error:
            raise TimedOut(f"{where}: no answer in time") from error
        except exceptions.EndpointConnectionError as error:
            raise Unreachable(f"{where}: no connection to its server") from error
        except (exceptions.BotoCoreError, S3UploadFailedError, ValueError) as error:
            raise RegistryFault(f"{where}: {type(error).__name__}: {' '.join(str(error).split()):.300}") from error


def _load() -> None:
    """boto3 may be imported by one thread at a time only: it looks at itself while it is."""
    with _LOADING:
        import boto3.exceptions
        import boto3.s3.transfer
        import boto3.session  # noqa: F401


def _answered(where: str, said: Mapping[str, Any]) -> RegistryFault:
    code, words = str(said.get("Code", "")), " ".join(str(said.get("Message", "")).split())
    if code in _MISSING:
        return NotThere(f"{where}: not found")
    if code in _DENIED:
        return Denied(f"{where}: {code}: {words:.300}", _HINT)
    return RegistryFault(f"{where}: {code}: {words:.300}")


class _Whole:
    """A blob, read in pieces of the very size that is asked for, as parts of an upload have to be."""

    def __init__(self, reader: BlobReader) -> None:
        self._reader = reader

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return self._reader.read()
        parts, have = [], 0
        while have < size and (data := self._reader.read(min(size - have, _READ))):
            parts.append(data)
            have += len(data)
        return b"".join(parts)


class _Download:
    """An object's bytes; what breaks off is carried on by a range. RegistryFault where there are more or fewer."""

    def __init__(
        self, client: Any, bucket: str, key: str, size: int, canceled: Callable[[], bool], moved: Moved
    ) -> None:
        self._client, self._bucket, self._key, self._size = client, bucket, key, size
        self._canceled, self._moved = canceled, moved
        self._at = self._breaks = 0
        self._body: Any = None

    def read(self, size: int, /) -> bytes:
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        while True:
            if self._canceled():
                raise Canceled("canceled")
            if self._at == self._size and self._at:
                return b""
            try:
                if self._body is None:
                    self._body = self._opened()
                data: bytes = self._body.read(min(size, _READ))
            except (HTTPClientError, IncompleteReadError) as error:
                self._breaks += 1
                self._body = None
                if self._breaks > _BREAKS:
                    raise Interrupted(f"s3://{self._bucket}/{self._key} broke off {self._breaks} times") from error
                continue
            self._at += len(data)
            if self._at > self._size or (not data and self._at < self._size):
                raise RegistryFault(f"s3://{self._bucket}/{self._key} has {self._at} bytes, not {self._size}")
            self._moved(self._at)
            return data

    def _opened(self) -> Any:
        wanted = {"Range": f"bytes={self._at}-"} if self._at else {}
        answer = self._client.get_object(Bucket=self._bucket, Key=self._key, **wanted)
        rest = answer.get("ContentLength")  # a server need not say
        if rest is not None and rest != self._size - self._at:
            raise RegistryFault(f"s3://{self._bucket}/{self._key} has {rest + self._at} bytes, not {self._size}")
        return answer["Body"]
