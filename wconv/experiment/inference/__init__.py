"""What is done with a trained network: it is loaded, evaluated, and cleans photos."""
