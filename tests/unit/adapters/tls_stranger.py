"""A TLS server that shows one certificate and says nothing."""

import contextlib
import socket
import ssl
import threading


@contextlib.contextmanager
def tls_server(certificate_pem, key_pem, folder):
    """Yield the port of a server on 127.0.0.1 with these two files."""
    certificate, key = folder / "shown.pem", folder / "shown-key.pem"
    certificate.write_bytes(certificate_pem)
    key.write_bytes(key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(listener, context))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        # Closing a socket wakes nobody who waits on it; a last caller does.
        with (
            contextlib.suppress(OSError),
            socket.create_connection(listener.getsockname(), timeout=5) as last,
        ):
            last.sendall(b"end")
        thread.join()
        listener.close()


def _serve(listener, context):
    while True:
        connection, _ = listener.accept()
        connection.settimeout(5)
        if connection.recv(3, socket.MSG_PEEK) == b"end":
            connection.close()
            return
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)
        connection.close()
