"""What Auth holds for each project, side by side in one process."""

from __future__ import annotations

import re
from collections.abc import Iterator

from afterimage_emulator.auth.accounts.accounts import AccountStore
from afterimage_emulator.auth.accounts.oob_codes import OobCodes
from afterimage_emulator.auth.errors import refused

# Also keeps path separators out: ids become file names in an export.
_PROJECT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")


class Project:
    """Accounts, unused e-mail codes and switches of one project."""

    def __init__(self, project_id: str) -> None:
        self.id = project_id
        self.accounts = AccountStore()
        self.oob_codes = OobCodes()
        self.allow_duplicate_emails = False
        self.improved_email_privacy = False


class Projects:
    """Every project that was ever asked for; a new name makes a new, empty one."""

    def __init__(self, *, default_id: str) -> None:
        self.default_id = default_id
        self._projects: dict[str, Project] = {}

    def __iter__(self) -> Iterator[Project]:
        return iter(tuple(self._projects.values()))

    def get(self, project_id: str | None = None) -> Project:
        project_id = project_id or self.default_id
        project = self._projects.get(project_id)
        if project is None:
            if project_id != self.default_id and _PROJECT_ID.fullmatch(project_id) is None:
                raise refused("INVALID_PROJECT_ID : ((a project id has letters, digits, `-`, `.`, `_` and `:`))")
            project = self._projects[project_id] = Project(project_id)
        return project

    def known(self, project_id: str | None) -> Project | None:
        return self._projects.get(project_id or self.default_id)

    def of_code(self, code: str) -> Project | None:
        """E-mailed codes name no project; they are long enough to name themselves."""
        return next((project for project in self if project.oob_codes.get(code) is not None), None)

    def replace(self, project: Project) -> None:
        self._projects[project.id] = project

    def clear(self) -> None:
        self._projects.clear()

    def check_invariants(self) -> None:
        """What must hold of every project; every test of the service ends in it."""
        found = [f"project `{project.id}`: {fault}" for project in self for fault in project.accounts.faults()]
        found += [f"`{name}` holds the project `{one.id}`" for name, one in self._projects.items() if one.id != name]
        codes = [code.code for project in self for code in project.oob_codes]
        found += [f"the code `{code}` belongs to two projects" for code in set(codes) if codes.count(code) > 1]
        assert not found, "the accounts are not whole:\n" + "\n".join(found)
