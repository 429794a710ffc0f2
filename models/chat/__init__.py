"""Character-level chat: encoders, pairs of query and reply, free-running replies, own data."""
