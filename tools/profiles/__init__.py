"""A taste as a file: what stands in it, how it is read whole or refused, mixed and compared.

Must not know: runs and their store (agent.profile makes profiles of those).
Others may use: archive (pack_arrays), mix (Difference, Word, blend, diff), profile (Profile, to_bytes), reading
(bytes_of, from_bytes, read, write), records (Compared, Features, Genome, Manifest, Name, Rated, SMALLEST, Scale,
Taste, Trained), summary (counted, summarised, words), taste (Start, evidence, worths).
"""
