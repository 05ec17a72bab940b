"""Whether what was quick for one run is quick beside thousands of runs: a large record made up, and the time of what reads it."""
