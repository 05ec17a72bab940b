"""Grids of strategies, raters and seeds over processes, with tables and pictures of what they came to.

Must not know: the store or the graph: a bench asks models and searches without a run around them.
Others may use: cli (add_command).
"""
