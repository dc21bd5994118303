"""One file per row; each has `run(bench)`."""
