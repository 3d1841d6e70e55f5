// Copyright (c) 2026, the atlassian_dc.hardening contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
package dc.testing.@PRODUCT@;

import jakarta.servlet.ServletContext;
import jakarta.servlet.ServletContextEvent;
import jakarta.servlet.ServletContextListener;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;

/** Starts the instance with its web application, and is a page that writes what the product writes while it answers. */
public final class Dashboard extends HttpServlet implements ServletContextListener {
    private static final long serialVersionUID = 1L;
    private static final String ATTRIBUTE = Instance.class.getName();

    public static Instance instance(ServletContext context) {
        return (Instance) context.getAttribute(ATTRIBUTE);
    }

    /** Make an instance known to the pages of a web application. */
    public static void publish(ServletContext context, Instance instance) {
        context.setAttribute(ATTRIBUTE, instance);
    }

    @Override
    public void contextInitialized(ServletContextEvent event) {
        ServletContext context = event.getServletContext();
        Map<String, String> places = new HashMap<>();
        places.put("install", System.getProperty("catalina.base"));
        places.put("webapp", context.getRealPath("/").replaceAll("/$", ""));
        Instance instance = new Instance(context.getInitParameter("script"), places);
        publish(context, instance);
        instance.start();
    }

    @Override
    public void contextDestroyed(ServletContextEvent event) {
        instance(event.getServletContext()).stop();
    }

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        Instance instance = instance(getServletContext());
        boolean asksForStatus = request.getRequestURI().endsWith("/status");
        if (!asksForStatus) {
            instance.everyRequest();
        }
        boolean well = instance.state().equals("RUNNING");
        response.setStatus(well ? HttpServletResponse.SC_OK : HttpServletResponse.SC_INTERNAL_SERVER_ERROR);
        response.setContentType(asksForStatus ? "application/json;charset=UTF-8" : "text/html;charset=UTF-8");
        response.getWriter().print(asksForStatus ? instance.statusAsJson() : instance.page() + "\n");
    }
}
