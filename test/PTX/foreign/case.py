"""A kernel, what it is launched with, and what it must give."""

import collections.abc
import dataclasses
from typing import Any

import ml_dtypes
import numpy as np

Extent = tuple[int, int, int]
BFLOAT = ml_dtypes.bfloat16


@dataclasses.dataclass
class Case:
    """One launch. Arrays among `args` are changed by it, so a case runs once."""

    grid: Extent
    block: Extent
    args: list[Any]
    # By position of the argument.
    expected: dict[int, np.ndarray]
    # Relative and absolute; 0, 0: equal, bit for bit (but for NaN's payload).
    tolerance: tuple[float, float] = (0.0, 0.0)
    shared: int = 0
    cluster: Extent = (1, 1, 1)
    cooperative: bool = False
    # Lines the kernel prints, in any order.
    log: list[str] | None = None
    # Checks results of which several are right: depending on the order of blocks.
    verify: collections.abc.Callable[[list[Any]], None] | None = None

    def check(self, log: str) -> None:
        """Raises AssertionError if the arguments do not hold the answer."""
        relative, absolute = self.tolerance
        for position, want in self.expected.items():
            got = self.args[position]
            got = np.asarray(got).view(want.dtype).reshape(want.shape)
            what = f"argument {position}"
            if relative == absolute == 0 or want.dtype.kind in "iu":
                np.testing.assert_array_equal(got, want, err_msg=what)
            else:
                got, want = got.astype(np.float64), want.astype(np.float64)
                np.testing.assert_allclose(
                    got, want, rtol=relative, atol=absolute, err_msg=what
                )
        if self.verify is not None:
            self.verify(self.args)
        if self.log is not None:
            assert sorted(log.splitlines()) == sorted(self.log)

    def arrays(self) -> list[np.ndarray]:
        """Copies of what the kernel must have written."""
        return [np.array(self.args[position]) for position in self.expected]


Builder = collections.abc.Callable[[np.random.Generator], Case]


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel of a source file and the function that builds its launch."""

    source: str
    name: str
    build: Builder
    sm: int
    # Whether it may be compiled without optimisation.
    unoptimised: bool

    def case(self, seed: int = 1) -> Case:
        """A fresh launch; the same seed gives the same data."""
        return self.build(np.random.default_rng(seed))


KERNELS: dict[str, Kernel] = {}


def kernel(
    source: str, sm: int = 80, unoptimised: bool = True
) -> collections.abc.Callable[[Builder], Builder]:
    """Registers a builder for the kernel of the same name in `cuda/<source>`."""

    def register(build: Builder) -> Builder:
        name = build.__name__
        assert name not in KERNELS, name
        KERNELS[name] = Kernel(source, name, build, sm, unoptimised)
        return build

    return register


def bits(x: np.ndarray, dtype: Any = BFLOAT) -> np.ndarray:
    """An array rounded to a narrow float type."""
    return np.asarray(x).astype(dtype)


def blocks(count: int, size: int) -> Extent:
    """The grid of `size` threads a block that covers `count`."""
    return (-(-count // size), 1, 1)
