"""CIFAR-10: 32x32 colour images in ten classes, read from the published files.

The files are A. Krizhevsky's python and binary versions, `cifar-10-batches-py` and
`cifar-10-batches-bin`; the project contains none of them.
"""
