"""What pixels show: colours, shapes, composition; and the simulated raters who look at nothing else.

Must not know: models with weights.
Others may use: colour (background, flatten, has_colour, rgb), colour_shift (ColourShift, colour_shift), colour_space
(in_srgb), features (features), raters (LEARN_FROM, REFERENCE_FILE, Rater, company_noise, load_reference,
save_reference).
"""
