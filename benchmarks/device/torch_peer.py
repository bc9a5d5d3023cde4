"""PyTorch's grouped matmul as a peer, where PyTorch is there."""

from __future__ import annotations

from typing import Any

from device.driver import Driver
from device.problem import Inputs, Weights
from device.timed import Shape
from device.timing import Emit


class _Memory:
    """Memory of the device, as PyTorch takes it in."""

    def __init__(self, pointer: int, shape: tuple[int, ...]) -> None:
        # The interface has no bfloat16.
        self.__cuda_array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": "<i2",
            "data": (pointer, False),
            "strides": None,
        }


class TorchLayer:
    """The layer after routing by grouped_mm and PyTorch's elementwise kernels.

    Attributes:
        matmuls: Emissions of the first and the second matmul alone.
        chain: Of the whole layer.
    """

    def __init__(
        self, driver: Driver, shape: Shape, weights: Weights, inputs: Inputs, x: int
    ) -> None:
        """Raises whatever PyTorch raises where it cannot do that."""
        import torch

        self._torch: Any = torch
        self._stream = self._torch.cuda.ExternalStream(driver.stream)
        self._multiply: Any = getattr(
            torch.nn.functional, "grouped_mm", None
        ) or getattr(torch, "_grouped_mm", None)
        if self._multiply is None:
            raise RuntimeError("this PyTorch has no grouped_mm")
        e, h, inner = shape.experts, shape.hidden, shape.intermediate
        self._inner, self._shape = inner, (inputs.tokens, shape.chosen, h)
        self._x = self._view(x, (inputs.tokens, h))
        self._gate_up = self._view(weights.gate_up, (e, 2 * inner, h)).transpose(1, 2)
        self._down = self._view(weights.down, (e, h, inner)).transpose(1, 2)
        plan = {
            name: torch.from_numpy(field).cuda() for name, field in inputs.plan.items()
        }
        self._ends = plan["expert_offsets"][1:].clone()
        self._row_token, self._token_row = plan["row_token"], plan["token_row"]
        self._gates = torch.from_numpy(inputs.gates).cuda().bfloat16()[:, None, :]
        torch.cuda.synchronize()
        self.result: Any = None
        self._rows = self._x.index_select(0, self._row_token)
        self._hidden = self._activate(self._first(self._rows))
        torch.cuda.synchronize()
        self.matmuls: tuple[Emit, Emit] = (
            self._emission(lambda: self._first(self._rows)),
            self._emission(lambda: self._second(self._hidden)),
        )
        self.chain: Emit = self._emission(self._layer)

    def _view(self, pointer: int, shape: tuple[int, ...]) -> Any:
        torch = self._torch
        words = torch.as_tensor(_Memory(pointer, shape), device="cuda")
        return words.view(torch.bfloat16)

    def _emission(self, run: Any) -> Emit:
        def emit(_: int) -> None:
            with self._torch.cuda.stream(self._stream):
                run()

        return emit

    def _first(self, rows: Any) -> Any:
        return self._multiply(rows, self._gate_up, offs=self._ends)

    def _second(self, hidden: Any) -> Any:
        return self._multiply(hidden, self._down, offs=self._ends)

    def _activate(self, wide: Any) -> Any:
        gate, up = wide[:, : self._inner], wide[:, self._inner :]
        return self._torch.nn.functional.silu(gate) * up

    def _layer(self) -> None:
        rows = self._x.index_select(0, self._row_token)
        rows = self._second(self._activate(self._first(rows)))
        by_token = rows.index_select(0, self._token_row).view(self._shape)
        self.result = self._torch.bmm(self._gates, by_token)
