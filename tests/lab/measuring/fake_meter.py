"""A meter that reads known things from a picture's colours, and the measurement run with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lab.measuring.__main__ import main
from lab.meter import Readings


class FakeMeter:
    """Every reading is a function of the mean colour, different for each."""

    def read(self, images: NDArray[np.uint8], /) -> Readings:
        assert images.dtype == np.uint8
        assert images.shape[1:] == (128, 128, 3)
        red, green, blue = images.mean((1, 2)).T.astype(np.float32) / 255
        landmarks = np.tile(np.array([[0.4, 0.4], [0.6, 0.4], [0.5, 0.5], [0.4, 0.6], [0.6, 0.6]]), (len(images), 1, 1))

        def classes(count: int) -> NDArray[np.float32]:
            return np.stack([np.sin((i + 1) * 9 * red) for i in range(count)], axis=1)

        return Readings(
            pose=60 * np.stack([red, green, blue, red / 2, green / 2], axis=1) - 30,
            landmarks=landmarks.astype(np.float32),
            smile=red,
            open_mouth=green,
            glasses=blue,
            beard=1 - red,
            male=1 - green,
            ethnicity=classes(3),
            expression=classes(7),
            hair_colour=classes(5),
            age=80 * red,
        )


if __name__ == "__main__":
    main(meter_of=lambda models: FakeMeter())
