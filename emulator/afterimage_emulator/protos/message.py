"""What all messages of the suite's own pool are; what each of them has stands in the stubs beside their packages.

Annotations name the kinds of fields, which have no class of their own at run time.
"""

from collections.abc import Mapping as MessageMap
from collections.abc import Sequence as RepeatedMessages

from google.protobuf.message import DecodeError, Message

__all__ = ["DecodeError", "Message", "MessageMap", "RepeatedMessages"]
