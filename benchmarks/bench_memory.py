"""Peak anonymous memory of a run from a folder.

usage: python benchmarks/bench_memory.py [--tokens T]

Bar: packed weights + 1.1 x activations + 300 MB. Activations are the input, the
result, and the rows of the experts (hidden and result). Pages of mapped files do not
count, as the system can take them back.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from bars import Bars

FIXED = 300e6

# Runs in a process of its own: samples anonymous memory while the model is loaded,
# packed, and run.
PROGRAM = """
import json, pathlib, sys, threading
peak = 0
stop = threading.Event()
def anonymous():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024
def watch():
    global peak
    while not stop.wait(0.002):
        peak = max(peak, anonymous())
threading.Thread(target=watch, daemon=True).start()
import moe_mlir as moe
import numpy as np
f = moe.load(sys.argv[1]).compile()
x = np.zeros((1, int(sys.argv[2]), 1024), np.float32)
x += np.random.default_rng(0).standard_normal(x.shape[-1], np.float32)
packed = sum(w.nbytes for w in f._weights if w is not None)
for _ in range(3):
    y = f(x)
stop.set()
print(json.dumps({"peak": peak, "packed": packed, "io": x.nbytes + y.nbytes}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=4096)
    tokens = parser.parse_args().tokens
    import moe_mlir as moe
    import torch
    from olmoe import HIDDEN, INNER, K, make_block

    bars = Bars("memory")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "layer")
        block = make_block(torch.float32)
        moe.from_torch(block, (torch.zeros(2, 8, HIDDEN),)).save(path)
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(path), str(tokens)],
            check=True,
            capture_output=True,
            text=True,
        )
    seen = json.loads(run.stdout)
    activations = seen["io"] + 4 * tokens * K * (HIDDEN + INNER)
    bound = seen["packed"] + 1.1 * activations + FIXED
    bars.note(
        f"packed weights {seen['packed'] / 1e6:.0f} MB, activations "
        f"{activations / 1e6:.0f} MB"
    )
    bars.at_most(
        f"anonymous memory, T = {tokens}", bound / 1e6, seen["peak"] / 1e6, " MB"
    )
    bars.exit()


if __name__ == "__main__":
    main()
