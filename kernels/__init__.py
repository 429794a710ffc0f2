"""The compiler: an integer graph in, an image of AVR or Z80 machine code out."""
