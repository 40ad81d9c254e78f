"""Breaks batches of the batch command on purpose and counts what is lost, doubled, cut short or left behind."""
