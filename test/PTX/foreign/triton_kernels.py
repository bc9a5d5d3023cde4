"""Triton kernels of our own."""

import triton
import triton.language as tl


@triton.jit
def add_masked(x, y, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    a = tl.load(x + at, mask=inside)
    b = tl.load(y + at, mask=inside, other=0)
    tl.store(out + at, tl.where(a > b, a - b, a + 2 * b), mask=inside)


@triton.jit
def softmax(x, out, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    values = tl.load(x + row * columns + at, mask=inside, other=-float("inf"))
    values = tl.exp(values.to(tl.float32) - tl.max(values, 0))
    result = values / tl.sum(values, 0)
    tl.store(out + row * columns + at, result, mask=inside)


@triton.jit
def layer_norm(x, gain, bias, out, columns, epsilon, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, columns, BLOCK):
        at = start + tl.arange(0, BLOCK)
        total += tl.load(x + row * columns + at, mask=at < columns, other=0)
    mean = tl.sum(total, 0) / columns
    square = tl.zeros([BLOCK], tl.float32)
    for start in range(0, columns, BLOCK):
        at = start + tl.arange(0, BLOCK)
        values = tl.load(x + row * columns + at, mask=at < columns, other=0)
        centred = tl.where(at < columns, values - mean, 0)
        square += centred * centred
    scale = tl.rsqrt(tl.sum(square, 0) / columns + epsilon)
    for start in range(0, columns, BLOCK):
        at = start + tl.arange(0, BLOCK)
        inside = at < columns
        values = tl.load(x + row * columns + at, mask=inside)
        g, b = tl.load(gain + at, mask=inside), tl.load(bias + at, mask=inside)
        result = (values - mean) * scale * g + b
        tl.store(out + row * columns + at, result, mask=inside)


@triton.jit
def matmul(
    a,
    b,
    c,
    M,
    N,
    K,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
    SHARE: tl.constexpr,
    PRECISION: tl.constexpr,
    TRANSPOSED: tl.constexpr,
):
    """C = A B, f32 or f16; B may be stored by columns; ragged edges are masked."""
    pid = tl.program_id(0)
    down, across = tl.cdiv(M, BM), tl.cdiv(N, BN)
    group = pid // (SHARE * across)
    height = min(down - group * SHARE, SHARE)
    rows = (group * SHARE + pid % (SHARE * across) % height) * BM + tl.arange(0, BM)
    columns = pid % (SHARE * across) // height * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    total = tl.zeros((BM, BN), tl.float32)
    for start in range(0, tl.cdiv(K, BK)):
        ks = start * BK + k
        x = tl.load(
            a + rows[:, None] * K + ks[None, :],
            mask=(rows[:, None] < M) & (ks[None, :] < K),
            other=0.0,
        )
        if TRANSPOSED:
            where = b + columns[None, :] * K + ks[:, None]
        else:
            where = b + ks[:, None] * N + columns[None, :]
        y = tl.load(where, mask=(ks[:, None] < K) & (columns[None, :] < N), other=0.0)
        total = tl.dot(x, y, total, input_precision=PRECISION)
    inside = (rows[:, None] < M) & (columns[None, :] < N)
    at = c + rows[:, None] * N + columns[None, :]
    tl.store(at, total.to(c.dtype.element_ty), mask=inside)


@triton.jit
def matmul_described(
    a,
    b,
    c,
    M,
    N,
    K,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
):
    """C = A B by tensor descriptors that the kernel itself makes."""
    left = tl.make_tensor_descriptor(a, [M, K], [K, 1], [BM, BK])
    right = tl.make_tensor_descriptor(b, [N, K], [K, 1], [BN, BK])
    result = tl.make_tensor_descriptor(c, [M, N], [N, 1], [BM, BN])
    row, column = tl.program_id(0) * BM, tl.program_id(1) * BN
    total = tl.zeros((BM, BN), tl.float32)
    for start in range(0, K, BK):
        x = left.load([row, start])
        y = right.load([column, start])
        total = tl.dot(x, y.T, total)
    result.store([row, column], total.to(c.dtype.element_ty))


@triton.jit
def split_matmul(
    a,
    b,
    c,
    M: tl.constexpr,
    N: tl.constexpr,
    K,
    BK: tl.constexpr,
):
    """Programs share K and add their parts of C atomically."""
    rows, columns = tl.arange(0, M), tl.arange(0, N)
    total = tl.zeros((M, N), tl.float32)
    step = tl.num_programs(0) * BK
    for start in range(tl.program_id(0) * BK, K, step):
        ks = start + tl.arange(0, BK)
        x = tl.load(a + rows[:, None] * K + ks[None, :])
        y = tl.load(b + ks[:, None] * N + columns[None, :])
        total += tl.dot(x, y)
    tl.atomic_add(c + rows[:, None] * N + columns[None, :], total)


@triton.jit
def attention(
    q,
    k,
    v,
    out,
    length,
    scale,
    BM: tl.constexpr,
    BN: tl.constexpr,
    D: tl.constexpr,
):
    """One head of causal attention with a running softmax."""
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    d = tl.arange(0, D)
    query = tl.load(q + rows[:, None] * D + d[None, :])
    top = tl.full([BM], -1e30, tl.float32)
    norm = tl.zeros([BM], tl.float32)
    total = tl.zeros([BM, D], tl.float32)
    for start in range(0, (tl.program_id(0) + 1) * BM, BN):
        columns = start + tl.arange(0, BN)
        keys = tl.load(k + columns[None, :] * D + d[:, None])
        scores = tl.dot(query, keys) * scale
        scores = tl.where(rows[:, None] >= columns[None, :], scores, -1e30)
        larger = tl.maximum(top, tl.max(scores, 1))
        weights = tl.exp2(scores - larger[:, None])
        shrink = tl.exp2(top - larger)
        norm = norm * shrink + tl.sum(weights, 1)
        values = tl.load(v + columns[:, None] * D + d[None, :])
        total = total * shrink[:, None]
        total = tl.dot(weights.to(values.dtype), values, total)
        top = larger
    tl.store(out + rows[:, None] * D + d[None, :], total / norm[:, None])


@triton.jit
def top_k(
    scores,
    values,
    ids,
    columns,
    BLOCK: tl.constexpr,
    K: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """The K best of a row with their columns; ties go to the lower column."""
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    x = tl.load(scores + row * columns + at, mask=at < columns, other=-float("inf"))
    best = tl.zeros([WIDTH], tl.float32)
    where = tl.zeros([WIDTH], tl.int32)
    for j in tl.static_range(K):
        value, column = tl.max(x, 0, return_indices=True)
        best = tl.where(tl.arange(0, WIDTH) == j, value, best)
        where = tl.where(tl.arange(0, WIDTH) == j, column, where)
        x = tl.where(at == column, -float("inf"), x)
    chosen = tl.arange(0, WIDTH)
    tl.store(values + row * K + chosen, best, mask=chosen < K)
    tl.store(ids + row * K + chosen, where, mask=chosen < K)


@triton.jit
def combine(a, b, c, d):
    """Composes two linear functions x -> a x + b."""
    return a * c, b * c + d


@triton.jit
def recurrence(factors, terms, out, n, BLOCK: tl.constexpr):
    """h[i] = factors[i] h[i - 1] + terms[i] of each row, by an associative scan."""
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    inside = at < n
    f = tl.load(factors + row * n + at, mask=inside, other=1.0)
    t = tl.load(terms + row * n + at, mask=inside, other=0.0)
    _, h = tl.associative_scan((f, t), 0, combine)
    tl.store(out + row * n + at, h, mask=inside)


@triton.jit
def prefix_sums(x, out, n, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    at = rows[:, None] * n + tl.arange(0, BLOCK)[None, :]
    inside = tl.arange(0, BLOCK)[None, :] < n
    values = tl.load(x + at, mask=inside, other=0)
    tl.store(out + at, tl.cumsum(values, 1), mask=inside)


@triton.jit
def count(keys, bins, tickets, n, BLOCK: tl.constexpr):
    """Counts keys, and gives each occurrence of a key a number of its own."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    key = tl.load(keys + at, mask=inside, other=0)
    ticket = tl.atomic_add(bins + key, 1, mask=inside)
    tl.store(tickets + at, ticket, mask=inside)


@triton.jit
def histogram(words, bins, n, BLOCK: tl.constexpr, BINS: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    values = tl.load(words + at, mask=at < n, other=0)
    counts = tl.histogram(values, BINS, mask=at < n)
    tl.atomic_add(bins + tl.arange(0, BINS), counts)


@triton.jit
def gather_rows(x, index, out, width, BLOCK: tl.constexpr, ROWS: tl.constexpr):
    """Rows by index; a negative index gives zeros."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    source = tl.load(index + rows)
    at = tl.arange(0, BLOCK)
    inside = (source[:, None] >= 0) & (at[None, :] < width)
    values = tl.load(x + source[:, None] * width + at[None, :], mask=inside, other=0.0)
    to = out + rows[:, None] * width + at[None, :]
    tl.store(to, values, mask=at[None, :] < width)


@triton.jit
def scatter_rows(x, index, gates, out, width, BLOCK: tl.constexpr):
    """Adds gated rows to the rows that an index names."""
    row = tl.program_id(0)
    target = tl.load(index + row)
    gate = tl.load(gates + row)
    at = tl.arange(0, BLOCK)
    inside = at < width
    values = tl.load(x + row * width + at, mask=inside).to(tl.float32)
    tl.atomic_add(out + target * width + at, values * gate, mask=inside)


@triton.jit
def sort_rows(x, out, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + at, tl.sort(tl.load(x + at)))
