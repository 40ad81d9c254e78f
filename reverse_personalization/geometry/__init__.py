"""Where faces are in a photograph: finding, aligning, cropping, masking and pasting them, and the shape of a cover."""
