"""The benchmarks' own parts that could break without anybody noticing: no figure is taken here."""
