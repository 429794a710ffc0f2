"""The project's own chat data: a grammar of a lighthouse robot's small talk, and its generator.

pairs = generate()      the same pairs each time, and on each machine
"""

from models.chat.corpus.generator import CHARSET, generate

__all__ = ["CHARSET", "generate"]
