"""Where things are, seen from this folder."""

import sys
from pathlib import Path

BENCH = Path(__file__).parent
ROOT = BENCH.parent
CACHE = BENCH / ".cache"
"""Builds of the peers and logs of what was measured; not in the tree."""
RESULTS = BENCH / "results"
HANDLERS = BENCH / "handlers"
PEERS = BENCH / "peers"
LIMIT = ROOT / "target" / "release" / "jobfleet-limit"
JOBFLEET = Path(sys.executable).with_name("jobfleet")
