"""Which directories are mount points, as the kernel lists them: device numbers do not show what is mounted by ``--bind``."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["mounts_below"]

_MOUNTINFO = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(rb"\\([0-7]{3})")
_MOUNT_POINT = 4  # the field's place; see proc(5)


def mounts_below(root: str) -> list[str]:
    """Return the mount points strictly below a directory, as paths that begin with ``root`` as it is given.

    Without ``/proc`` there are none to see; the kernel still refuses to move or remove them.
    """
    try:
        lines = _MOUNTINFO.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    real = os.path.realpath(root)  # directories above a root may be links
    points = (_ESCAPED.sub(_character, line.split()[_MOUNT_POINT]) for line in lines)
    return [root + path[len(real) :] for path in map(os.fsdecode, points) if path.startswith(f"{real}/")]


def _character(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 8)])
