"""Which network recorded a trajectory: digests of weights, patches and code that are the same in every process."""
