"""Calls whose answers wait until what they changed is on the disk."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace

from afterimage_emulator.durable.entries import KeptEntries
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod, Message, Reply


def call_once_kept(keeping: KeptEntries | None, method: GrpcMethod, *, only_reads: Callable[[str], bool]) -> GrpcMethod:
    """`only_reads` is asked by the name of the method."""
    unary = method.unary
    if keeping is None or unary is None or only_reads(method.name):
        return method

    async def answered(request: Message, call: Call) -> Reply:
        keeping.check()
        try:
            reply = unary(request, call)
            return await reply if inspect.isawaitable(reply) else reply
        finally:
            await keeping.kept()

    return replace(method, unary=answered)
