"""google.firestore.v1.Firestore over gRPC: each operation as a method, its caller read from the call's metadata."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from afterimage_emulator.firestore.operations.operations import SERVICE, Conversation, Operation, Operations
from afterimage_emulator.front.callers import caller_with_readable_token
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod, MessageStream


def grpc_methods(operations: Operations) -> Sequence[GrpcMethod]:
    methods = [_server_stream(each) if each.streams else _unary(each) for each in operations.with_one_request()]
    return [*methods, *(_conversation(each) for each in operations.conversations())]


def _unary(operation: Operation) -> GrpcMethod:
    answer: Callable[..., bytes | Awaitable[bytes]] = operation.answer

    def handle(request: object, call: Call) -> bytes | Awaitable[bytes]:
        return answer(request, caller_with_readable_token(call.metadata.get))

    return GrpcMethod(path=SERVICE + operation.name, request_class=operation.request_class, unary=handle)


def _server_stream(operation: Operation) -> GrpcMethod:
    answer: Callable[..., Iterable[bytes] | Awaitable[Iterable[bytes]]] = operation.answer

    def handle(request: object, call: Call) -> Iterable[bytes] | Awaitable[Iterable[bytes]]:
        return answer(request, caller_with_readable_token(call.metadata.get))

    return GrpcMethod(
        path=SERVICE + operation.name,
        request_class=operation.request_class,
        server_stream=handle,
        refused=operation.refused,
    )


def _conversation(conversation: Conversation) -> GrpcMethod:
    async def handle(stream: MessageStream) -> None:
        await conversation.serve(stream, caller_with_readable_token(stream.call.metadata.get))

    return GrpcMethod(path=SERVICE + conversation.name, request_class=conversation.request_class, stream=handle)
