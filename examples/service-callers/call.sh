#!/bin/sh
# Call a service with curl: `call.sh https://HOST:PORT service.pem`, with the PEM that
# `sealroom service verify --save service.pem` wrote. curl pins the certificate that was verified. It cannot ask
# whether its connection ends in the enclave: docs/services.md says what that leaves open.
set -eu
host=${1#https://}

# The certificate as OpenSSL sees it: TLS 1.3, this certificate as the only anchor, and for this host.
openssl s_client -connect "$host" -CAfile "$2" -verify_return_error -verify_hostname "${host%:*}" \
    -x509_strict -tls1_3 </dev/null 2>/dev/null | grep -E "^(Verification|Verified peername)"

curl --silent --show-error --fail --cacert "$2" --tlsv1.3 "$1/health"
echo
curl --silent --show-error --fail --cacert "$2" --tlsv1.3 --json '{"age": 40, "income": 3.0, "late_payments": 1}' "$1/score"
echo
