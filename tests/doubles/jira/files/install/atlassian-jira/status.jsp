<%@ page contentType="application/json;charset=UTF-8" session="false" trimDirectiveWhitespaces="true" %>
<%@ page import="dc.testing.jira.Instance" %>
<%
    Instance jira = Instance.of(application);
    if (jira.state().equals("ERROR")) {
        response.setStatus(500);
    }
    out.print(jira.statusAsJson());
%>
