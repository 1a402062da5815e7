"""Image files: download, archives, listing, decoding, and stores of decoded images."""
