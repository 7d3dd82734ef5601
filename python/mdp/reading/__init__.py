"""For who reads a segment: books, events, batches of them as NumPy arrays."""
