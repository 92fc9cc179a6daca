"""Time stamps that keep homes of accounts with the same name apart."""

from __future__ import annotations

import time

from mailstore.disk.layout import has_stamp
from mailstore.driver.values import now
from mailstore.maildir import Homes

__all__ = ["outlive_stamp"]


def outlive_stamp(home: str | None, homes: Homes | None) -> None:
    """Wait until the second in which a renamed account's home was made is over, if only its time stamp keeps homes apart.

    An account of the old name made in the same second would get the same path. With access to the disk, `homes`, the
    directory itself stands in its way.
    """
    if homes is None and home and has_stamp(home):
        while home.endswith(now().strftime("%Y.%m.%d.%H.%M.%S")):
            time.sleep(0.05)
