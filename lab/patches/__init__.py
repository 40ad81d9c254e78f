"""Every patch that the host ships, applied to the method: which work, which stop the run, which to avoid."""
