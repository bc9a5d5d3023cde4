"""A model: a module of moe on tensors, its weights, and where they came from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from moe_mlir import _moe
from moe_mlir.cpu import check_threads, load_module
from moe_mlir.errors import MoEError
from moe_mlir.executable import CompiledModel, check_weight
from moe_mlir.gpu import TARGETS, choose_chip, lower_gpu, open_device
from moe_mlir.gpu_model import CompiledGPUModel
from moe_mlir.limits import Limits
from moe_mlir.progress import progress
from moe_mlir.signature import Signature, read_signatures

if TYPE_CHECKING:
    from moe_mlir.importing import Imported

#: From what a front end hands over to moe and linalg on tensors.
IMPORT_PIPELINE = "moe-import-pipeline"


class Model:
    """A model that can be looked at, switched to another scope, and compiled.

    Made by ``from_torch``, ``from_jax``, ``from_stablehlo`` and ``load``. It is never
    changed: what would change it returns a new model, which shares the weights.

    Attributes:
        weights: One array for each weight of the module, as they came: PyTorch
            tensors, JAX arrays, or arrays mapped from files.
        report: What the import found: layers, dynamic dimensions, versions.
    """

    def __init__(
        self, module: _moe.Module, weights: Mapping[str, Any], report: dict[str, Any]
    ) -> None:
        self._module = module
        self.weights = weights
        self.report = report

    @classmethod
    def from_text(
        cls,
        text: str,
        weights: Mapping[str, Any] | None = None,
        report: dict[str, Any] | None = None,
        *,
        name: str = "model.mlir",
    ) -> Model:
        """A model of MLIR text.

        Args:
            text: A module whose ``@main`` takes inputs and weights; a weight's
                argument carries ``moe.param = "<name>"``.
            weights: The weights by name.
            report: See ``report``.
            name: Names the text in messages.

        Raises:
            MoEError: The text is malformed; a weight is missing or mis-shaped.
        """
        module = _moe.Module.parse(text, name)
        model = cls(module, weights or {}, report or {})
        for spec in model.signature.params:
            check_weight(model.weights, spec)
        return model

    @classmethod
    def from_imported(cls, imported: Imported) -> Model:
        """A model of what a front end hands over.

        Raises:
            MoEError: The program has an operation that is not understood.
        """
        name, text = "imported.mlir", imported.text
        if imported.report.get("residual"):
            # In a module of its own, so that afterwards nothing unknown can be read.
            module = _moe.Module.parse(text, name, allow_unregistered=True)
            module.run(IMPORT_PIPELINE)
            text = module.print()
        model = cls.from_text(text, imported.weights, dict(imported.report), name=name)
        return model.run_passes(IMPORT_PIPELINE)

    @property
    def mlir(self) -> str:
        """The module as MLIR text."""
        return self._module.print()

    @property
    def signature(self) -> Signature:
        """What ``@main`` takes and gives, weights included."""
        names = [str(entry["name"]) for entry in self.report.get("inputs", ())]
        functions = read_signatures(self._module, names)
        if "main" not in functions:
            raise MoEError(
                "the module has no public function @main, which is the entry of a "
                "model; rename the entry",
                where="@main",
            )
        return functions["main"]

    @property
    def layers(self) -> list[dict[str, Any]]:
        """The routings of the module, in order: ``layer``, ``scope``, ``k`` ..."""
        found = []
        for op in self._module.find("moe.route"):
            attributes = {
                name: _enum_word(value)
                for name, value in op["attributes"].items()
                if name not in ("operandSegmentSizes", "schedule")
            }
            plan = op["results"][0].partition("<")[2].partition(",")[0]
            found.append(attributes | {"experts": int(plan.split("x")[2])})
        return found

    def operations(self) -> dict[str, int]:
        """Number of operations by name."""
        return self._module.operations()

    def run_passes(self, pipeline: str) -> Model:
        """A new model, after a textual pass pipeline, e.g. "moe-fuse,canonicalize".

        Raises:
            MoEError: The pipeline is malformed, or a pass refuses the module.
        """
        module = self._module.clone()
        module.run(pipeline)
        return Model(module, self.weights, self.report)

    def with_scope(
        self,
        scope: str,
        *,
        floor: int | None = None,
        cap: int | None = None,
        layers: str | Sequence[str] | None = None,
    ) -> Model:
        """A new model whose layers route over another scope.

        Args:
            scope: "sequence" or "token".
            floor: Each token's so many best experts are always chosen.
            cap: No token gets more experts.
            layers: Names or globs of layers, e.g. "model.layers.1*"; None: all.

        Raises:
            MoEError: A layer would lose its meaning, or no layer has such a name.
        """
        if scope not in ("sequence", "token"):
            raise MoEError(
                f"with_scope: scope is {scope!r}; use sequence or token", where="scope"
            )
        options = [f"scope={scope}"]
        for name, value in (("floor", floor), ("cap", cap)):
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise MoEError(
                    f"with_scope: {name} is {value!r}; it must be an integer",
                    where=name,
                )
            if not 0 <= value < 2**31:
                raise MoEError(
                    f"with_scope: {name} = {value} is no number of experts; give none "
                    f"for no {name}",
                    where=name,
                )
            options.append(f"{name}={value}")
        if layers is not None:
            names = [layers] if isinstance(layers, str) else list(layers)
            if bad := [n for n in names if not n or set(n) & set(" ,{}'\"\\")]:
                raise MoEError(
                    f"with_scope: {bad[0]!r} is not the name or glob of a layer; the "
                    f"layers are {', '.join(self._layer_names())}",
                    where="layers",
                )
            options.append(f"layers={','.join(names)}")
        return self.run_passes(f"moe-set-scope{{{' '.join(options)}}}")

    def _layer_names(self) -> list[str]:
        return [str(layer.get("layer") or "(unnamed)") for layer in self.layers]

    @overload
    def compile(
        self,
        target: Literal["cpu"] = "cpu",
        *,
        threads: int | None = None,
        cpu: str = "host",
        cache: str | os.PathLike[str] | None = None,
    ) -> CompiledModel: ...

    @overload
    def compile(
        self,
        target: Literal["cuda", "emulator"],
        *,
        chip: str | None = None,
        device: int = 0,
    ) -> CompiledGPUModel: ...

    def compile(
        self,
        target: str = "cpu",
        *,
        threads: int | None = None,
        cpu: str | None = None,
        chip: str | None = None,
        device: int | None = None,
        cache: str | os.PathLike[str] | None = None,
    ) -> CompiledModel | CompiledGPUModel:
        """Machine code of the model, with its weights, ready to be called.

        Args:
            target: "cpu"; "cuda", a GPU of this machine; "emulator", the same code on
                an emulated GPU (docs/ptx-emulator.md).
            threads: Of the CPU, for each call; None: all CPUs of this process.
                Results do not depend on it.
            cpu: "host" (None), "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", or an
                LLVM name such as "znver4". One that this machine cannot run is
                refused.
            chip: "sm_80", "sm_86", "sm_89", "sm_90", "sm_100" or "sm_120"; None: that
                of the device.
            device: Number of the GPU; None: the first.
            cache: The folder where compiled code of the CPU is kept, or "off"; None:
                as ``MOE_MLIR_CACHE`` says, or else in the user's cache folder
                (docs/compile-cache.md).

        Raises:
            MoEError: An operation cannot be compiled; a weight is missing; there is no
                such device.
        """
        limits = Limits.of(self._module, self.report.get("dynamic_dims", ()))
        names = [spec.name for spec in self.signature.inputs]
        if target == "cpu":
            _refuse(target, chip=chip, device=device)
            threads = check_threads(threads)
            _moe.check_cpu(cpu or "host", runs_here=True)
            with progress("compiling and packing weights"):
                loaded = load_module(self._module, cpu or "host", cache)
                return CompiledModel(loaded, names, self.weights, limits, threads)
        if target not in TARGETS:
            raise MoEError(
                f"compile: target is {target!r}; use cpu, {' or '.join(TARGETS)}",
                where="target",
            )
        _refuse(target, threads=threads, cpu=cpu, cache=cache)
        opened = open_device(target, device or 0)
        with progress("compiling"):
            kernels = lower_gpu(self._module, choose_chip(chip, opened), names)
            return CompiledGPUModel(kernels, self.weights, limits, opened)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes ``model.mlir``, ``manifest.json`` and the weights into a folder.

        The folder appears whole or not at all; one written before is replaced.

        Raises:
            MoEError: The folder cannot be written.
        """
        from moe_mlir.storage import save

        save(self, folder)

    def generate(self, *_: Any, **__: Any) -> NoReturn:
        """Not supported: always raises MoEError."""
        raise MoEError(
            "generate: token by token decoding with a KV cache is not supported: a "
            "routing over a sequence needs the whole sequence; compile() runs whole "
            "sequences (prefill), and the PyTorch model decodes",
            where="generate",
        )

    def __repr__(self) -> str:
        return f"<moe_mlir.Model of {len(self.layers)} MoE layers>"


def _refuse(target: str, **options: object) -> None:
    """Refuses options of another target."""
    for name, value in options.items():
        if value is not None:
            raise MoEError(
                f"compile: {name} is no option of target {target!r}", where=name
            )


def _enum_word(value: Any) -> Any:
    """ "sequence" for "#moe<scope sequence>"."""
    if isinstance(value, str) and value.startswith("#moe<"):
        return value[5:-1].split()[-1]
    return value
