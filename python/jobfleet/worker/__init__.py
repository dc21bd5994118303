"""The worker side of the fleet: the zygote and the processes that run handlers, nothing else."""
