"""The classifiers of timm, with random weights; timm is an extra."""

from torch import nn

from models.libraries import check_arguments
from models.stem import use_small_stem


def timm_model(name: str, num_classes: int, in_channels: int = 3, stem: str = "small") -> nn.Module:
    """Make a network that maps images (N, in_channels, H, W) to logits (N, num_classes).

    Args:
        name: its name in timm, without the tag of pretrained weights.
        num_classes: number of logits.
        in_channels: 3 for colour, 1 for grey.
        stem: "small" for images of up to 64 pixels (see `use_small_stem`), or "original".

    Raises:
        ValueError: an argument has another value than these, or timm is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise ValueError(
            'model=timm needs timm, which cannot be imported; pip install -c constraints.txt -e ".[timm]"'
        ) from error
    check_arguments("timm", timm.list_models(), name, stem)
    model = timm.create_model(name, pretrained=False, num_classes=num_classes, in_chans=in_channels)
    if stem == "small":
        use_small_stem(model, (in_channels, *model.default_cfg["input_size"][1:]))
    return model
