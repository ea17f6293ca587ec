"""Benchmarks: the cost of asgikit as ratios to the same app on raw ASGI."""
