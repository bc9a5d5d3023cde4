"""What `cmake --install` puts somewhere can be used from there."""

import pathlib
import subprocess

import pytest

LAYER = """\
func.func @f(%logits: tensor<2x3x4xf32>) -> tensor<6xf32> {
  %plan, %gates = moe.route %logits top 1
      scope = sequence score = softmax normalize = none : tensor<2x3x4xf32>
  return %gates : tensor<6xf32>
}
"""


def run(*command: object) -> str:
    """What a command prints; its errors are in the failure's text."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def prefix(
    build_root: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """An installation of this build."""
    path = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", build_root, "--prefix", path, "--component", "compiler")
    return path


def test_external_project(prefix: pathlib.Path, tmp_path: pathlib.Path) -> None:
    source = pathlib.Path(__file__).parent
    options = [f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_CXX_COMPILER=clang++-22"]
    options += ["-DCMAKE_C_COMPILER=clang-22", "-DCMAKE_BUILD_TYPE=Release"]
    run("cmake", "-G", "Ninja", "-S", source, "-B", tmp_path, *options)
    run("cmake", "--build", tmp_path)
    layer = tmp_path / "layer.mlir"
    layer.write_text(LAYER)
    assert run(tmp_path / "count-routes", layer) == "1 routes\n"


def test_installed_tools(prefix: pathlib.Path, tmp_path: pathlib.Path) -> None:
    layer = tmp_path / "layer.mlir"
    layer.write_text(LAYER)
    assert "moe.route" in run(prefix / "bin" / "moe-opt", layer)
    assert "MLIR LSP" in run(prefix / "bin" / "moe-lsp-server", "--help")
    plugin = next(prefix.rglob("MoEPlugin.so"))
    command = ["/usr/lib/llvm-22/bin/mlir-opt", f"--load-dialect-plugin={plugin}"]
    assert "moe.route" in run(*command, layer)


def test_headers_are_complete(prefix: pathlib.Path, source_root: pathlib.Path) -> None:
    installed = {path.name for path in (prefix / "include").rglob("*.*")}
    sources = (source_root / "include" / "moe").rglob("*.*")
    wanted = {path.name for path in sources if path.suffix in (".h", ".td")}
    assert wanted <= installed
    assert {"MoEOps.h.inc", "Passes.h.inc"} <= installed
