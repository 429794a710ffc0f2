"""The report: one page that tells what a compressed network costs, and why.

`gather` measures, `plots` draws, `words` interprets the figures, `write` fills the templates.
"""
