"""The channel challenge of a service: what a fresh quote binds so that it speaks of one connection alone.

Both sides call this. Spec: docs/spec/services.md, "Channel challenge".
"""

from sealroom.core.wire.byte_fields import check_size, labelled_digest, sha256

CHALLENGE_PATH = "/.well-known/sealroom/challenge"
CHANNEL_LABEL = "sealroom/v1/channel"
EXPORTER_LABEL = b"EXPORTER-sealroom-channel"
EXPORTER_SIZE = 32
NONCE_SIZE = 32

_REST = bytes(32)


def channel_report_data(*, nonce: bytes, exporter: bytes, key_info: bytes) -> bytes:
    """Return the 64 bytes of report data of a quote about one connection.

    `nonce` is the caller's, `exporter` the connection's, as each side has it for itself, and `key_info` the
    DER SubjectPublicKeyInfo of the certificate that the server showed.
    """
    check_size(nonce, field="nonce", size=NONCE_SIZE)
    check_size(exporter, field="exporter", size=EXPORTER_SIZE)
    return labelled_digest(CHANNEL_LABEL, nonce, exporter, sha256(key_info)) + _REST
