# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Ends a child when its parent dies.

Ansible's workers have a session of their own, so a SIGKILL of ansible-playbook's process group (a cancelled job, the
kernel short of memory) leaves them working as orphans: a firmware update that was cancelled goes on. The kernel can
prevent that.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

# linux/prctl.h
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int | None) -> None:
    """Have the kernel kill this process when its parent ends. Does nothing where the kernel is not Linux.

    :param parent_pid: the parent this process was started by; when it is already gone, this process exits at once.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl(PR_SET_PDEATHSIG): {os.strerror(error)}")
    # The parent may have died before the call: nobody would be left to send the signal.
    if parent_pid is not None and os.getppid() != parent_pid:
        os._exit(1)
