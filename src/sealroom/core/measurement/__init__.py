"""What should the enclave measure? Manifest, layout, MRENCLAVE.

    elf.py         the loadable segments of Gramine's PAL
    manifest.py    a manifest as a value: strict reading, and writing in exactly the signer's form
    layout.py      which regions of memory the enclave starts with, and what is in them
    mrenclave.py   the hash over those regions: `measure(manifest, pal)`
    template.py    the manifest of a computation, as a pure function of what everybody agreed to

Spec: docs/spec/manifest.md.
"""
