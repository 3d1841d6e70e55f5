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
import java.util.stream.Stream;

/**
 * Starts the instance with its web application, and is its pages: one that writes what the product writes while it
 * answers, those where somebody logs in, and the resources of Rest.
 */
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
        context.getServletRegistrations().values().stream()
            .filter(servlet -> Dashboard.class.getName().equals(servlet.getClassName()))
            .forEach(servlet -> paths(instance).forEach(servlet::addMapping));
    }

    /** Where people log in, and what programs ask for. */
    static Stream<String> paths(Instance instance) {
        return Stream.of(instance.logins().stream().map(Login::path), instance.rest().otherPaths().stream(), Stream.of("/rest/*"))
            .flatMap(paths -> paths);
    }

    @Override
    public void contextDestroyed(ServletContextEvent event) {
        instance(event.getServletContext()).stop();
    }

    @Override
    protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
        Instance instance = instance(getServletContext());
        if (request.getRequestURI().endsWith("/status")) {
            answer(instance, response, 200, "application/json", instance.statusAsJson());
            return;
        }
        Visit visit = new Visit(instance, request);
        int status = visit.status();
        visit.occasion().context().forEach(request::setAttribute);
        visit.occasion().headers().forEach(header -> response.addHeader(header.getKey(), header.getValue()));
        if (visit.answer() != null) {
            answer(instance, response, status, visit.answer().type(), visit.answer().body());
        } else if (status == HttpServletResponse.SC_FOUND) {
            response.setStatus(status);
            response.setHeader("Location", request.getContextPath() + visit.login().where());
        } else if (visit.isOfProgram()) {
            answer(instance, response, status, "application/json", "{\"status\":" + status + "}");
        } else {
            answer(instance, response, status, "text/html", instance.page() + "\n");
        }
        instance.answered(visit.occasion(), response.getStatus());
    }

    /** An instance that something went wrong with answers nothing else. */
    private static void answer(Instance instance, HttpServletResponse response, int status, String type, String body)
            throws IOException {
        response.setStatus(instance.state().equals("RUNNING") ? status : HttpServletResponse.SC_INTERNAL_SERVER_ERROR);
        if (!body.isEmpty()) {
            response.setContentType(type + ";charset=UTF-8");
            response.getWriter().print(body);
        }
    }
}
