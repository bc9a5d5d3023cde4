"""Rows of a measurement: what, value, bar, pass or fail."""

from __future__ import annotations


class Table:
    """Prints rows as they come.

    Attributes:
        judged: Whether bars count: they are those of one chip.
        missed: Rows that miss their bar.
    """

    def __init__(self, judged: bool) -> None:
        self.judged = judged
        self.missed: list[str] = []
        self._met = 0

    def show(self, name: str, value: str) -> None:
        """A row without a bar."""
        print(f"     {name:58} {value}", flush=True)

    def _row(self, name: str, value: str, bar: str, passes: bool, note: str) -> None:
        word = ("pass" if passes else "FAIL") if self.judged else "    "
        print(f"{word} {name:58} {value}, bar {bar}{note}", flush=True)
        if not self.judged:
            return
        if passes:
            self._met += 1
        else:
            self.missed.append(name)

    def at_most(
        self, name: str, value: float, bar: float, unit: str, note: str = ""
    ) -> None:
        """A row whose value must not be larger; no number is."""
        self._row(name, f"{value:.3f}{unit}", f"<= {bar:g}{unit}", value <= bar, note)

    def at_least(
        self, name: str, value: float, bar: float, unit: str, note: str = ""
    ) -> None:
        """A row whose value must not be smaller."""
        self._row(name, f"{value:.3f}{unit}", f">= {bar:g}{unit}", value >= bar, note)

    def wrong(self, name: str, problem: str) -> None:
        """Something that is timed computes the wrong thing, on any chip."""
        print(f"FAIL {name}: {problem}", flush=True)
        self.missed.append(name)

    def close(self) -> bool:
        """Sums up; whether nothing is wrong or missed."""
        if not self.judged:
            print("bars: not judged; they are for graphs on sm_90")
        print(f"rows: {self._met} bars met, {len(self.missed)} missed or wrong")
        for name in self.missed:
            print(f"  missed: {name}")
        return not self.missed
