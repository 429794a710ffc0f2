"""The AVR target: instruction table and emitters."""
