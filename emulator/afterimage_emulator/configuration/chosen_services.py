"""Which services a suite runs: those that are asked for, or all that there is something for (pure)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from afterimage_emulator.configuration import Configuration, ConfigurationError


def chosen_services(
    services: Sequence[str], configuration: Configuration, only: Collection[str] | None
) -> tuple[str, ...]:
    """Those of `services` to run, in their order; everything by default, functions only where there are some."""
    if only is None:
        wanted = {"functions": configuration.codebases, "hosting": configuration.hosting}
        return tuple(name for name in services if wanted.get(name, True))
    unknown = sorted(set(only) - set(services))
    if unknown:
        raise ConfigurationError(f"`{unknown[0]}` is no service; --only takes {', '.join(services)}")
    return tuple(name for name in services if name in only)
