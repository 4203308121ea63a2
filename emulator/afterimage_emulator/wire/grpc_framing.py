"""gRPC's own framing on top of HTTP/2: message prefixes, compression, timeouts, and the trailers that end a call."""

from __future__ import annotations

import base64
import struct
import zlib
from urllib.parse import quote

from afterimage_emulator.protos import rpc
from afterimage_emulator.status import Code, StatusError

_PREFIX = struct.Struct(">BI")
PREFIX_BYTES = _PREFIX.size
_TIMEOUT_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
RESPONSE_HEADERS = [
    (":status", "200"),
    ("content-type", "application/grpc"),
    ("grpc-accept-encoding", "identity,gzip,deflate"),
]
OK_TRAILERS = [("grpc-status", "0")]


def frame(payload: bytes) -> bytes:
    return _PREFIX.pack(0, len(payload)) + payload


def take_message(buffer: bytearray, encoding: str, limit_bytes: int) -> bytes | None:
    """Removes the first whole message from the buffer; None while it is incomplete."""
    if len(buffer) < PREFIX_BYTES:
        return None
    compressed, length = _PREFIX.unpack_from(buffer)
    if length > limit_bytes:
        raise StatusError(
            Code.RESOURCE_EXHAUSTED, f"received message larger than max ({length} vs. {limit_bytes}); send smaller ones"
        )
    end = PREFIX_BYTES + length
    if len(buffer) < end:
        return None
    payload = bytes(memoryview(buffer)[PREFIX_BYTES:end])
    del buffer[:end]
    if not compressed:
        return payload
    return _decompress(payload, encoding, limit_bytes)


def _decompress(payload: bytes, encoding: str, limit_bytes: int) -> bytes:
    if encoding not in ("gzip", "deflate"):
        raise StatusError(
            Code.UNIMPLEMENTED, f"grpc-encoding `{encoding}` is not supported; use gzip, deflate or identity"
        )
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | (16 if encoding == "gzip" else 0))
    try:
        inflated = inflater.decompress(payload, limit_bytes + 1)
    except zlib.error as error:
        raise StatusError(Code.INTERNAL, f"the compressed message is broken: {error}") from error
    if len(inflated) > limit_bytes:
        raise StatusError(
            Code.RESOURCE_EXHAUSTED, f"received message larger than max ({limit_bytes}) once decompressed"
        )
    return inflated


def parse_timeout(value: str | None) -> float | None:
    """Seconds from a `grpc-timeout` header such as `500m`; None where there is none or it cannot be read."""
    if (
        not value
        or value[-1] not in _TIMEOUT_UNITS
        or not (value.isascii() and value[:-1].isdecimal() and len(value) <= 20)
    ):
        return None
    return int(value[:-1]) * _TIMEOUT_UNITS[value[-1]]


def error_trailers(error: StatusError) -> list[tuple[str, str]]:
    trailers = [
        ("grpc-status", str(int(error.code))),
        ("grpc-message", quote(error.message, safe=" !\"#$&'()*+,/:;<=>?@[]^_`{|}~")),
    ]
    if error.details:
        status = rpc.Status(code=int(error.code), message=error.message)
        for detail in error.details:
            status.details.add().ParseFromString(detail)
        encoded = base64.b64encode(status.SerializeToString()).decode().rstrip("=")
        trailers.append(("grpc-status-details-bin", encoded))
    return trailers
