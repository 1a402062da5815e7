"""How near a denoised image is to the clean one."""

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

SSIM_WINDOW = 11  # pixels, of a Gaussian with sigma 1.5


def psnr(image: Tensor, clean: Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB of an image (1, C, H, W) in [0, 1]."""
    ratio = peak_signal_noise_ratio(image.double(), clean.double(), 1.0, reduction="none", dim=(1, 2, 3))
    return float(ratio)


def ssim(image: Tensor, clean: Tensor) -> float:
    """Return the structural similarity of an image (1, C, H, W) in [0, 1]."""
    # In float64, at some cost: the variances are differences of nearly equal numbers.
    _, everywhere = structural_similarity_index_measure(
        image.double(), clean.double(), data_range=1.0, return_full_image=True
    )
    # Windows that reach beyond the border do not count, as in the paper (Wang et al. 2004) and in scikit-image.
    inside = slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2))
    return float(everywhere[..., inside, inside].mean())
