"""The one thing that pyproject.toml cannot say: which C extension to build, and from what."""

from setuptools import setup

setup(cffi_modules=["emulators/simavr_build.py:ffibuilder"])
