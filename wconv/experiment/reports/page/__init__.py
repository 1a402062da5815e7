"""One page of a comparison, in one file: sentences, table, figures, and where the runs come from."""
