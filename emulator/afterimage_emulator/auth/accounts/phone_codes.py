"""Codes that would travel by SMS: kept where a test can read them instead of being sent."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneCode:
    """One code for one number, good until it is used."""

    session_info: str
    phone_number: str
    code: str


class PhoneCodes:
    """The codes of one project that nobody has used yet, and the proofs of numbers that were shown to be one's own."""

    def __init__(self) -> None:
        self._codes: dict[str, PhoneCode] = {}
        self._proofs: dict[str, str] = {}

    def __iter__(self) -> Iterator[PhoneCode]:
        return iter(tuple(self._codes.values()))

    def create(self, phone_number: str) -> PhoneCode:
        made = PhoneCode(
            session_info=secrets.token_urlsafe(169), phone_number=phone_number, code=f"{secrets.randbelow(10**6):06}"
        )
        self._codes[made.session_info] = made
        return made

    def get(self, session_info: str) -> PhoneCode | None:
        return self._codes.get(session_info)

    def use(self, session_info: str) -> None:
        self._codes.pop(session_info, None)

    def prove(self, phone_number: str) -> str:
        """A proof that whoever has it may use this number, though it is another account's now."""
        proof = secrets.token_urlsafe(89)
        self._proofs[proof] = phone_number
        return proof

    def is_proof(self, proof: str, phone_number: str) -> bool:
        return self._proofs.get(proof) == phone_number

    def clear(self) -> None:
        self._codes.clear()
        self._proofs.clear()
