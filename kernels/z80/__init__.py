"""The Z80 target: instruction table and emitters."""
