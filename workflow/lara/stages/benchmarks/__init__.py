"""Stage `benchmarks`: what methods, readers and whole runs cost."""
