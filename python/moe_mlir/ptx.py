"""PTX that runs without a GPU.

from moe_mlir import ptx

module = ptx.Module(text)
result = module.launch("scale", grid=(4,), block=(128,), args=[x, y, np.float32(2)])
for finding in result.findings:
    print(finding)

A launch executes the kernel on the CPU, checks what hardware would hide (races,
missing waits, undefined values, accesses out of bounds), and counts what costs time
on a GPU. Loads neither the compiler nor a framework.
"""

from __future__ import annotations

import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from moe_mlir import _ptx
from moe_mlir._ptx import PtxError
from moe_mlir.ptx_arguments import (
    ACCESS_ALIGNMENT,
    ALIGNMENT,
    Argument,
    DeviceBuffers,
    TensorMap,
    pack,
)

__all__ = [
    "CHECKS",
    "Finding",
    "Kernel",
    "Module",
    "Param",
    "Place",
    "PtxError",
    "Result",
    "TensorMap",
    "isa",
]

#: What a launch can check. "same-value-race" reports racing writes of equal values
#: too, which many correct kernels make.
CHECKS = ("bounds", "race", "poison", "async", "same-value-race")
_DEFAULT_CHECKS = frozenset({"bounds", "race", "poison", "async"})
_ARCHITECTURES = (75, 80, 86, 87, 89, 90, 100, 103, 110, 120, 121)


@dataclass(frozen=True)
class Param:
    """A parameter of a kernel.

    Attributes:
        name: As in the PTX text.
        type: ".u64", ".f32" ...; ".b8" for a struct.
        size: Bytes.
        align: Bytes.
        offset: Bytes, in the parameter buffer.
    """

    name: str
    type: str
    size: int
    align: int
    offset: int
    is_array: bool = False
    is_pointer: bool = False


@dataclass(frozen=True)
class Kernel:
    """What a module says of a kernel.

    Attributes:
        maxntid: The largest block, None if not given.
        reqntid: The only block size allowed, None if not given.
        cluster: The cluster it asks for, None if not given.
        static_shared: Bytes of shared memory it declares.
        target: "sm_90a".
    """

    name: str
    params: tuple[Param, ...]
    param_bytes: int
    maxntid: tuple[int, int, int] | None
    reqntid: tuple[int, int, int] | None
    cluster: tuple[int, int, int] | None
    static_shared: int
    uses_dynamic_shared: bool
    target: str
    line: int


@dataclass(frozen=True)
class Place:
    """Where something happened.

    Attributes:
        line: Of the PTX text, from 1.
        source_line: Of the source the PTX was made from (.loc), 0 if unknown.
        lanes: Of the warp, ascending.
    """

    line: int
    column: int
    source_line: int
    source_file: str
    instruction: str
    block: tuple[int, int, int]
    warp: int
    lanes: tuple[int, ...]


@dataclass(frozen=True)
class Finding:
    """Something wrong with a kernel, found by running it.

    Attributes:
        kind: "race", "out-of-bounds", "uninitialised" ...
        place: Where it was found.
        other: The second party of a race, or the copy that is not complete.
        message: What is wrong.
        count: How often this was found at this line.
        fatal: The launch ended here.
    """

    kind: str
    place: Place
    other: Place | None
    message: str
    count: int
    fatal: bool
    text: str = field(repr=False)

    @property
    def line(self) -> int:
        """Line of the PTX text."""
        return self.place.line

    @property
    def source_line(self) -> int:
        """Line of the source, 0 if unknown."""
        return self.place.source_line

    @property
    def lanes(self) -> tuple[int, ...]:
        """Lanes of the warp."""
        return self.place.lanes

    def __str__(self) -> str:
        return self.text


class Result:
    """What a launch did.

    Attributes:
        counters: By name; see docs/ptx-emulator.md. Empty with ``counters=False``.
        findings: What the checks found, in the order found.
        log: What the kernel printed.
        completed: False if a finding ended the launch.
    """

    def __init__(self, raw: _ptx.LaunchResult, text: str) -> None:
        self._raw = raw
        self._text = text
        self.findings: list[Finding] = [_finding(f) for f in raw.findings()]
        self.log: str = raw.log.decode("utf-8", errors="replace")
        self.completed: bool = raw.completed
        self.counters: dict[str, float] = (
            dict(raw.counters.values()) if raw.counters else {}
        )

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """Counters of each basic block."""
        return self._counted().blocks()

    def counters_json(self) -> str:
        """All counters as one JSON object."""
        return self._counted().json()

    def estimate(
        self,
        model: Literal["h100", "a100"] = "h100",
        factor: float = 1.0,
        grid: int | Sequence[int] | None = None,
    ) -> dict[str, Any]:
        """The modelled time in seconds: lower and upper bound, point, all terms.

        Args:
            factor: How many times this launch's work is done.
            grid: By so many blocks that work like these; None: those of this launch.
                So a part of a launch tells of all of it.
        """
        counted = self._counted()
        if grid is not None:
            counted = counted.scaled(factor, _size(grid, "grid"))
        elif factor != 1.0:
            raise PtxError("estimate(factor=...) needs the grid that does this work")
        return counted.estimate(model)

    def report(self, model: Literal["h100", "a100"] = "h100") -> str:
        """What a kernel engineer would read."""
        return self._counted().report(model, self._text)

    def _counted(self) -> _ptx.CounterValues:
        if self._raw.counters is None:
            raise PtxError("the launch did not count: launch(..., counters=True)")
        return self._raw.counters

    def __repr__(self) -> str:
        state = "completed" if self.completed else "ended early"
        return f"<ptx.Result {state}, {len(self.findings)} findings>"


class Module:
    """PTX text, read and checked.

    Attributes:
        kernels: The kernels (``.entry``) by name.
        target: "sm_90a".
    """

    def __init__(self, text: str | bytes, name: str = "ptx") -> None:
        """Reads ``text``; ``name`` is for messages.

        Raises:
            PtxError: Something in the text is unknown or wrong.
        """
        if isinstance(text, bytes):
            text = text.rstrip(b"\0").decode("utf-8", errors="surrogateescape")
        self._text = text
        self._module = _ptx.Module.parse(text, name)
        self._device = _ptx.Device()
        self.kernels: Mapping[str, Kernel] = types.MappingProxyType(
            {name: _kernel(raw) for name, raw in self._module.kernels().items()}
        )

    def launch(
        self,
        kernel: str,
        grid: int | Sequence[int],
        block: int | Sequence[int],
        args: Sequence[Argument] = (),
        *,
        shared: int = 0,
        cluster: Sequence[int] = (1, 1, 1),
        cooperative: bool = False,
        check: Collection[str] = _DEFAULT_CHECKS,
        order: Literal["round-robin", "random"] = "round-robin",
        seed: int = 0,
        resident: int | None = None,
        threads: int = 1,
        arch: int | str | None = None,
        counters: bool = True,
        cache_model: bool = False,
        tensor: Literal["exact", "fast"] = "exact",
        completion: Literal["latest", "earliest"] = "latest",
        budget: int = 0,
    ) -> Result:
        """Runs a kernel to its end.

        Args:
            kernel: Its name.
            grid: Blocks, (x, y, z); missing ones are 1.
            block: Threads of a block.
            args: One for each parameter: a NumPy array becomes a device buffer,
                changed in place; NumPy and Python scalars; TensorMap; bytes for a
                struct; None for a null pointer. Addresses are multiples of 256;
                without counters and below sm_100, those of large arrays of 16.
            shared: Bytes of dynamic shared memory.
            cluster: Blocks of a cluster; (1, 1, 1) leaves it to the kernel.
            cooperative: All blocks must be resident at once.
            check: Of CHECKS.
            order: How warps take turns.
            seed: Of the random order.
            resident: Blocks in flight at once; None: as the kernel needs.
            threads: Threads of the CPU. The race, poison and async checks use one.
            arch: Whose limits and numerics hold, 90 or "sm_90a"; None: the target.
            counters: Count what costs time.
            cache_model: Model L1 and L2 as well.
            tensor: Tensor cores bit by bit as the hardware, or fast in float32.
            completion: When asynchronous copies take effect.
            budget: Warp instructions after which the launch ends; 0: no bound.

        Raises:
            PtxError: The launch cannot be made; nothing was changed.
        """
        info = self._kernel(kernel)
        options = {
            "grid": _size(grid, "grid"),
            "block": _size(block, "block"),
            "cluster": _cluster(cluster),
            "shared": _count(shared, "shared", 2**32 - 1),
            "cooperative": bool(cooperative),
            "check": _checks(check),
            "counters": bool(counters or cache_model),
            "cache_model": bool(cache_model),
            "order": _choice(order, "order", ("round-robin", "random")),
            "seed": _count(seed, "seed", 2**64 - 1),
            "resident": None if resident is None else _positive(resident, "resident"),
            "threads": _positive(threads, "threads"),
            "sm": _architecture(arch),
            "tensor": _choice(tensor, "tensor", ("exact", "fast")),
            "completion": _choice(completion, "completion", ("latest", "earliest")),
            "budget": _count(budget, "budget", 2**64 - 1),
        }
        alignment = self._alignment(options, args)
        with DeviceBuffers(self._device, info, args, alignment) as buffers:
            params = pack(info, args, buffers)
            raw = _ptx.launch(self._device, self._module, kernel, options, params)
            buffers.read_back()
        return Result(raw, self._text)

    @property
    def target(self) -> str:
        """The architecture the text was made for: "sm_90a"."""
        return self._module.target

    def _alignment(self, options: dict[str, Any], args: Sequence[Argument]) -> int:
        """What a large array must have to be used where it is."""
        wide = int(self.target.removeprefix("sm_").rstrip("af")) >= 100
        interleaved = any(isinstance(a, TensorMap) and a.interleave for a in args)
        if options["counters"] or wide or interleaved:
            return ALIGNMENT
        return ACCESS_ALIGNMENT

    def _kernel(self, name: str) -> Kernel:
        if name not in self.kernels:
            known = ", ".join(self.kernels) or "none"
            raise PtxError(f"no kernel is called '{name}'; there are: {known}")
        return self.kernels[name]

    def __repr__(self) -> str:
        return f"<ptx.Module {self.target}: {', '.join(self.kernels) or 'no kernel'}>"


def isa(markdown: bool = False) -> str:
    """The table of instruction forms that the emulator knows."""
    return _ptx.print_isa(markdown)


def _kernel(raw: dict[str, Any]) -> Kernel:
    params = tuple(Param(**param) for param in raw["params"])
    return Kernel(**(raw | {"params": params}))


def _place(raw: dict[str, Any]) -> Place:
    return Place(**(raw | {"lanes": tuple(raw["lanes"])}))


def _finding(raw: dict[str, Any]) -> Finding:
    other = _place(raw["other"]) if raw["other"] else None
    return Finding(**(raw | {"place": _place(raw["place"]), "other": other}))


def _size(value: int | Sequence[int], what: str) -> tuple[int, int, int]:
    sizes = tuple(value) if isinstance(value, Sequence) else (value,)
    if not 1 <= len(sizes) <= 3:
        raise PtxError(f"{what} has {len(sizes)} sizes; expected 1 to 3")
    x, y, z = (_positive(size, what) for size in sizes + (1,) * (3 - len(sizes)))
    return x, y, z


def _cluster(value: int | Sequence[int]) -> tuple[int, int, int]:
    """(0, 0, 0) leaves the size to the kernel."""
    size = _size(value, "cluster")
    return (0, 0, 0) if size == (1, 1, 1) else size


def _count(value: Any, what: str, most: int) -> int:
    try:
        number = value.__index__()
    except (AttributeError, TypeError):
        raise PtxError(f"{what} is {value!r}; expected an integer") from None
    if not 0 <= number <= most:
        raise PtxError(f"{what} is {number}; expected 0 to {most}")
    return int(number)


def _positive(value: Any, what: str) -> int:
    number = _count(value, what, 2**32 - 1)
    if number == 0:
        raise PtxError(f"{what} is 0; expected at least 1")
    return number


def _choice(value: Any, what: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise PtxError(f"{what} is {value!r}; expected one of {', '.join(choices)}")
    return str(value)


def _checks(names: Collection[str]) -> list[str]:
    if isinstance(names, str):
        names = {names}
    for name in names:
        _choice(name, "check", CHECKS)
    return sorted(names)


def _architecture(arch: int | str | None) -> int | None:
    if arch is None:
        return None
    number = arch
    if isinstance(arch, str):
        digits = arch.removeprefix("sm_").rstrip("af")
        number = int(digits) if digits.isdigit() else 0
    if number not in _ARCHITECTURES:
        known = ", ".join(f"sm_{known}" for known in _ARCHITECTURES)
        raise PtxError(f"arch is {arch!r}; expected one of {known}")
    return int(number)
