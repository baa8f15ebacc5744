"""The path of a request: route, locate, report, one by one and in batches."""

from __future__ import annotations

import ctypes
import sys
import time
from typing import TYPE_CHECKING, Any, Callable, Sequence, TypedDict

from ._abi import NO_CELL, PROFILE_STALE, lib
from ._abi import Keys as KeysStruct
from ._calls import Handle, as_bytes, call, check, view_of
from .assignment import Mapping
from .cell_names import CellNames
from .decision import SIZE, Decision
from .decisions import Decisions
from .errors import NoSnapshotError, UnknownNameError
from .keys import KeyList, pack_keys
from .profile import Names, Profile
from .reasons import REASONS
from .requests import KEY_SIZE, NOW, Slot, access_number, outcome_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

_route, _locate, _report = lib.route_call, lib.locate_call, lib.report
_byref, _time_ns = ctypes.byref, time.time_ns
# How many refer to a decision that only route() still has: its slot's list, its own variable, and
# the argument of the call that counts.
_NOBODY_ELSE = 3
_references: Callable[[object], int] = getattr(sys, "getrefcount", lambda _: _NOBODY_ELSE + 1)
NO_SNAPSHOT = 609
MOST_PROFILES = 1024  # kept by name; callers may make names up
MOST_RENEWALS = 16  # of a profile in one call, while others publish


class Choices(TypedDict, total=False):
    """What a request may say besides its key and profile."""

    tier: str
    region: str
    flags: Sequence[str]
    plan: str
    risk: float
    """From 0 to 1."""
    access: str
    """READ or WRITE, the default."""
    resource: str
    tried: Sequence[int]
    """The cell_number of at most 7 cells that this request already tried; with any, its key's limits are not charged again."""
    mapping: Mapping | None
    """From resolve()."""
    lane: int | None
    """By default one that no other call uses now."""


class Path:
    """What a Router does with requests. None of it blocks, does I/O or reads a clock but time_ns."""

    def __init__(self, handle: Handle, lanes: int) -> None:
        self._handle = handle
        self._reference = _byref(ctypes.c_char.from_address(handle.address or 0))
        self._lanes = lanes
        self._names = CellNames(handle)
        # Slots not in use, each with all that a call needs of it, in a list that is quicker than a
        # look-up each. Taking one is atomic, so a call has its own, also in a signal handler.
        self._slots: list[list[Any]] = []
        self._spare: list[Slot] = []  # for requests with choices, which need all of a slot filled
        self._fast = (self._slots.pop, self._slots.append)
        self._made = 0
        self._nameless = Profile("", "", (), "")
        self._profiles: dict[tuple[str, str, tuple[str, ...], str], Profile] = {}

    def route(
        self, key: str | bytes, profile: Profile | None = None, now_ns: int | None = None,
        **choices: Unpack[Choices],
    ) -> Decision:
        """Decides, and reserves what the guards ask for: report() the decision when the call to the
        cell has ended. A denied request is no error: its decision says why.

        `profile`, or tier, region, flags and plan by name; `now_ns`, Unix time, by default the
        clock's; what else may be given stands in Choices.
        """
        if choices:
            return self._decide(_route, key, profile, now_ns, **choices)
        if profile is None:
            profile = self._nameless
        data = key.encode() if type(key) is str else as_bytes(key)
        take, give_back = self._fast
        try:
            prepared = take()
            slot, words, reference, buffer, decision = prepared
            buffer.value = data
        except (IndexError, ValueError):  # all prepared ones are taken, or too long a key
            self._slots.append(self._prepared())
            return self._decide(_route, data, profile, now_ns)
        if _references(decision) != _NOBODY_ELSE:  # its caller has kept it
            prepared[4] = decision = self._empty_decision(data)
            slot.answer_into(decision)
        words[KEY_SIZE] = len(data)
        handle = profile._handle
        if handle is not slot.handle:
            slot.request.profile = slot.handle = handle
        words[NOW] = _time_ns() if now_ns is None else now_ns
        code = _route(reference)
        decision.key = data
        give_back(prepared)
        if code:  # an error, or a status other than OK
            check(code, what="routing")
            if decision.reason_number == PROFILE_STALE:
                return self._decide(_route, data, profile, now_ns)
        return decision  # type: ignore[no-any-return]

    def locate(
        self, key: str | bytes, profile: Profile | None = None, now_ns: int | None = None,
        **choices: Unpack[Choices],
    ) -> Decision:
        """Where the key lives, by mappings, constraints, strategy, health and breakers: as route(),
        with nothing reserved, counted or charged to limits."""
        return self._decide(_locate, key, profile, now_ns, **choices)

    def _decide(
        self, decide: Callable[..., int], key: str | bytes, profile: Profile | None,
        now_ns: int | None, tier: str = "", region: str = "", flags: Sequence[str] = (),
        plan: str = "", risk: float = 0.0, access: str = "WRITE", resource: str = "",
        tried: Sequence[int] = (), mapping: Mapping | None = None, lane: int | None = None,
    ) -> Decision:
        data = as_bytes(key)
        slot = self._take_spare()
        slot.fill(data, risk, access, resource, tried, mapping)
        slot.request.lane = slot.lane if lane is None else lane
        decision = self._empty_decision(data)
        slot.answer_into(decision)
        try:
            if profile is None:
                profile = self._profile_of(tier, region, flags, plan)
            for _ in range(MOST_RENEWALS):
                slot.request.profile = profile._handle
                slot.words[NOW] = _time_ns() if now_ns is None else now_ns
                check(decide(slot.reference), what="routing")
                if decision.reason_number != PROFILE_STALE:
                    break
                self._renew(profile)
        except (UnknownNameError, NoSnapshotError) as error:
            return self._refused(data, error.reason or NO_SNAPSHOT)
        finally:
            self._spare.append(slot)
        return decision

    def report(
        self, decision: Decision, *, http_status: int = 0, error: str | None = None,
        slow: bool = False, now_ns: int | None = None,
    ) -> None:
        """Ends a routed request: gives back what it holds, tells the breaker. `http_status` of the
        cell's answer, or `error`: timeout, connect or abort (the client's own). A decision that was
        reported before changes nothing; of a late one a closed breaker still counts how it went."""
        now = ctypes.c_int64(_time_ns() if now_ns is None else now_ns)
        outcome = outcome_of(http_status, error, slow)
        code = _report(self._reference, decision._ticket_reference(), outcome, now)
        if code:
            check(code, what="reporting")

    def route_batch(
        self, keys: KeyList | Any, profile: Profile | None = None, *, tier: str = "",
        region: str = "", flags: Sequence[str] = (), plan: str = "", risk: float = 0.0,
        access: str = "WRITE", resource: str = "", lane: int | None = None,
        now_ns: int | None = None,
    ) -> Decisions:
        """route() for each of `keys`, all on one snapshot: a list of str or bytes, a numpy array of
        dtype S or U, or what pack_keys() made. UnknownNameError: there is no such tier …"""
        if profile is None:
            profile = self._profile_of(tier, region, flags, plan)
        return self._batch(lib.route_keys, keys, profile, risk, access, resource, lane, now_ns)

    def locate_batch(
        self, keys: KeyList | Any, profile: Profile | None = None, *, tier: str = "",
        region: str = "", flags: Sequence[str] = (), plan: str = "", risk: float = 0.0,
        access: str = "WRITE", resource: str = "", lane: int | None = None,
        now_ns: int | None = None,
    ) -> Decisions:
        """locate() for each of `keys`, as route_batch()."""
        if profile is None:
            profile = self._profile_of(tier, region, flags, plan)
        return self._batch(lib.locate_keys, keys, profile, risk, access, resource, lane, now_ns)

    def report_batch(
        self, decisions: Decisions, *, http_status: int = 0, error: str | None = None,
        slow: bool = False, now_ns: int | None = None,
    ) -> None:
        """report() for each of a batch, with one outcome."""
        now = ctypes.c_int64(_time_ns() if now_ns is None else now_ns)
        outcome = outcome_of(http_status, error, slow)
        for ticket in decisions._tickets:
            code = _report(self._reference, _byref(ticket), outcome, now)
            if code:
                check(code, what="reporting")

    def _batch(
        self, decide: Callable[..., int], keys: KeyList | Any, profile: Profile, risk: float,
        access: str, resource: str, lane: int | None, now_ns: int | None,
    ) -> Decisions:
        packed, name = pack_keys(keys), as_bytes(resource)
        decisions = Decisions(self._names, packed)
        slot = self._take_spare()
        struct = KeysStruct(
            lane=slot.lane if lane is None else lane, count=len(packed), bytes=packed.data_address,
            byte_count=packed.byte_count, offsets=packed.offsets_address, width=packed.width, resource=view_of(name),
            risk=risk, access=access_number(access))
        now = _time_ns() if now_ns is None else now_ns
        for _ in range(MOST_RENEWALS):
            struct.profile = profile._handle
            check(decide(self._handle.address, struct, now, decisions._answers), what="a batch")
            if not decisions.stale:
                break
            self._renew(profile)
        self._spare.append(slot)
        return decisions

    def _take_spare(self) -> Slot:
        try:
            return self._spare.pop()
        except IndexError:
            return self._new_slot()

    def _new_slot(self) -> Slot:
        self._made += 1
        return Slot(self._handle.address or 0, (self._made - 1) % self._lanes)

    def _prepared(self) -> list[Any]:
        slot, decision = self._new_slot(), self._empty_decision(b"")
        slot.answer_into(decision)
        return [slot, slot.words, slot.reference, slot.buffer, decision]

    def _profile_of(self, tier: str, region: str, flags: Sequence[str], plan: str) -> Profile:
        names = (tier, region, tuple(flags), plan)
        profile = self._profiles.get(names)
        if profile is None:
            profile = Profile(*names)
            self._renew(profile)
            if len(self._profiles) >= MOST_PROFILES:
                self._profiles.clear()
            self._profiles[names] = profile
        return profile

    def _renew(self, profile: Profile) -> None:
        """Resolves its names in what serves now."""
        handle = type(profile._handle)()
        names = Names(profile.tier, profile.region, profile.flags, profile.plan)
        call(lib.router_profile, self._handle.address, names.struct, handle)
        profile._handle = handle

    def _refused(self, key: bytes, reason: int) -> Decision:
        decision = self._empty_decision(key)
        decision.status_number, decision.reason_number = REASONS[reason].status.number, reason
        return decision

    def _empty_decision(self, key: bytes) -> Decision:
        decision = Decision(struct_size=SIZE, cell_number=NO_CELL)
        decision._names, decision.key = self._names, key
        return decision
