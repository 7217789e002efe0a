"""The loops of pitch extraction: correlations of windows, and the best sequence of periods."""

import numpy as np

from ..jit import kernel


@kernel("void(float64[::1], int64[::1], int64[::1], int64, float64, float64, float64[:, ::1], float64[:, ::1])")
def correlate(signal, centres, lags, size, floor, ballast, plain, ballasted):
    """Normalised cross-correlation of windows one lag apart, whose common middle is each frame's centre.

    Args:
        signal: float64 (n,), at every centre with size + longest lag samples around.
        centres: int64 (n_frames,).
        floor: energy of a window below which the correlation is 0: rounding errors correlate too.
        plain: written, float64 (n_frames, n_lags): without and with `ballast` under the root.
        ballasted: see `plain`.
    """
    longest = lags[len(lags) - 1]
    for t in range(len(centres)):
        begin = centres[t] - (size + longest) // 2
        mean = 0.0
        for i in range(begin, begin + size + longest):
            mean += signal[i]
        mean /= size + longest
        for k in range(len(lags)):
            a = centres[t] - (size + lags[k]) // 2
            b = a + lags[k]
            dot, first, second = 0.0, 0.0, 0.0
            for i in range(size):
                x, y = signal[a + i] - mean, signal[b + i] - mean
                dot += x * y
                first += x * x
                second += y * y
            if first > floor and second > floor:
                plain[t, k] = dot / np.sqrt(first * second)
                ballasted[t, k] = dot / np.sqrt(first * second + ballast)
            else:
                plain[t, k] = ballasted[t, k] = 0.0


@kernel("void(float64[:, ::1], float64, float64[::1], int16[:, ::1])")
def advance(costs, penalty, total, back):
    """Some frames more on the cheapest path into each state, where a step by d states costs penalty * d^2.

    The cheapest way into each state is the lower envelope of one parabola for each state before, found in one sweep.
    Ref: Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, 2012.

    Args:
        costs: float64 (n_frames, n_states).
        total: float64 (n_states,), of the paths so far; zeros before the first frame.
        back: written, int16 (n_frames, n_states): the state before.
    """
    n_frames, n_states = costs.shape
    reached = np.empty(n_states)
    owner = np.empty(n_states, np.int64)
    start = np.empty(n_states + 1)
    for t in range(n_frames):
        top = 0
        owner[0] = 0
        start[0], start[1] = -np.inf, np.inf
        for q in range(1, n_states):
            while True:
                v = owner[top]
                crossing = 0.5 * (q + v) + 0.5 * (total[q] - total[v]) / (penalty * (q - v))
                if crossing > start[top]:
                    break
                top -= 1
            top += 1
            owner[top] = q
            start[top], start[top + 1] = crossing, np.inf
        at = 0
        for q in range(n_states):
            while start[at + 1] < q:
                at += 1
            v = owner[at]
            back[t, q] = v
            reached[q] = total[v] + penalty * (q - v) ** 2
        for q in range(n_states):
            total[q] = reached[q] + costs[t, q]


@kernel("void(float64[::1], int16[:, ::1], int64[::1])")
def trace_back(total, back, path):
    """The state of each frame on the cheapest path.

    Args:
        total: from `advance`.
        back: from `advance`.
        path: written, int64 (n_frames,).
    """
    n_frames = len(path)
    path[n_frames - 1] = np.argmin(total)
    for t in range(n_frames - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
