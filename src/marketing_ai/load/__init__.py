"""Loading: a delivered file becomes raw rows, or is refused whole with the reason."""
