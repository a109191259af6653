"""Odd values and damaged files, made from a seed, and a judge of what a server makes of them."""
