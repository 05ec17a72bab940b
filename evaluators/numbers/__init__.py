"""Numbers about numbers: agreement, win rates with intervals, search metrics, diversity, comparisons put on a scale,
arrays kept.

Must not know: images, models, people.
Others may use: agreement (Agreement, agree, pairwise_accuracy, ratings_agree, spearman), arrays (stored_arrays),
comparisons (MIDDLE, POINTS, as_ratings), diversity (diversity), search_metrics (count_to, reached, regret,
search_numbers), win_rate (Interval, WinRate, mean_interval, student, wilson, win_rate).
"""
