"""The same cell over a grid and seeds: the only place that vmaps, chunks, shards, saves and shows progress."""
