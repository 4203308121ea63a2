"""Cloud Firestore as one service: puts the layers together and offers them to the suite."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from afterimage_emulator.clock import Clock
from afterimage_emulator.durable.entries import touch_nothing
from afterimage_emulator.events import EventBus
from afterimage_emulator.firestore.adapters.control_routes import ControlRoutes
from afterimage_emulator.firestore.adapters.grpc import grpc_methods
from afterimage_emulator.firestore.adapters.http_front import FirestoreHttpFront
from afterimage_emulator.firestore.adapters.rest import FirestoreRestApi
from afterimage_emulator.firestore.adapters.web_channel import WebChannel
from afterimage_emulator.firestore.adapters.web_channel_session import Patience
from afterimage_emulator.firestore.documents.document_store import DocumentStore
from afterimage_emulator.firestore.documents.index_limits import IndexSettings
from afterimage_emulator.firestore.expiry import Expiry
from afterimage_emulator.firestore.indexes.declared_indexes import DeclaredIndexes
from afterimage_emulator.firestore.indexes.missing_indexes import MissingIndexes
from afterimage_emulator.firestore.listening.listen_stream import ListenService
from afterimage_emulator.firestore.listening.listeners import Listeners
from afterimage_emulator.firestore.operations.commits import Commits
from afterimage_emulator.firestore.operations.listing import Listings
from afterimage_emulator.firestore.operations.operations import Operations
from afterimage_emulator.firestore.operations.partitions import Partitions
from afterimage_emulator.firestore.operations.reads import Reads
from afterimage_emulator.firestore.rules.kept_rules import KeptRules
from afterimage_emulator.firestore.rules.loaded_rules import LoadedRules
from afterimage_emulator.firestore.transactions.sessions import Sessions
from afterimage_emulator.firestore.triggers import DEFAULT_LOCATION, Triggers
from afterimage_emulator.front.judged_requests import JudgedRequests
from afterimage_emulator.front.origin_guard import OriginGuard
from afterimage_emulator.front.rules_gate import RulesGate
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http_messages import HttpHandler

if TYPE_CHECKING:
    from afterimage_emulator.durable.entries import KeptEntries
    from afterimage_emulator.durable.journal import Journal
    from afterimage_emulator.firestore.documents.kept_documents import KeptDocuments

_log = logging.getLogger("afterimage_emulator.firestore")


class FirestoreService:
    """Every database of every project, in memory. `rules` guards them: load rules there, none allow everything.

    `project_id` is the project that exports are of, and that imports are for, whatever project they were made of.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        events: EventBus,
        project_id: str = "demo-suite",
        rules: LoadedRules | None = None,
        location: str = DEFAULT_LOCATION,
        shut_down: Callable[[], None] | None = None,
        index_settings: Mapping[str, IndexSettings] | None = None,
        declared_indexes: Mapping[str, DeclaredIndexes] | None = None,
        strict_indexes: bool = False,
        guard: OriginGuard | None = None,
        patience: Patience | None = None,
        judged: JudgedRequests | None = None,
        keeping: Journal | None = None,
        keeping_rules: KeptEntries | None = None,
    ) -> None:
        self._project_id = project_id
        self.store = DocumentStore(clock=clock)
        self.sessions = Sessions(self.store, clock)
        self.rules = rules or LoadedRules(touch=touch_nothing if keeping_rules is None else keeping_rules.touch)
        if keeping_rules is not None:
            KeptRules(keeping_rules, self.rules)
        gate = RulesGate(self.rules.in_force, log=_log, record=judged)
        self.missing_indexes = MissingIndexes(declared_indexes or {}, strict=strict_indexes)
        reads = Reads(self.sessions, gate, self.missing_indexes)
        commits = Commits(gate, index_settings or {}, keeping)
        listing = Listings(self.sessions, reads, gate)
        self.listeners = Listeners()
        listens = ListenService(self.sessions, self.listeners, gate, clock, self.missing_indexes)
        self.rules.on_change(listens.authorize_again)
        self.operations = Operations(
            sessions=self.sessions,
            reads=reads,
            commits=commits,
            listing=listing,
            partitions=Partitions(self.sessions, gate),
            listens=listens,
        )
        self.store.observe(self.listeners)
        self.store.observe(Triggers(events, location=location))
        lifetimes = {database: settings.lifetimes for database, settings in (index_settings or {}).items()}
        self.store.observe(Expiry(self.sessions, clock, lifetimes))
        self.grpc: Sequence[GrpcMethod] = grpc_methods(self.operations)
        control = ControlRoutes(
            store=self.store,
            sessions=self.sessions,
            rules=self.rules,
            clock=clock,
            kept=commits.kept,
            shut_down=shut_down,
        )
        self.web_channel = WebChannel(self.operations, clock, guard or OriginGuard(), patience=patience)
        rest = FirestoreRestApi(self.operations)
        front = FirestoreHttpFront(rest=rest, web_channel=self.web_channel, control=control)
        self.offered = lambda: (*rest.offered(), *control.offered())
        self.http: HttpHandler = front
        self.is_admin_route = front.is_admin_route

    def reset(self) -> None:
        """Forgets all documents of all databases, and ends every transaction. Rules stay."""
        self.sessions.reset()

    def kept(self, append: Callable[[bytes], None]) -> KeptDocuments:
        """From now on every commit is appended; see `Part` for what is to be asked of the answer."""
        from afterimage_emulator.firestore.documents.kept_documents import KeptDocuments

        return KeptDocuments(self.store, append)

    async def export_to(self, directory: Path) -> None:
        from afterimage_emulator.firestore.exports.databases import export_databases

        await export_databases(self.store.databases(), directory, name=directory.name, project=self._project_id)

    async def import_from(self, source: Path) -> None:
        """From the folder that an export made, or from the overall metadata file in it."""
        from afterimage_emulator.firestore.exports.databases import import_folder

        await import_folder(self.store, source, project=self._project_id)

    async def close(self) -> None:
        await self.web_channel.close()
        self.sessions.reset()
