"""What to ask next: a belief about the liking of pictures, and the questions that teach it the most.

Must not know: how a question is put, or who answers.
Others may use: belief (Belief, Question, SHOWN, after, learned, unlearned), questions (at_random, choose).
"""
