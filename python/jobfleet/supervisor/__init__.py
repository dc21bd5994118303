"""Starts, watches and replaces zygotes and workers, and answers for the fleet. The data path is the core's."""
