"""The checks of the sources find a planted fault and accept a clean tree."""

import pathlib
import subprocess
import sys
import typing

import check_files
import check_layers
import check_ops
import check_passes
import check_text
import generate_docs
import pytest
import tested_versions

HEAD = """\
// What the file is.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""
GOOD_PASSES = (
    HEAD
    + """\
include "mlir/Pass/PassBase.td"
def SetScope : Pass<"moe-set-scope"> {
  let summary = "Change over what the budget is spent";
  let description = [{
    Sets the scope of each route whose layer is named. It saves nothing by itself;
    later passes read the scope. Before: any moe. After: the same, other scopes.

    Example: test/Transforms/moe-set-scope.mlir
  }];
  let options = [Option<"layers", "layers", "std::string", "\\"*\\"", "layer names">];
}
"""
)
GOOD_OPS = (
    HEAD
    + """\
include "mlir/IR/OpBase.td"
def MoE_Dialect : Dialect { let name = "moe"; let cppNamespace = "::mlir::moe"; }
def MoE_RouteOp : Op<MoE_Dialect, "route", []> {
  let summary = "Choose pairs of tokens and experts";
  let description = [{
    Makes a plan.

    ```mlir
    moe.route
    ```

    - ROUTE-1: k is positive.
    - ROUTE-2: k is at most E.
  }];
}
"""
)
GOOD_TEST = """\
// ROUTE-1
// expected-error@+1 {{k}}
moe.route
// -----
// ROUTE-2
// expected-error@+1 {{k}}
moe.route
"""
GOOD_TREE = {
    "include/moe/Passes.td": GOOD_PASSES,
    "include/moe/IR/MoEIdxOps.td": GOOD_OPS,
    "include/moe/IR/MoE.h": HEAD + '#include "moe/Routing/Plan.h"\n',
    "include/moe/Routing/Plan.h": HEAD + "#include <vector>\n",
    "lib/IR/Verification.cpp": HEAD + "// ROUTE-1\n// ROUTE-2\n",
    "lib/Transforms/SetScope.cpp": HEAD + '#include "moe/IR/MoE.h"\n',
    "test/Transforms/moe-set-scope.mlir": "// RUN: moe-opt %s\n",
    "test/IR/invalid.mlir": GOOD_TEST,
}
ALL = (check_files, check_layers, check_ops, check_passes, check_text)


def write_tree(root: pathlib.Path, changes: dict[str, str | None]) -> pathlib.Path:
    """The good tree with some files changed, added, or (None) left out."""
    for name, text in (GOOD_TREE | changes).items():
        if text is None:
            continue
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def function_of(lines: int) -> str:
    """A C++ function of so many lines, its header over two of them."""
    body = "  ++i;\n" * (lines - 3)
    return f"static int f(int i,\n             int j) {{\n{body}}}\n"


def test_clean_tree(tmp_path: pathlib.Path) -> None:
    root = write_tree(tmp_path, {})
    assert [finding for check in ALL for finding in check.check(root)] == []


BAD = [
    # Includes that go up, sideways, or out of plain C++.
    (
        check_layers,
        {"lib/Routing/Rule.cpp": '#include "moe/IR/MoE.h"\n'},
        "of layer IR",
    ),
    (check_layers, {"lib/IR/Ops.cpp": '#include "moe/Passes.h"\n'}, "of layer Passes"),
    (
        check_layers,
        {"lib/Import/Marker.cpp": '#include "moe/Transforms/Scope.h"\n'},
        "of layer Transforms",
    ),
    (check_layers, {"lib/Routing/A.cpp": '#include "llvm/ADT/A.h"\n'}, "plain C++"),
    (check_layers, {"lib/Extras/A.cpp": "int a;\n"}, "no layer is called 'Extras'"),
    # Files and functions.
    (check_files, {"lib/IR/OpUtils.cpp": "int a;\n"}, "name says nothing"),
    (check_files, {"lib/IR/Helpers.h": "int a;\n"}, "name says nothing"),
    (check_files, {"lib/IR/Lowering2.cpp": "int a;\n"}, "numbered name"),
    (check_files, {"lib/IR/Long.cpp": "int a;\n" * 501}, "501 lines"),
    (check_files, {"lib/IR/F.cpp": function_of(61)}, "F.cpp:1: 61 lines"),
    (
        check_files,
        {"lib/IR/F.cpp": "struct S {\n" + function_of(61) + "};\n"},
        "F.cpp:2: 61 lines",
    ),
    (check_files, {"lib/IR/A.cpp": "int a;\n"}, "licence's SPDX line"),
    (check_files, {"test/a.cu": "// Words.\nint a;\n"}, "licence's SPDX line"),
    # Passes.
    (
        check_passes,
        {"include/moe/Passes.td": GOOD_PASSES.replace("moe-set-scope", "set-scope")},
        "should be 'moe-set-scope'",
    ),
    (
        check_passes,
        {"lib/Transforms/SetScope.cpp": None},
        "no file lib/**/SetScope.cpp",
    ),
    (
        check_passes,
        {"test/Transforms/moe-set-scope.mlir": None},
        "no test moe-set-scope.mlir",
    ),
    (
        check_passes,
        {"include/moe/Passes.td": GOOD_PASSES.replace("Example:", "See")},
        "needs 'Example:",
    ),
    (
        check_passes,
        {"include/moe/Passes.td": GOOD_PASSES.replace('"layers", "l', '"layers", "L')},
        "not kebab case",
    ),
    # Ops.
    (check_ops, {"lib/IR/Verification.cpp": "// ROUTE-1\n"}, "ROUTE-2 stands beside"),
    (
        check_ops,
        {"test/IR/invalid.mlir": GOOD_TEST.replace("ROUTE-2", "")},
        "ROUTE-2 has no test",
    ),
    (
        check_ops,
        {"lib/IR/Verification.cpp": "// ROUTE-1 IDX-ROUTE-2\n"},
        "ROUTE-2 stands beside",
    ),
    (
        check_ops,
        {"lib/IR/Verification.cpp": "// ROUTE-1 ROUTE-2 ROUTE-3\n"},
        "ROUTE-3 is used but not defined",
    ),
    (
        check_ops,
        {"include/moe/IR/MoEIdxOps.td": GOOD_OPS.replace("```mlir", "```")},
        "needs an example",
    ),
    (
        check_ops,
        {"include/moe/IR/MoEIdxOps.td": GOOD_OPS.replace("- ROUTE-1", "- ROUTE-3")},
        "do not count from 1",
    ),
    (
        check_ops,
        {"include/moe/IR/MoEIdxOps.td": GOOD_OPS.replace('experts"', 'experts."')},
        "without a final stop",
    ),
    # Text; written in pieces so that the checks do not find this file.
    (check_text, {"docs/a.md": f"see /{'home'}/someone/file\n"}, "path of one machine"),
    (check_text, {"docs/a.md": f"from {'pypi'}.org\n"}, "registry's host"),
    (check_text, {"lib/IR/A.cpp": f"// {'TO'}DO\n"}, "unfinished work"),
    (check_text, {"docs/a.md": "word \n"}, "space at the end"),
    (check_text, {"lib/IR/A.cpp": "\tint a;\n"}, "a tab"),
    (check_text, {"docs/a.md": "word"}, "one newline"),
    (check_text, {"docs/a.md": "see [b](b.md#c)\n"}, "no file 'b.md'"),
]


@pytest.mark.parametrize(("check", "changes", "message"), BAD)
def test_planted_fault(
    check: typing.Any,
    changes: dict[str, str | None],
    message: str,
    tmp_path: pathlib.Path,
) -> None:
    findings = check.check(write_tree(tmp_path, changes))
    assert any(message in finding for finding in findings), findings


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.cpp", "int  a ;\n"), ("a.py", "a  =  1\n"), ("a.py", "import os\n")],
)
def test_format(name: str, text: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / name).write_text(text)
    scripts = pathlib.Path(check_files.__file__).parent
    command = [sys.executable, scripts / "check_format.py", tmp_path]
    assert subprocess.run(command, capture_output=True).returncode == 1
    subprocess.run([*command, "--fix"], capture_output=True)
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_code_has_no_links(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.md").write_text("```mlir\nf [%a](%b)\n```\nsee [b](b.md)\n")
    assert check_text.check(tmp_path) == ["a.md:4: no file 'b.md'"]


def test_exit_status(tmp_path: pathlib.Path) -> None:
    script = pathlib.Path(check_text.__file__)
    command = [sys.executable, script, write_tree(tmp_path, {})]
    assert subprocess.run(command, capture_output=True).returncode == 0
    (tmp_path / "docs.md").write_text("word \n")
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stdout.startswith("docs.md:1: a space at the end of the line\n")


def test_stale_docs_are_found(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("old\n")
    assert generate_docs.differences(page, "page.md", "old\n") == []
    assert "+new" in generate_docs.differences(page, "page.md", "new\n")


def test_versions_follow_the_requirements(tmp_path: pathlib.Path) -> None:
    pins = "".join(f"{name}==1.{i}\n" for i, name in enumerate(tested_versions.SHOWN))
    (tmp_path / "requirements.txt").write_text(pins)
    readme = f"a\n{tested_versions.BEGIN}\nold\n{tested_versions.END}\nb\n"
    table = tested_versions.insert(readme, tmp_path)
    assert "| torch | 1.0 |" in table and "old" not in table
    assert tested_versions.insert(table, tmp_path) == table
    with pytest.raises(ValueError, match="needs the lines"):
        tested_versions.insert("no marks", tmp_path)
