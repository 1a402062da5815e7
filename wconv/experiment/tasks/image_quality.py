"""Image quality of a denoised image: PSNR and SSIM."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

SSIM_WINDOW, SSIM_SIGMA = 11, 1.5  # pixels, of the Gaussian
SSIM_CONSTANTS = (0.01**2, 0.03**2)  # of the luminance and of contrast and structure, for images in [0, 1]


def psnr(image: Tensor, clean: Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB of an image (1, C, H, W) in [0, 1]."""
    ratio = peak_signal_noise_ratio(image.double(), clean.double(), 1.0, reduction="none", dim=(1, 2, 3))
    return float(ratio)


def ssim(image: Tensor, clean: Tensor) -> float:
    """Return the structural similarity of an image (1, C, H, W) in [0, 1], the mean over all windows inside it.

    As in the paper (Wang et al., IEEE TIP 13, 2004) and in scikit-image, which runs on the CPU only. torchmetrics
    filters with the window of 121 pixels instead of twice 11, which took a fifth of the time of an evaluation.
    """
    # Float64 is slower, but needed: the variances are differences of nearly equal numbers.
    x, y = image.double(), clean.double()
    mean_x, mean_y, square_x, square_y, product = _blur(torch.cat([x, y, x * x, y * y, x * y])).chunk(5)
    variances = square_x - mean_x.square() + square_y - mean_y.square()
    covariance = product - mean_x * mean_y
    luminance, contrast = SSIM_CONSTANTS
    similarity = (2 * mean_x * mean_y + luminance) * (2 * covariance + contrast)
    similarity /= (mean_x.square() + mean_y.square() + luminance) * (variances + contrast)
    return float(similarity.mean())


def _blur(images: Tensor) -> Tensor:
    """Filter images (N, C, H, W) with the window, one axis after the other, without padding."""
    offsets = torch.arange(SSIM_WINDOW, dtype=images.dtype, device=images.device) - SSIM_WINDOW // 2
    window = torch.softmax(-offsets.square() / (2 * SSIM_SIGMA**2), 0)
    planes = images.flatten(0, 1)[:, None]
    blurred = F.conv2d(F.conv2d(planes, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
    return blurred.view(*images.shape[:2], *blurred.shape[2:])
