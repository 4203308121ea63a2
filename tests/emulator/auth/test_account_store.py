"""The account store against a naive model: a dictionary, and a search through all of it for every question."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from afterimage_emulator.auth.accounts.accounts import Account, AccountStore, ProviderLink
from afterimage_emulator.auth.errors import AuthError
from tests.thoroughness import examples

UIDS = st.sampled_from([f"user-{number}" for number in range(6)])
EMAILS = st.none() | st.sampled_from([f"{number}@example.com" for number in range(4)])
PHONES = st.none() | st.sampled_from([f"+1555{number}" for number in range(4)])
IDENTITIES = st.lists(st.sampled_from([("google.com", "1"), ("google.com", "2"), ("apple.com", "1")]), max_size=2)


def links(identities: list[tuple[str, str]]) -> tuple[ProviderLink, ...]:
    return tuple(ProviderLink(provider_id=provider, raw_id=raw) for provider, raw in identities)


class StoreAgainstModel(RuleBasedStateMachine):
    """Every operation on both; then both must agree on who exists and whom each name means."""

    def __init__(self) -> None:
        super().__init__()
        self.store = AccountStore()
        self.model: dict[str, Account] = {}

    def conflict(self, account: Account) -> bool:
        own = [(link.provider_id, link.raw_id) for link in account.federated]
        if len(set(own)) != len(own):
            return True
        for other in self.model.values():
            if other.uid == account.uid:
                continue
            if account.email is not None and account.email == other.email:
                return True
            if account.phone_number is not None and account.phone_number == other.phone_number:
                return True
            if set(own) & {(link.provider_id, link.raw_id) for link in other.federated}:
                return True
        return False

    @rule(uid=UIDS, email=EMAILS, phone=PHONES, identities=IDENTITIES, overwrite=st.booleans())
    def put(
        self, uid: str, email: str | None, phone: str | None, identities: list[tuple[str, str]], overwrite: bool
    ) -> None:
        account = Account(uid=uid, created_at_ms=0, email=email, phone_number=phone, links=links(identities))
        expected = (overwrite or uid not in self.model) and not self.conflict(account)
        try:
            (self.store.put if overwrite else self.store.create)(account)
        except AuthError:
            assert not expected
        else:
            assert expected
            self.model[uid] = account.with_own_links()

    @precondition(lambda self: self.model)
    @rule(data=st.data(), email=EMAILS)
    def change_email(self, data: st.DataObject, email: str | None) -> None:
        account = replace(self.model[data.draw(st.sampled_from(sorted(self.model)))], email=email)
        expected = not self.conflict(account)
        try:
            self.store.put(account)
        except AuthError:
            assert not expected
        else:
            assert expected
            self.model[account.uid] = account.with_own_links()

    @rule(uid=UIDS)
    def delete(self, uid: str) -> None:
        assert self.store.delete(uid) == (self.model.pop(uid, None) is not None)

    @rule(after=st.none() | UIDS, limit=st.none() | st.integers(0, 4))
    def page(self, after: str | None, limit: int | None) -> None:
        left = [self.model[uid] for uid in sorted(self.model) if after is None or uid > after]
        wanted = left if limit is None else left[:limit]
        assert self.store.page(after_uid=after, limit=limit) == (wanted, len(left) > len(wanted))

    @invariant()
    def agree(self) -> None:
        self.store.check_invariants()
        assert list(self.store) == [self.model[uid] for uid in sorted(self.model)]
        for account in self.model.values():
            assert self.store.by_uid(account.uid) == account
            if account.email is not None:
                assert self.store.by_email(account.email) == account
            if account.phone_number is not None:
                assert self.store.by_phone_number(account.phone_number) == account
                assert self.store.by_identity("phone", account.phone_number) == account
            for link in account.federated:
                assert self.store.by_identity(link.provider_id, link.raw_id) == account
        emails = {account.email for account in self.model.values()}
        assert all(
            self.store.by_email(f"{n}@example.com") is None for n in range(4) if f"{n}@example.com" not in emails
        )


TestStoreAgainstModel = StoreAgainstModel.TestCase
TestStoreAgainstModel.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
