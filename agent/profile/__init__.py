"""A person's runs as a profile: exported, told in words, drawn.

Must not know: what stands in the file (tools.profiles), or how a run starts from it (agent.loop.profiles).
Others may use: export (blended, export), plot (worth_plot), telling.
"""
