"""What asgikit costs, as ratios to the same app written by hand on raw ASGI."""
