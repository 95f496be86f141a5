"""Lesson 05: another process that keeps a core busy meanwhile, and ends with this one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ENDS_WITH_ITS_PARENT = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
"""
BUSY = "print('on', flush=True)\nwhile True: pass"


@contextmanager
def beside(script: str = BUSY) -> Iterator[None]:
    """Another Python process runs a script meanwhile, from when it says that it has begun; it is
    ended whatever happens, even if this process is killed. Its PyTorch has the threads that it has
    where nothing is set."""
    default = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    command = [sys.executable, "-c", ENDS_WITH_ITS_PARENT + script]
    process = subprocess.Popen(command, env=default, start_new_session=True, **pipes)
    try:
        if not process.stdout.readline():
            raise OSError("the process that was to keep a core busy ended before it began")
        yield
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
