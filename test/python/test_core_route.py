"""`moe_mlir.route`: what it takes, what it gives, what it refuses."""

import pathlib
from typing import Any

import ml_dtypes
import moe_mlir as moe
import numpy as np
import pytest
from moe_mlir.routing import _cached_kernel

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((2, 16, 64)).astype(np.float32)
HUGE = np.lib.stride_tricks.as_strided(LOGITS, (2**20, 2**10, 64), (0, 0, 4))

# Arguments besides the logits, then what the message says.
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"k": 65}, "k = 65 exceeds the 64 experts"),
    ({"k": 0}, "k = 0"),
    ({"k": "8"}, "k is '8'; it must be an integer"),
    ({"k": True}, "k is True; it must be an integer"),
    ({"k": 2**70}, "out of range"),
    ({"scope": "batch"}, "scope is 'batch'; use one of token, sequence"),
    ({"score": None}, "score is None; use one of softmax, sigmoid"),
    ({"normalize": "l1"}, "normalize is 'l1'; use one of none, sum, softmax"),
    ({"target": "tpu"}, "target is 'tpu'; use one of cpu, reference, emulator"),
    ({"scope": "sequence", "floor": 9}, "floor = 9 exceeds k = 8.*lower floor"),
    ({"scope": "sequence", "cap": 7}, "cap = 7 is below k = 8.*raise cap"),
    ({"scope": "sequence", "cap": 65}, "cap = 65 exceeds the 64 experts"),
    ({"scope": "sequence", "floor": -1}, "floor = -1 is negative"),
    ({"floor": 1}, "floor and cap belong to scope = sequence"),
    ({"groups": (7, 4, "max")}, "n_group = 7 does not divide the 64 experts"),
    ({"groups": (16, 1, "max")}, "kept hold 4 experts, fewer than k = 8"),
    ({"groups": (8, 9, "max")}, "topk_group = 9"),
    ({"groups": (8, 4)}, "groups is .*use .number of groups, groups kept"),
    ({"groups": (8, 4, "sum")}, "group_score is 'sum'; use one of max, top2_sum"),
    ({"scope": "sequence", "score": "identity"}, "set rank_logits"),
    ({"score": "identity", "normalize": "sum"}, "use normalize = softmax"),
    ({"score": "sigmoid", "normalize": "softmax"}, "use normalize = sum"),
    ({"scale": float("nan")}, "scale must be a finite f32 number"),
    ({"scale": "a"}, "scale is 'a'; it must be a number"),
    ({"lengths": [1, -1]}, r"lengths\[1\] is -1; a length is between 0 and the 16"),
    ({"lengths": [17, 1]}, r"lengths\[0\] is 17; a length is between 0 and the 16"),
    ({"lengths": [1]}, r"lengths are int64 \[1\]; they must be integers \[2\]"),
    ({"lengths": [1.0, 2.0]}, "lengths are float64"),
    ({"valid": np.ones((2, 15), bool)}, r"valid is bool \[2, 15\].*bool \[2, 16\]"),
    ({"valid": np.ones((2, 16))}, "valid is float64"),
    ({"valid": np.ones((2, 16), bool), "lengths": [1, 1]}, "both given.*give one"),
    ({"choice_bias": np.ones(64)}, "choice_bias is float64.*pass float32"),
    ({"choice_bias": np.ones(63, np.float32)}, r"float32 \[63\].*it must be \[64\]"),
    ({"logits": LOGITS[0], "scope": "sequence"}, r"logits\[None\] is one sequence"),
    ({"logits": LOGITS[0, 0]}, r"must be \[S, T, E\]; token scope takes one"),
    ({"logits": LOGITS.astype(np.float64)}, r"float64 .*astype\(numpy.float32\)"),
    ({"logits": np.ones((2, 3, 0), np.float32)}, "at least one expert"),
    ({"logits": "text"}, "logits are <U4"),
    ({"logits": object()}, "expected an array of numbers, got object"),
    ({"logits": HUGE}, r"2\^31 or more.*split the batch"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(moe.MoEError, match=message) as refused:
        moe.route(**({"logits": LOGITS, "k": 8} | arguments))
    assert "\n" not in str(refused.value)
    assert refused.value.where


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_no_tokens(target: Any) -> None:
    for shape in [(2, 0, 64), (0, 4, 64)]:
        plan = moe.route(np.empty(shape, np.float32), 8, target=target)
        assert plan.expert_offsets.tolist() == [0] * 65
        assert plan.token_offsets.shape == (shape[0], shape[1] + 1)
        assert plan.row_token.size == plan.gates.size == plan.nan_tokens == 0


def test_results_that_are_read_alone() -> None:
    """What nobody reads of a plan is still memory of its own."""
    rng = np.random.default_rng(5)
    logits = rng.standard_normal((2, 9, 6)).astype(np.float32)
    plan = moe.route(logits, 2, target="reference")
    for name, kind in [
        ("gates", "tensor<?xf32>"),
        ("row_token", "tensor<?xi32>"),
        ("token_row", "tensor<?xi32>"),
        ("token_offsets", "tensor<?x?xi32>"),
        ("expert_offsets", "tensor<7xi32>"),
    ]:
        field = f"%f = moe.plan_field %plan {name} : !moe.plan<?x?x6, rows = ?>"
        text = f"""func.func @main(%x: tensor<?x?x6xf32>) -> {kind} {{
          %plan, %gates = moe.route %x top 2 scope = token score = softmax
              normalize = none : tensor<?x?x6xf32>
          {field if name != "gates" else ""}
          return {"%f" if name != "gates" else "%gates"} : {kind}
        }}"""
        got = moe.Model.from_text(text).compile(threads=1)(logits)
        np.testing.assert_array_equal(got, getattr(plan, name), err_msg=name)


def test_code_is_kept() -> None:
    moe.route(LOGITS, 3, scope="sequence", floor=1, cap=7)
    before = _cached_kernel.cache_info()
    moe.route(LOGITS[:, :5], np.int64(3), scope="sequence", floor=1, cap=7)
    after = _cached_kernel.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 1)


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_plan_views(target: Any) -> None:
    plan = moe.route(LOGITS, 8, scope="sequence", target=target)
    assert plan.counts().sum() == plan.experts_per_token().sum() == 2 * 16 * 8
    assert plan.experts_per_token().shape == (2, 16)
    assert (plan.experts_per_token().sum(axis=1) == 16 * 8).all()


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_nan_tokens_leave_out_padding(target: Any) -> None:
    for dtype in (np.float32, np.float16, ml_dtypes.bfloat16):
        logits = LOGITS.astype(dtype)
        logits[0, 3, 5] = np.nan
        logits[1, 15, 0] = -np.nan
        logits[1, 2, 0] = np.inf
        plan = moe.route(logits, 8, scope="sequence", target=target)
        assert plan.nan_tokens == 2
        assert plan.experts_per_token()[0, 3] == 0
        padded = moe.route(logits, 8, scope="sequence", lengths=[16, 15], target=target)
        assert padded.nan_tokens == 1


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_arrays_that_are_not_dense(target: Any) -> None:
    want = moe.route(LOGITS, 8, target="reference")
    strided = np.repeat(LOGITS, 2, axis=2)[:, :, ::2]
    shifted = np.frombuffer(b"\0" + LOGITS.tobytes(), np.uint8)[1:].view(np.float32)
    shifted = shifted.reshape(LOGITS.shape)
    assert not shifted.flags.aligned
    for logits in (strided, shifted, LOGITS.astype(">f4").byteswap().view("<f4")):
        plan = moe.route(logits, 8, target=target)
        np.testing.assert_array_equal(plan.row_token, want.row_token)
        np.testing.assert_array_equal(plan.gates, want.gates)


def test_torch_logits() -> None:
    torch = pytest.importorskip("torch")
    logits = torch.from_numpy(LOGITS)
    want = moe.route(LOGITS, 8, target="reference")
    plan = moe.route(logits, 8, target="reference")
    np.testing.assert_array_equal(plan.gates, want.gates)
    want = moe.route(LOGITS.astype(ml_dtypes.bfloat16), 8, target="reference")
    plan = moe.route(logits.bfloat16(), 8, target="reference")
    np.testing.assert_array_equal(plan.gates, want.gates)
    with pytest.raises(moe.MoEError, match=r"torch.no_grad"):
        moe.route(logits.requires_grad_(), 8)
    with pytest.raises(moe.MoEError, match=r"on meta.*tensor.cpu"):
        moe.route(torch.empty(LOGITS.shape, device="meta"), 8)


@pytest.mark.parametrize("scope", ["token", "sequence"])
@pytest.mark.parametrize("target", ["cpu", "reference"])
def test_masks_of_any_byte(target: Any, scope: Any) -> None:
    """A mask of bytes that is viewed as bool keeps its bytes."""
    logits = np.random.default_rng(6).standard_normal((1, 4, 6)).astype(np.float32)
    viewed = np.array([[2, 0, 1, 254]], np.uint8).view(np.bool_)
    plan = moe.route(logits, 2, scope=scope, valid=viewed, target=target)
    want = moe.route(logits, 2, scope=scope, valid=viewed != 0, target="reference")
    np.testing.assert_array_equal(plan.row_token, want.row_token)
    np.testing.assert_array_equal(plan.gates, want.gates)


def test_torch_tensors_without_plain_memory() -> None:
    import torch

    logits = torch.randn(1, 3, 4)
    negative = torch.complex(logits, -logits).conj().imag
    same = moe.route(negative, 2, target="reference")
    want = moe.route(logits, 2, target="reference")
    np.testing.assert_array_equal(same.gates, want.gates)
    for odd in (logits.to(torch.float8_e4m3fn), logits.to_sparse(), logits.to("meta")):
        with pytest.raises(moe.MoEError, match=r"^logits: "):
            moe.route(odd, 2, target="reference")


def test_jax_logits() -> None:
    jax = pytest.importorskip("jax")
    want = moe.route(LOGITS, 8, target="reference")
    plan = moe.route(jax.numpy.asarray(LOGITS), 8, target="reference")
    np.testing.assert_array_equal(plan.gates, want.gates)
    with pytest.raises(moe.MoEError, match=r"traced by JAX.*moe_mlir.jax.route"):
        jax.jit(lambda x: moe.route(x, 8))(LOGITS)


def test_plot(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    plan = moe.route(LOGITS, 8, target="reference")
    plan.plot(tmp_path / "plan.png", title="token scope:")
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(moe.MoEError, match=r"use .png, .svg or .pdf"):
        plan.plot(tmp_path / "plan.txt")
    with pytest.raises(moe.MoEError, match="cannot be written"):
        plan.plot(tmp_path / "missing" / "plan.png")
    assert [path.name for path in tmp_path.iterdir()] == ["plan.png"]
