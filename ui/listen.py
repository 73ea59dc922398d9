"""The address of the server. Imports nothing heavy, so that a port in use is known at once."""

from __future__ import annotations

import errno
import socket

from vouchrec.retrieval.errors import ConfigError


def listen(host: str, port: int) -> socket.socket:
    """Take the address before anything is loaded, so that a port in use is known at once.

    Raises:
        ConfigError: The port is in use or not allowed, or the host is not an address of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, socket.SOCK_STREAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(address)
            taken.listen(128)
        except OSError:
            taken.close()
            raise
    except socket.gaierror as error:
        raise ConfigError(f"Host '{host}' is not an address.", hint="Use --host 127.0.0.1.") from error
    except OSError as error:
        raise _bind_error(error, host, port) from error
    return taken


def _bind_error(error: OSError, host: str, port: int) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"Port {port} on {host} is in use.", hint=f"Stop what uses it, or take another: --port {port + 1}."
        )
    if error.errno == errno.EACCES:
        return ConfigError(
            f"Port {port} needs more rights than you have.", hint="Use one above 1023, such as --port 7860."
        )
    return ConfigError(f"{host}:{port} can't be used: {error.strerror}.", hint="Use --host 127.0.0.1 --port 7860.")
