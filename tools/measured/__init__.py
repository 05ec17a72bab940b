"""What is measured of a painter once and kept beside its weights: how simulated people see it, what most like, what
words do.

Must not know: runs. Each file is a script that makes one file of the model's folder.
Others may use: reference (make_reference).
"""
