"""Backbones: plain `nn.Module`s that know nothing of weighted convolutions or of training."""
