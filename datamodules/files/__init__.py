"""How images get onto the disk and off it: download, archives, decoding, stores."""
