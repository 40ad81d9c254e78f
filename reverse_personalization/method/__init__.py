"""The paper's method.

    eq. 4       inversion     `solver.invert`
    eq. 5       guidance      `guidance.guided`
    eqs. 6, 7   generation    `solver.replay`
    both        in one pass   `delta.edit`

`schedule` chooses the timesteps and noise levels, `trajectory` holds what the inversion records.
"""
