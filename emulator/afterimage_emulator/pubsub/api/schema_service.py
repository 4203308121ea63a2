"""The SchemaService API: schemas and their revisions, and messages tried against them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.protos.message import Message
from afterimage_emulator.pubsub.resource_names import check_project
from afterimage_emulator.pubsub.schemas.definitions import ENCODINGS, read_definition
from afterimage_emulator.pubsub.schemas.refusals import MessageRefusedError, SchemaRefusedError
from afterimage_emulator.pubsub.schemas.registry import invalid_message
from afterimage_emulator.pubsub.topics.broker import Broker
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.turns import worked_off
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod, UnaryHandler
from afterimage_emulator.wire.pages import page_of

_PREFIX: Final = "/google.pubsub.v1.SchemaService/"
_FULL: Final = 2


class SchemaApi:
    """Each method takes the API's own request message."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._schemas = broker.schemas

    def methods(self) -> list[GrpcMethod]:
        table: Mapping[str, tuple[type[Message], UnaryHandler]] = {
            "CreateSchema": (pubsub_v1.CreateSchemaRequest, self.create_schema),
            "GetSchema": (pubsub_v1.GetSchemaRequest, self.get_schema),
            "ListSchemas": (pubsub_v1.ListSchemasRequest, self.list_schemas),
            "ListSchemaRevisions": (pubsub_v1.ListSchemaRevisionsRequest, self.list_schema_revisions),
            "CommitSchema": (pubsub_v1.CommitSchemaRequest, self.commit_schema),
            "RollbackSchema": (pubsub_v1.RollbackSchemaRequest, self.rollback_schema),
            "DeleteSchemaRevision": (pubsub_v1.DeleteSchemaRevisionRequest, self.delete_schema_revision),
            "DeleteSchema": (pubsub_v1.DeleteSchemaRequest, self.delete_schema),
            "ValidateSchema": (pubsub_v1.ValidateSchemaRequest, self.validate_schema),
            "ValidateMessage": (pubsub_v1.ValidateMessageRequest, self.validate_message),
        }
        return [
            GrpcMethod(path=_PREFIX + name, request_class=request_class, unary=handler)
            for name, (request_class, handler) in table.items()
        ]

    def create_schema(self, request: pubsub_v1.CreateSchemaRequest, call: Call) -> pubsub_v1.Schema:
        collection = f"{check_project(request.parent)}/schemas/"
        # `Schema.create` of @google-cloud/pubsub sends the whole name as the id.
        return self._schemas.create(collection + request.schema_id.removeprefix(collection), request.schema).shown

    def get_schema(self, request: pubsub_v1.GetSchemaRequest, call: Call) -> pubsub_v1.Schema:
        return _viewed(self._schemas.revision(request.name).shown, request.view or _FULL)

    def list_schemas(self, request: pubsub_v1.ListSchemasRequest, call: Call) -> pubsub_v1.ListSchemasResponse:
        found = self._schemas.of_project(check_project(request.parent))
        page, token = page_of(found, request, key=lambda schema: schema.name)
        shown = [_viewed(schema.revisions[-1].shown, request.view) for schema in page]
        return pubsub_v1.ListSchemasResponse(schemas=shown, next_page_token=token)

    def list_schema_revisions(
        self, request: pubsub_v1.ListSchemaRevisionsRequest, call: Call
    ) -> pubsub_v1.ListSchemaRevisionsResponse:
        """The newest first. A page's token is the number of its last."""
        revisions = self._schemas.schema(request.name).revisions[::-1]
        places = {id(revision): f"{place:04}" for place, revision in enumerate(revisions)}
        page, token = page_of(revisions, request, key=lambda revision: places[id(revision)])
        shown = [_viewed(revision.shown, request.view) for revision in page]
        return pubsub_v1.ListSchemaRevisionsResponse(schemas=shown, next_page_token=token)

    def commit_schema(self, request: pubsub_v1.CommitSchemaRequest, call: Call) -> pubsub_v1.Schema:
        return self._schemas.commit(request.name, request.schema).shown

    def rollback_schema(self, request: pubsub_v1.RollbackSchemaRequest, call: Call) -> pubsub_v1.Schema:
        return self._schemas.rollback(request.name, request.revision_id).shown

    def delete_schema_revision(self, request: pubsub_v1.DeleteSchemaRevisionRequest, call: Call) -> pubsub_v1.Schema:
        return self._schemas.delete_revision(request.name, request.revision_id).shown

    def delete_schema(self, request: pubsub_v1.DeleteSchemaRequest, call: Call) -> bytes:
        self._broker.delete_schema(request.name)
        return b""

    def validate_schema(self, request: pubsub_v1.ValidateSchemaRequest, call: Call) -> pubsub_v1.ValidateSchemaResponse:
        check_project(request.parent)
        try:
            read_definition(request.schema)
        except SchemaRefusedError as error:
            raise StatusError(Code.INVALID_ARGUMENT, f"Invalid schema definition: {error}") from None
        return pubsub_v1.ValidateSchemaResponse()

    async def validate_message(
        self, request: pubsub_v1.ValidateMessageRequest, call: Call
    ) -> pubsub_v1.ValidateMessageResponse:
        check_project(request.parent)
        encoding = ENCODINGS.get(request.encoding)
        if encoding is None:
            raise StatusError(Code.INVALID_ARGUMENT, "`encoding` must be JSON or BINARY")
        named = request.WhichOneof("schema_spec")
        if named is None:
            raise StatusError(Code.INVALID_ARGUMENT, "the request must have `name` or `schema`")
        try:
            if named == "name":
                definition = self._schemas.revision(request.name).definition
            else:
                definition = read_definition(request.schema)
            await worked_off(definition.check(request.message, encoding), self._schemas.reading)
        except SchemaRefusedError as error:
            raise StatusError(Code.INVALID_ARGUMENT, f"Invalid schema definition: {error}") from None
        except MessageRefusedError as error:
            raise invalid_message(str(error)) from None
        return pubsub_v1.ValidateMessageResponse()


def _viewed(shown: pubsub_v1.Schema, view: int) -> pubsub_v1.Schema:
    """Without its definition, unless the whole is asked for."""
    if view == _FULL:
        return shown
    return pubsub_v1.Schema(
        name=shown.name,
        type_=shown.type_,
        revision_id=shown.revision_id,
        revision_create_time=shown.revision_create_time,
    )
