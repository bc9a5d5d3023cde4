"""Rows of a benchmark: a bar, a value, and whether it was reached."""

import math
import os
import sys

# What is timed is compiled anew, unless a benchmark names a folder.
os.environ["MOE_MLIR_CACHE"] = "off"


class Bars:
    """Prints rows as they are measured and remembers the misses."""

    def __init__(self, title: str) -> None:
        self.missed = 0
        print(f"{title}\n{'what':<60}{'bar':>15}{'value':>17}  result", flush=True)

    def at_least(self, what: str, bar: float, value: float, unit: str = "") -> None:
        self._row(what, ">=", bar, value, unit, value >= bar)

    def at_most(self, what: str, bar: float, value: float, unit: str = "") -> None:
        self._row(what, "<=", bar, value, unit, value <= bar)

    def above(self, what: str, bar: float, value: float, unit: str = "") -> None:
        self._row(what, ">", bar, value, unit, value > bar)

    def below(self, what: str, bar: float, value: float, unit: str = "") -> None:
        self._row(what, "<", bar, value, unit, value < bar)

    def note(self, text: str) -> None:
        """Something measured that has no bar."""
        print(f"  {text}", flush=True)

    def _row(
        self, what: str, sign: str, bar: float, value: float, unit: str, good: bool
    ) -> None:
        good = good and not math.isnan(value)
        self.missed += not good
        print(
            f"{what:<60}{f'{sign} {bar:g}{unit}':>15}{f'{value:.4g}{unit}':>17}  "
            f"{'pass' if good else 'fail'}",
            flush=True,
        )

    def exit(self) -> None:
        """Ends the program: status 1 if a bar was missed."""
        sys.exit(1 if self.missed else 0)
