"""The paper's method: inversion (eq. 4) and generation (eqs. 6, 7) in `solver`, guidance (eq. 5) in `guidance`."""
