"""Builder of the miniature: small stand-ins, in the real files' formats, for every model the pack needs.

A developer's tool. The pack never imports it; it needs ComfyUI's code.
"""
