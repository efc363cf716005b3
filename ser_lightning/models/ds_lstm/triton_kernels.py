"""Triton kernels of the dual-sequence recurrence: a whole sequence in one launch, or the pointwise part of a step.

Arrays lie time first, contiguous: `projected`, `gates` and `grad_rows` (T, B, 6H) with rows f, iT, o, iF, cT, cF;
`hidden` and `cell` (T, B, H), that is h and c of every step. `gates` are the rows after their sigmoid or tanh.
Sums and the pointwise part are float32 whatever the arrays hold; factors of a product take the weights' dtype.
"""
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False
# mypy: disallow-untyped-calls=False

import triton  # type: ignore[import-not-found,import-untyped,unused-ignore]
import triton.language as tl  # type: ignore[import-not-found,import-untyped,unused-ignore]

# sizes that change from batch to batch, for which no kernel is to be compiled anew
VARYING = ["steps", "batch", "count"]


@triton.jit(do_not_specialize=VARYING[:2])
def forward_sequence(
    projected,
    weight,  # (H, 6H)
    hidden,
    gates,
    cell,
    steps,
    batch,
    hidden_dim: tl.constexpr,
    width: tl.constexpr,
    tile: tl.constexpr,
    depth: tl.constexpr,
    saved: tl.constexpr,
    precision: tl.constexpr,
    interpreted: tl.constexpr,
):
    """All steps of `tile` utterances. c stays in registers; h goes through `hidden`.

    A program reads only those rows of h that it wrote itself, and the barrier after each step makes the writes of
    its threads visible to all of them, so programs need not wait for one another.
    """
    b = (tl.program_id(0) * tile + tl.arange(0, tile))[:, None]
    n = tl.arange(0, width)[None, :]
    mask = (b < batch) & (n < hidden_dim)
    rows = b * 6 * hidden_dim + n
    c = tl.zeros([tile, width], tl.float32)
    for step in range(steps):
        f, ix, o, iy, cx, cy = _load_rows(projected + rows, mask, hidden_dim)
        for start in range(0, hidden_dim, depth):
            k = start + tl.arange(0, depth)
            before = (b < batch) & (k < hidden_dim)[None, :] & (step > 0)
            h = tl.load(hidden - batch * hidden_dim + b * hidden_dim + k[None, :], before, 0.0)
            w = weight + k[:, None] * 6 * hidden_dim + n
            inside = (k < hidden_dim)[:, None] & (n < hidden_dim)
            f = _add_product(f, h, tl.load(w, inside, 0.0), precision, interpreted)
            ix = _add_product(ix, h, tl.load(w + hidden_dim, inside, 0.0), precision, interpreted)
            o = _add_product(o, h, tl.load(w + 2 * hidden_dim, inside, 0.0), precision, interpreted)
            iy = _add_product(iy, h, tl.load(w + 3 * hidden_dim, inside, 0.0), precision, interpreted)
            cx = _add_product(cx, h, tl.load(w + 4 * hidden_dim, inside, 0.0), precision, interpreted)
            cy = _add_product(cy, h, tl.load(w + 5 * hidden_dim, inside, 0.0), precision, interpreted)
        f, ix, o, iy, cx, cy = _activate(f, ix, o, iy, cx, cy)
        c = f * c + ix * cx + iy * cy
        tl.store(hidden + b * hidden_dim + n, o * _tanh(c), mask)
        if saved:
            tl.store(cell + b * hidden_dim + n, c, mask)
            _store_rows(gates + rows, mask, hidden_dim, f, ix, o, iy, cx, cy)
            cell += batch * hidden_dim
            gates += batch * 6 * hidden_dim
        tl.debug_barrier()
        projected += batch * 6 * hidden_dim
        hidden += batch * hidden_dim


@triton.jit(do_not_specialize=VARYING[:2])
def backward_sequence(
    grad_hidden,
    weight,  # (6H, H)
    gates,
    cell,
    grad_rows,
    steps,
    batch,
    hidden_dim: tl.constexpr,
    width: tl.constexpr,
    tile: tl.constexpr,
    depth: tl.constexpr,
    precision: tl.constexpr,
    interpreted: tl.constexpr,
):
    """From the last step to the first; what `hidden` is to the forward kernel, `grad_rows` is to this one."""
    b = (tl.program_id(0) * tile + tl.arange(0, tile))[:, None]
    n = tl.arange(0, width)[None, :]
    mask = (b < batch) & (n < hidden_dim)
    units, rows = b * hidden_dim + n, b * 6 * hidden_dim + n
    last = (steps - 1).to(tl.int64) * batch
    grad_hidden += last * hidden_dim
    cell += last * hidden_dim
    gates += last * 6 * hidden_dim
    grad_rows += last * 6 * hidden_dim
    grad_c = tl.zeros([tile, width], tl.float32)
    for step in range(steps):
        grad_h = tl.load(grad_hidden + units, mask, 0.0).to(tl.float32)
        for start in range(0, 6 * hidden_dim, depth):
            k = start + tl.arange(0, depth)
            after = (b < batch) & (k < 6 * hidden_dim)[None, :] & (step > 0)
            grad = tl.load(grad_rows + (batch + b) * 6 * hidden_dim + k[None, :], after, 0.0)
            inside = (k < 6 * hidden_dim)[:, None] & (n < hidden_dim)
            w = tl.load(weight + k[:, None] * hidden_dim + n, inside, 0.0)
            grad_h = _add_product(grad_h, grad, w, precision, interpreted)
        c = tl.load(cell + units, mask, 0.0)
        before = tl.load(cell - batch * hidden_dim + units, mask & (step < steps - 1), 0.0)
        grad_c = _backward_pointwise(grad_h, grad_c, before, c, gates + rows, grad_rows + rows, mask, hidden_dim)
        tl.debug_barrier()
        grad_hidden -= batch * hidden_dim
        cell -= batch * hidden_dim
        gates -= batch * 6 * hidden_dim
        grad_rows -= batch * 6 * hidden_dim


@triton.jit(do_not_specialize=VARYING[2:])
def forward_step(
    projected,
    product,
    before,
    cell,
    gates,
    hidden,
    count,
    hidden_dim: tl.constexpr,
    block: tl.constexpr,
    saved: tl.constexpr,
):
    """One step of (B, ...) arrays, `product` (B, 6H) holding weight_h h; `count` is B H."""
    units = tl.program_id(0) * block + tl.arange(0, block)
    mask = units < count
    rows = units // hidden_dim * 6 * hidden_dim + units % hidden_dim
    f, ix, o, iy, cx, cy = _load_rows(projected + rows, mask, hidden_dim)
    pf, pix, po, piy, pcx, pcy = _load_rows(product + rows, mask, hidden_dim)
    f, ix, o, iy, cx, cy = _activate(f + pf, ix + pix, o + po, iy + piy, cx + pcx, cy + pcy)
    c = f * tl.load(before + units, mask, 0.0) + ix * cx + iy * cy
    tl.store(cell + units, c, mask)
    tl.store(hidden + units, o * _tanh(c), mask)
    if saved:
        _store_rows(gates + rows, mask, hidden_dim, f, ix, o, iy, cx, cy)


@triton.jit(do_not_specialize=VARYING[2:])
def backward_step(
    grad_hidden,
    product,
    grad_cell,
    before,
    cell,
    gates,
    grad_rows,
    count,
    hidden_dim: tl.constexpr,
    block: tl.constexpr,
):
    """One step back: `product` (B, H) is what comes from the rows of the step after; `grad_cell` changes in place."""
    units = tl.program_id(0) * block + tl.arange(0, block)
    mask = units < count
    rows = units // hidden_dim * 6 * hidden_dim + units % hidden_dim
    grad_h = tl.load(grad_hidden + units, mask, 0.0).to(tl.float32) + tl.load(product + units, mask, 0.0)
    grad_c = tl.load(grad_cell + units, mask, 0.0)
    memory, c = tl.load(before + units, mask, 0.0), tl.load(cell + units, mask, 0.0)
    grad_c = _backward_pointwise(grad_h, grad_c, memory, c, gates + rows, grad_rows + rows, mask, hidden_dim)
    tl.store(grad_cell + units, grad_c, mask)


@triton.jit
def _backward_pointwise(grad_h, grad_c, before, c, gates, grad_rows, mask, hidden_dim: tl.constexpr):
    """Store the gradients of the six rows of a step and return that of the memory before it."""
    f, ix, o, iy, cx, cy = _load_rows(gates, mask, hidden_dim)
    squashed = _tanh(c)
    grad_c += grad_h * o * (1 - squashed * squashed)
    _store_rows(
        grad_rows,
        mask,
        hidden_dim,
        grad_c * before * f * (1 - f),
        grad_c * cx * ix * (1 - ix),
        grad_h * squashed * o * (1 - o),
        grad_c * cy * iy * (1 - iy),
        grad_c * ix * (1 - cx * cx),
        grad_c * iy * (1 - cy * cy),
    )
    return grad_c * f


@triton.jit
def _activate(f, ix, o, iy, cx, cy):
    return tl.sigmoid(f), tl.sigmoid(ix), tl.sigmoid(o), tl.sigmoid(iy), _tanh(cx), _tanh(cy)


@triton.jit
def _tanh(x):
    return 2.0 * tl.sigmoid(2.0 * x) - 1.0  # the language itself has no tanh that its interpreter knows


@triton.jit
def _add_product(sums, a, b, precision: tl.constexpr, interpreted: tl.constexpr):
    a = a.to(b.dtype)
    if interpreted:  # whose own product of bfloat16 is wrong
        a, b = a.to(tl.float32), b.to(tl.float32)
    return tl.dot(a, b, sums, input_precision=precision)


@triton.jit
def _load_rows(rows, mask, hidden_dim: tl.constexpr):
    f = tl.load(rows, mask, 0.0).to(tl.float32)
    ix = tl.load(rows + hidden_dim, mask, 0.0).to(tl.float32)
    o = tl.load(rows + 2 * hidden_dim, mask, 0.0).to(tl.float32)
    iy = tl.load(rows + 3 * hidden_dim, mask, 0.0).to(tl.float32)
    cx = tl.load(rows + 4 * hidden_dim, mask, 0.0).to(tl.float32)
    cy = tl.load(rows + 5 * hidden_dim, mask, 0.0).to(tl.float32)
    return f, ix, o, iy, cx, cy


@triton.jit
def _store_rows(rows, mask, hidden_dim: tl.constexpr, f, ix, o, iy, cx, cy):
    tl.store(rows, f, mask)
    tl.store(rows + hidden_dim, ix, mask)
    tl.store(rows + 2 * hidden_dim, o, mask)
    tl.store(rows + 3 * hidden_dim, iy, mask)
    tl.store(rows + 4 * hidden_dim, cx, mask)
    tl.store(rows + 5 * hidden_dim, cy, mask)
