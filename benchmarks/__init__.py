"""Measures the portal, as ratios to bare tools where there are any."""
