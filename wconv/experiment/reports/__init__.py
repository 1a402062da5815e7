"""What is made of finished runs: comparisons, tables, curves, panels."""
