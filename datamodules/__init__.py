"""Data sets: Lightning datamodules that hold images as one uint8 tensor and cut batches from it on the device."""
