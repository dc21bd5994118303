"""The local engine in a process of its own: prints its port, and ends when its standard input does."""

import sys

from jobfleet._core import LocalEngine


def main() -> None:
    """Serve until nobody holds the other end of standard input."""
    engine = LocalEngine(b'{"dialect": "8.10"}')
    sys.stdout.write(f"{engine.port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    engine.stop()


if __name__ == "__main__":
    main()
