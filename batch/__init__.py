"""Anonymises many photographs with one command, on one ComfyUI or several: docs/batch.md."""
