"""The accounts of one project: what an account is, and what must hold between any two of them.

No two accounts share an id, an email address, a phone number or an identity at a provider elsewhere. The store keeps
this whatever its callers do; it knows neither time nor JSON.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from sortedcontainers import SortedDict

from afterimage_emulator.auth.accounts.passwords import StoredPassword
from afterimage_emulator.auth.accounts.second_factors import SecondFactor
from afterimage_emulator.auth.errors import refused

PASSWORD_PROVIDER = "password"  # noqa: S105  the provider's name, not a secret
PHONE_PROVIDER = "phone"
UNNAMED_PASSKEY = "Unnamed Passkey"
OWN_PROVIDERS = (PASSWORD_PROVIDER, PHONE_PROVIDER)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderLink:
    """An identity at a provider, as listings show it."""

    provider_id: str
    raw_id: str
    federated_id: str | None = None
    email: str | None = None
    phone_number: str | None = None
    display_name: str | None = None
    photo_url: str | None = None
    screen_name: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Passkey:
    """A credential of somebody's device, by its id; which key it has is not asked here."""

    credential_id: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """One user. `links` are in the order they came; the store keeps those of password and phone after other fields.

    `email_verified` and `disabled` are None where nobody has ever said, and then stand in no answer.
    """

    uid: str
    created_at_ms: int
    tenant_id: str | None = None
    email: str | None = None
    email_verified: bool | None = None
    initial_email: str | None = None
    """The first address it had, kept for good: where the offer to undo a change of address goes."""
    display_name: str | None = None
    photo_url: str | None = None
    screen_name: str | None = None
    phone_number: str | None = None
    password: StoredPassword | None = None
    password_updated_at_ms: int | None = None
    has_email_link: bool = False
    """Whether it signed in by a link in an e-mail, which counts as the provider of passwords."""
    disabled: bool | None = None
    valid_since_seconds: int | None = None
    last_login_at_ms: int | None = None
    last_refresh_at_ms: int | None = None
    custom_claims: str | None = None
    is_custom_auth: bool = False
    links: tuple[ProviderLink, ...] = ()
    second_factors: tuple[SecondFactor, ...] = ()
    passkeys: tuple[Passkey, ...] = ()

    @property
    def signs_in_by_email(self) -> bool:
        return self.email is not None and (self.password is not None or self.has_email_link)

    @property
    def federated(self) -> tuple[ProviderLink, ...]:
        """The identities at providers elsewhere."""
        return tuple(link for link in self.links if link.provider_id not in OWN_PROVIDERS)

    def changed(self, changes: Mapping[str, object]) -> Account:
        """With other values in the fields that `changes` names."""
        return replace(self, **cast("Mapping[str, Any]", changes)) if changes else self

    def with_link(self, link: ProviderLink) -> Account:
        """With this identity in the place of the provider's earlier one, or as the last."""
        links = list(self.links)
        for number, known in enumerate(links):
            if known.provider_id == link.provider_id:
                links[number] = link
                break
        else:
            links.append(link)
        return replace(self, links=tuple(links))

    def without_links(self, provider_ids: Collection[str]) -> Account:
        return replace(self, links=tuple(link for link in self.links if link.provider_id not in provider_ids))

    def _has_own_links(self) -> bool:
        """Whether that is so for an account with a password and nothing else, which most are."""
        if self.phone_number is not None or len(self.links) != 1 or not self.signs_in_by_email:
            return False
        (link,) = self.links
        return (
            link.provider_id == PASSWORD_PROVIDER
            and link.raw_id == link.federated_id == link.email == self.email
            and (link.display_name, link.photo_url) == (self.display_name, self.photo_url)
            and link.phone_number is None
        )

    def with_own_links(self) -> Account:
        """With the identities of password and phone exactly where the other fields speak of one."""
        if self._has_own_links():
            return self
        password = phone = None
        if self.email is not None and self.signs_in_by_email:
            password = ProviderLink(
                provider_id=PASSWORD_PROVIDER,
                raw_id=self.email,
                federated_id=self.email,
                email=self.email,
                display_name=self.display_name,
                photo_url=self.photo_url,
            )
        if self.phone_number is not None:
            phone = ProviderLink(provider_id=PHONE_PROVIDER, raw_id=self.phone_number, phone_number=self.phone_number)
        account = self
        for provider_id, link in ((PASSWORD_PROVIDER, password), (PHONE_PROVIDER, phone)):
            if link is not None:
                account = account if link in account.links else account.with_link(link)
            elif any(known.provider_id == provider_id for known in account.links):
                account = account.without_links((provider_id,))
        return account


class AccountStore:
    """Accounts by id, in the order of their ids, and by everything else that names exactly one."""

    def __init__(self) -> None:
        self._by_uid: SortedDict = SortedDict()
        self._uid_of_email: dict[str, str] = {}
        self._uid_of_phone: dict[str, str] = {}
        self._uid_of_identity: dict[tuple[str, str], str] = {}
        self._uid_of_passkey: dict[str, str] = {}
        self._uids_of_link_email: dict[str, dict[str, None]] = {}
        self.touched: set[str] | None = None
        """Ids of accounts that were changed, for whoever keeps them; emptied by it."""

    # -- reading

    def __len__(self) -> int:
        return len(self._by_uid)

    def __iter__(self) -> Iterator[Account]:
        return iter(tuple(self._by_uid.values()))

    def by_uid(self, uid: str) -> Account | None:
        account: Account | None = self._by_uid.get(uid)
        return account

    def by_email(self, email: str) -> Account | None:
        return self._named(self._uid_of_email.get(email))

    def at_address(self, email: str) -> list[Account]:
        """The account with this address, then those whose identity at a provider has it."""
        owner = self._uid_of_email.get(email)
        uids = [*((owner,) if owner is not None else ()), *self._uids_of_link_email.get(email, ())]
        return [account for uid in dict.fromkeys(uids) if (account := self.by_uid(uid)) is not None]

    def linked_to(self, provider_id: str) -> list[ProviderLink]:
        """All identities at one provider, for somebody to choose from."""
        return [link for account in self for link in account.links if link.provider_id == provider_id]

    def by_phone_number(self, phone_number: str) -> Account | None:
        return self._named(self._uid_of_phone.get(phone_number))

    def by_identity(self, provider_id: str, raw_id: str) -> Account | None:
        if provider_id == PASSWORD_PROVIDER:
            account = self.by_email(raw_id)
            return account if account is not None and account.signs_in_by_email else None
        if provider_id == PHONE_PROVIDER:
            return self.by_phone_number(raw_id)
        return self._named(self._uid_of_identity.get((provider_id, raw_id)))

    def by_passkey(self, credential_id: str) -> Account | None:
        return self._named(self._uid_of_passkey.get(credential_id))

    def page(self, *, after_uid: str | None, limit: int | None) -> tuple[list[Account], bool]:
        """Up to `limit` accounts in the order of their ids, and whether there are more."""
        uids = self._by_uid.irange(minimum=after_uid, inclusive=(False, True))
        found: list[Account] = []
        for uid in uids:
            if limit is not None and len(found) >= limit:
                return found, True
            found.append(self._by_uid[uid])
        return found, False

    # -- changing

    def create(self, account: Account) -> Account:
        if account.uid in self._by_uid:
            raise refused("DUPLICATE_LOCAL_ID")
        return self.put(account)

    def put(self, account: Account) -> Account:
        """Creates, or replaces the account of the same id; changes nothing where a name is another's."""
        account = account.with_own_links()
        self._check_names(account)
        earlier = self.by_uid(account.uid)
        if earlier is not None:
            self._forget_names(earlier)
        self._by_uid[account.uid] = account
        if self.touched is not None:
            self.touched.add(account.uid)
        if account.email is not None:
            self._uid_of_email[account.email] = account.uid
        if account.phone_number is not None:
            self._uid_of_phone[account.phone_number] = account.uid
        for passkey in account.passkeys:
            self._uid_of_passkey[passkey.credential_id] = account.uid
        for link in account.links:
            if link.provider_id not in OWN_PROVIDERS:
                self._uid_of_identity[link.provider_id, link.raw_id] = account.uid
                if link.email is not None:
                    self._uids_of_link_email.setdefault(link.email, {})[account.uid] = None
        return account

    def delete(self, uid: str) -> bool:
        account = self._by_uid.pop(uid, None)
        if account is None:
            return False
        self._forget_names(account)
        if self.touched is not None:
            self.touched.add(uid)
        return True

    def clear(self) -> None:
        if self.touched is not None:
            self.touched.update(self._by_uid)
        self._by_uid.clear()
        self._uid_of_email.clear()
        self._uid_of_phone.clear()
        self._uid_of_identity.clear()
        self._uid_of_passkey.clear()
        self._uids_of_link_email.clear()

    def check_invariants(self) -> None:
        """What must hold between any two operations; every test of the store ends in it."""
        found = list(self.faults())
        assert not found, "the store of accounts is not whole:\n" + "\n".join(found)

    def faults(self) -> Iterator[str]:
        """Everything that is not as it must be, each with the name that it is found under."""
        for uid, account in self._by_uid.items():
            if account.uid != uid:
                yield f"`{uid}` holds the account `{account.uid}`"
        owners: dict[tuple[str, Hashable], list[str]] = {}
        for account in self:
            for named in _names_of(account):
                owners.setdefault(named, []).append(account.uid)
        leads_to: dict[tuple[str, Hashable], str] = {
            **{("email address", email): uid for email, uid in self._uid_of_email.items()},
            **{("phone number", number): uid for number, uid in self._uid_of_phone.items()},
            **{("identity", identity): uid for identity, uid in self._uid_of_identity.items()},
            **{("passkey", credential): uid for credential, uid in self._uid_of_passkey.items()},
        }
        for kind, name in owners.keys() | leads_to.keys():
            uids, found = owners.get((kind, name), []), leads_to.get((kind, name))
            if len(uids) > 1:
                yield f"the {kind} `{name}` belongs to {len(uids)} accounts: {', '.join(uids)}"
            if found not in uids:
                yield f"the {kind} `{name}` belongs to {uids or 'nobody'} and leads to `{found}`"
        at_providers = {(link.email, one.uid) for one in self for link in one.federated if link.email is not None}
        listed = {(email, uid) for email, uids in self._uids_of_link_email.items() for uid in uids}
        for email, uid in sorted(at_providers ^ listed):
            yield f"the provider's address `{email}` of `{uid}` is {'listed' if (email, uid) in listed else 'missing'}"

    # -- inside

    def _named(self, uid: str | None) -> Account | None:
        return None if uid is None else self.by_uid(uid)

    def _check_names(self, account: Account) -> None:
        if account.email is not None and self._uid_of_email.get(account.email, account.uid) != account.uid:
            raise refused("EMAIL_EXISTS")
        if (
            account.phone_number is not None
            and self._uid_of_phone.get(account.phone_number, account.uid) != account.uid
        ):
            raise refused("PHONE_NUMBER_EXISTS")
        identities = [(link.provider_id, link.raw_id) for link in account.federated]
        if len(set(identities)) != len(identities) or any(
            self._uid_of_identity.get(identity, account.uid) != account.uid for identity in identities
        ):
            raise refused("FEDERATED_USER_ID_ALREADY_LINKED")
        credentials = [passkey.credential_id for passkey in account.passkeys]
        if len(set(credentials)) != len(credentials) or any(
            self._uid_of_passkey.get(credential, account.uid) != account.uid for credential in credentials
        ):
            raise refused("CREDENTIAL_ALREADY_IN_USE")

    def _forget_names(self, account: Account) -> None:
        if account.email is not None:
            del self._uid_of_email[account.email]
        if account.phone_number is not None:
            del self._uid_of_phone[account.phone_number]
        for passkey in account.passkeys:
            del self._uid_of_passkey[passkey.credential_id]
        for link in account.federated:
            del self._uid_of_identity[link.provider_id, link.raw_id]
            if link.email is not None and link.email in self._uids_of_link_email:
                self._uids_of_link_email[link.email].pop(account.uid, None)
                if not self._uids_of_link_email[link.email]:
                    del self._uids_of_link_email[link.email]


def _names_of(account: Account) -> Iterator[tuple[str, Hashable]]:
    """What names this account and no other, each with its kind."""
    if account.email is not None:
        yield "email address", account.email
    if account.phone_number is not None:
        yield "phone number", account.phone_number
    for passkey in account.passkeys:
        yield "passkey", passkey.credential_id
    for link in account.federated:
        yield "identity", (link.provider_id, link.raw_id)
