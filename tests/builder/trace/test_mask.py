from __future__ import annotations

from builder.trace.mask import Mask, mark, shown
from frontends.dockerfile.style import holds_secret

ENV = ("API_TOKEN=hunter2hunter2", "PASSWORD=abc", "NAME=plain", "PATH=/bin")


def test_a_secret_is_masked_wherever_it_stands() -> None:
    mask = Mask(holds_secret, ENV)
    fields = {
        "type": "exec",
        "env": ["API_TOKEN=hunter2hunter2", "URL=https://x:hunter2hunter2@host/", "NAME=plain", "PASSWORD=abc"],
        "argv": ["sh", "-c", "echo hunter2hunter2"],
        "mounts": [{"kind": "bind", "source": "/hunter2hunter2", "input": 1}],
        "rooted": True,
    }
    text = repr(mask.fields(fields))
    assert "hunter2" not in text
    assert "PASSWORD=abc" not in text
    assert "NAME=plain" in text
    assert mask.fields(fields)["rooted"] is True
    assert shown(mask.text("[2/3] RUN echo hunter2hunter2")) == "[2/3] RUN echo ***"


def test_other_values_leave_other_marks() -> None:
    old, new = Mask(holds_secret, ("KEY=aaaa1",)), Mask(holds_secret, ("KEY=aaaa2",))
    assert old.entry("KEY=aaaa1") != new.entry("KEY=aaaa2")
    assert old.entry("KEY=aaaa1") == f"KEY={mark('aaaa1')}"
    assert shown(old.entry("KEY=aaaa1")) == shown(new.entry("KEY=aaaa2")) == "KEY=***"


def test_short_values_are_masked_in_their_variable_alone() -> None:
    mask = Mask(holds_secret, ("PASSWORD=a",))
    assert mask.text("a cat sat") == "a cat sat"
    assert shown(mask.entry("PASSWORD=a")) == "PASSWORD=***"
    assert mask.entry("PASSWORD=") == "PASSWORD="


def test_users_in_urls() -> None:
    assert shown(Mask(holds_secret, ()).text("ADD https://me:pw@host/x /")) == "ADD https://***@host/x /"
