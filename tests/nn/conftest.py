"""Networks are tested with one thread: faster at this size, and the same bits everywhere."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
