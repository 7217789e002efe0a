"""Compiled steps on every core: they leave Python's lock to others, so threads do."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ..processes import n_cores

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], n_threads: int | None = None
) -> Iterator[_Result]:
    """The results of a function for some items, in their order, by several threads.

    Args:
        n_threads: None: one on each core. The results are the same.

    No more items are begun than twice the number of threads before results are taken.
    """
    n_threads = n_threads or n_cores()
    items = iter(items)
    if n_threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        waiting: deque[Future[_Result]] = deque()
        try:
            for item in itertools.islice(items, 2 * n_threads):
                waiting.append(pool.submit(function, item))
            while waiting:
                yield waiting.popleft().result()
                for item in itertools.islice(items, 1):
                    waiting.append(pool.submit(function, item))
        finally:
            for future in waiting:
                future.cancel()
