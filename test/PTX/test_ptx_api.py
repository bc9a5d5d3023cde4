"""moe_mlir.ptx: modules, launches, arguments, findings."""

import json
import subprocess
import sys

import numpy as np
import pytest
from moe_mlir import ptx

HEAD = ".version 8.7\n.target sm_90a\n.address_size 64\n"
SCALE = (
    HEAD
    + """
.visible .entry scale(.param .u64 x, .param .u32 n, .param .f32 factor)
.maxntid 256, 1, 1
{
  .reg .pred p;
  .reg .b32 r<6>;
  .reg .b64 d<4>;
  .reg .f32 f<4>;
  ld.param.u64 d0, [x];
  ld.param.u32 r0, [n];
  ld.param.f32 f0, [factor];
  mov.u32 r1, %ctaid.x;
  mov.u32 r2, %ntid.x;
  mov.u32 r3, %tid.x;
  mad.lo.s32 r4, r1, r2, r3;
  setp.ge.u32 p, r4, r0;
  @p ret;
  mul.wide.u32 d1, r4, 4;
  add.s64 d2, d0, d1;
  ld.global.f32 f1, [d2];
  mul.rn.f32 f2, f1, f0;
  st.global.f32 [d2], f2;
  ret;
}
"""
)
SHIFT = (
    HEAD
    + """
.visible .entry shift(.param .u64 x)
{
  .reg .b32 r<8>;
  .reg .b64 d<4>;
  .shared .align 4 .b8 words[256];
  .file 1 "shift.py"
  ld.param.u64 d0, [x];
  mov.u32 r0, %tid.x;
  mov.u32 r1, words;
  shl.b32 r2, r0, 2;
  add.u32 r2, r1, r2;
  .loc 1 12 0
  st.shared.u32 [r2], r0;
  BARRIER
  xor.b32 r3, r0, 33;
  shl.b32 r3, r3, 2;
  add.u32 r3, r1, r3;
  .loc 1 14 0
  ld.shared.u32 r4, [r3];
  mul.wide.u32 d1, r0, 4;
  add.s64 d2, d0, d1;
  st.global.u32 [d2], r4;
  ret;
}
"""
)


def test_importing_loads_neither_compiler_nor_framework() -> None:
    code = (
        "import sys; from moe_mlir import ptx; ptx.Module; "
        "maps = open('/proc/self/maps').read(); "
        "names = ('torch', 'jax', 'moe_mlir._moe', 'torch_mlir'); "
        "print(any(n in sys.modules for n in names), 'libMLIR' in maps, "
        "'libLLVM' in maps)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("False False False\n", "")


def test_kernels_say_what_they_take() -> None:
    module = ptx.Module(SCALE)
    kernel = module.kernels["scale"]
    assert module.target == "sm_90a"
    assert [(p.name, p.type, p.size, p.align, p.offset) for p in kernel.params] == [
        ("x", ".u64", 8, 8, 0),
        ("n", ".u32", 4, 4, 8),
        ("factor", ".f32", 4, 4, 12),
    ]
    assert kernel.maxntid == (256, 1, 1) and kernel.reqntid is None
    assert kernel.static_shared == 0 and kernel.target == "sm_90a"
    with pytest.raises(TypeError):
        module.kernels["other"] = kernel  # type: ignore[index]


@pytest.mark.parametrize("start", [0, 1, 63])
def test_arrays_change_in_place(start: int) -> None:
    memory = np.arange(1100, dtype=np.float32)
    x = memory[start : start + 1000]
    expected = memory.copy()
    expected[start : start + 1000] *= 3
    result = ptx.Module(SCALE).launch("scale", 4, 256, [x, np.uint32(1000), 3.0])
    assert result.findings == [] and result.completed and result.log == ""
    np.testing.assert_array_equal(memory, expected)
    assert result.counters["warp_inst"] > 0


def test_large_arrays_are_used_where_they_are() -> None:
    text = (
        HEAD
        + """
.visible .entry where(.param .u64 x, .param .u64 y)
{
  .reg .b64 d<2>;
  ld.param.u64 d0, [x];
  ld.param.u64 d1, [y];
  st.global.u64 [d0], d1;
  ret;
}
"""
    )
    memory = np.zeros((1 << 21) + 512, np.uint8)
    start = -memory.__array_interface__["data"][0] % 256 + 16
    y = memory[start : start + (1 << 21)]
    address = y.__array_interface__["data"][0]
    for array, options, there in (
        (y, {"counters": False}, True),
        (y, {"counters": True}, False),  # sectors are counted
        (y[1:], {"counters": False}, False),
        (y[:4096], {"counters": False}, False),
    ):
        x = np.zeros(1, np.uint64)
        ptx.Module(text).launch("where", 1, 1, [x, array], **options)
        assert (x[0] == address) == there
        assert there or x[0] % 256 == 0


def test_arrays_that_overlap_share_memory() -> None:
    text = SCALE.replace(".param .u32 n,", ".param .u64 y, .param .u32 n,").replace(
        "add.s64 d2, d0, d1;\n  ld",
        "ld.param.u64 d3, [y];\n  add.s64 d2, d3, d1;\n  ld",
    )
    memory = np.arange(64, dtype=np.float32)
    expected = memory * 2
    module = ptx.Module(text)
    module.launch("scale", 1, 32, [memory[:32], memory[16:48], np.uint32(32), 2.0])
    expected[:16] /= 2
    expected[48:] /= 2
    np.testing.assert_array_equal(memory, expected)


def test_strided_arrays_keep_their_layout() -> None:
    memory = np.arange(64, dtype=np.float32).reshape(8, 8)
    expected = memory.copy()
    expected.ravel()[1:33] *= 2
    ptx.Module(SCALE).launch("scale", 1, 32, [memory[:, 1:].T, np.uint32(32), 2.0])
    np.testing.assert_array_equal(memory, expected)


def test_read_only_arrays_stay() -> None:
    x = np.ones(64, np.float32)
    x.flags.writeable = False
    result = ptx.Module(SCALE).launch("scale", 1, 64, [x, np.uint32(64), 3.0])
    np.testing.assert_array_equal(x, 1)
    assert [f.kind for f in result.findings] == ["read-only"]
    assert not result.completed


def test_race_names_both_parties() -> None:
    x = np.zeros(64, np.uint32)
    module = ptx.Module(SHIFT.replace("BARRIER", ""))
    (finding,) = module.launch("shift", 1, 64, [x], check={"race"}).findings
    assert finding.kind == "race" and finding.other is not None
    lines = SHIFT.splitlines()
    for place in (finding.place, finding.other):
        shown = lines[place.line - 1]
        assert ("st.shared" in shown, place.source_line) in ((True, 12), (False, 14))
        assert place.source_file == "shift.py" and len(place.lanes) == 1
        assert shown.strip() == place.instruction
    assert finding.line != finding.other.line
    assert finding.place.warp != finding.other.warp
    assert "race" in str(finding)
    fixed = ptx.Module(SHIFT.replace("BARRIER", "bar.sync 0;"))
    assert fixed.launch("shift", 1, 64, [x]).findings == []
    np.testing.assert_array_equal(x, np.arange(64) ^ 33)


def test_checks_can_be_left_out() -> None:
    module = ptx.Module(SHIFT.replace("BARRIER", ""))
    assert (
        module.launch("shift", 1, 64, [np.zeros(64, np.uint32)], check=()).findings
        == []
    )


def test_counters_and_estimate() -> None:
    x = np.ones(4096, np.float32)
    module = ptx.Module(SCALE)
    result = module.launch(
        "scale", 16, 256, [x, np.uint32(4096), 2.0], cache_model=True
    )
    assert "scale" in result.report() and result.report("a100")
    time = result.estimate("h100")
    assert 0 < time["lower"] <= time["point"] <= time["upper"]
    assert result.blocks
    assert json.loads(result.counters_json())["counters"]["warp_inst"] > 0
    assert result.estimate("h100", 1, 16) == time
    larger = result.estimate("h100", 100, 1600)
    assert larger["terms"]["issue"]["best"] > 10 * time["terms"]["issue"]["best"]
    assert larger["terms"]["longest warp"] == time["terms"]["longest warp"]
    with pytest.raises(ptx.PtxError, match="needs the grid"):
        result.estimate("h100", 2)
    without = module.launch("scale", 1, 32, [x, np.uint32(9), 2.0], counters=False)
    assert without.counters == {}
    with pytest.raises(ptx.PtxError, match="counters=True"):
        without.estimate()


def test_errors_of_the_text_have_a_place() -> None:
    with pytest.raises(ptx.PtxError) as caught:
        ptx.Module(SCALE.replace("mul.rn.f32", "mul.rn.f99"))
    error = caught.value
    assert error.line == SCALE[: SCALE.index("mul.rn")].count("\n") + 1
    assert error.column > 0 and "mul.rn.f99" in error.statement and error.why
    assert isinstance(error, ValueError)


X = np.ones(64, np.float32)
GOOD = [X, np.uint32(64), np.float32(2)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "none"}, "no kernel is called 'none'; there are: scale"),
        ({"args": GOOD[:2]}, "takes 3 arguments .*got 2"),
        ({"args": [X, np.uint64(64), 2.0]}, "has 8 bytes, the parameter 4"),
        ({"args": [X, np.float32(64), 2.0]}, "integer parameter"),
        ({"args": [X, np.uint32(64), np.int32(2)]}, "float parameter"),
        ({"args": [X, 64.5, 2.0]}, "64.5 for a parameter of type .u32"),
        ({"args": [X, 2**32, 2.0]}, "does not fit .u32"),
        ({"args": [X, "64", 2.0]}, "is no argument of a kernel"),
        ({"args": [X, b"123", 2.0]}, "has 3 bytes"),
        ({"args": [np.array([None]), 1, 2.0]}, "Python objects"),
        ({"grid": 0}, "grid is 0"),
        ({"grid": (1, 2, 3, 4)}, "grid has 4 sizes"),
        ({"grid": "4"}, "grid is '4'"),
        ({"block": 257}, "maxntid"),
        ({"block": (1, 1, 65)}, "exceeds"),
        ({"shared": 10**6}, "exceed"),
        ({"shared": -1}, "shared is -1"),
        ({"cluster": (3, 1, 1)}, "multiple of the cluster"),
        ({"cooperative": True, "grid": 10**6}, "can be resident"),
        ({"check": {"everything"}}, "check is 'everything'"),
        ({"order": "sorted"}, "order is 'sorted'"),
        ({"arch": "sm_10"}, "arch is 'sm_10'"),
        ({"arch": 80}, "sm_90"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_refusals(options: dict[str, object], message: str) -> None:
    before = X.copy()
    arguments = {"kernel": "scale", "grid": 1, "block": 64, "args": GOOD} | options
    with pytest.raises(ptx.PtxError, match=message):
        ptx.Module(SCALE).launch(**arguments)  # type: ignore[arg-type]
    np.testing.assert_array_equal(X, before)


def test_isa_lists_every_form() -> None:
    assert "fma.rn.f32" in ptx.isa()
