# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in that is a web application in a Tomcat of its own."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar
from xml.sax.saxutils import escape

from . import java, tree
from .double import COMMON, Double


class WebApplication(Double):
    """The status page is a JSP, compiled at start: it needs a writable work folder and a JVM that may generate code."""

    # Folders below the installation: of the web application, and of Tomcat.
    webapp: ClassVar[str]
    tomcat: ClassVar[str] = "."
    # Group of the product's Maven artifacts and those whose pom.properties lie in the web application.
    group: ClassVar[str]
    artifacts: ClassVar[tuple[str, ...]]

    @property
    def web_root(self) -> Path:
        """Return where the web application lies while it is built."""
        return self.install / self.webapp

    def all_values(self) -> dict[str, str]:
        """Return the values of all placeholders, the script of the running product among them."""
        values = super().all_values()
        return {**values, "SCRIPT": escape(self.script(values))}

    def content(self) -> None:
        """Make Tomcat, classes and what tells the version."""
        values = self.all_values()
        java.install_tomcat(self.install / self.tomcat, values)
        self.compile(self.web_root / "WEB-INF/classes", java.PAGES, self.install / self.tomcat / "lib")
        tree.install_templates(COMMON / "files" / "webapp", self.web_root, values)
        for artifact in self.artifacts:
            tree.maven(self.web_root, self.group, artifact, self.settings["version"])
