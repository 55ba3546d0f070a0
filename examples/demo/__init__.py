"""The demonstration: four parties, one sealed computation, and what happens to those who cheat."""
