"""The worker side of the fleet: the zygote and the processes that run handlers, nothing else."""

import gc
import os
import sys

# `python -m` searches the current folder first, so that a user's queue.py there would be imported in place of the
# standard library's. Loading handlers adds the folder again, behind the standard library. (While -m looks for its
# module, "-m" is the program's name.)
if sys.argv[:1] == ["-m"] and sys.path[:1] == [os.getcwd()]:
    del sys.path[0]
    # Imports leave little garbage; workers collect theirs.
    gc.disable()
