"""From words to one checked configuration."""
