"""Reference models in PyTorch, their data, compression, and export to the integer graph."""
