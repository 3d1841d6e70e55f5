// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.jira;

import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;

/** A page that writes what Jira writes while it answers. */
public final class Dashboard extends HttpServlet {
    private static final long serialVersionUID = 1L;

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        Instance jira = Instance.of(getServletContext());
        if (jira.state().equals("RUNNING")) {
            jira.everyRequest();
        }
        boolean well = jira.state().equals("RUNNING");
        response.setStatus(well ? HttpServletResponse.SC_OK : HttpServletResponse.SC_INTERNAL_SERVER_ERROR);
        response.setContentType("text/html;charset=UTF-8");
        response.getWriter().println("<!DOCTYPE html><html><head><meta name=\"application-name\" content=\"JIRA\" data-name=\"jira\""
            + " data-version=\"" + jira.version() + "\"><title>System Dashboard - Jira</title></head><body>"
            + jira.state() + "</body></html>");
    }
}
