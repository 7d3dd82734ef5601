"""For who configures: the schema of the YAML, and what it says of every key."""
