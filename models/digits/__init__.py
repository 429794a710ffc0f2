"""Handwritten digits, 8x8: a multilayer perceptron 64-32-16-10 on scikit-learn's data."""
