"""The miniature: small stand-ins, in the real files' formats, for every model that the pack needs.

`weights/` holds trained ones; `build` writes random ones, and `host_extension` makes ComfyUI recognise either.
`workflow`, `workspace` and `server` put them to use. The pack imports nothing from here. Needs ComfyUI's code.
"""
