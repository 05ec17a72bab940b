"""Generative active learning (Zhang et al. 2024): a training that chooses its own next references.

Must not know: who started it, or how its losses are made (trainers.dreambooth).
Others may use: gal, select (Choose, Look, Waiting), spec (GalSpec).
"""
