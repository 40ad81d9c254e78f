"""Every patch that the host ships, applied to the method: what holds, what stops the run, what to leave alone."""
