"""Builds each service with its collaborators; a service's package is imported only when that service is wanted."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterimage_emulator.composition.services import Service
from afterimage_emulator.composition.shared_parts import SharedParts
from afterimage_emulator.configuration import load_configuration
from afterimage_emulator.credentials.local_signer import accepts_unknown_signers
from afterimage_emulator.front.local_hosts import is_this_machine
from afterimage_emulator.rules_files import RulesFiles, rules_notices

if TYPE_CHECKING:
    from afterimage_emulator.durable.entries import KeptEntries
    from afterimage_emulator.durable.journal import Journal
    from afterimage_emulator.durable.kept_services import Keeping
    from afterimage_emulator.firestore.rules.project_documents import ProjectDocuments


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What whoever starts a suite chose for single services."""

    accept_unknown_signers: bool | None
    strict_indexes: bool
    functions_in_process: bool
    inspect: str | None
    """Where a debugger may attach to functions."""


class ServiceBuilder:
    """Makes the services of one suite, one after the other: later ones are given earlier ones."""

    def __init__(
        self,
        parts: SharedParts,
        options: BuildOptions,
        *,
        folder_of_run: Path,
        keeping: Keeping | None,
        shut_down: Callable[[], None] | None,
        note_change: Callable[[str, str, str, Sequence[str]], None],
    ) -> None:
        self._parts = parts
        self._options = options
        self._folder_of_run = folder_of_run
        self._keeping = keeping
        self._shut_down = shut_down
        self._note_change = note_change

    def build(self, name: str) -> Service:
        built: Service = getattr(self, f"_build_{name}")()
        return built

    def _build_firestore(self) -> Service:
        from afterimage_emulator.firestore.documents.index_limits import IndexSettings
        from afterimage_emulator.firestore.indexes.declared_indexes import DeclaredIndexes
        from afterimage_emulator.firestore.indexes.indexes_files import read_indexes_files
        from afterimage_emulator.firestore.service import FirestoreService

        parts = self._parts
        files = {each.database: each.indexes for each in parts.configuration.firestore if each.indexes is not None}
        checks = (IndexSettings.parse, DeclaredIndexes.parse)
        indexes = read_indexes_files(files, *checks, warn=parts.notices.warnings.append)
        service = FirestoreService(
            clock=parts.clock,
            events=parts.events,
            project_id=parts.configuration.project_id,
            shut_down=self._shut_down,
            index_settings={name: IndexSettings.parse(content) for name, content in indexes.items()},
            declared_indexes={name: DeclaredIndexes.parse(content) for name, content in indexes.items()},
            strict_indexes=self._options.strict_indexes,
            guard=parts.ports.guard,
            judged=parts.judged,
            keeping=self._journal(),
            keeping_rules=self._entries("rules"),
        )
        rules = RulesFiles(
            parts.configuration.firestore,
            lambda database, source, name: service.rules.load_for_database(
                database, source, file_name=name, over=parts.configuration.project_id
            ),
            service.rules.close_database,
        )
        rules.load_changed()
        named = [target.database for target in parts.configuration.firestore] or ["(default)"]
        guarded = {database: f"the database `{database}`" for database in named} | {"(default)": "firestore"}
        parts.notices.note_rules(
            rules_notices("firestore", {guarded[name]: rules.by_database.get(name) for name in named})
        )
        parts.notices.watch(rules.load_changed)
        return service

    def _build_storage(self) -> Service:
        from afterimage_emulator.storage.notifications.sending import topics_beside
        from afterimage_emulator.storage.service import StorageService

        parts = self._parts
        service = StorageService(
            clock=parts.clock,
            events=parts.events,
            directory=self._folder("storage") if self._keeping is None else self._keeping.files_of("storage"),
            default_buckets=(parts.configuration.default_bucket,),
            targets=parts.configuration.storage,
            documents=self._documents_for_rules(),
            signer=parts.signer,
            accept_unknown_signers=accepts_unknown_signers(os.environ)
            if self._options.accept_unknown_signers is None
            else self._options.accept_unknown_signers,
            judged=parts.judged,
            topics=topics_beside(parts.services),
            project_id=parts.configuration.project_id,
            keeping=self._entries("storage"),
        )
        service.rules.load_changed()
        parts.notices.note_rules(service.rules.notices())
        parts.notices.watch(service.rules.load_changed)
        return service

    def _build_auth(self) -> Service:
        from afterimage_emulator.auth.service import AuthService

        parts = self._parts

        def functions() -> Any:
            beside = parts.services.get("functions")  # built later: Auth is asked for tokens by functions that start
            return None if beside is None else beside.blocking_functions

        return AuthService(
            project_id=parts.configuration.project_id,
            clock=parts.clock,
            functions=functions,
            may_call=self._may_call,
            note=self._note_change,
            keeping=self._journal(),
        )

    def _build_pubsub(self) -> Service:
        from afterimage_emulator.pubsub.delivery.push_targets import PushTargets
        from afterimage_emulator.pubsub.service import PubSubService

        parts = self._parts
        storage = parts.services.get("storage")

        def deployed(url: str) -> str:
            beside = parts.services.get("functions")  # built later
            path = None if beside is None else beside.task_targets.local_path(url)
            return f"http://{parts.ports.addresses()['functions']}{path}" if path else ""

        return PubSubService(
            clock=parts.clock,
            events=parts.events,
            activity=parts.activity,
            faults=parts.faults,
            storage=storage,
            push_targets=PushTargets(may_call=self._may_call, deployed=deployed),
            keeping=self._entries("pubsub"),
        )

    def _build_functions(self) -> Service:
        from afterimage_emulator.functions.service import FunctionsService

        parts = self._parts
        return FunctionsService(
            codebases=parts.configuration.codebases,
            project_id=parts.configuration.project_id,
            clock=parts.clock,
            events=parts.events,
            activity=parts.activity,
            inspect=self._options.inspect,
            in_process=self._options.functions_in_process,
            record=parts.attempts,
            subscriptions=parts.services["pubsub"].function_subscriptions if "pubsub" in parts.services else None,
            keeping=self._entries("functions"),
        )

    def _build_tasks(self) -> Service:
        from afterimage_emulator.tasks.service import TasksService

        parts = self._parts
        return TasksService(
            clock=parts.clock,
            activity=parts.activity,
            faults=parts.faults,
            record=parts.attempts,
            note=self._note_change,
            functions=parts.services["functions"].task_targets if "functions" in parts.services else None,
            may_call=self._may_call,
            keeping=self._entries("tasks"),
        )

    def _build_eventarc(self) -> Service:
        from afterimage_emulator.eventarc.service import EventarcService

        parts = self._parts
        return EventarcService(clock=parts.clock, events=parts.events)

    def _build_hosting(self) -> Service:
        from afterimage_emulator.hosting.service import HostingService

        parts = self._parts
        configuration = parts.configuration
        file = configuration.file
        named = [path for target in configuration.firestore for path in (target.rules, target.indexes)]
        named += [target.rules for target in configuration.storage]
        service = HostingService(
            sections=configuration.hosting,
            root=configuration.root,
            project_id=parts.configuration.project_id,
            default_bucket=configuration.default_bucket,
            addresses=parts.ports.addresses,
            functions=parts.services.get("functions"),
            auth_page=parts.services["auth"].provider_page if "auth" in parts.services else None,
            file=file,
            read_again=lambda: (
                () if file is None else load_configuration(file, project_id=parts.configuration.project_id).hosting
            ),
            private_files=[path for path in (file, *named) if path is not None],
            private_folders=[codebase.source for codebase in configuration.codebases],
            # A debugger holds a function for as long as somebody thinks.
            **({} if self._options.inspect is None else {"answer_limit_seconds": None}),
        )
        parts.notices.warnings += service.warnings()
        return service

    def _documents_for_rules(self) -> ProjectDocuments | None:
        """What `firestore.get` finds in Storage rules; nothing where no Firestore runs beside."""
        parts = self._parts
        firestore = parts.services.get("firestore")
        if firestore is None:
            return None
        from afterimage_emulator.firestore.rules.project_documents import ProjectDocuments

        return ProjectDocuments(firestore.store, parts.configuration.project_id)

    def _may_call(self, host: str) -> bool:
        """Whether the suite calls there by itself, because somebody asked for it: this machine, and what is allowed."""
        return is_this_machine(host) or host in self._parts.allowed.hosts

    def _journal(self) -> Journal | None:
        return None if self._keeping is None else self._keeping.journal

    def _entries(self, name: str) -> KeptEntries | None:
        return None if self._keeping is None else self._keeping.entries(name)

    def _folder(self, name: str) -> Path:
        folder = self._folder_of_run / name
        folder.mkdir()
        return folder
