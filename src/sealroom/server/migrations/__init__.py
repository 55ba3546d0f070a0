"""Migrations of the server's database, run at start."""
