"""What tests of the Lambda examples share: events, cells on loopback, and functions that run, in either
language, by a clock that tests move."""

from __future__ import annotations

import copy
import json
import mmap
import os
import pathlib
from contextlib import ExitStack
from typing import Any, Iterator

import pytest

import cellroute
from conftest import NOW, SOURCE
from run_function import Function, function, python_function
from runtime_api import Answer

LANGUAGES = ("python", "cpp")
COMMANDS = {
    ("ecommerce_lambda", "python"): python_function("shop_front.app.handler"),
    ("ecommerce_lambda", "cpp"): [os.environ["CELLROUTE_SHOP_FRONT"]],
    ("financial_authorizer", "python"): python_function("authorizer.app.handler"),
    ("financial_authorizer", "cpp"): [os.environ["CELLROUTE_AUTHORIZER"]],
}


class Clock:
    """Unix time as a function sees it, by moved_clock.c: it stands until a test moves it."""

    def __init__(self, room: pathlib.Path) -> None:
        self._file = room / "now"
        self._file.write_bytes(bytes(8))
        with open(self._file, "r+b") as file:
            self._shared = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
        self.now_ns = NOW

    def __call__(self) -> int:
        return self.now_ns

    @property
    def now_ns(self) -> int:
        return self._shared[0]

    @now_ns.setter
    def now_ns(self, value: int) -> None:
        self._shared[0] = value

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": os.environ["CELLROUTE_MOVED_CLOCK"], "MOVED_CLOCK": str(self._file)}


class Running:
    """An example's function that runs in one of the languages."""

    def __init__(
        self, stack: ExitStack, example: str, language: str, room: pathlib.Path, log: str | None = None,
        **environment: str,
    ) -> None:
        self.clock = Clock(room)
        self.function: Function = stack.enter_context(function(
            COMMANDS[example, language], clock=self.clock, log=log,
            **(environment | self.clock.environment)))

    def answer(self, event: Any, remaining_ms: int = 30_000) -> Answer:
        return self.function.invoke(event, remaining_ms=remaining_ms)

    def __call__(self, event: Any, remaining_ms: int = 30_000) -> Any:
        """What it answers; it may not fail."""
        answer = self.answer(event, remaining_ms)
        assert answer.kind == "response", answer
        return answer.value

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.function.printed()]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def event(example: str, name: str) -> Any:
    with open(SOURCE / f"examples/{example}/events/{name}.json", encoding="utf-8") as file:
        return json.load(file)


def changed(value: dict[str, Any], **members: Any) -> dict[str, Any]:
    return copy.deepcopy(value) | members


def shop(cells: dict[str, str], policy: str = "timeout: 2s", generation: int = 1) -> bytes:
    """A topology of cells by id and endpoint."""
    listed = [{"id": id, "endpoint": endpoint} for id, endpoint in cells.items()]
    return (f"generation: {generation}\nhash_seed: 3906369333256140342\n"
            f"cells: {json.dumps(listed)}\npolicy: {{{policy}}}\n").encode()


def shop_router(cells: dict[str, str]) -> cellroute.Router:
    return cellroute.Router(cellroute.Topology.from_bytes(shop(cells)), limiter_entries=0)
