"""What the bundled language model is taught: sessions, wishes and how people say things.

Must not know: how it is trained (lm.py).
Others may use: sessions (Example, KINDS, ROUND, TIMES, Taste, VOCABULARY, feedback_lesson, invent_history,
invent_taste, lesson, plan_lesson), wishes (invent_wish).
"""
