"""How much memory there is to work with."""

from pathlib import Path

_UNKNOWN = 4 << 30  # bytes taken for free where the system does not tell


def free_memory() -> int:
    """Bytes of memory that are free on this machine, or in the container that this process runs in."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return _UNKNOWN
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return free
    return min(free, int(limit)) if limit.isdigit() else free
