"""The operations of the integer graph: one file an op, with record, rules and exact meaning."""
