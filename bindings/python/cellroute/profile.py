"""A key's attributes by name, and the handle that a router made of them."""

from __future__ import annotations

import ctypes
from typing import Iterable

from ._abi import ProfileHandle, View
from ._abi import ProfileNames as NamesStruct
from ._calls import as_bytes, view_of, views_of


class Profile:
    """Tier, region, flags and plan of a key. Keep it beside the connection or tenant.

    From Router.profile(). Its handle is good for one generation; the router renews it by itself.
    Any number of threads may use one.
    """

    __slots__ = ("tier", "region", "flags", "plan", "_handle")

    def __init__(self, tier: str, region: str, flags: tuple[str, ...], plan: str) -> None:
        self.tier = tier
        self.region = region
        self.flags = flags
        self.plan = plan
        self._handle = ProfileHandle()

    def __repr__(self) -> str:
        return (f"<cellroute.Profile tier {self.tier!r} region {self.region!r} "
                f"flags {self.flags!r} plan {self.plan!r}>")


class Names:
    """The C struct of names, with the bytes that it points to."""

    def __init__(self, tier: str, region: str, flags: Iterable[str], plan: str) -> None:
        self._kept = [as_bytes(tier), as_bytes(region), as_bytes(plan)]
        self._flags = [as_bytes(flag) for flag in flags]
        self._views = views_of(self._flags)
        tier_view, region_view, plan_view = map(view_of, self._kept)
        self.struct = NamesStruct(
            tier=tier_view, region=region_view, plan=plan_view, flag_count=len(self._flags),
            flags=ctypes.cast(self._views, ctypes.POINTER(View)),
        )
