"""Every way to route gives the oracle's plan and gates, bit for bit."""

import itertools

import moe_mlir
import numpy as np
import oracle
import pytest
import routing_cases as cases
from routing_compare import TARGETS, assert_routes_as_oracle


def compare_exhaustively(target: str, variant: cases.Variant) -> None:
    rng = np.random.default_rng(0)
    for t, e in cases.small_shapes(variant.experts):
        logits = variant.cast(cases.exhaustive_logits(t, e))
        arguments = variant.arguments(rng, len(logits), t)
        assert_routes_as_oracle(target, logits, arguments, variant)


@pytest.mark.parametrize("experts", cases.SMALL_EXPERTS)
@pytest.mark.parametrize("target", TARGETS)
def test_all_small_tensors(target: str, experts: int) -> None:
    """T*E <= 6 over seven values, for every pair of options."""
    for variant in cases.pairwise_variants(experts):
        compare_exhaustively(target, variant)


@pytest.mark.parametrize("experts", cases.LARGE_EXPERTS)
@pytest.mark.parametrize("target", TARGETS)
def test_random_inputs(target: str, experts: int) -> None:
    for case in cases.random_cases(experts, cases.RANDOM_INPUTS):
        logits, arguments = case.build()
        assert_routes_as_oracle(target, logits, arguments, case)


@pytest.mark.parametrize("target", TARGETS)
def test_long_sequences(target: str) -> None:
    """Long enough for every path of a selection; ties across the whole sequence."""
    rng = np.random.default_rng(1)
    for kind, experts in itertools.product(cases.RANDOM_KINDS, (64, 384)):
        logits = cases.random_logits(kind, rng, 1, 1024, experts)
        arguments = {"k": 8, "scope": "sequence", "normalize": "sum"}
        assert_routes_as_oracle(target, logits, arguments, kind)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(target: str, side: str) -> None:
    """A padded batch equals its sequences, each routed alone without padding."""
    rng = np.random.default_rng(2)
    lengths = [0, 1, 5, 7]
    logits = cases.random_logits("quantised", rng, len(lengths), 7, 12)
    place = np.arange(7)
    first = [0 if side == "right" else 7 - n for n in lengths]
    valid = np.stack(
        [(place >= f) & (place < f + n) for f, n in zip(first, lengths, strict=True)]
    )
    options = {"k": 3, "scope": "sequence", "score": "sigmoid", "normalize": "sum"}
    plan = moe_mlir.route(logits, valid=valid, target=target, **options)
    # Only live rows are handed out.
    live = plan.expert_offsets[-1]
    assert plan.row_token.size == plan.token_row.size == plan.gates.size == live
    for s, (f, n) in enumerate(zip(first, lengths, strict=True)):
        alone = oracle.route(logits[s : s + 1, f : f + n], **options)
        offsets = plan.token_offsets[s, f : f + n + 1]
        assert (offsets - offsets[0] == alone.token_offsets[0]).all()
        rows = plan.token_row[offsets[0] : offsets[-1]]
        assert (plan.gates[rows] == alone.gates[alone.token_row]).all()
        assert (
            plan.row_token[rows] - s * 7 - f
            == np.repeat(place[:n], np.diff(alone.token_offsets[0]))
        ).all()
    if side == "right":
        short = moe_mlir.route(logits, lengths=lengths, target=target, **options)
        assert (short.token_row == plan.token_row).all()
        assert (short.gates == plan.gates).all()


@pytest.mark.parametrize("target", TARGETS)
def test_runs_are_bitwise_equal(target: str) -> None:
    logits = cases.random_logits("normal", np.random.default_rng(3), 2, 300, 60)
    one, two = (
        moe_mlir.route(logits, k=4, scope="sequence", target=target) for _ in range(2)
    )
    for name in oracle.Routing._fields:
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()


@pytest.mark.long
@pytest.mark.parametrize("experts", cases.SMALL_EXPERTS)
@pytest.mark.parametrize("target", TARGETS)
def test_all_small_tensors_for_all_options(target: str, experts: int) -> None:
    """The product of all options that restrict each other, not only their pairs."""
    for variant in cases.all_core_variants(experts):
        compare_exhaustively(target, variant)


@pytest.mark.long
@pytest.mark.parametrize("experts", cases.LARGE_EXPERTS)
@pytest.mark.parametrize("target", TARGETS)
def test_many_random_inputs(target: str, experts: int) -> None:
    for case in cases.random_cases(experts, 10 * cases.RANDOM_INPUTS):
        logits, arguments = case.build()
        assert_routes_as_oracle(target, logits, arguments, case)
