"""Parts that the PyTorch and the JAX front end share. Imports neither framework."""

from moe_mlir.importing.imported import Imported, ImportRefused

__all__ = ["ImportRefused", "Imported"]
