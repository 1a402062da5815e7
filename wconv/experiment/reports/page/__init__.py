"""The HTML page of a comparison, in one file: sentences, table, figures, and provenance of the runs."""
