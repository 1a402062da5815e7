"""What all rooms need and imports nothing heavy: exceptions, text, files, signals."""
