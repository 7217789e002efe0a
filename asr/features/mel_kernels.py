"""The loops of MFCC and filterbanks around the FFT, in float64. A row's bits do not depend on what surrounds it."""

import numpy as np

from ..jit import kernel


@kernel("void(float32[::1], int64, float64, boolean, float64[::1], float64[:, ::1], float64[::1])")
def shape_frames(piece, shift, preemphasis, remove_offset, window, padded, energy):
    """Frames of a signal without their offset, after pre-emphasis and under the window.

    One pass of each frame through the processor instead of one for each step: in float64 those cost as much as the FFT.

    Args:
        piece: float32, samples of n_rows frames.
        shift: samples between the starts of two frames.
        preemphasis: coefficient, 0 to 1.
        remove_offset: subtract each frame's mean.
        window: float64 (size,).
        padded: float64 (n_rows, fft_size), of which the first `size` columns are written.
        energy: float64 (n_rows,), written: sum of squares after the offset's removal, before pre-emphasis.
    """
    size = len(window)
    for row in range(len(padded)):
        frame = piece[row * shift : row * shift + size]
        offset = 0.0
        if remove_offset:
            a, b, c, d = 0.0, 0.0, 0.0, 0.0  # four sums, as each addition waits for the one before
            for i in range(0, size - 3, 4):
                a += np.float64(frame[i])
                b += np.float64(frame[i + 1])
                c += np.float64(frame[i + 2])
                d += np.float64(frame[i + 3])
            for i in range(size - size % 4, size):
                a += np.float64(frame[i])
            offset = ((a + b) + (c + d)) / size
        a, b, c, d = 0.0, 0.0, 0.0, 0.0
        for i in range(0, size - 3, 4):
            a += (np.float64(frame[i]) - offset) ** 2
            b += (np.float64(frame[i + 1]) - offset) ** 2
            c += (np.float64(frame[i + 2]) - offset) ** 2
            d += (np.float64(frame[i + 3]) - offset) ** 2
        for i in range(size - size % 4, size):
            a += (np.float64(frame[i]) - offset) ** 2
        energy[row] = (a + b) + (c + d)
        first = np.float64(frame[0]) - offset
        padded[row, 0] = (first - preemphasis * first) * window[0]  # it is its own predecessor
        for i in range(1, size):
            before = preemphasis * (np.float64(frame[i - 1]) - offset)
            padded[row, i] = ((np.float64(frame[i]) - offset) - before) * window[i]


@kernel("void(complex128[:, ::1], float32[:, ::1])")
def power_of(transform, power):
    """Squared magnitudes.

    Args:
        transform: complex128 (n_rows, n_bins or more).
        power: float32 (n_rows, n_bins), written.
    """
    for row in range(len(power)):
        for k in range(power.shape[1]):
            real, imaginary = transform[row, k].real, transform[row, k].imag
            power[row, k] = real * real + imaginary * imaginary
