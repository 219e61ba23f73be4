import subprocess

import pytest

from builder.errors import SourceFault
from builder.solve.chmod import mode_change, octal


@pytest.mark.parametrize(
    "text",
    ["u=rwX,go=rX", "a+X", "g=u", "+x", "u+s", "g-w,o=", "u=rw,g=u-w", "ug=rwx,o-rwx", "a=r", "+t", "o=g", "u-x,g+s"],
)
@pytest.mark.parametrize("mode", [0o644, 0o755, 0o600, 0o711, 0o777, 0o000])
@pytest.mark.parametrize("is_dir", [False, True])
def test_symbolic_as_chmod_does(tmp_path, text, mode, is_dir):
    path = tmp_path / "x"
    path.mkdir() if is_dir else path.write_text("")
    path.chmod(mode)
    subprocess.run(["sh", "-c", f"umask 0; chmod {text} {path}"], check=True)
    want = path.stat().st_mode & 0o7777
    path.chmod(0o700)
    assert oct(mode_change(text)(mode, is_dir)) == oct(want)


def test_octal_replaces():
    assert mode_change("640")(0o4755, False) == 0o640
    assert octal("0755") == 0o755
    assert octal("u+x") is None


@pytest.mark.parametrize("text", ["8", "77777", "u", "u+", "x=r", "u=rwz", "-1", "0x1"])
def test_bad_values(text):
    if text == "u+":
        return  # chmod takes it for nothing, so do we
    with pytest.raises(SourceFault, match="invalid chmod parameter"):
        mode_change(text)


@pytest.mark.parametrize(
    ("text", "mode", "new"),
    [
        ("g=u", 0o2755, 0o2775),
        ("ug=o", 0o6755, 0o6555),
        ("u=g", 0o4750, 0o4550),
        ("o=", 0o1777, 0o1770),
        ("a=r", 0o7755, 0o1444),
        ("u=", 0o4755, 0o055),
    ],
)
@pytest.mark.parametrize("is_dir", [False, True])
def test_special_bits_as_buildkit_has_them(text: str, mode: int, new: int, is_dir: bool) -> None:
    assert mode_change(text)(mode, is_dir) == new
