"""Owns the operations of Firestore that need one request, in the API's own messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final

from afterimage_client.errors import FirestoreError
from afterimage_client.firestore.queries import Aggregation, encode_aggregations
from afterimage_client.firestore.refusals import refused
from afterimage_client.firestore.wire.channel import Channel
from afterimage_client.firestore.wire.messages import firestore as messages
from afterimage_client.firestore.writes import MOST_WRITES, may_repeat

_GET_AT_ONCE: Final = 500


class Calls:
    """Reads are repeated until they succeed or cannot; writes as far as that is safe."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.database = channel.database

    @property
    def documents(self) -> str:
        """The name under which every document of the database stands."""
        return f"{self.database}/documents"

    async def get_documents(self, names: Sequence[str]) -> dict[str, Any]:
        """A BatchGetDocumentsResponse for each name."""
        found: dict[str, Any] = {}
        distinct = list(dict.fromkeys(names))
        for at in range(0, len(distinct), _GET_AT_ONCE):
            request = messages.BatchGetDocumentsRequest(
                database=self.database, documents=distinct[at : at + _GET_AT_ONCE]
            )
            for answer in await self._channel.read_all(
                "BatchGetDocuments", request, messages.BatchGetDocumentsResponse
            ):
                kind = answer.WhichOneof("result")
                if kind is not None:
                    found[answer.found.name if kind == "found" else answer.missing] = answer
        for name in distinct:
            if name not in found:
                raise refused("internal", f"the answer left out `{name}`")
        return found

    async def commit(self, writes: Sequence[Any], *, repeat_if_lost: bool = True) -> Any:
        """Commits all writes, or none. `repeat_if_lost` repeats a commit whose answer was lost, where that is safe."""
        if len(writes) > MOST_WRITES:
            raise FirestoreError(
                "invalid-argument",
                f"{len(writes)} writes are too many for one commit",
                way_out=f"split them: at most {MOST_WRITES} are atomic together",
            )
        request = messages.CommitRequest(database=self.database)
        request.writes.extend(writes)
        return await self._channel.unary(
            "Commit",
            request,
            messages.CommitResponse,
            may_repeat=repeat_if_lost and may_repeat(writes),
            is_write=True,
        )

    async def query(self, parent: str, query: Any) -> list[Any]:
        """All answers, of one moment."""
        request = messages.RunQueryRequest(parent=parent, structured_query=query)
        return await self._channel.read_all("RunQuery", request, messages.RunQueryResponse)

    async def query_stream(self, parent: str, query: Any) -> AsyncIterator[Any]:
        request = messages.RunQueryRequest(parent=parent, structured_query=query)
        async for answer in self._channel.read("RunQuery", request, messages.RunQueryResponse):
            yield answer

    async def aggregate(self, parent: str, query: Any, wanted: Mapping[str, Aggregation]) -> Mapping[str, Any]:
        """The Value of each aggregation, by its alias."""
        request = messages.RunAggregationQueryRequest(
            parent=parent, structured_aggregation_query=encode_aggregations(query, wanted)
        )
        answers = await self._channel.read_all("RunAggregationQuery", request, messages.RunAggregationQueryResponse)
        return {alias: value for answer in answers for alias, value in answer.result.aggregate_fields.items()}


def results_of(response: Any, count: int) -> Iterable[Any]:
    """One WriteResult message for each write, whatever the server left out at the end."""
    results = list(response.write_results)
    return results + [messages.WriteResult()] * (count - len(results))
