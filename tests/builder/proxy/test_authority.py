from __future__ import annotations

import socket
import ssl
import subprocess
import threading

import pytest

from builder.proxy.authority import SUBJECT_HASH, Authority


def test_its_file_is_found_in_a_folder_of_certificates():
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-subject_hash"], input=Authority().pem, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == SUBJECT_HASH


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1", "::1", "a_b.example", "x" * 63 + ".example"])
def test_clients_accept_what_it_signs_for_a_host(host):
    authority = Authority()
    ours, theirs = socket.socketpair()
    trusting = ssl.create_default_context(cadata=authority.pem.decode())
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    server = threading.Thread(target=lambda: authority.context(host).wrap_socket(theirs, server_side=True).close())
    server.start()
    with trusting.wrap_socket(ours, server_hostname=host) as stream:
        assert stream.version() in ("TLSv1.2", "TLSv1.3")
    server.join()


def test_another_build_s_authority_is_a_stranger():
    ours, theirs = socket.socketpair()
    with pytest.raises(ssl.SSLError):
        trusting = ssl.create_default_context(cadata=Authority().pem.decode())

        def serve():
            try:
                Authority().context("example.com").wrap_socket(theirs, server_side=True)
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        trusting.wrap_socket(ours, server_hostname="example.com")


def test_contexts_are_made_once():
    authority = Authority()
    assert authority.context("a.example") is authority.context("a.example")
    assert authority.context("a.example") is not authority.context("b.example")
