"""What Auth holds for each project, and for each tenant of it, side by side in one process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sortedcontainers import SortedDict

from afterimage_emulator.auth.accounts.accounts import AccountStore
from afterimage_emulator.auth.accounts.oob_codes import OobCodes
from afterimage_emulator.auth.accounts.phone_codes import PhoneCodes
from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.settings.project_settings import ProjectSettings
from afterimage_emulator.auth.settings.provider_configs import ProviderConfigs
from afterimage_emulator.auth.settings.sign_in_settings import SignInSettings

# Also keeps path separators out: ids become file names in an export.
_PROJECT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_TENANT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class Project:
    """Accounts, unused codes and settings of one project, or of one of its tenants: operations know no difference.

    `settings` are the project's own, shared with its tenants; `sign_in` is each one's for itself.
    """

    def __init__(
        self, project_id: str, *, tenant_id: str | None = None, settings: ProjectSettings | None = None
    ) -> None:
        self.id = project_id
        self.tenant_id = tenant_id
        self.display_name: str | None = None
        self.accounts = AccountStore()
        self.oob_codes = OobCodes(tenant_id=tenant_id)
        self.phone_codes = PhoneCodes()
        self.settings = settings or ProjectSettings()
        self.sign_in = SignInSettings()
        self.providers = ProviderConfigs()
        self.tenants: SortedDict = SortedDict()
        """Tenants by their ids; none where this is a tenant itself."""

    def tenant(self, tenant_id: str) -> Project:
        """A tenant that is named comes into being with everything allowed, as in the official emulator."""
        tenant: Project | None = self.tenants.get(tenant_id)
        if tenant is None:
            tenant = self.new_tenant(tenant_id)
        return tenant

    def new_tenant(self, tenant_id: str) -> Project:
        if _TENANT_ID.fullmatch(tenant_id) is None:
            raise refused("INVALID_TENANT_ID : ((a tenant id has letters, digits, `-` and `_`))")
        tenant = self.tenants[tenant_id] = Project(self.id, tenant_id=tenant_id, settings=self.settings)
        return tenant

    def with_tenants(self) -> Iterator[Project]:
        yield self
        yield from tuple(self.tenants.values())


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
        everywhere = (one for project in self for one in project.with_tenants())
        return next((one for one in everywhere if one.oob_codes.get(code) is not None), None)

    def replace(self, project: Project) -> None:
        self._projects[project.id] = project

    def remove(self, project_id: str) -> None:
        self._projects.pop(project_id, None)

    def clear(self) -> None:
        self._projects.clear()

    def check_invariants(self) -> None:
        """What must hold of every project and tenant; every test of the service ends in it."""
        found = []
        for project in self:
            found += [f"project `{project.id}`: {fault}" for fault in project.accounts.faults()]
            for name, tenant in project.tenants.items():
                place = f"project `{project.id}`, tenant `{name}`"
                found += [f"{place}: {fault}" for fault in tenant.accounts.faults()]
                found += [
                    f"{place}: `{one.uid}` says `{one.tenant_id}`" for one in tenant.accounts if one.tenant_id != name
                ]
                if (tenant.id, tenant.tenant_id) != (project.id, name) or tenant.settings is not project.settings:
                    found.append(f"{place}: it is `{tenant.tenant_id}` of `{tenant.id}`, or has settings of its own")
        found += [f"`{name}` holds the project `{one.id}`" for name, one in self._projects.items() if one.id != name]
        codes = [code.code for project in self for one in project.with_tenants() for code in one.oob_codes]
        found += [f"the code `{code}` belongs to two projects" for code in set(codes) if codes.count(code) > 1]
        assert not found, "the accounts are not whole:\n" + "\n".join(found)
