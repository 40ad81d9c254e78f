"""Compares the pack's edit on this machine's device with the same edit on the CPU: `python -m scripts.gpu_check`."""
