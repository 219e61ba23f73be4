from __future__ import annotations

import pytest

from builder.cli import host
from builder.errors import SandboxFault
from builder.sandbox.namespace import Identity

MANY = Identity(True, 65537)


@pytest.fixture
def found(tmp_path, monkeypatch):
    """found(identity, lacking): abilities by name, programs of these names not being there."""

    def call(identity=MANY, *lacking):
        monkeypatch.setattr(host.namespace, "enter", lambda: identity)
        monkeypatch.setattr(host.shutil, "which", lambda name: None if name in lacking else f"/usr/bin/{name}")
        return {ability.name: ability for ability in host.abilities(str(tmp_path), 1000)}

    return call


def test_all_is_named_and_what_lacks_has_a_remedy(found):
    abilities = found()
    assert list(abilities) == [
        "user namespace", "user ids", "namespaces of steps", "overlay", "cgroup", "seccomp", "git",
    ]  # fmt: skip
    assert all(ability.message for ability in abilities.values())
    assert all(ability.hint for ability in abilities.values() if not ability.ok)


def test_a_kernel_without_user_namespaces(tmp_path, monkeypatch):
    def enter():
        raise SandboxFault("no", "do this")

    monkeypatch.setattr(host.namespace, "enter", enter)
    [ability] = host.abilities(str(tmp_path), 1000)
    assert (ability.ok, ability.message, ability.hint) == (False, "no", "do this")


def test_one_id_only(found, monkeypatch):
    lacking = found(Identity(True, 1), "newuidmap")["user ids"]
    assert (lacking.ok, "newuidmap not found" in lacking.message, "uidmap" in lacking.hint) == (False, True, True)
    monkeypatch.setattr(host.namespace, "has_range", lambda path, user: path == "/etc/subuid")
    lacking = found(Identity(True, 1))["user ids"]
    assert lacking.message == "only one: no range in /etc/subgid"
    assert "usermod --add-subuids" in lacking.hint
    monkeypatch.setattr(host.namespace, "has_range", lambda path, user: True)
    assert "set-user-id" in found(Identity(True, 1))["user ids"].hint


def test_no_git_and_no_overlay(found, monkeypatch):
    monkeypatch.setattr(host, "mounts_overlay", lambda folder: False)
    abilities = found(Identity(False, 1 << 32), "git")
    assert (abilities["git"].ok, abilities["overlay"].ok) == (False, False)
    assert abilities["user ids"].ok


def test_namespaces_that_are_refused(found, monkeypatch):
    def refuse(flag):
        if flag == host.linux.CLONE_NEWNET:
            raise PermissionError

    monkeypatch.setattr(host.linux, "unshare", refuse)
    ability = found()["namespaces of steps"]
    assert (ability.ok, ability.message) == (False, "the kernel refuses: network")
