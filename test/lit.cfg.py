"""lit configuration of the dialect, pass, pipeline and execution tests.

Loaded by the configured lit.site.cfg.py, which names the source and build roots.
"""

import os
import pathlib
import shutil

import lit.formats

source = pathlib.Path(config.moe_source_root)
build = pathlib.Path(config.moe_build_root)

config.name = "MoE"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "fixtures", "unit", "python", "mutations", "install"]
config.test_source_root = str(source / "test")
config.test_exec_root = str(build / "test")

config.environment["PATH"] = os.pathsep.join(
    [str(build / "bin"), config.llvm_tools_dir, os.environ["PATH"]]
)
for variable in ("OMP_NUM_THREADS", "CI", "VIRTUAL_ENV", "PTXAS"):
    if variable in os.environ:
        config.environment[variable] = os.environ[variable]
# The packaged MLIR is not instrumented: it uses memory that headers compiled here
# have marked as unused (llvm::BumpPtrAllocator).
config.environment["ASAN_OPTIONS"] = "allow_user_poisoning=0"

config.substitutions += [
    ("%mlir_lib", config.llvm_lib_dir),
    ("%moe_lib", str(build / "lib")),
    ("%moe_plugin", str(build / "lib" / "MoEPlugin.so")),
    ("%moe_src", str(source)),
    # What ptxas makes of a chip's kernels.
    ("%machine_code", f"{sys.executable} {source}/test/GPU/machine_code.py"),
    # What an OpenMP program of the CPU pipeline needs at run time.
    (
        "%runner_libs",
        ",".join(
            f"{config.llvm_lib_dir}/lib{name}.so"
            for name in ("mlir_runner_utils", "mlir_c_runner_utils", "omp")
        ),
    ),
]


def cpu_flags() -> set[str]:
    """The instruction set extensions of this machine, as the kernel names them."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return set(flags.partition(":")[2].split())


# Tests that execute code of one instruction set say `REQUIRES: avx2`.
for feature, flag in {
    "avx2": "avx2",
    "fma": "fma",
    "avx512": "avx512f",
    "avx512bf16": "avx512_bf16",
}.items():
    if flag in cpu_flags():
        config.available_features.add(feature)
if shutil.which(os.environ.get("PTXAS", "ptxas")):
    config.available_features.add("ptxas")
if shutil.which("valgrind"):
    config.available_features.add("valgrind")
if (build / "lib" / "MoEPlugin.so").exists():
    config.available_features.add("plugin")
