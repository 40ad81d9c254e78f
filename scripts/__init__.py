"""The commands of this repository, one a file. What they share is in `harness` and `miniature`."""
