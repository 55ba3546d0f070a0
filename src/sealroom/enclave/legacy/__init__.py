"""What an enclave does otherwise where the measured arguments say `delivery=legacy`, and only there.

Weaker than version 1 in every way that docs/spec/legacy-delivery.md lists. A session loads it through
`enclave.form`.
"""
