"""The kinds of preference models, each two functions on plain arrays, and the mathematics that they share.

Must not know: files, people, or which kind is chosen.
Others may use: bayes, blend, comparison (Comparison, checked, with_strengths), finetune, head, kernel (kernel,
spread), knn, maml, prior (Prior), scale (length_of, spread_of).
"""
