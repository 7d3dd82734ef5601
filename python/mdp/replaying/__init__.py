"""For who has recordings: reading them, and replaying them through the engine's own stages."""
