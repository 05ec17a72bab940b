"""Makes the bundled models from nothing: the recipes, one script a model, and what they are measured by.

Must not know: the agent and its tools. Nobody else knows the world that is drawn here.
Others may use: pickscore (comparison), vae (psnr).
"""
