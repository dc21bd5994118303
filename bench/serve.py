"""The local engine in a process of its own: reads its options from the first line of standard input, prints its port,
and ends when standard input does."""

import sys

from jobfleet._core import LocalEngine


def main() -> None:
    """Serve until nobody holds the other end of standard input."""
    engine = LocalEngine(sys.stdin.readline().encode())
    sys.stdout.write(f"{engine.port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    engine.stop()


if __name__ == "__main__":
    main()
