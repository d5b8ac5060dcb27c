# SPDX-License-Identifier: Apache-2.0
"""A bound on the memory of a process, page cache included, where the machine lets us: a memory
cgroup of its own, of version 1 or 2.

Whoever is in one and wants more is slowed while the kernel takes pages of files away, and is killed
when there are none left.
"""

from __future__ import annotations

import os
import pathlib

# Of a version: the file of the bound, those that forbid to swap, and those that count kills.
FILES = {
    1: ("memory.limit_in_bytes", {"memory.swappiness": "0"}, "memory.oom_control"),
    2: ("memory.max", {"memory.swap.max": "0"}, "memory.events"),
}


def own_group() -> tuple[int, pathlib.Path] | None:
    """Version and folder of the group that this process is in, of the controller of memory."""
    mounts: dict[int, str] = {}
    for line in pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, point, kind, options = line.split()[:4]
        if kind == "cgroup" and "memory" in options.split(","):
            mounts[1] = point
        if kind == "cgroup2":
            mounts[2] = point
    for line in pathlib.Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        number, controllers, path = line.split(":", 2)
        version = 2 if number == "0" else 1 if "memory" in controllers.split(",") else 0
        if (version == 1 and 1 in mounts) or (version == 2 and mounts.keys() == {2}):
            return version, pathlib.Path(mounts[version] + path)
    return None


class MemoryCap:
    """Of one process, which calls `enter` before it becomes what is to be bounded; raises OSError
    where it cannot be had."""

    def __init__(self, name: str, mib: int) -> None:
        found = own_group()
        if not found:
            raise OSError("no controller of memory is mounted")
        version, parent = found
        self.bound, others, self.events = FILES[version]
        self.mib, self.folder = mib, parent / f"lynse-bench-{os.getpid()}-{name}"
        if version == 2 and "memory" not in self.read(parent / "cgroup.subtree_control").split():
            (parent / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
        self.folder.mkdir()
        try:
            (self.folder / self.bound).write_text(str(mib << 20), encoding="ascii")
        except OSError:
            self.folder.rmdir()
            raise
        for file, value in others.items():
            if (self.folder / file).exists():
                (self.folder / file).write_text(value, encoding="ascii")

    @staticmethod
    def read(path: pathlib.Path) -> str:
        return path.read_text(encoding="ascii")

    def enter(self) -> None:
        (self.folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def has_killed(self) -> bool:
        lines = self.read(self.folder / self.events).splitlines()
        return any(line.split()[0] == "oom_kill" and line.split()[1] != "0" for line in lines)

    def close(self) -> None:
        """Once nobody is in it."""
        self.folder.rmdir()
