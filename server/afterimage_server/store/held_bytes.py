"""How the bytes of one file lie on the disk: pieces, packed where it pays and sealed where there is a key, and a foot.

The foot says what the file is, so that a folder tells by itself what is in it. Pieces can be read from any place on.

| on the disk | what it is |
|---|---|
| pieces | each 256 KiB of the file; packed by zlib where that made the file smaller, then sealed |
| foot | JSON: what the file is, its size, and how long each packed piece is; sealed where the pieces are |
| 28 bytes | the salt of its key (16, noughts where nothing is sealed), the foot's length (4) and a mark (8) |
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from afterimage_server.store.durable_files import write_flushed
from afterimage_server.store.vault import Vault

PIECE_BYTES: Final = 256 * 1024
_MARK: Final = b"AFTRIMG1"
_TAIL: Final = struct.Struct(">16sI8s")
_UNSEALED: Final = bytes(16)
_SEAL_BYTES: Final = 16
_FOOT_NUMBER: Final = 2**32 - 1


class BrokenBytesError(Exception):
    """The file on the disk is not what was written: cut, changed, or sealed with another key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Foot:
    """What stands at the end of a file."""

    size: int
    about: Mapping[str, Any]
    packed: tuple[int, ...] | None
    """The lengths of packed pieces; None where they are as they came."""
    salt: bytes
    length: int
    """Bytes of the foot with its tail."""

    @property
    def is_sealed(self) -> bool:
        return self.salt != _UNSEALED


def write_held(path: Path, pieces: Iterator[bytes], about: Mapping[str, Any], vault: Vault, *, packs: bool) -> Foot:
    """Writes pieces of PIECE_BYTES each, the last one shorter, and returns when the disk has them."""
    salt = os.urandom(16) if vault.is_sealed else _UNSEALED
    cipher = vault.file_cipher(salt) if vault.is_sealed else None
    lengths: list[int] = []
    size = length = 0

    def written() -> Iterator[bytes]:
        nonlocal size, length
        for number, piece in enumerate(pieces):
            size += len(piece)
            data = zlib.compress(piece, 6) if packs else piece
            if cipher is not None:
                data = cipher.encrypt(_nonce(number), data, b"piece")
            lengths.append(len(data))
            yield data
        foot = json.dumps({"size": size, "about": dict(about), "packed": lengths if packs else None}).encode()
        if cipher is not None:
            foot = cipher.encrypt(_nonce(_FOOT_NUMBER), foot, b"foot")
        length = len(foot) + _TAIL.size
        yield foot + _TAIL.pack(salt, len(foot), _MARK)

    write_flushed(path, written())
    return Foot(size=size, about=about, packed=tuple(lengths) if packs else None, salt=salt, length=length)


def foot_of(path: Path, vault: Vault) -> Foot:
    """What a file says of itself; FileNotFoundError where there is none."""
    with path.open("rb") as file:
        return _foot(file.fileno(), path, vault)


def read_held(path: Path, vault: Vault, start: int = 0, end: int | None = None) -> bytes:
    """Bytes from `start` up to but not including `end`; FileNotFoundError where there is no such file."""
    with path.open("rb") as file:
        descriptor = file.fileno()
        foot = _foot(descriptor, path, vault)
        end = foot.size if end is None else min(end, foot.size)
        start = min(max(0, start), foot.size)
        if start >= end:
            return b""
        if foot.packed is None and not foot.is_sealed:
            return _exactly(descriptor, path, end - start, start)
        first, last = start // PIECE_BYTES, (end - 1) // PIECE_BYTES
        pieces = b"".join(_pieces(descriptor, path, foot, vault, first, last))
        return pieces[start - first * PIECE_BYTES : end - first * PIECE_BYTES]


def pieces_of(data: bytes) -> Iterator[bytes]:
    view = memoryview(data)
    for start in range(0, len(data), PIECE_BYTES):
        yield bytes(view[start : start + PIECE_BYTES]) if len(data) > PIECE_BYTES else data


def would_pay(sample: bytes) -> bool:
    """Whether packing makes so much smaller that it is worth reading a file back unpacked."""
    return len(zlib.compress(sample, 6)) < 0.9 * len(sample)


def _foot(descriptor: int, path: Path, vault: Vault) -> Foot:
    whole = os.fstat(descriptor).st_size
    if whole < _TAIL.size:
        raise BrokenBytesError(f"`{path}` is cut")
    salt, length, mark = _TAIL.unpack(_exactly(descriptor, path, _TAIL.size, whole - _TAIL.size))
    if mark != _MARK or length + _TAIL.size > whole:
        raise BrokenBytesError(f"`{path}` is cut, or none of ours")
    data = _exactly(descriptor, path, length, whole - _TAIL.size - length)
    if salt != _UNSEALED:
        data = _opened(path, vault, salt, _FOOT_NUMBER, data, b"foot")
    try:
        told = json.loads(data)
        packed = told["packed"]
        return Foot(
            size=told["size"],
            about=told["about"],
            packed=tuple(packed) if packed is not None else None,
            salt=salt,
            length=length + _TAIL.size,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenBytesError(f"`{path}` has a foot that cannot be read") from error


def _pieces(descriptor: int, path: Path, foot: Foot, vault: Vault, first: int, last: int) -> Iterator[bytes]:
    seal = _SEAL_BYTES if foot.is_sealed else 0
    lengths = foot.packed or tuple(
        min(PIECE_BYTES, foot.size - begin) + seal for begin in range(0, foot.size, PIECE_BYTES)
    )
    place = sum(lengths[:first])
    for number in range(first, last + 1):
        data = _exactly(descriptor, path, lengths[number], place)
        place += lengths[number]
        if foot.is_sealed:
            data = _opened(path, vault, foot.salt, number, data, b"piece")
        try:
            yield zlib.decompress(data) if foot.packed is not None else data
        except zlib.error as error:
            raise BrokenBytesError(f"`{path}` cannot be unpacked: {error}") from error


def _opened(path: Path, vault: Vault, salt: bytes, number: int, data: bytes, what: bytes) -> bytes:
    if not vault.is_sealed:
        raise BrokenBytesError(f"`{path}` is sealed, and there is no key")
    from cryptography.exceptions import InvalidTag

    try:
        opened: bytes = vault.file_cipher(salt).decrypt(_nonce(number), data, what)
    except InvalidTag as error:
        raise BrokenBytesError(f"`{path}` was sealed with another key, or changed since") from error
    return opened


def _exactly(descriptor: int, path: Path, count: int, start: int) -> bytes:
    data = os.pread(descriptor, count, start)
    while len(data) < count:
        more = os.pread(descriptor, count - len(data), start + len(data))
        if not more:
            raise BrokenBytesError(f"`{path}` is cut")
        data += more
    return data


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
