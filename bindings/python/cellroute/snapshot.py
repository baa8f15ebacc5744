"""What serves at one moment, held: the names behind the numbers of decisions."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Callable

from ._abi import Cell as CellStruct
from ._abi import View, lib
from ._calls import as_bytes, check, made, sized_text, text_of, view_of
from .tenant import Client, HttpRequestIn, Tenant, client_of, tenant_of

STATES = ("ACTIVE", "DRAINING", "OFFLINE")


@dataclass(frozen=True)
class Cell:
    """A cell of one generation. `weight` is in thousandths, `capacity` 0 where it is unknown,
    `encryption` empty where the topology names no levels."""

    number: int
    id: str
    tier: str
    region: str
    endpoint: str
    state: str
    weight: int
    capacity: int
    encryption: str
    certifications: tuple[str, ...]


class Snapshot:
    """Immutable: any number of threads may use one. Keeps the memory of its generation."""

    def __init__(self, router: int) -> None:
        self._handle = made(lib.snapshot_hold, lib.snapshot_destroy, router)
        number = ctypes.c_uint64()
        check(lib.snapshot_generation(self._handle.address, number))
        self.generation = number.value
        self._label_names: dict[int, list[bytes]] = {}

    def cell(self, number: int) -> Cell:
        """NotFoundError where this generation has no cell of that number."""
        cell = CellStruct()
        check(lib.snapshot_cell(self._handle.address, number, cell), what=f"cell number {number}")
        return Cell(
            cell.number, text_of(cell.id), text_of(cell.tier), text_of(cell.region),
            text_of(cell.endpoint), STATES[cell.state], cell.weight, cell.capacity,
            text_of(cell.encryption), tuple(self._texts(lib.snapshot_certification_at, number)),
        )

    def cells(self) -> list[Cell]:
        """All cells, in byte order of id."""
        count, number = ctypes.c_uint32(), ctypes.c_uint32()
        cells: list[Cell] = []
        check(lib.snapshot_cell_count(self._handle.address, count))
        for index in range(count.value):
            check(lib.snapshot_cell_at(self._handle.address, index, number))
            cells.append(self.cell(number.value))
        return cells

    def number_of(self, id: str) -> int:
        """The number of the cell called `id`, the same in every generation."""
        number, name = ctypes.c_uint32(), as_bytes(id)
        check(lib.snapshot_find_cell(self._handle.address, view_of(name), number), what=f'cell "{id}"')
        return number.value

    def endpoint(self, number: int, resource: str = "") -> str:
        """The cell's endpoint for `resource`, its general one where it has none of its own."""
        view, name = View(), as_bytes(resource)
        code = lib.snapshot_endpoint(self._handle.address, number, view_of(name), view)
        check(code, what=f"cell number {number}")
        return text_of(view)

    def label(self, number: int, name: str, key: bytes) -> str:
        """The cell's label with {cell} and {key} expanded. NotFoundError: it has none so called."""
        return self._label(number, as_bytes(name), key)

    def labels(self, number: int, key: bytes) -> dict[str, str]:
        names = self._label_names.get(number)
        if names is None:
            names = [name.encode() for name in self._texts(lib.snapshot_label_at, number)]
            self._label_names[number] = names
        return {name.decode(): self._label(number, name, key) for name in names}

    def tenant(self, request: HttpRequestIn) -> Tenant:
        return tenant_of(self._handle.address, request)

    def client(self, request: HttpRequestIn) -> Client:
        return client_of(self._handle.address, request)

    def is_trusted_header(self, name: str | bytes) -> bool:
        trusted, text = ctypes.c_uint32(), as_bytes(name)
        check(lib.is_trusted_header(self._handle.address, view_of(text), trusted))
        return trusted.value == 1

    def _label(self, number: int, name: bytes, key: bytes) -> str:
        text = sized_text(lib.snapshot_label, self._handle.address, number, view_of(name), view_of(key))
        return text.decode()

    def _texts(self, text_at: Callable[..., int], number: int) -> list[str]:
        """All that a function of the form text_at(snapshot, cell, index, &view) lists."""
        texts: list[str] = []
        view = View()
        while text_at(self._handle.address, number, len(texts), view) >= 0:
            texts.append(text_of(view))
        return texts
