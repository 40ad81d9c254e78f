"""Finds or makes what the pack runs in: a Python environment, a ComfyUI, a browser; and starts them.

Commands, laboratory and tests share this. It imports nothing else of the repository, so that all of them may import it.
Everything but `in_process` needs the standard library alone, because it runs before there is anything else.
"""
