"""What the agent may do: one file, one action, one argument model, one function. catalogue.py lists them.

Must not know: which planner chose it, or what comes next.
Others may use: catalogue (TOOLS, Tool), feedback (Feedback).
"""
