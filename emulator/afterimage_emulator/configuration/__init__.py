"""What a project says of itself in firebase.json and .firebaserc."""

from afterimage_emulator.configuration.project_configuration import (
    DEFAULT_HOST,
    DEFAULT_PORTS,
    Address,
    Codebase,
    Configuration,
    ConfigurationError,
    FirestoreTarget,
    HostingSection,
    StorageTarget,
    find_configuration,
    load_configuration,
)

__all__ = [
    "DEFAULT_HOST",
    "DEFAULT_PORTS",
    "Address",
    "Codebase",
    "Configuration",
    "ConfigurationError",
    "FirestoreTarget",
    "HostingSection",
    "StorageTarget",
    "find_configuration",
    "load_configuration",
]
