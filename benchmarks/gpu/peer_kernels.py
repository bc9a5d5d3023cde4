"""The standard fused-MoE algorithm in Triton: the peer of the GPU kernels.

What inference engines run for a layer today, written anew: softmax and top-k of each
token; pairs sorted by expert, each expert's padded to whole blocks; a grouped matmul
over the sorted pairs with gathered rows; activation; a second grouped matmul that
multiplies by the gates; the sum of each token's rows. Rows lie in pair order (token
major), so that the sum needs no index.
"""

import triton
import triton.language as tl


@triton.jit
def top_k_softmax(
    logits,
    ids,
    gates,
    tokens,
    E: tl.constexpr,
    K: tl.constexpr,
    NORMALIZE: tl.constexpr,
    EXPERTS: tl.constexpr,
    TOKENS: tl.constexpr,
):
    """The K best experts of each token by softmax; ties go to the lower expert.

    TOKENS rows a program, EXPERTS is E rounded up to a power of two.
    """
    token = tl.program_id(0) * TOKENS + tl.arange(0, TOKENS)
    expert = tl.arange(0, EXPERTS)
    inside = (token < tokens)[:, None] & (expert < E)[None, :]
    x = tl.load(
        logits + token[:, None] * E + expert[None, :], mask=inside, other=-float("inf")
    ).to(tl.float32)
    x = tl.exp(x - tl.max(x, 1)[:, None])
    score = x / tl.sum(x, 1)[:, None]
    score = tl.where((expert < E)[None, :], score, -1.0)
    total = tl.zeros([TOKENS], tl.float32)
    rest = score
    for _ in tl.static_range(K):
        best = tl.argmax(rest, 1)
        total += tl.max(rest, 1)
        rest = tl.where(expert[None, :] == best[:, None], -1.0, rest)
    rest = score
    for k in tl.static_range(K):
        best = tl.argmax(rest, 1)
        gate = tl.max(rest, 1)
        if NORMALIZE:
            gate = gate / total
        tl.store(ids + token * K + k, best, mask=token < tokens)
        tl.store(gates + token * K + k, gate, mask=token < tokens)
        rest = tl.where(expert[None, :] == best[:, None], -1.0, rest)


@triton.jit
def align_blocks(
    ids,
    cursors,
    block_expert,
    padded,
    pairs,
    blocks,
    E: tl.constexpr,
    BLOCK_M: tl.constexpr,
    EXPERTS: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """One program: where each expert's pairs begin, and the expert of each block.

    `cursors` [E] gets the first place of each expert, `padded` [1] the number of
    places, `block_expert` the expert of each block of BLOCK_M places.
    """
    expert = tl.arange(0, EXPERTS)
    counts = tl.zeros([EXPERTS], tl.int32)
    for start in range(0, pairs, CHUNK):
        at = start + tl.arange(0, CHUNK)
        chosen = tl.load(ids + at, mask=at < pairs, other=0)
        counts += tl.histogram(chosen, EXPERTS, mask=at < pairs)
    blocks_of = (counts + BLOCK_M - 1) // BLOCK_M
    ends = tl.cumsum(blocks_of, 0)
    tl.store(cursors + expert, (ends - blocks_of) * BLOCK_M, mask=expert < E)
    tl.store(padded, tl.sum(blocks_of, 0) * BLOCK_M)
    for start in range(0, blocks, CHUNK):
        block = start + tl.arange(0, CHUNK)
        # The expert of a block: how many experts end at or before it.
        before = (ends[None, :] <= block[:, None]) & (expert < E)[None, :]
        tl.store(block_expert + block, tl.sum(before.to(tl.int32), 1), block < blocks)


@triton.jit
def sort_pairs(ids, cursors, sorted_pairs, pairs, CHUNK: tl.constexpr):
    """Puts each pair at the next place of its expert; the order in one is free."""
    at = tl.program_id(0) * CHUNK + tl.arange(0, CHUNK)
    chosen = tl.load(ids + at, mask=at < pairs, other=0)
    place = tl.atomic_add(cursors + chosen, 1, mask=at < pairs, sem="relaxed")
    tl.store(sorted_pairs + place, at, mask=at < pairs)


@triton.jit
def grouped_matmul(
    rows,
    weights,
    out,
    sorted_pairs,
    block_expert,
    padded,
    gates,
    pairs,
    N: tl.constexpr,
    DEPTH: tl.constexpr,
    PAIRS_PER_ROW: tl.constexpr,
    GATED: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP_M: tl.constexpr,
):
    """out[pair] = rows[pair // PAIRS_PER_ROW] @ weights[expert].T, times its gate.

    `weights` is [E, N, DEPTH]. Programs of one GROUP_M of blocks run side by side.
    """
    program = tl.program_id(0)
    columns = tl.cdiv(N, BLOCK_N)
    total = tl.load(padded)
    in_group = GROUP_M * columns
    first = program // in_group * GROUP_M
    size = min(tl.cdiv(total, BLOCK_M) - first, GROUP_M)
    # Programs past the last block still divide by it.
    size = max(size, 1)
    block = first + program % in_group % size
    column_block = program % in_group // size
    if block * BLOCK_M >= total:
        return
    pair = tl.load(sorted_pairs + block * BLOCK_M + tl.arange(0, BLOCK_M))
    live = pair < pairs
    expert = tl.load(block_expert + block).to(tl.int64)
    column = (column_block * BLOCK_N + tl.arange(0, BLOCK_N)) % N
    k = tl.arange(0, BLOCK_K)
    a = rows + (pair // PAIRS_PER_ROW)[:, None].to(tl.int64) * DEPTH + k[None, :]
    b = weights + expert * N * DEPTH + column[None, :].to(tl.int64) * DEPTH + k[:, None]
    sums = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for step in range(0, tl.cdiv(DEPTH, BLOCK_K)):
        if DEPTH % BLOCK_K == 0:
            left = tl.load(a, mask=live[:, None], other=0.0)
            right = tl.load(b)
        else:
            inside = k < DEPTH - step * BLOCK_K
            left = tl.load(a, mask=live[:, None] & inside[None, :], other=0.0)
            right = tl.load(b, mask=inside[:, None], other=0.0)
        sums += tl.dot(left, right)
        a += BLOCK_K
        b += BLOCK_K
    if GATED:
        sums *= tl.load(gates + pair, mask=live, other=0.0)[:, None]
    at = column_block * BLOCK_N + tl.arange(0, BLOCK_N)
    place = out + pair[:, None].to(tl.int64) * N + at[None, :]
    tl.store(
        place,
        sums.to(out.dtype.element_ty),
        mask=live[:, None] & (at < N)[None, :],
    )


@triton.jit
def silu_and_mul(gate_up, out, I: tl.constexpr, BLOCK: tl.constexpr):  # noqa: E741
    """out[row] = silu(gate_up[row, :I]) * gate_up[row, I:]."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    gate = tl.load(gate_up + row * 2 * I + at, mask=at < I).to(tl.float32)
    up = tl.load(gate_up + row * 2 * I + I + at, mask=at < I).to(tl.float32)
    value = gate / (1 + tl.exp(-gate)) * up
    tl.store(out + row * I + at, value.to(out.dtype.element_ty), mask=at < I)


@triton.jit
def sum_rows(rows, out, H: tl.constexpr, K: tl.constexpr, BLOCK: tl.constexpr):
    """out[token] = the sum of its K rows, which lie side by side."""
    token = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.float32)
    for k in tl.static_range(K):
        total += tl.load(rows + (token * K + k) * H + at, mask=at < H).to(tl.float32)
    tl.store(out + token * H + at, total.to(out.dtype.element_ty), mask=at < H)


@triton.jit
def dense_matmul(
    rows,
    weight,
    out,
    M,
    N: tl.constexpr,
    DEPTH: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    GROUP_M: tl.constexpr,
):
    """A plain matmul, rows @ weight.T: what the grouped one is held against."""
    program = tl.program_id(0)
    columns = tl.cdiv(N, BLOCK_N)
    in_group = GROUP_M * columns
    first = program // in_group * GROUP_M
    size = min(tl.cdiv(M, BLOCK_M) - first, GROUP_M)
    block = first + program % in_group % size
    column_block = program % in_group // size
    row = (block * BLOCK_M + tl.arange(0, BLOCK_M)) % M
    column = (column_block * BLOCK_N + tl.arange(0, BLOCK_N)) % N
    k = tl.arange(0, BLOCK_K)
    a = rows + row[:, None].to(tl.int64) * DEPTH + k[None, :]
    b = weight + column[None, :].to(tl.int64) * DEPTH + k[:, None]
    sums = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for _ in range(0, DEPTH // BLOCK_K):
        sums += tl.dot(tl.load(a), tl.load(b))
        a += BLOCK_K
        b += BLOCK_K
    at_row = block * BLOCK_M + tl.arange(0, BLOCK_M)
    at_column = column_block * BLOCK_N + tl.arange(0, BLOCK_N)
    place = out + at_row[:, None].to(tl.int64) * N + at_column[None, :]
    tl.store(
        place,
        sums.to(out.dtype.element_ty),
        mask=(at_row < M)[:, None] & (at_column < N)[None, :],
    )
