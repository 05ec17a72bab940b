"""May an adapter act? Painting with it and without it, a verdict by rule, and the history of verdicts.

Must not know: what it was trained for; jobs and runs ask.
Others may use: gate (judge), promotions (Acting, NAME, Promotion, acting, history, record), spec (GateSpec, Plan,
planned).
"""
