# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place through which every change to a host goes.

Modules never write, remove, chmod, chown or run a changing command by themselves: they ask ``Changes``. So check mode
cannot be forgotten, what it predicts is by construction what a real run does, and whatever has to happen before a
change is saved first by the recorder, so that it can be taken back.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Sequence
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import Recorder, RecordError

MAX_DIFF_BYTES = 64 * 1024
"""Longest file content shown in a diff; a longer one is only named."""


class ChangeError(Exception):
    """A change that could not be made; says what and where. Nothing is left half done."""


def printable(path: Any) -> str:
    """Return a path as text that JSON and terminals can carry, whatever bytes it holds."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def mode_text(mode: int) -> str:
    """Return the permission bits as ``0750``."""
    return f"{stat.S_IMODE(mode):04o}"


def _hint(refusal: OSError, info: os.stat_result) -> str:
    """Return what most likely is behind a refused change of owner or mode."""
    if refusal.errno != errno.EPERM:
        return ""
    if os.geteuid() not in (0, info.st_uid):
        return " (another account owns it)"
    return " (immutable attribute, which lsattr shows, or not allowed by the file server)"


def _as_it_was(descriptor: int, info: os.stat_result) -> bool:
    try:
        now = os.fstat(descriptor)
    except OSError:
        return False
    return (now.st_uid, now.st_gid, now.st_mode) == (info.st_uid, info.st_gid, info.st_mode)


class Changes:
    """Makes changes, or only notes them in check mode.

    Args:
        check_mode: note what would change, change nothing.
        run_command: ``AnsibleModule.run_command`` or a function of the same form.
        listed: most changes listed one by one in the result; all are counted. None lists all.
        recorder: saves what is about to be changed; None saves nothing.

    """

    def __init__(
        self,
        check_mode: bool,
        run_command: Callable[..., Any] | None = None,
        listed: int | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.check_mode = check_mode
        self._run_command = run_command
        self._listed = listed
        self._recorder = recorder
        self.count = 0
        self.entries: list[dict[str, str]] = []
        self.diff: list[dict[str, str]] = []

    @classmethod
    def of(cls, module: AnsibleModule, listed: int | None = None) -> Changes:
        """Return the changes of a module, recorded as its parameter ``record`` says."""
        try:
            recorder = Recorder.of(module.params)
        except RecordError as exc:
            module.fail_json(msg=f"record: {exc}")
        return cls(module.check_mode, module.run_command, listed, recorder)

    def _save(self, save: Callable[[Recorder], None]) -> None:
        """Save what is about to be changed; saved once more as it was, it says that the change was refused."""
        if self._recorder is not None:
            try:
                save(self._recorder)
            except RecordError as exc:
                raise ChangeError(str(exc)) from exc

    def prepare(self) -> None:
        """Get ready to make changes from a process that has fewer rights than this one."""
        if not self.check_mode:
            self._save(lambda recorder: recorder.prepare())

    def announce(self, target: str, attribute: str, before: str, after: str) -> bool:
        """Note a change that is about to be made and say whether to make it.

        Every change passes here before anything is touched.

        Args:
            target: path, or ``account jira``, ``unit jira.service`` for what is not a file.
            attribute: ``content``, ``permissions``, ``removed``, or the name of the property.
            before: state found, in words.
            after: state wanted, in words.

        Returns:
            False in check mode.

        """
        self.count += 1
        if self._listed is None or len(self.entries) < self._listed:
            self.entries.append({"target": target, "attribute": attribute, "before": before, "after": after})
        return not self.check_mode

    def write_file(
        self,
        path: str,
        content: str,
        mode: int = 0o644,
        owner: tuple[int, int] = (0, 0),
        validate: Callable[[str], str | None] | None = None,
        secret: bool = False,
    ) -> bool:
        """Make a regular file have this content, mode and owner; replace it atomically.

        Args:
            path: absolute path. A missing parent folder is made, 0755 and owned by root.
            content: whole new content.
            mode: permission bits.
            owner: numeric user and group.
            validate: called with the path of the new file before it replaces the old; returns what is wrong, or None.
            secret: keep the content out of the diff.

        Returns:
            Whether the file differs (check mode) or was changed.

        Raises:
            ChangeError: not a regular file, refused by validation, or not writable. The old file is then untouched.

        """
        new = to_bytes(content)
        try:
            info = os.lstat(path)
        except FileNotFoundError:
            info = None
        except OSError as exc:
            raise ChangeError(f"{printable(path)}: {exc.strerror}") from exc
        if info is not None and not stat.S_ISREG(info.st_mode):
            raise ChangeError(f"{printable(path)} exists and is not a regular file; move it away")
        old = b""
        if info is not None:
            with open(path, "rb") as handle:
                old = handle.read()
            if old == new and stat.S_IMODE(info.st_mode) == mode and (info.st_uid, info.st_gid) == owner:
                return False
        before = "absent" if info is None else f"{info.st_uid}:{info.st_gid} {mode_text(info.st_mode)}"
        after = f"{owner[0]}:{owner[1]} {mode_text(mode)}"
        self._diff_content(path, None if info is None else old, new, secret)
        if not self.announce(
            printable(path), "content" if old != new or info is None else "permissions", before, after
        ):
            return True
        # The record may lie in the very folder that is about to be made.
        self.prepare()
        self._make_folders(os.path.dirname(path))
        self._save(lambda recorder: recorder.file(path, info, old, new))
        self._replace(path, new, mode, owner, validate)
        return True

    def _replace(
        self,
        path: str,
        new: bytes,
        mode: int,
        owner: tuple[int, int],
        validate: Callable[[str], str | None] | None,
    ) -> None:
        folder = os.path.dirname(path)
        temporary = ""
        try:
            # The leading dot keeps readers of drop-in folders from picking up the unfinished file.
            handle, temporary = tempfile.mkstemp(prefix=".atlassian-dc-", suffix=os.path.splitext(path)[1], dir=folder)
            with os.fdopen(handle, "wb") as stream:
                stream.write(new)
                stream.flush()
                os.fchown(stream.fileno(), owner[0], owner[1])
                os.fchmod(stream.fileno(), mode)
                os.fsync(stream.fileno())
            complaint = validate(temporary) if validate else None
            if complaint:
                raise ChangeError(f"{printable(path)}: the new content was refused: {complaint}")
            os.rename(temporary, path)
            temporary = ""
            self._sync_folder(folder)
        except OSError as exc:
            raise ChangeError(f"{printable(path)}: {exc.strerror or exc}") from exc
        finally:
            if temporary:
                os.unlink(temporary)

    def _make_folders(self, folder: str) -> None:
        if not os.path.isdir(folder):
            self._make_folders(os.path.dirname(folder))
            self._save(lambda recorder: recorder.folder_made(folder))
            try:
                os.mkdir(folder, mode=0o755)
            except OSError as exc:
                raise ChangeError(f"{printable(folder)}: {exc.strerror}") from exc

    @staticmethod
    def _sync_folder(folder: str) -> None:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _diff_content(self, path: str, old: bytes | None, new: bytes | None, secret: bool) -> None:
        def text(data: bytes | None) -> str:
            if data is None:
                return ""
            if secret:
                return "(secret content)\n"
            if len(data) > MAX_DIFF_BYTES:
                return f"({len(data)} bytes)\n"
            return to_text(data, errors="replace")

        if old != new:
            self.diff.append(
                {
                    "before_header": "absent" if old is None else printable(path),
                    "after_header": "absent" if new is None else printable(path),
                    "before": text(old),
                    "after": text(new),
                }
            )

    def remove_file(self, path: str, folder: int | None = None) -> bool:
        """Make a regular file or symbolic link absent; return whether it was there.

        Args:
            path: where it lies.
            folder: descriptor of the folder it lies in, for folders somebody else may swap meanwhile.

        """
        name = path if folder is None else os.path.basename(path)
        try:
            info = os.lstat(name, dir_fd=folder)
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise ChangeError(f"{printable(path)}: {exc.strerror}") from exc
        if stat.S_ISDIR(info.st_mode):
            raise ChangeError(f"{printable(path)} is a folder, not a file")
        old = b""
        if stat.S_ISREG(info.st_mode):
            with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder), "rb") as handle:
                old = handle.read()
        elif stat.S_ISLNK(info.st_mode):
            old = os.fsencode(os.readlink(name, dir_fd=folder))
        self._diff_content(path, old, None, secret=False)
        if self.announce(printable(path), "removed", "present", "absent"):
            self._save(lambda recorder: recorder.file(path, info, old, None))
            try:
                os.unlink(name, dir_fd=folder)
            except OSError as exc:
                raise ChangeError(f"{printable(path)}: {exc.strerror}") from exc
        return True

    def set_permissions(
        self, path: str, descriptor: int, info: os.stat_result, uid: int, gid: int, mode: int | None
    ) -> bool:
        """Set owner, group and mode of an object that is already open, so that nobody can swap it in between.

        Args:
            path: where it lies, for messages.
            descriptor: opened with ``O_PATH | O_NOFOLLOW``.
            info: ``os.fstat`` of the descriptor.
            uid: wanted user, -1 to leave it.
            gid: wanted group, -1 to leave it.
            mode: wanted permission bits, None to leave them.

        Returns:
            Whether something differs (check mode) or was changed.

        Raises:
            ChangeError: the system refused; says which path and why.

        """
        uid = info.st_uid if uid == -1 else uid
        gid = info.st_gid if gid == -1 else gid
        new_owner = (uid, gid) != (info.st_uid, info.st_gid)
        wanted = stat.S_IMODE(info.st_mode) if mode is None else mode
        if not new_owner and wanted == stat.S_IMODE(info.st_mode):
            return False
        before = f"{info.st_uid}:{info.st_gid} {mode_text(info.st_mode)}"
        if not self.announce(printable(path), "permissions", before, f"{uid}:{gid} {mode_text(wanted)}"):
            return True
        self._save(lambda recorder: recorder.permissions(path, info, uid, gid, wanted))
        through = f"/proc/self/fd/{descriptor}"
        try:
            if new_owner:
                os.chown(through, uid, gid)
            # chown clears setuid and setgid, so the mode comes second and always when the owner changed.
            if new_owner or wanted != stat.S_IMODE(info.st_mode):
                os.chmod(through, wanted)
        except OSError as exc:
            if _as_it_was(descriptor, info):
                same = info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)
                self._save(lambda recorder: recorder.permissions(path, info, *same))
            raise ChangeError(f"{printable(path)}: {exc.strerror}{_hint(exc, info)}") from exc
        return True

    def set_xattr(
        self, path: str, descriptor: int, name: str, value: bytes | None, attribute: str, before: str, after: str
    ) -> bool:
        """Write or remove an extended attribute of an object that is already open.

        Args:
            path: where it lies, for messages.
            descriptor: opened with ``O_PATH | O_NOFOLLOW``; not used in check mode.
            name: name of the attribute, such as ``system.posix_acl_access``.
            value: wanted value, None to remove the attribute.
            attribute: what it is called in the record, such as ``access list``.
            before: value found, in words.
            after: value wanted, in words.

        Returns:
            Always True: the caller has seen that the value differs.

        Raises:
            ChangeError: the system refused; says which path and why.

        """
        if not self.announce(printable(path), attribute, before, after):
            return True
        self._save(lambda recorder: recorder.attribute(path, descriptor, name, value))
        through = f"/proc/self/fd/{descriptor}"
        try:
            if value is None:
                os.removexattr(through, name)
            else:
                os.setxattr(through, name, value)
        except OSError as exc:
            if value is None and exc.errno == errno.ENODATA:
                return True
            self._save(lambda recorder: recorder.attribute(path, descriptor, name, self._xattr(through, name)))
            raise ChangeError(f"{printable(path)}: {attribute}: {exc.strerror}") from exc
        return True

    @staticmethod
    def _xattr(through: str, name: str) -> bytes | None:
        try:
            return os.getxattr(through, name)
        except OSError:
            return None

    def command(
        self,
        argv: Sequence[str],
        target: str,
        attribute: str,
        before: str,
        after: str,
        undo: Sequence[str] | None = None,
    ) -> bool:
        """Change something by a system tool.

        Args:
            argv: the command and its arguments; never through a shell, never with a secret.
            target: what it changes, for the record.
            attribute: which property of it.
            before: state found, in words.
            after: state wanted, in words.
            undo: the command that takes it back, None when nothing has to be taken back.

        Returns:
            Always True: the caller has seen that the state differs.

        Raises:
            ChangeError: the tool is missing or failed; holds its own words.

        """
        if not self.announce(target, attribute, before, after):
            return True
        if self._run_command is None:
            raise ChangeError(f"{target}: no way to run {argv[0]}")
        self._save(lambda recorder: recorder.command(target, attribute, None if undo is None else list(undo)))
        code, out, err = self._run_command(list(argv))
        if code != 0:
            words = (err or out).strip() or "no message"
            raise ChangeError(f"{target}: {' '.join(argv)} ended with {code}: {words}")
        return True

    def result(self) -> dict[str, Any]:
        """Return the part of a module's result that tells what changed."""
        return {"changed": self.count > 0, "dc_changes": self.entries, "diff": self.diff}
