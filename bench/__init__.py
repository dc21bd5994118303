"""Benchmarks: jobfleet beside the bare loop and beside its peers, as ratios in one run.

`python -m bench full` runs every row, `python -m bench quick` the ones of a minute, and
`python -m bench full --rows crash,idle` some. Results go to `bench/results/` as JSON.
`python -m bench pair BASE HEAD` compares two built checkouts.
"""
