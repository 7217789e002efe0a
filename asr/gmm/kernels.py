"""The compiled inner loops of GMM likelihoods: scores of Gaussians, and sums of exponentials over each pdf's.

Frames are the last axis here: the loops over them become vector instructions, and each frame's arithmetic is the same,
in the same order, wherever it stands. BLAS gives no such promise: the last bit of its sums depends on a row's place,
even within blocks of one size.
"""

import numpy as np

from ..jit import kernel

LOG2_E = np.float32(1.4426950408889634)
# 2**y for -0.5 <= y <= 0.5: the Taylor series of exp(y log 2) to the sixth power. With the rounding of its argument, a
# term within exp(-5) of the largest is right to 5e-7 of its value (measured), one at exp(-80) to 4e-6.
_C1, _C2, _C3 = np.float32(0.6931471805599453), np.float32(0.2402265069591007), np.float32(0.0555041086648216)
_C4, _C5, _C6 = np.float32(0.009618129107628477), np.float32(0.0013333558146428443), np.float32(0.00015403530393381608)


@kernel("void(float32[:, ::1], float32[:, ::1], float32[:, ::1])")
def gaussian_scores(coefficients, expanded, scores):
    """The matrix product coefficients @ expanded, equal to the bit for a frame in any place.

    Args:
        coefficients: float32 (n_gauss, n_terms); n_gauss is even, n_terms a multiple of 4 (pad with zeros).
        expanded: float32 (n_terms, n_rows).
        scores: float32 (n_gauss, n_rows), written.
    """
    n_rows = expanded.shape[1]
    # Two Gaussians and four terms at a time: each `expanded` value that is loaded serves twice, and sums are
    # read and written once for four products.
    for g in range(0, len(coefficients), 2):
        for r in range(n_rows):
            scores[g, r] = np.float32(0.0)
            scores[g + 1, r] = np.float32(0.0)
        for k in range(0, len(expanded), 4):
            a0, a1, a2, a3 = coefficients[g, k], coefficients[g, k + 1], coefficients[g, k + 2], coefficients[g, k + 3]
            h = g + 1
            b0, b1, b2, b3 = coefficients[h, k], coefficients[h, k + 1], coefficients[h, k + 2], coefficients[h, k + 3]
            for r in range(n_rows):
                x0, x1, x2, x3 = expanded[k, r], expanded[k + 1, r], expanded[k + 2, r], expanded[k + 3, r]
                # The brackets are the order of additions, the same for every frame.
                scores[g, r] += (a0 * x0 + a1 * x1) + (a2 * x2 + a3 * x3)
                scores[g + 1, r] += (b0 * x0 + b1 * x1) + (b2 * x2 + b3 * x3)


@kernel("void(float32[:, ::1], int32[::1], float32[:, ::1], float32[:, ::1], int32[::1], float32[::1], float32[::1])")
def sum_exponentials(scores, offsets, largest, total, power_bits, power, fraction):
    """The sum of exp(score - largest score) over each pdf's Gaussians, for a block of frames.

    Args:
        scores: float32 (n_gauss or more, n_rows).
        offsets: int32 (n_pdfs + 1,).
        largest: float32 (n_pdfs, n_rows), written. Terms below 2**-120 of the largest count as 2**-120.
        total: see `largest`.
        power_bits: one array of n_rows 32-bit places, seen as integers and as floats.
        power: see `power_bits`.
        fraction: (n_rows,). Scratch.
    """
    one, half, least = np.float32(1.0), np.float32(0.5), np.float32(-120.0)
    for p in range(len(offsets) - 1):
        first, end = offsets[p], offsets[p + 1]
        # The largest first, so that no exponential overflows.
        for r in range(len(fraction)):
            largest[p, r] = scores[first, r]
            total[p, r] = np.float32(0.0)
        for g in range(first + 1, end):
            for r in range(len(fraction)):
                largest[p, r] = scores[g, r] if scores[g, r] > largest[p, r] else largest[p, r]
        for g in range(first, end):
            for r in range(len(fraction)):
                # exp(d) = 2**x = 2**whole * 2**y with -0.5 <= y <= 0.5.
                x = (scores[g, r] - largest[p, r]) * LOG2_E
                x = x if x > least else least
                whole = np.floor(x + half)
                y = x - whole
                # 2**whole: its exponent put into a float32's bits by hand.
                power_bits[r] = (np.int32(whole) + np.int32(127)) << np.int32(23)
                fraction[r] = ((((((_C6 * y + _C5) * y + _C4) * y + _C3) * y + _C2) * y + _C1) * y) + one
            for r in range(len(fraction)):
                total[p, r] += power[r] * fraction[r]
