"""A model compiled for a GPU, or for the emulator of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moe_mlir import _moe
from moe_mlir.arrays import Array, dense, from_numpy, kind_of, to_numpy
from moe_mlir.device_array import DeviceArray, is_on_device, view_on_device
from moe_mlir.errors import MoEError
from moe_mlir.executable import order_inputs, weight_of
from moe_mlir.gpu import LoweredGPU, load_program
from moe_mlir.limits import Limits
from moe_mlir.signature import Signature, TensorSpec


class CompiledGPUModel:
    """A model compiled for a GPU, with its weights in the GPU's memory.

    Calling it runs ``@main``: inputs in order or by name. Arrays of the host are
    copied to the device, and the results come back as arrays of the kind of the first
    input; arrays on the device (DLPack or ``__cuda_array_interface__``) are read in
    place, and the results stay there.

    A call with arrays on the device returns when all kernels are launched; between
    the first and the last launch the driver is asked for nothing else. Memory for
    what is between the kernels is kept from call to call, for each stream.

    Attributes:
        signature: What a call takes and gives.
        device: The device that runs it.
        chip: The chip it was compiled for, e.g. "sm_80".
        ptx: The kernels.
    """

    def __init__(
        self,
        lowered: LoweredGPU,
        weights: Mapping[str, Any],
        limits: Limits,
        device: _moe.GPUDevice,
    ) -> None:
        if "main" not in lowered.functions:
            raise MoEError(
                "the module has no public function @main, which is what a model "
                "compiles to; rename its entry",
                where="@main",
            )
        self.signature: Signature = lowered.functions["main"]
        self.device = device
        self.chip = lowered.chip.name
        self.ptx = lowered.ptx.decode()
        self._limits = limits
        self._program = load_program(lowered, device)
        self._weights = [
            self._place_weight(weights, argument) if argument.param else None
            for argument in self.signature.arguments
        ]

    def _place_weight(
        self, weights: Mapping[str, Any], spec: TensorSpec
    ) -> DeviceArray:
        value = weights.get(str(spec.param))
        if value is not None and is_on_device(value):
            array = view_on_device(value, self.device, 0, spec.name)
            spec.check(array, spec.name)
            return array
        return DeviceArray.upload(self.device, weight_of(weights, spec))

    def to_device(self, array: Any) -> DeviceArray:
        """A copy of an array on the model's device.

        Raises:
            MoEError: It is no array of numbers, or the memory does not suffice.
        """
        return DeviceArray.upload(self.device, dense(to_numpy(array, "array")))

    @property
    def workspace_bytes(self) -> int:
        """Memory of the device that is kept from call to call, without weights."""
        return self._program.kept_bytes

    def release_workspace(self) -> None:
        """Frees what is kept from call to call; waits for the device."""
        self._program.release()

    def __call__(
        self,
        *inputs: Any,
        stream: int = 0,
        out: DeviceArray | Any | Sequence[Any] | None = None,
        **named: Any,
    ) -> Any:
        """Runs the model.

        Args:
            stream: The stream, as the driver's handle, e.g.
                ``torch.cuda.current_stream().cuda_stream``; 0 is the default one.
            out: Arrays on the device that take the results, one for each; None:
                new ones.

        Raises:
            MoEError: An input is missing, or of the wrong type or shape; the driver
                refuses a call.
        """
        specs = self.signature.inputs
        given = order_inputs(specs, inputs, named)
        views: list[Array | DeviceArray] = []
        for spec, value in zip(specs, given, strict=True):
            where = f"input '{spec.name}'"
            view = (
                view_on_device(value, self.device, stream, where)
                if is_on_device(value)
                else to_numpy(value, where)
            )
            spec.check(view, where)
            views.append(view)
        self._limits.check(specs, views)
        stays = any(isinstance(view, DeviceArray) for view in views) or out is not None
        placed = iter(
            [
                view
                if isinstance(view, DeviceArray)
                else DeviceArray.upload(self.device, dense(view), stream)
                for view in views
            ]
        )
        arguments = [
            next(placed) if weight is None else weight for weight in self._weights
        ]
        results = self._run(arguments, stream, self._outs(out, stream))
        kind = kind_of(given[0]) if given else "numpy"
        values = tuple(
            _on_device(result, kind) if stays else from_numpy(result.numpy(), kind)
            for result in results
        )
        return values[0] if len(values) == 1 else values

    def _outs(self, out: Any, stream: int) -> list[DeviceArray]:
        if out is None:
            return []
        specs = self.signature.results
        outs = list(out) if isinstance(out, (tuple, list)) else [out]
        if len(outs) != len(specs):
            raise MoEError(
                f"out has {len(outs)} arrays, and the model has {len(specs)} results",
                where="out",
            )
        views = []
        for spec, value in zip(specs, outs, strict=True):
            where = f"out, {spec.name}"
            if not is_on_device(value):
                raise MoEError(
                    f"{where}: is no array on the device; results of host arrays are "
                    "returned",
                    where="out",
                )
            views.append(view_on_device(value, self.device, stream, where))
            spec.check(views[-1], where)
        return views

    def _run(
        self, arguments: list[DeviceArray], stream: int, outs: list[DeviceArray]
    ) -> list[DeviceArray]:
        specs = self.signature.results
        raw = self._program.call(
            "main",
            [(argument.pointer, list(argument.shape)) for argument in arguments],
            [len(spec.shape) for spec in specs],
            stream,
            [(out.pointer, out.nbytes) for out in outs],
        )
        results = []
        for i, (spec, (pointer, shape, owner)) in enumerate(
            zip(specs, raw, strict=True)
        ):
            dtype, _ = spec.result
            result = DeviceArray(
                self.device, owner, pointer, tuple(shape), dtype, stream
            )
            if outs:
                result = self._into(result, outs[i], stream)
            elif owner is None:  # an argument, which is the caller's
                result = self._into(
                    result, DeviceArray.empty(self.device, result.shape, dtype), stream
                )
            results.append(result)
        return results

    def _into(self, result: DeviceArray, out: DeviceArray, stream: int) -> DeviceArray:
        """`out` with the elements of a result, which mostly is there already."""
        if result.shape != out.shape:
            raise MoEError(
                f"out: has shape {list(out.shape)}, and the result has "
                f"{list(result.shape)}",
                where="out",
            )
        if result.pointer != out.pointer and result.nbytes:
            self.device.copy(out.pointer, result.pointer, result.nbytes, stream)
        out.stream = stream
        return out


def _on_device(result: DeviceArray, kind: str) -> Any:
    """A result as an array of the framework whose input it came from."""
    if kind == "torch":
        import torch

        return torch.from_dlpack(result)
    if kind == "jax":
        import jax

        return jax.dlpack.from_dlpack(result)
    return result
