"""The compiler's passes, one file each; `kernels.compile` puts them in order."""
