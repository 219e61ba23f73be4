"""A root that trusts one more authority, on a plain tree: written into it, and taken out again."""

from __future__ import annotations

import os

import pytest

from builder.proxy.authority import SUBJECT_HASH, Authority
from builder.snapshot.folderlayer import FolderLayer
from builder.snapshot.snapshots import open_snapshots
from builder.snapshot.tree import MergedTree
from builder.solve.trusted import trusted

OTHER = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"  # without the end of its line
CERTS = "etc/ssl/certs"
BUNDLE = f"{CERTS}/ca-certificates.crt"


@pytest.fixture
def pem():
    return Authority().pem


@pytest.fixture
def draft(tmp_path):
    """A plain tree with a bundle, and links to it and to its folder."""
    snapshots = open_snapshots(str(tmp_path), lambda path: None, lambda text: None, "plain")
    first = snapshots.begin(())
    root = first.root.path
    os.makedirs(f"{root}/{CERTS}")
    os.makedirs(f"{root}/etc/pki/tls")
    with open(f"{root}/{BUNDLE}", "wb") as file:
        file.write(OTHER)
    os.symlink("/etc/ssl/certs", f"{root}/etc/pki/tls/certs")
    os.symlink("certs/ca-certificates.crt", f"{root}/etc/ssl/cert.pem")
    os.utime(f"{root}/{BUNDLE}", ns=(1, 10**18 + 7))
    os.utime(f"{root}/{CERTS}", ns=(1, 10**18 + 9))
    below = first.commit()
    yield snapshots.begin((below,))
    snapshots.close()


def changed(draft):
    return {item[0].path.decode(): item for item in draft.changes()}


def inside(draft, pem):
    return trusted(draft.root, MergedTree([FolderLayer(draft.root.path, False)]), pem, lambda items: None)


def content(draft, path):
    with open(f"{draft.root.path}/{path}", "rb") as file:
        return file.read()


def test_a_plain_tree(draft, pem):
    with inside(draft, pem) as root:
        assert root == draft.root
        assert content(draft, BUNDLE) == OTHER + b"\n" + pem
        assert content(draft, f"{CERTS}/{SUBJECT_HASH}.0") == pem
        assert os.stat(f"{root.path}/{BUNDLE}").st_mtime_ns == 10**18 + 7
    assert changed(draft) == {}


def test_what_a_step_does_stays(draft, pem):
    with inside(draft, pem):
        with open(f"{draft.root.path}/{BUNDLE}", "ab") as file:
            file.write(b"mine\n")
        os.unlink(f"{draft.root.path}/{CERTS}/{SUBJECT_HASH}.0")
    assert content(draft, BUNDLE) == OTHER + b"\nmine\n"
    assert set(changed(draft)) == {"etc", "etc/ssl", CERTS, BUNDLE}


def test_a_bundle_that_is_written_anew_in_other_lines(draft, pem):
    lines = pem.split(b"\n")
    joined = b"\r\n".join([lines[0], b"".join(lines[1:-2]), lines[-2], b"after"])
    with inside(draft, pem):
        os.unlink(f"{draft.root.path}/{BUNDLE}")
        with open(f"{draft.root.path}/{BUNDLE}", "wb") as file:
            file.write(joined)
    assert content(draft, BUNDLE) == b"after"


def test_a_certificate_that_never_ends_takes_no_time(draft, pem):
    endless = b"-----BEGIN CERTIFICATE-----" + b"\n" * (2 << 20)
    with inside(draft, pem), open(f"{draft.root.path}/{BUNDLE}", "wb") as file:
        file.write(endless + pem)
    assert content(draft, BUNDLE) == endless


def test_what_stands_in_its_place_is_not_followed(draft, pem, tmp_path):
    """A step leaves a link out of its root, a pipe, a folder where files of ours were."""
    outside = tmp_path / "outside"
    outside.write_bytes(pem)
    root = draft.root.path
    with inside(draft, pem):
        os.unlink(f"{root}/{BUNDLE}")
        os.symlink(outside, f"{root}/{BUNDLE}")
        os.mkfifo(f"{root}/{CERTS}/pipe")
        os.unlink(f"{root}/{CERTS}/{SUBJECT_HASH}.0")
        os.mkdir(f"{root}/{CERTS}/{SUBJECT_HASH}.0")
    assert outside.read_bytes() == pem
    with inside(draft, pem):
        os.rename(f"{root}/etc/ssl", f"{root}/etc/moved")
        os.symlink(tmp_path, f"{root}/etc/ssl")
    assert outside.read_bytes() == pem


def test_nothing_is_added_where_there_is_nothing(tmp_path, pem):
    snapshots = open_snapshots(str(tmp_path), lambda path: None, lambda text: None, "plain")
    draft = snapshots.begin(())
    with inside(draft, pem):
        pass
    assert changed(draft) == {}
    snapshots.close()
