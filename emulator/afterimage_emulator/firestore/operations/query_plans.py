"""Query explain: which indexes production reads for a query, and what it counts while it does, in its own shape."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.field_paths import FieldPath
from afterimage_emulator.firestore.indexes.declared_indexes import FirestoreIndex
from afterimage_emulator.firestore.indexes.index_needs import needs_of, scans_of, serving
from afterimage_emulator.firestore.indexes.missing_indexes import MissingIndexes
from afterimage_emulator.firestore.queries.query import Query
from afterimage_emulator.firestore.queries.query_executor import count_matches
from afterimage_emulator.protos import firestore_v1, well_known
from afterimage_emulator.status import Code, StatusError

ENTRIES_PER_READ_OF_AN_AGGREGATION: Final = 1000
ENTRIES_PER_READ_OF_A_VECTOR_SEARCH: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """What carrying out a query took."""

    results: int
    documents_read: int
    entries_scanned: int
    entries_per_read: int = 0
    """How many index entries count as one read; 0 where they are free."""
    is_of_vectors: bool = False

    @property
    def is_billed_by_entries(self) -> bool:
        return bool(self.entries_per_read) and not self.is_of_vectors

    @property
    def read_operations(self) -> int:
        entries = -(-self.entries_scanned // self.entries_per_read) if self.entries_per_read else 0
        return max(1, self.documents_read + entries)


class QueryPlan:
    """One explained query, from before it is carried out."""

    def __init__(
        self, database: Database, query: Query, indexes: MissingIndexes, summed: Iterable[FieldPath] = ()
    ) -> None:
        self._database = database
        self._query = query
        self._summed = tuple(summed)
        self._declared = indexes.declared_for(database.name)
        self._must_be_declared = indexes.strict
        self._begun_at = asyncio.get_running_loop().time()

    def summary(self) -> firestore_v1.ExplainMetrics:
        """The plan alone, of a query that is not carried out."""
        metrics = firestore_v1.ExplainMetrics()
        for index in self._scans():
            used = metrics.plan_summary.indexes_used.add()
            used.fields["properties"].string_value = index.properties
            used.fields["query_scope"].string_value = "Collection group" if index.is_of_group else "Collection"
        metrics.plan_summary.SetInParent()
        return metrics

    def of_query(self, results: int, *, at: int | None) -> bytes:
        """The metrics of a query that found so many documents, serialized."""
        query = self._query
        read = results + query.offset
        if query.nearest is not None:
            entries = count_matches(self._database, replace(query, nearest=None), up_to=None, at=at)
            counted = Counted(
                results=results,
                documents_read=results,
                entries_scanned=entries,
                entries_per_read=ENTRIES_PER_READ_OF_A_VECTOR_SEARCH,
                is_of_vectors=True,
            )
        else:
            has_more = query.limit is not None and results == query.limit and self._has_more(at)
            counted = Counted(
                results=results, documents_read=read, entries_scanned=(read + has_more) * self._joined_indexes()
            )
        return self._metrics(counted)

    def of_aggregation(self, matches: int) -> bytes:
        """The metrics of an aggregation over so many documents, none of which is read."""
        entries = matches * self._joined_indexes()
        return self._metrics(
            Counted(
                results=1,
                documents_read=0,
                entries_scanned=entries,
                entries_per_read=ENTRIES_PER_READ_OF_AN_AGGREGATION,
            )
        )

    def _has_more(self, at: int | None) -> bool:
        query = self._query
        assert query.limit is not None
        further = replace(query, limit=None, offset=0)
        end = query.offset + query.limit
        return count_matches(self._database, further, up_to=end + 1, at=at) > end

    def _joined_indexes(self) -> int:
        """How many indexes each result is looked up in."""
        needs = needs_of(self._query, self._summed)
        return max((len(serving(need, self._declared)) for need in needs), default=0) or 1

    def _scans(self) -> Iterable[FirestoreIndex]:
        """One index for each range that is read; several for each alternative where they are joined."""
        needs = needs_of(self._query, self._summed)
        for need, conditions in zip(needs, self._query.alternatives, strict=False):
            indexes = serving(need, self._declared)
            if not indexes and self._must_be_declared:
                raise StatusError(Code.FAILED_PRECONDITION, "no matching index found.")
            for index in indexes or (need.index(),):
                yield from [index] * scans_of(conditions)

    def _metrics(self, counted: Counted) -> bytes:
        metrics = self.summary()
        stats = metrics.execution_stats
        stats.results_returned = counted.results
        stats.read_operations = counted.read_operations
        seconds = asyncio.get_running_loop().time() - self._begun_at
        stats.execution_duration.FromNanoseconds(round(seconds * 1e9))
        billed = {
            "documents_billable": counted.documents_read,
            "index_entries_billable": counted.entries_scanned if counted.is_billed_by_entries else 0,
            "min_query_cost": int(counted.documents_read == 0 and counted.read_operations == 1),
            "small_ops": 0,
        }
        if counted.is_of_vectors:
            billed["knn_vector_index_entries_billable"] = counted.entries_scanned
        _fill(
            stats.debug_stats,
            {"index_entries_scanned": counted.entries_scanned, "documents_scanned": counted.documents_read},
        )
        _fill(stats.debug_stats.fields["billing_details"].struct_value, billed)
        return metrics.SerializeToString()


def _fill(struct: well_known.Struct, numbers: Mapping[str, int]) -> None:
    """Statistics are texts, as production sends them."""
    for name, number in numbers.items():
        struct.fields[name].string_value = str(number)
