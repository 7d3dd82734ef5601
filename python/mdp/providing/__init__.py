"""For who publishes: the control side of a provider, and its metrics."""
