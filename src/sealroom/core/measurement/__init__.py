"""What should the enclave measure? Manifest, layout, MRENCLAVE, and the signature over it.

    elf.py         the loadable segments of Gramine's PAL
    manifest.py    a manifest as a value: strict reading, and writing in exactly the signer's form
    expansion.py   from the manifest as written to the one that is measured: defaults, trees, digests
    layout.py      which regions of memory the enclave starts with, and what is in them
    mrenclave.py   the hash over those regions: `measure(manifest, pal)`
    sigstruct.py   the signature that the processor wants, field by field
    signing.py     making and verifying it, by whatever holds the key
    signing_key.py the key in a file
    runtime_bill.py  every file of the runtime inside SGX, and the package it is from
    template.py    the manifest of a computation, as a pure function of what everybody agreed to

Spec: docs/spec/manifest.md, docs/spec/sigstruct.md.
"""
