"""The command line: parse and check overrides, and compose one configuration."""
