"""Services, on the machines of their code provider and of their callers.

- `scaffold`: a new project. `project`: what is in a project. `ignoring`: what of it stays at home.
- `code_keys`: the key that a service's code is sealed with.
- `packing`: the package that travels, and opening it again. `stack`: what serves an application.
- `trying`, `local_server`: the application and its tests at home, without an enclave.

Must never: let `secrets.json`, `secrets_to_seal.json` or `code.key` into a package.
Spec: docs/spec/service-package.md, docs/spec/services.md.
"""
