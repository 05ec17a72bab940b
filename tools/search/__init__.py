"""How the next round's prompts are found: strategies behind one interface, headless or inside the agent."""
