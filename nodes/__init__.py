"""The pack's V3 nodes: thin, one concept per file."""
