"""Pictures in noise of one octave, by stimuli/criticalband."""

import numpy as np


def masked(pixels: np.ndarray, name: str, seed: int, band: int, deviation: float) -> np.ndarray:
    """Return the picture, grey and of low contrast, in noise of an octave.

    pixels: (224, 224, 3) uint8, as is returned. name, seed: key the noise. band: the octave.
    deviation: SD of the noise; 0 for none.
    """
    import torch  # imported only if noise is drawn

    from bvg.stimuli.batch import Batch
    from bvg.stimuli.criticalband import critical_band

    torch.set_num_threads(1)  # one per worker, since more would compete
    clean = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    batch = Batch(clean, (name,), torch.zeros(1, dtype=torch.int64), seed)
    *_, (_, image) = critical_band(batch, (band,), (deviation,))
    return (image[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
