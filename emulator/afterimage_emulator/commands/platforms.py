"""Where the suite runs, and what it lacks where it runs less well. Imports nothing that a platform may lack."""

from __future__ import annotations


def refused_platform(platform: str) -> str | None:
    """Why the suite does not run there; looked at before anything is imported that such a platform lacks."""
    if platform == "win32":
        return (
            "afterimage-emulator does not run on Windows itself; install it inside WSL, Windows' own Linux "
            "(`wsl --install`, then `pip install afterimage-emulator` in there): programs on Windows reach its ports"
        )
    return None


def missing_on(platform: str) -> list[str]:
    """What the suite cannot do on a platform that it runs on; `start` says so."""
    if platform.startswith("linux"):
        return []
    return [
        "on this system the memory of functions is not measured: only Linux has /proc to read it from",
        "on this system functions may outlive a suite that is killed with SIGKILL: only Linux has prctl to prevent it",
    ]
