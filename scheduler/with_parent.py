# SPDX-License-Identifier: Apache-2.0
"""``python with_parent.py PARENT_PID COMMAND [ARGUMENT…]``: become COMMAND, and end when the parent ends.

ansible-runner leaves ansible-playbook running when the process that called it is killed. So ansible-runner starts this
file instead: the kernel is asked for SIGTERM at the parent's death (on which ansible-playbook ends its workers), and
then this process turns into the real command. Run with ``-I -S``: it needs nothing but ``ctypes`` and starts in some
15 ms.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h; survives execve(2)


def main(arguments: list[str]) -> None:
    parent, command = int(arguments[0]), arguments[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGTERM), 0, 0, 0) != 0:
        sys.exit(f"with_parent.py: prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it ended before the kernel was asked
        sys.exit(f"with_parent.py: the parent {parent} has ended; not starting {command[0]}")
    try:
        os.execv(command[0], command)  # noqa: S606 - an argument list, no shell
    except OSError as error:
        sys.exit(f"with_parent.py: cannot run {command[0]}: {error.strerror}; is ansible-core installed?")


if __name__ == "__main__":
    main(sys.argv[1:])
