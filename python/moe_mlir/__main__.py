"""``python -m moe_mlir`` and the command ``moe-mlir``."""

from __future__ import annotations

import sys

from moe_mlir.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
