"""Finding a density: which coefficients are searched, and the picture of what was found."""
