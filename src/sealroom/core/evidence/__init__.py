"""Is it what I asked for? Policy, the numbered verification, verdicts, receipt verification.

    policy.py         what a participant asks of an enclave: one value, one TOML form, no defaults
    policies/         the ready-made policies, files to read
    expectations.py   what the participant knows from invitation, contacts and own keys
    verify.py         `appraise`, `verify_evidence`, `insecure_verify_simulated_evidence`
    genuine.py        1. is the quote genuine
    platform.py       2. is the platform sound
    closed.py         3. is the enclave closed to its host
    measured.py       4. does it run exactly what was agreed
    rebuild.py           the manifest rebuilt, and what differs in the one received
    contract.py       5. is it what the owner proposed
    code.py           6. whose code is it, 7. whose keys are they
    lone_quote.py     `appraise_quote`: a quote alone, for looking at it and for services
    catalogue.py      the words of every check
    quote_catalogue.py   those of a quote alone
    record.py         how checks are written down while they are made
    verdict.py        the answer: a tree of checks, and the errors that carry it
    receipt.py        verifying receipts, later and without trust in anybody
    capabilities.py   what the program could do, from what is measured
    receipt_opened.py what a receipt names, opened by who holds a key
    archive.py        a receipt and its evidence from two files alone, in one verdict
    lone_quote.py     a quote without a bundle
    certificate.py    a quote in a TLS certificate, and whose key that is
    maa.py            a token of Microsoft Azure Attestation, a second kind of evidence

Spec: docs/spec/verification.md, docs/spec/quote-appraisal.md, docs/spec/policy.md, docs/spec/manifest.md.
"""
