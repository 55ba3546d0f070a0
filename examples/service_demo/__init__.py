"""`make demo-service`: a service with a secret model, packed, run, called, attacked.

The steps are in `__main__`.
"""
