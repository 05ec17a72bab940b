"""The world of the bundled models: scenes, how they are drawn, and what is said of them.

Must not know: models and training.
Others may use: captions (ORDERS, in_words), dataset (HELD_OUT, drawn_once, held_out, load_dataset, loosely,
to_tensor), grounds (HELD_OUT_TEXTURES), shapes (HELD_OUT_SHAPES, SHAPES), world (COUNTS, PALETTES, SIZE, STYLES,
Scene, VOCABULARY, colours_of, render, sample_scene).
"""
