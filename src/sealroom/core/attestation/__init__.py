"""Is this quote genuine? Quotes, certificate chains, collateral, TCB rules.

Pure: bytes and `now` come in, typed values come out. A parser returns a value or raises `MalformedError`;
a `verify_*` or `check_*` step returns or raises `VerificationError` (the quote's side) or `CollateralError`
(stale or missing collateral). Nothing here decides what anybody *wants*: that is `core.evidence`.
Specification: docs/spec/quotes.md and docs/spec/collateral.md.

The order of a verification; each line is one function, each result the key to the next:

    quote.parse_quote(raw) -> Quote                          SGX v3 to v5, TDX v4 and v5; keeps `.trailing`
    quote_checks.check_trailing(quote, accept_zero_padding=) bytes after the declared end
    pck.parse_pck_certificates(quote.certification) -> CertificateChain
                                                             ordered leaf, CA, root by subject and issuer
    pck.verify_pck_chain(chain, now=) -> VerifiedPck         signatures, names, rights, dates, SGX extension;
                                                             `.root_key`, `.provenance`, `.extension`
    roots.provenance_of(root_key) -> Provenance              INTEL for the pinned key, else SIMULATED
    quote_checks.check_vendor(quote, pck)                    QE vendor id belongs to that provenance
    quote_checks.verify_qe_report_signature(quote, pck)      by the PCK leaf's key
    quote_checks.check_attestation_key(quote)                bound by the QE report's report_data
    quote_checks.verify_isv_signature(quote)                 by the attestation key, over the bytes received
    quote_checks.verify_quote_signatures(quote, pck) -> VerifiedQuote
                                                             the four above in that order

    collateral.parse_collateral(raw json) -> Collateral      nine members, all unbelieved
    collateral.verify_root_crl(collateral, root_key=, now=) -> Crl
    collateral.verify_pck_crl(collateral, root_crl=, root_key=, now=) -> Crl
    collateral.verify_tcb_info(collateral, root_crl=, root_key=, now=) -> TcbInfo
    collateral.verify_qe_identity(collateral, root_crl=, root_key=, now=) -> QeIdentity
    collateral.verify_collateral(collateral, root_key=, now=) -> VerifiedCollateral
                                                             the four above; depends on no quote, reusable
                                                             while `.valid_from <= now <= .valid_until`
    collateral.check_reusable(verified, pck, now)            documents verified before: root and moment
    collateral.check_not_revoked(pck, root_crl=, pck_crl=)   PCK CA and PCK leaf
    tcb.check_platform(pck, tee=, tcb_info=)                 FMSPC, PCE id, kind of TEE
    tcb.check_qe_identity(quote, qe_identity)                QE report is the enclave the identity describes
    tcb.match_tcb(verified_quote, tcb_info=, qe_identity=) -> TcbVerdict
                                                             `.status`, `.advisories`, `.evaluation_number`;
                                                             parts `.platform`, `.qe`, `.module`

    quote_checks.check_not_debug(body)                       SGX report or TD report
    quote_checks.check_attributes(report, AttributeRule)     SGX flags, xfrm, miscselect under masks
    quote_checks.check_config_and_family_zero(report)        config id and svn, family id, extended product id

Two other ways that evidence arrives (docs/spec/ra-tls.md, docs/spec/maa.md):

    ratls.verify_ratls_certificate(raw, binding=, now=) -> BoundKey
                                                             a TLS key and the quote that binds it, still to
                                                             be verified by the steps above
    maa_keys.parse_key_set(raw) -> MaaKeySet                 as fetched from the service, over TLS
    maa.verify_maa_token(raw, keys=, issuer=, leeway=, now=) -> MaaClaims
                                                             the word of Microsoft's service

Within one verification the steps may share a `memo.Memo`, with which no signature is verified and no
certificate read twice; where documents are reused, it begins with their `known`.

Reserved fields that are not zero never leave `parse_quote`. A quote's ECDSA signatures are malleable:
never use the hash of a quote as its name.
"""
