"""A person at a terminal: questions put, keys and wishes read, each answer kept before the next question.

Must not know: the graph's nodes, SQL, or how a wish is understood (agent.loop.listening).
Others may use: terminal (converse).
"""
