"""The table of the peer's tiles that sweep_gpu.py chose, and how it is read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from gpu.cases import Case
from gpu.peer import Tile
from gpu.peer_runs import Tiles

TABLE = Path(__file__).resolve().parent / "peer_tiles.json"
#: How many tiles of a case stand in the table: the best, and the runners-up.
KEPT = 4


@dataclasses.dataclass
class Choice:
    """Tiles of a layer and their modelled time.

    Attributes:
        microseconds: Of the two matmuls and the sort, on the H100's model.
    """

    tiles: Tiles
    microseconds: float

    def as_json(self) -> dict[str, Any]:
        first, second = map(dataclasses.asdict, self.tiles)
        return {"us": round(self.microseconds, 1), "first": first, "second": second}

    @classmethod
    def from_json(cls, made: dict[str, Any]) -> Choice:
        return cls((Tile(**made["first"]), Tile(**made["second"])), made["us"])


def key(case: Case) -> str:
    """One config for each layer and number of tokens, whatever the routing."""
    return f"{case.layer} T{case.shape.tokens}"


@dataclasses.dataclass
class Table:
    """What a sweep wrote.

    Attributes:
        command: That wrote it.
        choices: Of each case, the best first.
    """

    command: str
    choices: dict[str, list[Choice]]

    @classmethod
    def read(cls, path: Path = TABLE) -> Table:
        """The table; empty if no sweep wrote one."""
        if not path.exists():
            return cls("", {})
        made = json.loads(path.read_text())
        choices = {
            name: [Choice.from_json(one) for one in found]
            for name, found in made["choices"].items()
        }
        return cls(made["command"], choices)

    def write(self, path: Path = TABLE) -> None:
        choices = {
            name: [one.as_json() for one in found]
            for name, found in sorted(self.choices.items())
        }
        text = json.dumps({"command": self.command, "choices": choices}, indent=1)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(text + "\n")
        unfinished.rename(path)

    def of(self, case: Case) -> list[Choice]:
        return self.choices.get(key(case), [])
