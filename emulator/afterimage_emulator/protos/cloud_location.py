"""The messages of google.cloud.location, each made when it is first asked for; their types stand in the stub beside."""

from afterimage_emulator.protos.pool import attributes_of

__getattr__ = attributes_of("google.cloud.location", globals())
