"""The messages of google.events.cloud.firestore.v1, made when first asked for; their types stand in the stub."""

from afterimage_emulator.protos.pool import attributes_of

__getattr__ = attributes_of("google.events.cloud.firestore.v1", globals())
