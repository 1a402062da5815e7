"""Reports on finished runs: comparisons, statistics, tables, curves, panels, the HTML page, W&B."""
