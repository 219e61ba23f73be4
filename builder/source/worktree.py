"""The commit that a folder of the client is a checkout of.

git runs what a repository's configuration names (filters, monitors), and the repository may be hostile. So it is only
asked there where things are, and compares by way of a git directory of ours that has the same commit, a copy of the
index, and no configuration.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress

from builder.errors import SourceFault
from builder.source.git import Git

_WHAT = "looking for the commit of the build context"
_CONFIG = "[core]\n\trepositoryformatversion = 1\n\tbare = false\n[extensions]\n\tobjectFormat = {}\n"


def commit_time(folder: str, git: Git, scratch: str) -> int | None:
    """When the commit was made, in seconds since 1970; None if the folder has anything else than that commit has.

    folder: absolute path. scratch: folder for a temporary one. A folder that is none of a repository's, a repository
    without a commit or with parts elsewhere, and a machine without git are all None.
    """
    try:
        words = ("--show-toplevel", "--absolute-git-dir", "--git-common-dir", "--show-object-format")
        found = git.run(
            "-C", folder, "rev-parse", "--path-format=absolute", *words, "--show-prefix", "HEAD", what=_WHAT
        )
        top, own, common, form, prefix, commit = found.decode("utf-8", "surrogateescape").split("\n")[:6]
        with tempfile.TemporaryDirectory(prefix="worktree-", dir=scratch) as ours:
            _like(ours, own, common, form, commit)
            environment = {"GIT_DIR": ours, "GIT_WORK_TREE": top, "GIT_OBJECT_DIRECTORY": f"{common}/objects"}
            git.run("rev-parse", "--verify", f"{commit}:{prefix}", what=_WHAT, environment=environment)
            status = ("status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=all", "--", folder)
            if git.run("-C", top, *status, what=_WHAT, environment=environment):
                return None
            return int(git.run("show", "-s", "--format=%ct", commit, what=_WHAT, environment=environment))
    except (SourceFault, OSError, ValueError):
        return None


def _like(ours: str, own: str, common: str, form: str, commit: str) -> None:
    for name in ("objects", "refs", "info"):
        os.mkdir(f"{ours}/{name}")
    for name, text in (("HEAD", f"{commit}\n"), ("config", _CONFIG.format(form))):
        with open(f"{ours}/{name}", "w") as file:
            file.write(text)
    shutil.copyfile(f"{own}/index", f"{ours}/index")
    with suppress(FileNotFoundError):
        shutil.copyfile(f"{common}/info/exclude", f"{ours}/info/exclude")
