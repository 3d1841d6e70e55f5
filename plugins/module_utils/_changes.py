# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place through which every change to a host goes.

Modules never write, remove, chmod, chown or run a changing command by themselves: they ask ``Changes``. So check mode
cannot be forgotten, what it predicts is by construction what a real run does, and whatever has to happen before a
change is saved first by the recorder, so that it can be taken back.

A change that is refused, by a guard, a validation or the system, leaves its control failed, and the task goes on. A
fault of the host itself is something else: where the disk is full or broken, or the record cannot be written, nothing
more is changed, the rest is only judged, and the task fails in the end.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._lock import HostLock, LockError
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._recorder import (
    Recorder,
    RecordError,
    TooLargeError,
)

MAX_DIFF_BYTES = 64 * 1024
"""Longest file content shown in a diff; a longer one is only named."""

MAX_DIFF_LINE = 200
"""Longest line shown where only lines that change are."""


FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""Errors that are not about one path: what comes next would fail the same way."""


class ChangeError(Exception):
    """A change that could not be made; says what and where. Nothing is left half done."""


def is_fault(error: object) -> bool:
    """Whether an error, of the system or in the words of one of its tools, is one of the host itself."""
    if isinstance(error, OSError):
        return error.errno in FAULTS
    return any(os.strerror(number) in str(error) for number in FAULTS)


def temporary_path(path: str) -> str:
    """Return where the new content of a file is written before it replaces the old.

    Always the same for a file: what a run that was cut off has left there, the next one overwrites. The leading dot
    keeps readers of drop-in folders from picking it up.
    """
    folder, name = os.path.split(path)
    return os.path.join(folder, f".atlassian-dc-{name}")


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


def _changed_lines(old: bytes, new: bytes) -> tuple[bytes, bytes]:
    """Return the lines that two contents do not have in common, those too long to be looked through as their length."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    # What both have in common at their ends is taken off first: comparing takes longer the more lines there are.
    for _end in range(2):
        same = 0
        while same < min(len(before), len(after)) and before[same] == after[same]:
            same += 1
        before, after = before[same:][::-1], after[same:][::-1]
    gone, come = [], []
    for kind, low, high, new_low, new_high in difflib.SequenceMatcher(None, before, after).get_opcodes():
        if kind != "equal":
            gone += before[low:high]
            come += after[new_low:new_high]

    def shown(part: list[bytes]) -> bytes:
        return b"".join(line if len(line) <= MAX_DIFF_LINE else b"(%d bytes)\n" % len(line) for line in part)

    return shown(gone), shown(come)


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
        lock: keeps other runs from changing the host meanwhile; held already. None for no lock.

    """

    def __init__(
        self,
        check_mode: bool,
        run_command: Callable[..., Any] | None = None,
        listed: int | None = None,
        recorder: Recorder | None = None,
        lock: HostLock | None = None,
    ) -> None:
        self.check_mode = check_mode
        self.lock = lock
        self.fault: str | None = None
        """What is wrong with the host, once something was: from then on nothing is changed."""
        self._run_command = run_command
        self._listed = listed
        self._recorder = recorder
        self.count = 0
        self.entries: list[dict[str, str]] = []
        self.diff: list[dict[str, str]] = []
        self._before = (0, 0, 0)

    @classmethod
    def of(cls, module: AnsibleModule, listed: int | None = None, recorded: bool = True) -> Changes:
        """Return the changes of a module. In a real run it has the host to itself from here on.

        Args:
            module: its parameter ``record`` names the run.
            listed: as for the class.
            recorded: whether what it changes is to be saved.

        """
        record = module.params.get("record")
        try:
            recorder = Recorder(record["run"], record.get("role")) if record and recorded else None
            lock = HostLock.of(module.params, module.check_mode)
        except (RecordError, LockError) as exc:
            module.fail_json(msg=str(exc))
        return cls(module.check_mode, module.run_command, listed, recorder, lock)

    def exit(self, module: AnsibleModule, msg: str = "", **result: Any) -> None:
        """End the module: failed where the host has a fault, or with the message given.

        Args:
            module: the module.
            msg: why it failed, empty when it did not.
            result: its own part of the result.

        """
        try:
            if self._recorder is not None:
                self._recorder.close()
        except RecordError as exc:
            self.fault = self.fault or str(exc)
        if self.lock is not None:
            self.lock.release()
        if self.fault is not None:
            made = f"the {self.count} made before it stay" if self.count > 1 else "one made before it stays"
            before = f" ({made}, recorded for rollback)" if self.count and self._recorder is not None else ""
            why = f"{self.fault}. No further change was attempted{before}. Put that right and run this again"
            msg = f"{msg}; {why}" if msg and self.fault not in msg else why
        if msg:
            module.fail_json(msg=msg, **result, **self.result())
        module.exit_json(**result, **self.result())

    @contextlib.contextmanager
    def _making(self, target: str) -> Iterator[None]:
        """Make the change that was just announced. One that fails did not happen, and is not said to have."""
        try:
            if self.fault is not None:
                raise ChangeError(f"{printable(target)}: not attempted, because {self.fault}")
            yield
        except (OSError, ChangeError, RecordError) as exc:
            self.count, listed, shown = self._before
            del self.entries[listed:], self.diff[shown:]
            words = f"{printable(target)}: {exc.strerror or exc}" if isinstance(exc, OSError) else str(exc)
            if self.fault is None and (is_fault(exc) or self._is_of_record(exc)):
                self.fault = words
            if isinstance(exc, ChangeError):
                raise
            raise ChangeError(words) from exc

    @staticmethod
    def _is_of_record(exc: Exception) -> bool:
        return isinstance(exc, RecordError) and not isinstance(exc, TooLargeError)

    def prepare(self) -> None:
        """Get ready to make changes from a process that has fewer rights than this one."""
        if not self.check_mode and self.fault is None and self._recorder is not None:
            try:
                self._recorder.prepare()
            except RecordError as exc:
                self.fault = str(exc)

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
        self._before = (self.count, len(self.entries), len(self.diff))
        self.count += 1
        if self._listed is None or len(self.entries) < self._listed:
            self.entries.append({"target": target, "attribute": attribute, "before": before, "after": after})
        return not self.check_mode

    def write_file(
        self,
        path: str,
        content: str | bytes,
        mode: int = 0o644,
        owner: tuple[int, int] = (0, 0),
        validate: Callable[[str], str | None] | None = None,
        secret: bool = False,
        changed_lines: bool = False,
    ) -> bool:
        """Make a regular file have this content, mode and owner; replace it atomically.

        Args:
            path: absolute path. A missing parent folder is made, 0755 and owned by root.
            content: whole new content.
            mode: permission bits.
            owner: numeric user and group.
            validate: called with the path of the new file before it replaces the old; returns what is wrong, or None.
            secret: keep the content out of the diff.
            changed_lines: show only the lines that change in the diff: the rest is somebody else's, and may be secret.

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
        make = self.announce(printable(path), "content" if old != new or info is None else "permissions", before, after)
        shown = _changed_lines(old, new) if changed_lines and info is not None else (old, new)
        self._diff_content(path, None if info is None else shown[0], shown[1], secret)
        if make:
            with self._making(path):
                if self._recorder is not None:
                    # The record may lie in the very folder that is about to be made.
                    self._recorder.prepare()
                self._make_folders(os.path.dirname(path))
                if self._recorder is not None:
                    self._recorder.file(path, info, old, new)
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
        temporary = temporary_path(path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
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
        except BaseException:
            os.unlink(temporary)
            raise
        self._sync_folder(os.path.dirname(path))

    def _make_folders(self, folder: str) -> None:
        if not os.path.isdir(folder):
            self._make_folders(os.path.dirname(folder))
            if self._recorder is not None:
                self._recorder.folder_made(folder)
            os.mkdir(folder, mode=0o755)

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
        make = self.announce(printable(path), "removed", "present", "absent")
        self._diff_content(path, old, None, secret=False)
        if make:
            with self._making(path):
                if self._recorder is not None:
                    self._recorder.file(path, info, old, None)
                os.unlink(name, dir_fd=folder)
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
        through = f"/proc/self/fd/{descriptor}"
        with self._making(path):
            if self._recorder is not None:
                self._recorder.permissions(path, info, uid, gid, wanted)
            try:
                if new_owner:
                    os.chown(through, uid, gid)
                # chown clears setuid and setgid, so the mode comes second and always when the owner changed.
                if new_owner or wanted != stat.S_IMODE(info.st_mode):
                    os.chmod(through, wanted)
            except OSError as exc:
                if self._recorder is not None and _as_it_was(descriptor, info):
                    # Saved once more as it was, it says that the change was refused.
                    self._recorder.permissions(path, info, info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))
                hint = _hint(exc, info)
                if not hint:
                    raise
                raise ChangeError(f"{printable(path)}: {exc.strerror}{hint}") from exc
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
        through = f"/proc/self/fd/{descriptor}"
        with self._making(f"{path}: {attribute}"):
            if self._recorder is not None:
                self._recorder.attribute(path, descriptor, name, value)
            try:
                if value is not None:
                    os.setxattr(through, name, value)
                else:
                    os.removexattr(through, name)
            except OSError as exc:
                if value is not None or exc.errno != errno.ENODATA:
                    if self._recorder is not None:
                        self._recorder.attribute(path, descriptor, name, self._xattr(through, name))
                    raise
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
            before: state found, in words; it is shown and recorded, so never a secret.
            after: state wanted, in the same way.
            undo: the command that takes it back, None when nothing has to be taken back.

        Returns:
            Always True: the caller has seen that the state differs.

        Raises:
            ChangeError: the tool is missing or failed; holds its own words.

        """

        def run() -> None:
            if self._run_command is None:
                raise ChangeError(f"{target}: no way to run {argv[0]}")
            # In English, whatever the host speaks: what the tool says is looked through for faults of the host.
            code, out, err = self._run_command(list(argv), environ_update={"LC_ALL": "C"})
            if code != 0:
                complaint = (err or out).strip() or "no message"
                raise ChangeError(f"{target}: {' '.join(argv)} ended with {code}: {complaint}")

        return self.perform(run, target, attribute, before, after, undo)

    def systemctl(
        self,
        verb: str,
        unit: str,
        attribute: str,
        before: str,
        after: str,
        undo: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> bool:
        """Change the state of a unit.

        Args:
            verb: command of systemctl.
            unit: the unit.
            attribute: which property of it changes.
            before: state found, in words.
            after: state wanted, in the same way.
            undo: the command of systemctl, with its options, that takes it back; empty when nothing has to be.
            options: of the command.

        Returns:
            Always True, as `command` does.

        Raises:
            ChangeError: as `command` does.

        """
        back = ["systemctl", *undo, unit] if undo else None
        return self.command(["systemctl", verb, *options, unit], f"unit {unit}", attribute, before, after, back)

    def reload_units(self) -> bool:
        """Have systemd read the files of its units anew; raises as `command` does."""
        return self.command(
            ["systemctl", "daemon-reload"], "systemd", "loaded units", "older than the files", "as in the files"
        )

    def perform(
        self,
        action: Callable[[], None],
        target: str,
        attribute: str,
        before: str,
        after: str,
        undo: Sequence[str] | None = None,
        save: Callable[[Recorder], None] | None = None,
    ) -> bool:
        """Change something that takes more than one call of a system tool; otherwise as `command`.

        Args:
            action: makes the change; raises ChangeError where it cannot be made.
            target: what it changes, for the record.
            attribute: which property of it.
            before: state found, in words; it is shown and recorded, so never a secret.
            after: state wanted, in the same way.
            undo: the command that takes it back, None when nothing has to be taken back.
            save: records it where no command takes it back.

        Returns:
            Always True: the caller has seen that the state differs.

        """
        make = self.announce(target, attribute, before, after)
        shown = {"before": f"{attribute}: {before}\n", "after": f"{attribute}: {after}\n"}
        self.diff.append({"before_header": target, "after_header": target, **shown})
        if not make:
            return True
        with self._making(target):
            if self._recorder is not None and save is not None:
                save(self._recorder)
            elif self._recorder is not None:
                self._recorder.command(target, attribute, before, after, None if undo is None else list(undo))
            action()
        return True

    def result(self) -> dict[str, Any]:
        """Return the part of a module's result that tells what changed."""
        return {"changed": self.count > 0, "dc_changes": self.entries, "diff": self.diff}
