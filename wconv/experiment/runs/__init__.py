"""The run folder: what a run is called, who holds it, what lies in it, and what its metrics mean."""
