"""Finding a density: which coefficients are searched and how, what was found, its confirmation and its picture."""
