"""registries.conf and certs.d: where an image is fetched from, and how far it is trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import RegistryFault
from builder.oci.reference import Reference
from builder.registry.certsd import tls
from builder.registry.places import Place, pulled_from, pushed_to
from builder.registry.registriesconf import RegistriesConf, load
from builder.transport.settings import Tls

CONF = """
unqualified-search-registries = ["quay.io"]
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "mirror.example/hub"
insecure = true
[[registry.mirror]]
location = "digests.example"
pull-from-mirror = "digest-only"
[[registry]]
prefix = "old.example/team"
location = "new.example:5000/group"
[[registry]]
prefix = "*.evil.example"
blocked = true
[[registry]]
location = "plain.example"
insecure = true
"""


def read(tmp_path: Path, text: str) -> RegistriesConf:
    path = tmp_path / "registries.conf"
    path.write_text(text)
    return load((str(tmp_path / "none"), str(path)))


def places(conf: RegistriesConf, name: str) -> list[Place]:
    return list(pulled_from(Reference.parse(name), conf))


def test_without_a_file() -> None:
    conf = load(("/nonexistent",), ("/nonexistent",))
    assert places(conf, "busybox") == [Place("docker.io", "library/busybox")]
    assert places(conf, "busybox")[0].host == "registry-1.docker.io"
    assert places(conf, "localhost:5000/a/b") == [Place("localhost:5000", "a/b", insecure=True)]


def test_mirrors_come_first(tmp_path: Path) -> None:
    conf = read(tmp_path, CONF)
    hub = Place("docker.io", "library/busybox")
    mirror = Place("mirror.example", "hub/library/busybox", insecure=True)
    assert places(conf, "busybox") == [mirror, hub]
    assert places(conf, f"busybox@sha256:{'0' * 64}") == [mirror, Place("digests.example", "library/busybox"), hub]
    assert pushed_to(Reference.parse("busybox"), conf) == hub


def test_another_location_and_insecure(tmp_path: Path) -> None:
    conf = read(tmp_path, CONF)
    assert places(conf, "old.example/team/app") == [Place("new.example:5000", "group/app")]
    assert places(conf, "old.example/teams/app") == [Place("old.example", "teams/app")]
    assert places(conf, "plain.example/app") == [Place("plain.example", "app", insecure=True)]


def test_blocked(tmp_path: Path) -> None:
    with pytest.raises(RegistryFault, match="blocked"):
        places(read(tmp_path, CONF), "a.evil.example/x")


def test_later_files_take_over(tmp_path: Path) -> None:
    drop = tmp_path / "d"
    drop.mkdir()
    (drop / "1.conf").write_text('[[registry]]\nlocation = "plain.example"\nblocked = true\n')
    (drop / "ignored.txt").write_text("{")
    main = tmp_path / "main.conf"
    main.write_text(CONF)
    with pytest.raises(RegistryFault, match="blocked"):
        places(load((str(main),), (str(drop),)), "plain.example/x")


@pytest.mark.parametrize(
    "text", ["[[registry]", "[[registry]]\n", 'registry = "x"', '[[registry]]\nlocation = "http://x"', "\0"]
)
def test_malformed(tmp_path: Path, text: str) -> None:
    with pytest.raises(RegistryFault, match="malformed"):
        read(tmp_path, text)


def test_certsd(tmp_path: Path) -> None:
    place = tmp_path / "reg.example:5000"
    place.mkdir()
    for name in ("a.crt", "b.crt", "me.cert", "me.key"):
        (place / name).write_text("")
    found = tls((str(tmp_path / "none"), str(tmp_path)), "reg.example:5000")
    assert found == Tls((f"{place}/a.crt", f"{place}/b.crt"), f"{place}/me.cert", f"{place}/me.key")
    assert tls((str(tmp_path),), "reg.example") == Tls()
    (place / "me.key").unlink()
    with pytest.raises(RegistryFault, match="no key"):
        tls((str(tmp_path),), "reg.example:5000")
