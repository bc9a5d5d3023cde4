"""Runs what differs by CPU level, at the level that PTX_CPU names.

usage: PTX_CPU=baseline|avx2|avx512 python run.py OUTPUT

Prints the cases that went wrong; OUTPUT gets bits that all levels must share.
"""

import pathlib
import sys

import numpy as np
from moe_mlir import ptx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import accesses  # noqa: E402 - beside this file
import fragments  # noqa: E402
import products  # noqa: E402
import shuffles  # noqa: E402

ALL = 0xFFFFFFFF


def check_accesses() -> list[str]:
    wrong = []
    random = np.random.default_rng(2)
    spaces = ("global", "shared", "generic", "generic shared")
    for form in accesses.FORMS:
        for space in spaces:
            module = ptx.Module(accesses.kernel(form, space))
            loads = accesses.patterns(form.loaded * form.count, 3)
            stores = dict(accesses.patterns(form.stored * form.count, 4))
            for index, (name, from_) in enumerate(loads):
                to_name = list(stores)[index * 7 % len(stores)]
                for first, to in ((name, stores[name]), (to_name, stores[to_name])):
                    mask = ALL if random.random() < 0.8 else int(random.integers(ALL))
                    source, old = random.integers(
                        0, 256, (2, accesses.SIZE), dtype=np.uint8
                    )
                    got = old.copy()
                    args = [source, got, from_, to, np.uint32(mask)]
                    module.launch("move", 1, 32, args, counters=False, check=set())
                    want = accesses.answer(form, source, old, from_, to, mask)
                    if not np.array_equal(got, want):
                        wrong.append(f"{form} {space} {name} -> {first} {mask:#x}")
    return wrong


def main() -> None:
    wrong = check_accesses() + shuffles.check() + fragments.check()
    np.save(sys.argv[1], products.bits())
    print("\n".join(wrong))


if __name__ == "__main__":
    main()
